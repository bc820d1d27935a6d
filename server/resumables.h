/* resumables.h - answers that a client may take up again after its connection broke, or ask for
 * once more without making the model speak twice.
 *
 * Such an answer goes on for a while when nobody follows it, and is kept for as long after its end.
 * It is found by the name of its stream (Last-Event-ID), or because the same request has come
 * again: with the same Idempotency-Key, as a retry that an SDK announces, or in a conversation that
 * is still answering it. Owners never find each other's. Owner: those who make answers of one kind.
 * Thread: loop. */
#ifndef SERVER_RESUMABLES_H
#define SERVER_RESUMABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/followers.h"

struct err;
struct event_loop;
struct http_exchange;
struct resumables;

enum { RESUMABLE_MAX_KEY = 256 };

/* What a request says of itself. Borrowed; good for the call. */
struct resumable_ask {
    int owner;
    const char *conversation_id; /* as the headers name it; NULL for none */
    const char *key;             /* Idempotency-Key; NULL for none */
    bool has_retries;            /* its client is one that tries again by itself ... */
    bool is_retry;               /* ... and has now */
    uint64_t hash;               /* of path, that header and body */
};

/* Embedded in an answer. */
struct resumable {
    LIST_ENTRY(resumable) place;
    struct resumables *all; /* NULL: not among them */
    int owner;
    const char *name;                            /* of its stream; borrowed */
    char conversation_id[RESUMABLE_MAX_KEY + 1]; /* empty for none */
    char key[RESUMABLE_MAX_KEY + 1];             /* empty for none */
    uint64_t hash;
    bool is_over;       /* complete */
    int64_t expires_ns; /* 0: somebody follows it */
    /* Nobody has come back. Is to take it out, and may free it. */
    void (*on_expired)(void *arg);
    void *arg;
};

/* `seconds` as in --resume-seconds; 0: nothing can be taken up. */
bool resumables_open(struct resumables **out, struct event_loop *loop, int seconds,
                     struct err *err);
/* No client can come back any more. An answer that the store still has to end counts in the budget
 * until then. */
void resumables_expire(struct resumables *all);
/* Expires all; none may be left that uses the budget. */
void resumables_close(struct resumables **all);
void resumables_set_seconds(struct resumables *all, int seconds);

/* The memory that all of them may take. */
struct followers_budget *resumables_budget(struct resumables *all);

void resumable_ask_read(struct http_exchange *exchange, int owner, const char *conversation_id,
                        struct resumable_ask *out);

/* Lets *one be found from now on; owner, key and hash are the ask's. Only where its client could
 * come back: with a conversation, a key, or (when `is_whole`, no stream) retries of its own. */
void resumables_add(struct resumables *all, struct resumable *one, const struct resumable_ask *ask,
                    bool is_whole);
void resumables_remove(struct resumable *one);

/* Nobody follows it now. False when it is not to go on alone. */
bool resumable_wait(struct resumable *one);
void resumable_take_up(struct resumable *one);

/* NULL when there is none. */
struct resumable *resumables_find_name(const struct resumables *all, int owner, const char *name,
                                       size_t len);
struct resumable *resumables_find_again(const struct resumables *all,
                                        const struct resumable_ask *ask);

/* Expires those of a conversation that nobody follows: another request needs it. */
void resumables_give_up(struct resumables *all, int owner, const char *conversation_id);

/* "NAME:NUMBER", the id of an event. False for any other text. */
bool resumables_parse_event_id(const char *id, size_t *out_name_len, int64_t *out_number);

#endif
