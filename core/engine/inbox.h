/* inbox.h - messages to the engine thread: a lock, a list, one wake.
 *
 * A message is a move: once put it belongs to the engine. The number of requests is bounded by the
 * engine before they get here. Thread: put from any, take from the engine. */
#ifndef CORE_ENGINE_INBOX_H
#define CORE_ENGINE_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct err;
struct turn;

enum command_kind { COMMAND_SUBMIT, COMMAND_CANCEL, COMMAND_FORGET, COMMAND_STOP };

struct command {
    struct command *next;
    enum command_kind kind;
    uint64_t id;       /* cancel: the request; forget: the session */
    struct turn *turn; /* submit */
};

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct command *first;
    struct command **last;
    bool is_stopped; /* COMMAND_STOP was put: nothing fits any more */
};

bool inbox_init(struct inbox *inbox, struct err *err);
void inbox_done(struct inbox *inbox);

/* Takes `command` (malloc'ed) over; false when the engine is stopping. */
bool inbox_put(struct inbox *inbox, struct command *command, struct err *err);

/* All messages in order, NULL when there are none. With `wait`, returns only when there is one. */
struct command *inbox_take(struct inbox *inbox, bool wait);

#endif
