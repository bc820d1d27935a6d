/* store_responses.h - responses as rows, each with the items that went in and came out.
 *
 * Responses that follow one another (previous_response_id) are a chain, which is forgotten as a
 * whole some time after its last use; forks share it. What another key owns does not exist:
 * ERR_NOT_FOUND. Each function is whole or not at all. Thread: the store's. */
#ifndef SERVER_STORE_RESPONSES_H
#define SERVER_STORE_RESPONSES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "server/auth.h"
#include "server/item_list.h"

struct err;
struct store_db;
struct store_list;
struct store_page;

enum response_status {
    RESPONSE_QUEUED,
    RESPONSE_IN_PROGRESS,
    RESPONSE_COMPLETED,
    RESPONSE_INCOMPLETE,
    RESPONSE_CANCELLED,
    RESPONSE_FAILED,
};

const char *response_status_name(enum response_status status);

/* One response. Empty texts stand for null. */
struct response_row {
    char id[ITEM_ID_SIZE];
    char previous[ITEM_ID_SIZE];
    char conversation[ITEM_ID_SIZE];
    char chain[ITEM_ID_SIZE];   /* the first response of the chain */
    char lineage[ITEM_ID_SIZE]; /* names the engine's session: that of the previous response, unless
                                   another response follows it already */
    enum response_status status;
    int64_t created;   /* Unix time */
    int64_t completed; /* 0: not yet */
    struct buf echo;   /* what was asked for, as a JSON object */
    struct buf usage;  /* a JSON object */
    struct buf error;  /* a JSON object */
    char incomplete_reason[32];
    bool is_kept;            /* else only the conversation is appended to */
    struct buf session;      /* about the engine's session, as a JSON object; not stored */
    struct item_list input;  /* written, not read */
    struct item_list output; /* both */
};

void response_row_init(struct response_row *row);
void response_row_done(struct response_row *row);

/* Inserts the response, or replaces what was stored of it. When it has ended well (completed,
 * incomplete) its input and output are appended to its conversation. The chain lives ttl_s longer
 * from now on; 0: for ever. */
bool store_response_write(struct store_db *db, const struct auth_digest *owner,
                          const struct response_row *row, int64_t ttl_s, struct err *err);
/* `out` is inited. */
bool store_response_read(struct store_db *db, const struct auth_digest *owner, const char *id,
                         struct response_row *out, struct err *err);
bool store_response_delete(struct store_db *db, const struct auth_digest *owner, const char *id,
                           struct err *err);
/* Items that the model was given: those of the responses before it, and its own input. */
bool store_response_input_page(struct store_db *db, const struct auth_digest *owner, const char *id,
                               const struct store_page *page, struct store_list *out,
                               struct err *err);

/* Where a response that follows `previous` goes on: fills in the row's chain and lineage, and adds
 * all items up to and including the previous one's output. */
bool store_response_follow(struct store_db *db, const struct auth_digest *owner,
                           const char *previous, struct response_row *row,
                           struct item_list *history, struct err *err);
/* The newest item of this id that the owner has in any response or conversation. */
bool store_response_find_item(struct store_db *db, const struct auth_digest *owner, const char *id,
                              struct buf *out, struct err *err);

/* What was running when the daemon died has failed. */
bool store_responses_fail_unfinished(struct store_db *db, struct err *err);
/* Forgets chains whose time is over, some at a time; false when there are none. */
bool store_responses_expire(struct store_db *db, int64_t now);

#endif
