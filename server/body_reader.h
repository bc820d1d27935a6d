/* body_reader.h - makes a request of a body: a short one's at once, a long one's on a worker.
 *
 * Megabytes of JSON take a second, and on the loop's thread everybody else's tokens would wait for
 * that. Owner: the daemon. Thread: loop. */
#ifndef SERVER_BODY_READER_H
#define SERVER_BODY_READER_H

#include <stddef.h>

struct buf;
struct event_loop;
struct http_exchange;

struct body_reader {
    struct event_loop *loop;
    size_t n_bytes; /* of bodies that are with workers */
};

struct body_reading {
    /* On any thread: whatever it touches is its own, or immutable. */
    void (*read)(void *arg, const struct buf *body);
    /* Then, on the loop's; NULL: the client has left meanwhile. */
    void (*done)(void *arg, struct http_exchange *exchange);
    void *arg;
};

/* Calls both exactly once: before it returns, or later. A NULL reader has no workers. */
void body_reader_read(struct body_reader *reader, struct http_exchange *exchange,
                      const struct body_reading *reading);

#endif
