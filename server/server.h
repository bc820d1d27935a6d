/* server.h - the daemon put together: loop, engine, conversations, HTTP; and taken apart again.
 *
 * Thread: main, which becomes the loop thread. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>

struct err;
struct options;
struct server;

/* Listens, loads the model, then opens for business: who has come meanwhile has waited. */
bool server_open(struct server **out, const struct options *options, struct err *err);
void server_close(struct server **server);

int server_port(const struct server *server);

/* Does what can be done without loading the model: false when the daemon would not start. */
bool server_check(const struct options *options, struct err *err);
/* True when a daemon that runs with these options says that it is ready. */
bool server_ask(const struct options *options, struct err *err);

/* Serves until SIGTERM or SIGINT; SIGHUP reads the options again. The first lets running answers
 * end, for drain_seconds at most; a second one cuts them. */
void server_run(struct server *server);

#endif
