#include "server/healthcheck.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/err.h"
#include "server/listener.h"

enum { TIMEOUT_S = 5 };

static bool connect_in_time(int fd, const struct sockaddr *address, socklen_t len)
{
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
           connect(fd, address, len) == 0;
}

static int dial_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect_in_time(fd, (const struct sockaddr *)&address, sizeof address))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A daemon that listens on all addresses listens on the loopback one. */
static int dial_tcp(const char *host, int port)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo *addresses, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (host[0] == '\0' || strcmp(host, "::") == 0)
        host = "localhost";
    if (getaddrinfo(host, service, &hints, &addresses) != 0)
        return -1;
    int fd = -1;
    for (const struct addrinfo *it = addresses; it != NULL && fd < 0; it = it->ai_next) {
        fd = socket(it->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (!connect_in_time(fd, it->ai_addr, it->ai_addrlen) && fd >= 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(addresses);
    return fd;
}

bool healthcheck_ask(const struct listener_options *where, struct err *err)
{
    static const char request[] =
        "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    bool is_unix = where->unix_path != NULL && where->unix_path[0] != '\0';
    int fd = is_unix ? dial_unix(where->unix_path) : dial_tcp(where->host, where->port);
    if (fd < 0)
        return err_set(err, ERR_IO, "nobody answers at %s port %d",
                       is_unix ? where->unix_path : where->host, is_unix ? 0 : where->port);
    char reply[64] = "";
    size_t len = 0;
    ssize_t n = send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    while (n > 0 && len < sizeof reply - 1) {
        n = recv(fd, reply + len, sizeof reply - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    reply[strcspn(reply, "\r\n")] = '\0';
    return strncmp(reply, "HTTP/1.1 200", 12) == 0 ||
           err_set(err, ERR_IO, "it is not ready: %s", reply[0] == '\0' ? "no answer" : reply);
}
