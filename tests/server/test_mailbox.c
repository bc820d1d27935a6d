#include "server/mailbox.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/engine/engine.h"
#include "server/event_loop.h"
#include "tests/support/check.h"

enum { N_BATCHES = 2000, BATCH = 5 };

struct receiver {
    struct event_loop *loop;
    struct mailbox *mailbox;
    uint64_t n_received;
    bool is_in_order;
};

static void on_event(void *arg, struct engine_event *event)
{
    struct receiver *receiver = arg;
    receiver->is_in_order = receiver->is_in_order && event->request == receiver->n_received;
    engine_event_free(event);
    if (++receiver->n_received == N_BATCHES * BATCH)
        event_loop_stop(receiver->loop);
}

static struct engine_event *make_batch(uint64_t first)
{
    struct engine_event *batch = NULL;
    for (int i = BATCH - 1; i >= 0; i--) {
        struct engine_event *event = calloc(1, sizeof *event);
        assert_non_null(event);
        event->request = first + (uint64_t)i;
        event->next = batch;
        batch = event;
    }
    return batch;
}

static void *post_all(void *arg)
{
    struct receiver *receiver = arg;
    for (uint64_t i = 0; i < N_BATCHES; i++)
        mailbox_post(receiver->mailbox, make_batch(i * BATCH));
    return NULL;
}

static void all_events_arrive_once_in_order(void **state)
{
    (void)state;
    struct receiver receiver = {.is_in_order = true};
    assert_true(event_loop_open(&receiver.loop, NULL));
    assert_true(mailbox_open(&receiver.mailbox, receiver.loop, on_event, &receiver, NULL));
    pthread_t sender;
    assert_int_equal(pthread_create(&sender, NULL, post_all, &receiver), 0);
    event_loop_run(receiver.loop);
    pthread_join(sender, NULL);
    assert_true(receiver.is_in_order);
    assert_int_equal(receiver.n_received, N_BATCHES * BATCH);

    /* What nobody fetches any more is freed with the box. */
    mailbox_post(receiver.mailbox, make_batch(0));
    mailbox_post(receiver.mailbox, NULL);
    mailbox_close(&receiver.mailbox);
    event_loop_close(&receiver.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_events_arrive_once_in_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
