/* anthropic_request.h - the body of POST /v1/messages, Anthropic's Messages API, as that of the
 * chat completion that asks for the same.
 *
 * What would change the answer and cannot be done is refused; cache_control, the budget of thoughts
 * and fields that nobody here knows are not looked at. Pure; fuzzed through chat_request.
 * Thread: any. */
#ifndef SERVER_ANTHROPIC_REQUEST_H
#define SERVER_ANTHROPIC_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

struct api_error;

/* The caller owns *out, which shares values with `body`. */
bool anthropic_request_convert(const json_t *body, json_t **out, struct api_error *error);

#endif
