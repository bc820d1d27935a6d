/* followers.h - the clients that wait for an answer: for its events, or for the whole of it at its
 * end.
 *
 * Each client has its own pace. When all of them read too slowly the answer should pause; one that
 * reads nothing for long is cut. Events may be kept, so that who comes later, or comes back, gets
 * what it lacks.
 *
 * Owner: a turn that answers (embedded). Borrows the exchanges. Thread: loop. */
#ifndef SERVER_FOLLOWERS_H
#define SERVER_FOLLOWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

struct api_error;
struct follower;
struct generation_end;
struct generation_start;
struct http_exchange;

/* Memory that many logs share. */
struct followers_budget {
    size_t max;
    size_t used;
};

struct followers {
    struct follower *first;
    bool keeps_log;                  /* events are kept; no more when there is no room for them */
    struct buf log;                  /* all events so far */
    struct followers_budget *budget; /* the log counts here; NULL: it has a limit of its own */
    const char *name; /* events have an id, "name:number"; NULL: they have none. Borrowed */
    int64_t n_events; /* so far: the number of the next one */
    int n_added;      /* clients, ever: the second one and later ones have come back */
    struct generation_start *start; /* once it is known, for their headers; owned */
    bool has_end;                   /* it says how it ended */
    bool is_full;                   /* all clients that are left read too slowly */
    int stall_s;                    /* without room for so long a stream is cut */
    /* The last follower has left, or is cut; or there is none and the log is no longer kept. May
     * free what this struct lies in. */
    void (*on_deserted)(void *arg);
    /* is_full has changed. NULL: nobody can wait. May free nothing. */
    void (*on_pressure)(void *arg, bool is_full);
    void *arg;
};

/* There must be no follower left. */
void followers_done(struct followers *all);

/* With `wants_stream` it gets the events after `after` (-1: all), those of the log at once. False,
 * after answering, when there is no memory. */
bool followers_add(struct followers *all, struct http_exchange *exchange, bool wants_stream,
                   int64_t after);

void followers_add_headers(struct followers *all, const struct generation_start *start);
/* How it ended: for the log, and for the headers of those who wait for the whole. */
void followers_note_end(struct followers *all, const struct generation_end *end);

/* Passes on whole events and empties `frames`. */
void followers_send(struct followers *all, struct buf *frames);
/* To be called about once a second: a comment after `after_s` of silence, and the end of those who
 * read nothing. */
void followers_ping(struct followers *all, int after_s);

/* Answers those who wait for the whole, by send(what, exchange); they are followers no more. */
void followers_show(struct followers *all,
                    void (*send)(const void *what, struct http_exchange *exchange),
                    const void *what);
void followers_fail(struct followers *all, const struct api_error *error);
/* The last events, for those who stream. */
void followers_end(struct followers *all, struct buf *frames);
/* All get this error instead of any reply. */
void followers_refuse(struct followers *all, const struct api_error *error);

#endif
