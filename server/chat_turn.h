/* chat_turn.h - one generation from its request to its last byte: the file to read first here.
 *
 * A turn lives until the engine has sent its final event, even when its client is long gone; its
 * conversation is busy for that time. Owner: struct chat_turns. Thread: loop (but for one function,
 * which makes tokens of a prompt on a worker thread and touches nothing else). */
#ifndef SERVER_CHAT_TURN_H
#define SERVER_CHAT_TURN_H

#include <stdbool.h>

#include "server/generation_request.h"

struct chat_turns;
struct conversations;
struct engine;
struct engine_event;
struct err;
struct event_loop;
struct http_exchange;

struct chat_turns_options {
    struct event_loop *loop;
    struct engine *engine;
    struct conversations *conversations;
    struct generation_defaults defaults;
    int max_turns;    /* at once; more are refused */
    int ping_after_s; /* of silence in a stream */
};

bool chat_turns_open(struct chat_turns **out, const struct chat_turns_options *options,
                     struct err *err);
/* There must be no turns left. */
void chat_turns_close(struct chat_turns **turns);

/* Answers a POST whose body is complete. `owner` is the API key's number; `conversation_id` the
 * name that the headers give, or NULL. */
void chat_turns_start(struct chat_turns *turns, struct http_exchange *exchange, bool is_chat,
                      int owner, const char *conversation_id);

/* A mailbox_event_fn. */
void chat_turns_on_event(void *turns, struct engine_event *event);

/* Calls fn(arg) whenever the last turn has ended. */
void chat_turns_on_empty(struct chat_turns *turns, void (*fn)(void *arg), void *arg);

/* Ends all turns as soon as the engine can; their clients are told. */
void chat_turns_stop(struct chat_turns *turns);

int chat_turns_count(const struct chat_turns *turns);
int chat_turns_count_waiting(const struct chat_turns *turns);

#endif
