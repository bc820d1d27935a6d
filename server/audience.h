/* audience.h - those for whom an answer is made: the clients that follow it (followers.h), and one
 * that may come back for it (resumables.h).
 *
 * Here the two meet: when the last follower has left an answer that can be taken up, it waits; who
 * comes back follows it again. Owner: a turn that answers (embedded). Thread: loop. */
#ifndef SERVER_AUDIENCE_H
#define SERVER_AUDIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/followers.h"
#include "server/resumables.h"

struct http_exchange;

struct audience {
    bool is_streaming; /* the client that asked wants the events, not the whole at its end */
    struct followers followers;
    struct resumable resumable;
};

struct audience_options {
    struct resumables *resumables; /* NULL: nothing can be taken up */
    const char *name;              /* of the answer; borrowed */
    bool is_streaming;
    int stall_s; /* see struct followers */
    void (*on_deserted)(void *arg);
    void (*on_pressure)(void *arg, bool is_full);
    void (*on_expired)(void *arg); /* see struct resumable */
    void *arg;
};

/* Without anybody yet. It can be taken up where the ask says that its client could come back. */
void audience_init(struct audience *audience, const struct audience_options *options,
                   const struct resumable_ask *ask);
void audience_done(struct audience *audience);

/* A stream that was not kept from its first event on cannot be taken up. */
bool audience_can_return(const struct audience *audience);
/* Nobody follows it, or it is complete: true when it is kept for one who may come back. */
bool audience_await(struct audience *audience);

/* Somebody has come back: gets the events after `after` (-1: all), and those to come. Of a complete
 * answer who waits for the whole gets send(whole, exchange). */
void audience_take_up(struct audience *audience, struct http_exchange *exchange, int64_t after,
                      void (*send)(const void *whole, struct http_exchange *exchange),
                      const void *whole);

#endif
