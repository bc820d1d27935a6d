/* store_conversations.h - conversations as rows, each with its items.
 *
 * Each function is whole or not at all. What another key owns does not exist: ERR_NOT_FOUND.
 * Thread: the store's. */
#ifndef SERVER_STORE_CONVERSATIONS_H
#define SERVER_STORE_CONVERSATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "server/auth.h"
#include "server/item_list.h"

struct err;
struct store_db;
struct store_list;
struct store_page;

/* Of one conversation. */
enum { STORE_MAX_ITEMS = 100000, STORE_MAX_ITEM_BYTES = 64 * 1024 * 1024 };

struct store_conversation {
    char id[ITEM_ID_SIZE];
    struct buf metadata; /* a JSON object */
    int64_t created;     /* Unix time */
};

void store_conversation_init(struct store_conversation *one);
void store_conversation_done(struct store_conversation *one);

bool store_conversation_insert(struct store_db *db, const struct auth_digest *owner,
                               const struct store_conversation *one, const struct item_list *items,
                               struct err *err);
/* `out` is inited. */
bool store_conversation_read(struct store_db *db, const struct auth_digest *owner, const char *id,
                             struct store_conversation *out, struct err *err);
bool store_conversation_set_metadata(struct store_db *db, const struct auth_digest *owner,
                                     const char *id, const struct buf *metadata, struct err *err);
/* With all its items. */
bool store_conversation_delete(struct store_db *db, const struct auth_digest *owner, const char *id,
                               struct err *err);
/* The owner's own, as the API's JSON. */
bool store_conversation_list(struct store_db *db, const struct auth_digest *owner,
                             const struct store_page *page, struct store_list *out,
                             struct err *err);

/* ERR_INVALID when it would grow beyond the limits above. Runs in the caller's transaction. */
bool store_conversation_append(struct store_db *db, const struct auth_digest *owner, const char *id,
                               const struct item_list *items, struct err *err);
bool store_conversation_add_items(struct store_db *db, const struct auth_digest *owner,
                                  const char *id, const struct item_list *items, struct err *err);
/* All of them, first one first. */
bool store_conversation_read_items(struct store_db *db, const struct auth_digest *owner,
                                   const char *id, struct item_list *out, struct err *err);
bool store_conversation_page(struct store_db *db, const struct auth_digest *owner, const char *id,
                             const struct store_page *page, struct store_list *out,
                             struct err *err);
bool store_conversation_read_item(struct store_db *db, const struct auth_digest *owner,
                                  const char *id, const char *item_id, struct buf *out,
                                  struct err *err);
bool store_conversation_delete_item(struct store_db *db, const struct auth_digest *owner,
                                    const char *id, const char *item_id, struct err *err);

#endif
