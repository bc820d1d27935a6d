/* drain.h - how the daemon ends: announce it, take nothing new, let answers end, flush, stop.
 *
 * Owner: the daemon. Thread: loop. */
#ifndef SERVER_DRAIN_H
#define SERVER_DRAIN_H

#include <stdbool.h>

struct drain;
struct err;
struct event_loop;
struct generations;
struct http_server;
struct options;
struct routes;

/* All borrowed. */
struct drain_parts {
    struct event_loop *loop; /* stopped at the end */
    struct generations *generations;
    struct http_server *http;
    struct routes *routes;
    const struct options *options;
};

bool drain_open(struct drain **out, const struct drain_parts *parts, struct err *err);
/* The loop has stopped and what was borrowed goes: nothing is done from here on, although the loop
 * may turn again for work that is left. */
void drain_end(struct drain *drain);
void drain_close(struct drain **drain);

/* An event_fn, `drain` is a struct drain: each call is one SIGTERM. The first begins, with the time
 * that the options allow; the second means now. */
void drain_signal(void *drain);

#endif
