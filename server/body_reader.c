#include "server/body_reader.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "server/event_loop.h"
#include "server/http_exchange.h"

enum {
    LONG_BYTES = 64 * 1024,       /* some milliseconds */
    MAX_BYTES = 64 * 1024 * 1024, /* with workers; beyond, who sends more waits with all others */
};

struct task {
    struct body_reader *reader;
    struct http_exchange *exchange; /* NULL: the client is gone */
    struct buf body;
    struct body_reading reading;
};

static void on_gone(void *arg)
{
    ((struct task *)arg)->exchange = NULL;
}

/* On a worker thread. */
static void read_task(void *arg)
{
    struct task *task = arg;
    task->reading.read(task->reading.arg, &task->body);
}

static void end_task(void *arg)
{
    struct task *task = arg;
    struct http_exchange *exchange = task->exchange;
    struct body_reading reading = task->reading;
    task->reader->n_bytes -= task->body.len;
    buf_done(&task->body);
    free(task);
    if (exchange != NULL)
        http_exchange_on_gone(exchange, NULL, NULL);
    reading.done(reading.arg, exchange);
}

static bool hand_over(struct body_reader *reader, struct http_exchange *exchange,
                      const struct body_reading *reading)
{
    struct err err;
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL)
        return false;
    *task = (struct task){.reader = reader, .exchange = exchange, .reading = *reading};
    http_exchange_take_body(exchange, &task->body);
    http_exchange_on_gone(exchange, on_gone, task);
    reader->n_bytes += task->body.len;
    if (!event_loop_work(reader->loop, read_task, end_task, task, &err)) {
        read_task(task);
        end_task(task);
    }
    return true;
}

void body_reader_read(struct body_reader *reader, struct http_exchange *exchange,
                      const struct body_reading *reading)
{
    const struct buf *body = http_exchange_body(exchange);
    bool is_long =
        reader != NULL && body->len > LONG_BYTES && reader->n_bytes + body->len <= MAX_BYTES;
    if (is_long && hand_over(reader, exchange, reading))
        return;
    reading->read(reading->arg, body);
    reading->done(reading->arg, exchange);
}
