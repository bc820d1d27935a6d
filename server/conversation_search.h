/* conversation_search.h - which conversation a request goes on with, and from where in it.
 *
 * Text decides. A request without a name belongs to a conversation only if it repeats an answer of
 * ours: greetings and system prompts are alike in many. Owner: conversations. Thread: loop. */
#ifndef SERVER_CONVERSATION_SEARCH_H
#define SERVER_CONVERSATION_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conversation;
struct conversation_ask;
struct conversation_list;

/* The first n_ask messages of the ask stand for the first n_log of the log. Usually these are the
 * same number of the same messages; a client that dropped old ones, because it feared a limit that
 * there is not, has fewer. */
struct conversation_place {
    size_t n_log;
    size_t n_ask;
};

struct conversation_search {
    const struct conversation_list *list;
    const struct conversation_ask *ask;
    const uint64_t *hashes; /* [ask->n_messages], message_log_hash of each */
    bool pins_system;       /* the system prompt of a conversation is the one that it began with */
};

/* NULL: none. With a name it may be busy, or have nothing in common with the ask. */
struct conversation *conversation_search_find(const struct conversation_search *search);

/* How far the ask and this conversation go together. */
struct conversation_place conversation_search_place(const struct conversation_search *search,
                                                    const struct conversation *one);

#endif
