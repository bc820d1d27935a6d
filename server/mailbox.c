#include "server/mailbox.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/engine/engine.h"
#include "server/event_loop.h"

struct mailbox {
    pthread_mutex_t lock;
    struct engine_event *first; /* under lock */
    struct engine_event **end;  /* under lock: where the next event is linked */
    struct event_loop *loop;
    struct event_wake *wake;
    mailbox_event_fn *on_event;
    void *arg;
};

static struct engine_event *take_all(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    struct engine_event *events = mailbox->first;
    mailbox->first = NULL;
    mailbox->end = &mailbox->first;
    pthread_mutex_unlock(&mailbox->lock);
    return events;
}

static void on_wake(void *arg)
{
    struct mailbox *mailbox = arg;
    struct engine_event *event = take_all(mailbox);
    while (event != NULL) {
        struct engine_event *next = event->next;
        event->next = NULL;
        event_loop_set_cause(mailbox->loop, event->made_ns);
        mailbox->on_event(mailbox->arg, event);
        event = next;
    }
    event_loop_set_cause(mailbox->loop, 0);
}

bool mailbox_open(struct mailbox **out, struct event_loop *loop, mailbox_event_fn *on_event,
                  void *arg, struct err *err)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (mailbox == NULL)
        return err_no_memory(err, "the mailbox");
    if (!event_wake_open(&mailbox->wake, loop, on_wake, mailbox, err)) {
        free(mailbox);
        return false;
    }
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->end = &mailbox->first;
    mailbox->loop = loop;
    mailbox->on_event = on_event;
    mailbox->arg = arg;
    *out = mailbox;
    return true;
}

void mailbox_close(struct mailbox **mailbox_ptr)
{
    struct mailbox *mailbox = *mailbox_ptr;
    if (mailbox == NULL)
        return;
    struct engine_event *event = take_all(mailbox);
    while (event != NULL) {
        struct engine_event *next = event->next;
        engine_event_free(event);
        event = next;
    }
    event_wake_close(&mailbox->wake);
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
    *mailbox_ptr = NULL;
}

void mailbox_post(void *mailbox_arg, struct engine_event *events)
{
    struct mailbox *mailbox = mailbox_arg;
    if (events == NULL)
        return;
    struct engine_event **end = &events->next;
    while (*end != NULL)
        end = &(*end)->next;

    pthread_mutex_lock(&mailbox->lock);
    bool was_empty = mailbox->first == NULL;
    *mailbox->end = events;
    mailbox->end = end;
    pthread_mutex_unlock(&mailbox->lock);
    if (was_empty)
        event_wake_send(mailbox->wake);
}
