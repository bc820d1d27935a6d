#include "core/engine/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/err.h"

bool inbox_init(struct inbox *inbox, struct err *err)
{
    *inbox = (struct inbox){.last = NULL};
    inbox->last = &inbox->first;
    if (pthread_mutex_init(&inbox->lock, NULL) != 0)
        return err_no_memory(err, "the engine's inbox");
    pthread_condattr_t attributes; /* a clock that nobody sets */
    bool has_condition = pthread_condattr_init(&attributes) == 0 &&
                         pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                         pthread_cond_init(&inbox->filled, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (!has_condition) {
        pthread_mutex_destroy(&inbox->lock);
        return err_no_memory(err, "the engine's inbox");
    }
    return true;
}

void inbox_done(struct inbox *inbox)
{
    pthread_cond_destroy(&inbox->filled);
    pthread_mutex_destroy(&inbox->lock);
}

bool inbox_put(struct inbox *inbox, struct command *command, struct err *err)
{
    command->next = NULL;
    pthread_mutex_lock(&inbox->lock);
    bool is_open = !inbox->is_stopped;
    if (is_open) {
        inbox->is_stopped = command->kind == COMMAND_STOP;
        *inbox->last = command;
        inbox->last = &command->next;
        pthread_cond_signal(&inbox->filled);
    }
    pthread_mutex_unlock(&inbox->lock);
    return is_open || err_set(err, ERR_STOPPED, "the server is shutting down");
}

void inbox_wake(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->is_woken = true;
    pthread_cond_signal(&inbox->filled);
    pthread_mutex_unlock(&inbox->lock);
}

static struct timespec after_ms(int ms)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += ms / 1000;
    time.tv_nsec += ms % 1000 * 1000000L;
    if (time.tv_nsec >= 1000000000L) {
        time.tv_sec++;
        time.tv_nsec -= 1000000000L;
    }
    return time;
}

struct command *inbox_take(struct inbox *inbox, int max_wait_ms)
{
    struct timespec end = after_ms(max_wait_ms < 0 ? 0 : max_wait_ms);
    bool is_late = max_wait_ms == 0;
    pthread_mutex_lock(&inbox->lock);
    while (inbox->first == NULL && !inbox->is_woken && !is_late) {
        if (max_wait_ms < 0)
            pthread_cond_wait(&inbox->filled, &inbox->lock);
        else
            is_late = pthread_cond_timedwait(&inbox->filled, &inbox->lock, &end) == ETIMEDOUT;
    }
    inbox->is_woken = false;
    struct command *list = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    pthread_mutex_unlock(&inbox->lock);
    return list;
}
