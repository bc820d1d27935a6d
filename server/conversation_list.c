#include "server/conversation_list.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "server/conversation.h"

void conversation_list_init(struct conversation_list *list)
{
    *list = (struct conversation_list){0};
    TAILQ_INIT(&list->by_use);
}

static size_t place_of_name(int owner, const char *id)
{
    uint64_t hash = checksum_hash(CHECKSUM_HASH, &owner, sizeof owner);
    hash = checksum_hash(hash, id, strlen(id));
    return (hash ^ hash >> 32) % CONVERSATION_LIST_N_NAMES;
}

static struct conversation *first_so_named(struct conversation *one, int owner, const char *id)
{
    while (one != NULL && (one->owner != owner || strcmp(one->id, id) != 0))
        one = one->next_named;
    return one;
}

struct conversation *conversation_list_named(const struct conversation_list *list, int owner,
                                             const char *id)
{
    return first_so_named(list->names[place_of_name(owner, id)], owner, id);
}

struct conversation *conversation_list_next_named(const struct conversation *one)
{
    return first_so_named(one->next_named, one->owner, one->id);
}

void conversation_list_add(struct conversation_list *list, struct conversation *one)
{
    struct conversation **place = &list->names[place_of_name(one->owner, one->id)];
    one->next_named = *place;
    *place = one;
    TAILQ_INSERT_HEAD(&list->by_use, one, by_use);
    list->n++;
    list->n_log_bytes += one->log.n_bytes;
}

void conversation_list_touch(struct conversation_list *list, struct conversation *one)
{
    TAILQ_REMOVE(&list->by_use, one, by_use);
    TAILQ_INSERT_HEAD(&list->by_use, one, by_use);
}

void conversation_list_remove(struct conversation_list *list, struct conversation *one)
{
    struct conversation **place = &list->names[place_of_name(one->owner, one->id)];
    while (*place != one)
        place = &(*place)->next_named;
    *place = one->next_named;
    TAILQ_REMOVE(&list->by_use, one, by_use);
    list->n--;
    list->n_log_bytes -= one->log.n_bytes;
    conversation_free(one);
}

struct conversation *conversation_list_oldest_idle(const struct conversation_list *list)
{
    struct conversation *one = TAILQ_LAST(&list->by_use, conversations_by_use);
    while (one != NULL && one->is_busy)
        one = TAILQ_PREV(one, conversations_by_use, by_use);
    return one;
}

void conversation_free(struct conversation *one)
{
    if (one == NULL)
        return;
    message_log_done(&one->log);
    free(one->boundaries);
    free(one);
}

struct conversation *conversation_copy_start(const struct conversation *one, size_t n_messages)
{
    struct conversation *copy = calloc(1, sizeof *copy);
    bool is_copied = copy != NULL;
    for (size_t i = 0; i < n_messages && is_copied; i++) {
        struct chat_message message = message_log_view(&one->log, i);
        is_copied = message_log_push(&copy->log, &message);
    }
    if (!is_copied) {
        conversation_free(copy);
        return NULL;
    }
    copy->owner = one->owner;
    copy->group = one->group;
    copy->is_named = one->is_named;
    copy->is_fork = true;
    copy->n_unread = one->n_unread;
    copy->last = one->last;
    copy->rendered_with = one->rendered_with;
    copy->begun = one->begun;
    for (int i = 0; i < one->n_boundaries && one->boundaries[i].n_messages <= n_messages; i++)
        conversation_add_boundary(copy, one->boundaries[i]);
    return copy;
}
