/* generations.h - all generations: how many there may be, which one an event is for, and who goes
 * on when another has ended.
 *
 * Owner: the daemon. Thread: loop. Not here: what one does (generation.h). */
#ifndef SERVER_GENERATIONS_H
#define SERVER_GENERATIONS_H

#include <stdbool.h>

struct answer_style;
struct conversations;
struct engine;
struct engine_event;
struct err;
struct event_loop;
struct generations;
struct metrics;

/* Borrowed for as long as they are open. */
struct generations_options {
    struct event_loop *loop;
    struct engine *engine;
    struct conversations *conversations;
    const struct answer_style *style; /* of the loaded model */
    struct metrics *metrics;          /* NULL: nobody counts */
    int max;                          /* at once; more are refused */
    int max_per_owner;                /* of these, for one owner; 0: no limit */
    float system_share;               /* of the window: for a system prompt as sinks */
    int reread_windows;               /* of a history that no session holds; 0: all of it */
};

bool generations_open(struct generations **out, const struct generations_options *options,
                      struct err *err);
/* There must be none left. */
void generations_close(struct generations **all);

/* From now on. */
void generations_limit_owners(struct generations *all, int max_per_owner);

/* A mailbox_event_fn. */
void generations_on_event(void *all, struct engine_event *event);

/* Calls fn(arg) whenever the last one has ended. */
void generations_on_empty(struct generations *all, void (*fn)(void *arg), void *arg);

/* Ends all as soon as the engine can; their listeners are told. */
void generations_stop(struct generations *all);

int generations_count(const struct generations *all);
int generations_count_waiting(const struct generations *all);

#endif
