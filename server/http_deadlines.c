#include "server/http_deadlines.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "core/base/clock.h"

struct http_connection *http_deadlines_add(struct http_deadlines *deadlines, int fd, int timeout_ms)
{
    struct http_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    connection->fd = fd;
    connection->next = deadlines->first;
    if (deadlines->first != NULL)
        deadlines->first->previous = connection;
    deadlines->first = connection;
    deadlines->n++;
    http_connection_expect(connection, timeout_ms, true);
    return connection;
}

void http_deadlines_remove(struct http_deadlines *deadlines, struct http_connection *connection)
{
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        deadlines->first = connection->next;
    deadlines->n--;
    free(connection);
}

void http_connection_expect(struct http_connection *connection, int timeout_ms, bool is_idle)
{
    connection->is_idle = is_idle;
    connection->deadline_ns =
        timeout_ms == 0 ? 0 : clock_now_ns() + (int64_t)timeout_ms * 1000 * 1000;
}

void http_deadlines_sweep(struct http_deadlines *deadlines)
{
    int64_t now_ns = clock_now_ns();
    for (struct http_connection *it = deadlines->first; it != NULL; it = it->next) {
        if (it->deadline_ns != 0 && it->deadline_ns <= now_ns) {
            it->deadline_ns = 0;
            shutdown(it->fd, SHUT_RDWR);
        }
    }
}

void http_deadlines_close_idle(struct http_deadlines *deadlines)
{
    for (struct http_connection *it = deadlines->first; it != NULL; it = it->next) {
        if (it->is_idle)
            shutdown(it->fd, SHUT_RDWR);
    }
}
