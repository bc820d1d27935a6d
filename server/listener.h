/* listener.h - a listening socket: TCP, Unix, or handed over by systemd. Owner: whoever
 * opened it, then the HTTP server. Thread: loop, or main before it. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>

struct err;

enum { LISTENER_PATH_SIZE = 108 /* sun_path */ };

struct listener_options {
    const char *host;      /* an address or a name; empty for all addresses of the machine */
    int port;              /* 0: any free one */
    const char *unix_path; /* a Unix socket instead; NULL or empty for none */
    unsigned unix_mode;    /* its permissions */
    int inherited_fd;      /* used instead of all these; -1 for none */
};

struct listener {
    int fd;
    int port;         /* the real one, when 0 was asked for; 0 for a Unix socket */
    bool is_loopback; /* TCP that is reachable from this machine only */
    char unix_path[LISTENER_PATH_SIZE]; /* to be removed with it; empty for none */
    char name[256];                     /* for people: "http://127.0.0.1:8080", "unix:/run/x" */
};

/* The socket that systemd opened for us (sd_listen_fds(3)): *out is -1 when there is none. The
 * environment is cleared, so that it is found once. */
bool listener_take_inherited(int *out, struct err *err);

/* An old socket file that nobody listens on any more is replaced. */
bool listener_open(struct listener *out, const struct listener_options *options, struct err *err);
/* Closes it and removes its socket file. */
void listener_close(struct listener *listener);

/* True when only who is on this machine can reach it: a loopback address or a Unix socket. */
bool listener_is_local(const struct listener_options *options);

#endif
