/* http_deadlines.h - how long each connection may take for what it is doing.
 *
 * libmicrohttpd's own timeout only counts silence: a client that sends one byte a second holds its
 * connection for ever. Here the whole request head and the whole body have a deadline. Owner: the
 * HTTP server. Thread: loop. */
#ifndef SERVER_HTTP_DEADLINES_H
#define SERVER_HTTP_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct pollfd;

struct http_connection {
    LIST_ENTRY(http_connection) place;
    int fd;
    bool is_idle;        /* no request has begun since the last reply */
    bool is_fresh;       /* its first request is still to come */
    bool has_ended;      /* at the last sweep the client had closed its side */
    int64_t deadline_ns; /* 0: none */
};

struct http_deadlines {
    LIST_HEAD(, http_connection) list;
    int n;
    struct pollfd *polls; /* [max_polls] scratch of the sweep */
    int max_polls;
};

/* NULL when there is no memory. */
struct http_connection *http_deadlines_add(struct http_deadlines *deadlines, int fd,
                                           int timeout_ms);
void http_deadlines_remove(struct http_deadlines *deadlines, struct http_connection *connection);

/* A new deadline from now; 0: none. */
void http_connection_expect(struct http_connection *connection, int timeout_ms, bool is_idle);

/* Shuts down the sockets whose time is over, and those that wait for more of a request from a
 * client which has closed its side for a whole sweep: libmicrohttpd does not see an end that came
 * together with a part of a request. Closing them is the HTTP daemon's part, which sees the end of
 * the stream. */
void http_deadlines_sweep(struct http_deadlines *deadlines);
/* The same at once for all that are idle, or for those of them that had a request. */
void http_deadlines_close_idle(struct http_deadlines *deadlines, bool keep_fresh);
/* Connections from which a request is on its way: fresh ones, and those that sent a part of one. */
int http_deadlines_n_arriving(const struct http_deadlines *deadlines);

/* There must be no connections left. */
void http_deadlines_done(struct http_deadlines *deadlines);

#endif
