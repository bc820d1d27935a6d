/* conversation_list.h - all conversations: most recently used first, and by their names.
 *
 * Owner: conversations. Thread: loop. Not here: what they say, and the engine's sessions. */
#ifndef SERVER_CONVERSATION_LIST_H
#define SERVER_CONVERSATION_LIST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct conversation;

enum { CONVERSATION_LIST_N_NAMES = 4096 };

/* Embedded. Read by_use at will. */
struct conversation_list {
    struct conversation *names[CONVERSATION_LIST_N_NAMES]; /* by a hash of owner and id */
    TAILQ_HEAD(conversations_by_use, conversation) by_use; /* most recently used first */
    int n;
    size_t n_log_bytes; /* of all logs; whoever changes a log keeps it right */
};

void conversation_list_init(struct conversation_list *list);

/* Takes `one` over, as the most recently used. */
void conversation_list_add(struct conversation_list *list, struct conversation *one);
/* Makes it the most recently used. */
void conversation_list_touch(struct conversation_list *list, struct conversation *one);
/* Frees it. */
void conversation_list_remove(struct conversation_list *list, struct conversation *one);

/* The least recently used one that nobody speaks in; NULL when all are busy. */
struct conversation *conversation_list_oldest_idle(const struct conversation_list *list);

/* The first of this owner and name, and the one after `one` of the same; NULL for none. */
struct conversation *conversation_list_named(const struct conversation_list *list, int owner,
                                             const char *id);
struct conversation *conversation_list_next_named(const struct conversation *one);

/* Of a conversation in no list: it, and all that it owns. */
void conversation_free(struct conversation *one);

/* What `one` was when its first n_messages were said, in no list and without id or session. NULL
 * when there is no memory. */
struct conversation *conversation_copy_start(const struct conversation *one, size_t n_messages);

#endif
