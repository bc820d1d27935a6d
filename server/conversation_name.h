/* conversation_name.h - what a client calls its conversation: in a header, in the body, or not at
 * all.
 *
 * A name is one conversation's; a group may be that of many: a whole application sends the same
 * prompt_cache_key, so it only decides between conversations that both fit. Pure. Thread: any. */
#ifndef SERVER_CONVERSATION_NAME_H
#define SERVER_CONVERSATION_NAME_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct api_error;
struct http_exchange;
struct text_list;

enum { CONVERSATION_NAME_MAX = 256 };

struct conversation_name {
    char id[CONVERSATION_NAME_MAX + 1]; /* empty for none */
    uint64_t group;                     /* of prompt_cache_key, else of user; 0 for none */
};

/* True for 1 .. CONVERSATION_NAME_MAX visible ASCII characters. */
bool conversation_name_is_valid(const char *id);

/* From a request's body: session_id, or an id that front ends put into metadata. */
bool conversation_name_read(const json_t *body, struct conversation_name *out,
                            struct api_error *error);

/* From the first of these headers that is there and not empty. *out is NULL when none is, else
 * borrowed from the exchange. */
bool conversation_name_of_headers(struct http_exchange *exchange, const struct text_list *headers,
                                  const char **out, struct api_error *error);

#endif
