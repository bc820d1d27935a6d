/* mailbox.h - events from the engine thread to the loop thread.
 *
 * One of the two places where threads meet: what is posted belongs to the receiver. Owner: the
 * daemon. Thread: mailbox_post on the engine's, the rest on the loop's. */
#ifndef SERVER_MAILBOX_H
#define SERVER_MAILBOX_H

#include <stdbool.h>

struct err;
struct engine_event;
struct event_loop;
struct mailbox;

/* Called on the loop thread for each event in order; frees it with engine_event_free. */
typedef void mailbox_event_fn(void *arg, struct engine_event *event);

bool mailbox_open(struct mailbox **out, struct event_loop *loop, mailbox_event_fn *on_event,
                  void *arg, struct err *err);
/* Only after the engine is closed; what still lies in it is freed. */
void mailbox_close(struct mailbox **mailbox);

/* An engine_events_fn: `mailbox` is a struct mailbox. Never blocks for longer than a list append;
 * wakes the loop only when the box was empty. */
void mailbox_post(void *mailbox, struct engine_event *events);

#endif
