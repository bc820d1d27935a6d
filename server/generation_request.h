/* generation_request.h - the fields that both completion endpoints share: how to generate.
 *
 * What would change the answer and cannot be done is refused, never ignored; what says nothing
 * ("n":1, "tools":[]) passes. Pure; fuzzed through chat_request. Thread: any. */
#ifndef SERVER_GENERATION_REQUEST_H
#define SERVER_GENERATION_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "core/text/sampler.h"

struct api_error;

/* What holds when the client says nothing. */
struct generation_defaults {
    int max_tokens;
    struct sampler_settings sampling;
};

struct generation_request {
    bool is_streaming;
    bool include_usage; /* one more chunk with the token counts */
    bool ignore_end;
    int max_tokens; /* >= 1 */
    struct sampler_settings sampling;
    char **stops; /* owned: n_stops strings, none empty */
    int n_stops;
};

bool generation_request_read(const json_t *body, const struct generation_defaults *defaults,
                             struct generation_request *out, struct api_error *error);
void generation_request_done(struct generation_request *request);

#endif
