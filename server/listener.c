#include "server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/err.h"

enum { BACKLOG = 511, FIRST_INHERITED_FD = 3 };

static bool resolve(const char *host, int port, struct addrinfo **out, struct err *err)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int status = getaddrinfo(host[0] == '\0' ? NULL : host, service, &hints, out);
    if (status != 0)
        return err_set(err, ERR_INVALID, "cannot listen on host \"%s\": %s", host,
                       gai_strerror(status));
    return true;
}

static bool address_is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* ---- one that systemd opened ---- */

static long take_number(const char *name)
{
    const char *text = getenv(name);
    long number = text == NULL ? 0 : strtol(text, NULL, 10);
    unsetenv(name);
    return number;
}

bool listener_take_inherited(int *out, struct err *err)
{
    long pid = take_number("LISTEN_PID"), n = take_number("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    *out = -1;
    if (pid != getpid() || n <= 0)
        return true;
    if (n > 1)
        return err_set(err, ERR_INVALID, "systemd handed over %ld sockets; sinkd takes one", n);
    int is_listening = 0;
    socklen_t len = sizeof is_listening;
    if (getsockopt(FIRST_INHERITED_FD, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) != 0 ||
        is_listening == 0)
        return err_set(err, ERR_INVALID, "what systemd handed over is not a listening socket");
    fcntl(FIRST_INHERITED_FD, F_SETFD, FD_CLOEXEC);
    fcntl(FIRST_INHERITED_FD, F_SETFL, fcntl(FIRST_INHERITED_FD, F_GETFL) | O_NONBLOCK);
    *out = FIRST_INHERITED_FD;
    return true;
}

/* ---- where a socket is ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static bool bound_address(int fd, union address *out)
{
    memset(out, 0, sizeof *out);
    socklen_t len = sizeof *out;
    return getsockname(fd, &out->any, &len) == 0;
}

static void describe(struct listener *listener, const char *host)
{
    union address address;
    char text[INET6_ADDRSTRLEN] = "";
    if (!bound_address(listener->fd, &address))
        return;
    if (address.any.sa_family == AF_UNIX) {
        snprintf(listener->name, sizeof listener->name, "unix:%.107s", address.local.sun_path);
        return;
    }
    bool is_v6 = address.any.sa_family == AF_INET6;
    listener->port = ntohs(is_v6 ? address.v6.sin6_port : address.v4.sin_port);
    listener->is_loopback = address_is_loopback(&address.any);
    inet_ntop(address.any.sa_family,
              is_v6 ? (const void *)&address.v6.sin6_addr : (const void *)&address.v4.sin_addr,
              text, sizeof text);
    if (host != NULL && host[0] != '\0')
        snprintf(text, sizeof text, "%.45s", host);
    bool needs_brackets = strchr(text, ':') != NULL;
    snprintf(listener->name, sizeof listener->name, "http://%s%s%s:%d", needs_brackets ? "[" : "",
             text, needs_brackets ? "]" : "", listener->port);
}

bool listener_is_local(const struct listener_options *options)
{
    if (options->inherited_fd >= 0) {
        union address address;
        return bound_address(options->inherited_fd, &address) &&
               (address.any.sa_family == AF_UNIX || address_is_loopback(&address.any));
    }
    if (options->unix_path != NULL && options->unix_path[0] != '\0')
        return true;
    struct addrinfo *addresses;
    if (!resolve(options->host, 0, &addresses, NULL))
        return false;
    bool is_local = true;
    for (const struct addrinfo *it = addresses; it != NULL; it = it->ai_next)
        is_local = is_local && address_is_loopback(it->ai_addr);
    freeaddrinfo(addresses);
    return is_local;
}

/* ---- a TCP socket ---- */

static int listen_on(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool open_tcp(struct listener *out, const char *host, int port, struct err *err)
{
    struct addrinfo *addresses;
    if (!resolve(host, port, &addresses, err))
        return false;
    int fd = -1;
    const struct addrinfo *address = addresses;
    while (address != NULL && (fd = listen_on(address)) < 0 && address->ai_next != NULL)
        address = address->ai_next;
    if (fd < 0)
        err_set(err, ERR_IO, "cannot listen on %s port %d: %s%s", host, port, strerror(errno),
                errno == EADDRINUSE ? "; choose another with --port" : "");
    freeaddrinfo(addresses);
    out->fd = fd;
    return fd >= 0;
}

/* ---- a Unix socket ---- */

/* A file that is left of a daemon which was killed. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    bool is_dead = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED;
    close(fd);
    if (is_dead)
        unlink(address->sun_path);
}

static bool open_unix(struct listener *out, const char *path, unsigned mode, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return err_set(err, ERR_INVALID, "the path of a Unix socket may have %zu characters: %s",
                       sizeof address.sun_path - 1, path);
    memcpy(address.sun_path, path, strlen(path));
    remove_stale(&address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Before listen nobody can connect, so the mode holds from the first moment. */
    bool is_bound = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (is_bound && chmod(path, mode) == 0 && listen(fd, BACKLOG) == 0) {
        out->fd = fd;
        memcpy(out->unix_path, address.sun_path, sizeof out->unix_path);
        return true;
    }
    err_set(err, ERR_IO, "cannot listen on %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (is_bound)
        unlink(path);
    return false;
}

bool listener_open(struct listener *out, const struct listener_options *options, struct err *err)
{
    struct listener listener = {.fd = options->inherited_fd};
    bool is_unix = options->unix_path != NULL && options->unix_path[0] != '\0';
    const char *host = options->inherited_fd < 0 && !is_unix ? options->host : NULL;
    if (options->inherited_fd < 0 &&
        !(is_unix ? open_unix(&listener, options->unix_path, options->unix_mode, err)
                  : open_tcp(&listener, options->host, options->port, err)))
        return false;
    describe(&listener, host);
    *out = listener;
    return true;
}

void listener_close(struct listener *listener)
{
    if (listener->fd < 0)
        return;
    close(listener->fd);
    listener->fd = -1;
    if (listener->unix_path[0] != '\0')
        unlink(listener->unix_path);
}
