#include "server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/err.h"

enum { BACKLOG = 511 };

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

static int bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)(void *)&address)->sin_port);
    return ntohs(((struct sockaddr_in6 *)(void *)&address)->sin6_port);
}

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

bool listener_open(struct listener *out, const char *host, int port, struct err *err)
{
    struct addrinfo *addresses;
    if (!resolve(host, port, &addresses, err))
        return false;

    int fd = -1;
    const struct addrinfo *address = addresses;
    while (address != NULL && (fd = listen_on(address)) < 0 && address->ai_next != NULL)
        address = address->ai_next;
    if (fd >= 0)
        *out = (struct listener){
            .fd = fd, .port = bound_port(fd), .is_loopback = address_is_loopback(address->ai_addr)};
    else
        err_set(err, ERR_IO, "cannot listen on %s port %d: %s%s", host, port, strerror(errno),
                errno == EADDRINUSE ? "; choose another with --port" : "");
    freeaddrinfo(addresses);
    return fd >= 0;
}

bool listener_host_is_loopback(const char *host)
{
    struct addrinfo *addresses;
    if (!resolve(host, 0, &addresses, NULL))
        return false;
    bool is_loopback = true;
    for (const struct addrinfo *it = addresses; it != NULL; it = it->ai_next)
        is_loopback = is_loopback && address_is_loopback(it->ai_addr);
    freeaddrinfo(addresses);
    return is_loopback;
}
