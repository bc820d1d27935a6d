/* sd_watch.h - keeps systemd informed: WATCHDOG=1 while loop, engine and the threads that write to
 * the disk make progress, and a line of STATUS. Silent where systemd asked for neither.
 *
 * Owner: the daemon. Thread: loop. */
#ifndef SERVER_SD_WATCH_H
#define SERVER_SD_WATCH_H

#include <stdbool.h>

struct engine;
struct err;
struct event_loop;
struct sd_watch;
struct stateful_api;

/* `engine` and `stateful` are borrowed. */
bool sd_watch_open(struct sd_watch **out, struct event_loop *loop, const struct engine *engine,
                   const struct stateful_api *stateful, struct err *err);
void sd_watch_close(struct sd_watch **watch);

#endif
