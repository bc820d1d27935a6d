/* response_turns.h - POST /v1/responses, and the responses that are being made.
 *
 * Owner: response_routes. Thread: loop. Not here: what one response does (response_turn.h). */
#ifndef SERVER_RESPONSE_TURNS_H
#define SERVER_RESPONSE_TURNS_H

#include <stdint.h>
#include <sys/queue.h>

struct auth;
struct auth_digest;
struct body_reader;
struct generation_defaults;
struct generations;
struct http_exchange;
struct metrics;
struct response_turn;
struct resumables;
struct routes;
struct store;
struct tokenizer;

/* What all turns share, borrowed, and their list. */
struct response_turns {
    struct body_reader *reader;    /* NULL: bodies are read at once */
    struct resumables *resumables; /* NULL: nothing can be taken up */
    struct metrics *metrics;       /* NULL: nobody counts */
    struct store *store;
    const struct auth *auth;
    struct generations *generations;
    const struct routes *routes; /* is it draining? */
    const struct generation_defaults *defaults;
    const char *model_name;
    const struct tokenizer *tokenizer;
    int n_window;
    int64_t ttl_s;    /* of stored responses; 0: for ever */
    int ping_after_s; /* of silence in a stream */
    int stall_s;      /* a stream that nobody reads is cut after so long */
    LIST_HEAD(, response_turn) list;
};

/* Answers a POST whose body is complete. `owner` is the API key's number. */
void response_turns_start(struct response_turns *turns, struct http_exchange *exchange, int owner);

/* NULL when no such response is being made for this owner. */
struct response_turn *response_turns_find(const struct response_turns *turns,
                                          const struct auth_digest *owner, const char *id);

#endif
