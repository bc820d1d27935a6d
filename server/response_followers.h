/* response_followers.h - the clients that wait for a response: for its events, or for the whole of
 * it at its end.
 *
 * Owner: a response turn (embedded). Borrows the exchanges. Thread: loop. */
#ifndef SERVER_RESPONSE_FOLLOWERS_H
#define SERVER_RESPONSE_FOLLOWERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"

struct api_error;
struct generation_end;
struct generation_start;
struct http_exchange;
struct response_follower;
struct response_row;

struct response_followers {
    struct response_follower *first;
    bool keeps_log; /* events are kept, so that who comes later gets them too */
    struct buf log; /* all events so far */
    /* The last follower has left, or reads too slowly. May free what this struct lies in. */
    void (*on_deserted)(void *arg);
    void *arg;
};

/* There must be no follower left. */
void response_followers_done(struct response_followers *all);

/* With `wants_stream` it gets the events after `after` (-1: all), those of the log at once. False,
 * after answering, when there is no memory. */
bool response_followers_add(struct response_followers *all, struct http_exchange *exchange,
                            bool wants_stream, int64_t after);

void response_followers_add_headers(struct response_followers *all,
                                    const struct generation_start *start);
void response_followers_add_end_headers(struct response_followers *all,
                                        const struct generation_end *end);

/* Passes on frames, whose first has number `first`, and empties them. */
void response_followers_send(struct response_followers *all, struct buf *frames, int64_t first);
void response_followers_ping(struct response_followers *all, int after_s);

/* Answers those who wait for the whole; they are followers no more. */
void response_followers_show(struct response_followers *all, const struct response_row *row);
void response_followers_fail(struct response_followers *all, const struct api_error *error);
/* The last frames for those who stream. */
void response_followers_end(struct response_followers *all, const struct buf *frames,
                            int64_t first);
/* All get this error instead of any reply. */
void response_followers_refuse(struct response_followers *all, const struct api_error *error);

#endif
