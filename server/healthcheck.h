/* healthcheck.h - asks a running daemon whether it is ready: `sinkd --healthcheck`, for containers
 * that have no curl. Thread: main. */
#ifndef SERVER_HEALTHCHECK_H
#define SERVER_HEALTHCHECK_H

#include <stdbool.h>

struct err;
struct listener_options;

/* GET /readyz at the place where a daemon with these options listens: true for 200. */
bool healthcheck_ask(const struct listener_options *where, struct err *err);

#endif
