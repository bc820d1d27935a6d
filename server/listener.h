/* listener.h - a listening TCP socket. Owner: the HTTP server. Thread: loop. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>

struct err;

struct listener {
    int fd;
    int port;         /* the real one, when 0 was asked for */
    bool is_loopback; /* reachable from this machine only */
};

/* `host` is an address or a name; empty for all addresses of the machine. */
bool listener_open(struct listener *out, const char *host, int port, struct err *err);

/* True when `host` names a loopback address, so that nobody else can reach a server there. */
bool listener_host_is_loopback(const char *host);

#endif
