/* chat_turns.h - POST /v1/chat/completions, /v1/completions and /v1/messages, and what a client can
 * do with an answer that it has asked for before.
 *
 * Owner: the daemon. Thread: loop. Not here: what one answer does (chat_turn.h). */
#ifndef SERVER_CHAT_TURNS_H
#define SERVER_CHAT_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/chat_request.h"
#include "server/generation_request.h"

struct body_reader;
struct generations;
struct http_exchange;
struct metrics;
struct resumables;
struct text_list;
struct tokenizer;

/* What all turns share; all borrowed. */
struct chat_turns {
    struct body_reader *reader; /* NULL: bodies are read at once */
    struct generations *generations;
    struct generation_defaults defaults;
    const char *model_name; /* as answers give it */
    const struct tokenizer *tokenizer;
    char fingerprint[64];          /* "system_fingerprint" of all answers */
    int ping_after_s;              /* of silence in a stream */
    int stall_s;                   /* a stream that nobody reads is cut after so long */
    struct metrics *metrics;       /* NULL: nobody counts */
    struct resumables *resumables; /* NULL: nothing can be taken up */
    const struct text_list *conversation_headers; /* that may name one, in this order */
};

/* Answers a POST whose body is complete. `owner` is the API key's number; `conversation_id` the
 * name that the headers give, or NULL. */
void chat_turns_start(struct chat_turns *turns, struct http_exchange *exchange, enum chat_api api,
                      int owner, const char *conversation_id);

/* The same for an answer that is being made, or was a moment ago, and can be taken up: it is found
 * by its id, and streamed after the event `after` (-1: from the start) or the client's
 * Last-Event-ID. */
void chat_turns_follow(struct chat_turns *turns, struct http_exchange *exchange, int owner,
                       const char *id, int64_t after);
/* Ends it, for all who follow it. */
void chat_turns_delete(struct chat_turns *turns, struct http_exchange *exchange, int owner,
                       const char *id);

#endif
