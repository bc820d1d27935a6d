#include "server/http_deadlines.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/base/clock.h"

struct http_connection *http_deadlines_add(struct http_deadlines *deadlines, int fd, int timeout_ms)
{
    struct http_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    connection->fd = fd;
    connection->is_fresh = true;
    LIST_INSERT_HEAD(&deadlines->list, connection, place);
    deadlines->n++;
    http_connection_expect(connection, timeout_ms, true);
    return connection;
}

void http_deadlines_remove(struct http_deadlines *deadlines, struct http_connection *connection)
{
    LIST_REMOVE(connection, place);
    deadlines->n--;
    free(connection);
}

void http_connection_expect(struct http_connection *connection, int timeout_ms, bool is_idle)
{
    connection->is_idle = is_idle;
    connection->is_fresh = connection->is_fresh && is_idle;
    connection->has_ended = false;
    connection->deadline_ns =
        timeout_ms == 0 ? 0 : clock_now_ns() + (int64_t)timeout_ms * 1000 * 1000;
}

/* One call for all of them. False without memory. */
static bool poll_waiting(struct http_deadlines *deadlines)
{
    if (deadlines->n > deadlines->max_polls) {
        int max = deadlines->n * 2;
        struct pollfd *polls = reallocarray(deadlines->polls, (size_t)max, sizeof *polls);
        if (polls == NULL)
            return false;
        deadlines->polls = polls;
        deadlines->max_polls = max;
    }
    int n = 0;
    const struct http_connection *it;
    LIST_FOREACH(it, &deadlines->list, place) {
        if (it->deadline_ns != 0)
            deadlines->polls[n++] = (struct pollfd){.fd = it->fd, .events = POLLRDHUP};
    }
    return n == 0 || poll(deadlines->polls, (nfds_t)n, 0) >= 0;
}

/* The second time, because what came before the end may not have been read yet. */
static void drop_ended(struct http_deadlines *deadlines)
{
    if (!poll_waiting(deadlines))
        return;
    const struct pollfd *poll = deadlines->polls;
    struct http_connection *it;
    LIST_FOREACH(it, &deadlines->list, place) {
        if (it->deadline_ns == 0)
            continue;
        bool has_ended = ((poll++)->revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
        if (has_ended && it->has_ended)
            shutdown(it->fd, SHUT_RDWR);
        it->has_ended = has_ended;
    }
}

void http_deadlines_done(struct http_deadlines *deadlines)
{
    free(deadlines->polls);
    *deadlines = (struct http_deadlines){0};
}

void http_deadlines_sweep(struct http_deadlines *deadlines)
{
    drop_ended(deadlines);
    int64_t now_ns = clock_now_ns();
    struct http_connection *it;
    LIST_FOREACH(it, &deadlines->list, place) {
        if (it->deadline_ns != 0 && it->deadline_ns <= now_ns) {
            it->deadline_ns = 0;
            shutdown(it->fd, SHUT_RDWR);
        }
    }
}

void http_deadlines_close_idle(struct http_deadlines *deadlines, bool keep_fresh)
{
    struct http_connection *it;
    LIST_FOREACH(it, &deadlines->list, place) {
        if (it->is_idle && !(it->is_fresh && keep_fresh))
            shutdown(it->fd, SHUT_RDWR);
    }
}

int http_deadlines_n_arriving(const struct http_deadlines *deadlines)
{
    int n = 0;
    const struct http_connection *it;
    LIST_FOREACH(it, &deadlines->list, place) {
        n += it->is_fresh || (!it->is_idle && it->deadline_ns != 0);
    }
    return n;
}
