#include "core/engine/inbox.h"

#include <stdlib.h>

#include "core/base/err.h"

bool inbox_init(struct inbox *inbox, struct err *err)
{
    *inbox = (struct inbox){.last = NULL};
    inbox->last = &inbox->first;
    if (pthread_mutex_init(&inbox->lock, NULL) != 0)
        return err_no_memory(err, "the engine's inbox");
    if (pthread_cond_init(&inbox->filled, NULL) != 0) {
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

struct command *inbox_take(struct inbox *inbox, bool wait)
{
    pthread_mutex_lock(&inbox->lock);
    while (wait && inbox->first == NULL)
        pthread_cond_wait(&inbox->filled, &inbox->lock);
    struct command *list = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    pthread_mutex_unlock(&inbox->lock);
    return list;
}
