/* chat_turn.h - POST /v1/chat/completions and /v1/completions: what a generation says, as a stream
 * of chunks or as one object.
 *
 * A turn lives until its answer is complete or its client is gone. Owner: the generation that it
 * listens to. Thread: loop. */
#ifndef SERVER_CHAT_TURN_H
#define SERVER_CHAT_TURN_H

#include <stdbool.h>

#include "server/generation_request.h"

struct generations;
struct http_exchange;
struct text_list;
struct tokenizer;

/* What all turns share. Owner: the daemon. */
struct chat_turns {
    struct generations *generations;
    struct generation_defaults defaults;
    const char *model_name; /* as answers give it */
    const struct tokenizer *tokenizer;
    char fingerprint[64];                         /* "system_fingerprint" of all answers */
    int ping_after_s;                             /* of silence in a stream */
    const struct text_list *conversation_headers; /* that may name one, in this order */
};

/* Answers a POST whose body is complete. `owner` is the API key's number; `conversation_id` the
 * name that the headers give, or NULL. */
void chat_turn_start(struct chat_turns *turns, struct http_exchange *exchange, bool is_chat,
                     int owner, const char *conversation_id);

#endif
