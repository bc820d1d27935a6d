#include "tests/support/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/check.h"

int client_dial_with(int port, int receive_bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

int client_dial(int port)
{
    return client_dial_with(port, 0);
}

void client_send(int fd, const char *text)
{
    for (size_t len = strlen(text); len > 0;) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server may refuse before it has read all */
        text += n;
        len -= (size_t)n;
    }
}

void client_request(int fd, const char *method, const char *path, const char *headers,
                    const char *body)
{
    struct buf request;
    buf_init(&request);
    buf_append_format(&request,
                      "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                      "Content-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
                      method, path, headers, strlen(body), body);
    client_send(fd, buf_text(&request));
    buf_done(&request);
}

void client_post(int fd, const char *path, const char *headers, const char *body)
{
    client_request(fd, "POST", path, headers, body);
}

void client_read(int fd, struct buf *got, const char *mark)
{
    char piece[4096];
    while (mark == NULL || strstr(buf_text(got), mark) == NULL) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n < 0 && errno != ECONNRESET)
            fail_msg("the server is silent; so far: %s", buf_text(got));
        if (n <= 0)
            return;
        buf_append(got, piece, (size_t)n);
    }
}
