/* inbox.h - messages to the engine thread: a lock, a list, one wake.
 *
 * A message is a move: once put it belongs to the engine. The number of requests is bounded by the
 * engine before they get here. Thread: put from any, take from the engine. */
#ifndef CORE_ENGINE_INBOX_H
#define CORE_ENGINE_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"

struct err;
struct turn;

enum command_kind {
    COMMAND_SUBMIT,
    COMMAND_CANCEL,
    COMMAND_PARK,
    COMMAND_UNPARK,
    COMMAND_FORGET,
    COMMAND_NOTE,
    COMMAND_STOP,
};

struct command {
    struct command *next;
    enum command_kind kind;
    uint64_t id;       /* cancel, park, unpark: the request; forget, note: the session */
    struct turn *turn; /* submit */
    struct buf note;   /* note */
};

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct command *first;
    struct command **last;
    bool is_stopped; /* COMMAND_STOP was put: nothing fits any more */
    bool is_woken;
};

bool inbox_init(struct inbox *inbox, struct err *err);
void inbox_done(struct inbox *inbox);

/* Takes `command` (malloc'ed) over; false when the engine is stopping. */
bool inbox_put(struct inbox *inbox, struct command *command, struct err *err);

/* Ends a wait, now or the next one, without a message. */
void inbox_wake(struct inbox *inbox);

/* All messages in order, NULL when there are none. Waits for one, or until somebody wakes it, for
 * max_wait_ms at most; without end when that is negative. */
struct command *inbox_take(struct inbox *inbox, int max_wait_ms);

#endif
