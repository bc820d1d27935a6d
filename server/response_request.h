/* response_request.h - the body of POST /v1/responses as a plain struct.
 *
 * How to generate is read by generation_request, after the fields were given the names that they
 * have in a chat completion: what it can do, and what it refuses, is the same for both. Pure;
 * fuzzed. Thread: any. */
#ifndef SERVER_RESPONSE_REQUEST_H
#define SERVER_RESPONSE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "server/generation_request.h"
#include "server/item_list.h"

struct api_error;

struct response_request {
    struct item_list input;          /* normalized, with ids; references are not yet resolved */
    struct buf instructions;         /* empty for none */
    char previous[ITEM_ID_SIZE];     /* empty for none */
    char conversation[ITEM_ID_SIZE]; /* empty for none; never with `previous` */
    bool is_kept;                    /* "store" */
    bool is_background;
    bool is_strict;  /* "truncation":"disabled": more than the window holds is an error */
    struct buf echo; /* what a response says of its request, as a JSON object */
    struct generation_request generation;
};

/* `model` is the name that replies carry. On false *out is as it was. */
bool response_request_parse(const char *body, size_t len,
                            const struct generation_defaults *defaults, const char *model,
                            struct response_request *out, struct api_error *error);
void response_request_done(struct response_request *request);

#endif
