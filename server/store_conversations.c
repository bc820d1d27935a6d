#include "server/store_conversations.h"

#include <stdio.h>

#include "core/base/err.h"
#include "server/store_db.h"
#include "server/store_items.h"
#include "server/store_room.h"

void store_conversation_init(struct store_conversation *one)
{
    *one = (struct store_conversation){0};
    buf_init(&one->metadata);
}

void store_conversation_done(struct store_conversation *one)
{
    buf_done(&one->metadata);
}

static bool no_such_conversation(const char *id, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "Conversation with id '%.64s' not found.", id);
}

bool store_conversation_read(struct store_db *db, const struct auth_digest *owner, const char *id,
                             struct store_conversation *out, struct err *err)
{
    struct store_query query;
    store_query_begin(
        &query, db, "SELECT metadata, created FROM conversations WHERE id = ? AND owner = ?", err);
    store_query_text(&query, id);
    store_query_text(&query, owner->hex);
    bool is_found = store_query_next(&query);
    if (is_found) {
        snprintf(out->id, sizeof out->id, "%s", id);
        buf_clear(&out->metadata);
        store_query_append(&query, 0, &out->metadata);
        out->created = store_query_get_integer(&query, 1);
    }
    return store_query_end(&query) && (is_found || no_such_conversation(id, err)) &&
           (!out->metadata.failed || err_no_memory(err, "a conversation"));
}

/* In the caller's transaction: is it there, and how large is it? */
static bool check(struct store_db *db, const struct auth_digest *owner, const char *id,
                  int64_t *out_n_items, int64_t *out_n_bytes, struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db,
                      "SELECT n_items, n_bytes FROM conversations WHERE id = ? AND owner = ?", err);
    store_query_text(&query, id);
    store_query_text(&query, owner->hex);
    bool is_found = store_query_next(&query);
    if (is_found) {
        *out_n_items = store_query_get_integer(&query, 0);
        *out_n_bytes = store_query_get_integer(&query, 1);
    }
    return store_query_end(&query) && (is_found || no_such_conversation(id, err));
}

static bool exists(struct store_db *db, const struct auth_digest *owner, const char *id,
                   struct err *err)
{
    int64_t n_items, n_bytes;
    return check(db, owner, id, &n_items, &n_bytes, err);
}

bool store_conversation_append(struct store_db *db, const struct auth_digest *owner, const char *id,
                               const struct item_list *items, struct err *err)
{
    int64_t n_items, n_bytes;
    if (!check(db, owner, id, &n_items, &n_bytes, err))
        return false;
    n_items += (int64_t)items->n;
    n_bytes += (int64_t)items->n_bytes;
    if (n_items > STORE_MAX_ITEMS || n_bytes > STORE_MAX_ITEM_BYTES)
        return err_set(err, ERR_INVALID,
                       "the conversation is full: it may hold %d items and %d MiB; delete items or "
                       "begin another one",
                       (int)STORE_MAX_ITEMS, STORE_MAX_ITEM_BYTES / (1024 * 1024));
    struct store_query query;
    store_query_begin(&query, db, "UPDATE conversations SET n_items = ?, n_bytes = ? WHERE id = ?",
                      err);
    store_query_integer(&query, n_items);
    store_query_integer(&query, n_bytes);
    store_query_text(&query, id);
    return store_query_run(&query) && store_items_insert(db, id, false, items, err);
}

/* The end of a transaction whose steps have gone well or not. */
static bool finish(struct store_db *db, bool is_good, struct err *err)
{
    if (is_good)
        return store_db_commit(db, err);
    store_db_rollback(db);
    return false;
}

static bool insert_row(struct store_db *db, const struct auth_digest *owner,
                       const struct store_conversation *one, struct err *err)
{
    struct store_query query;
    store_query_begin(
        &query, db, "INSERT INTO conversations (id, owner, metadata, created) VALUES (?, ?, ?, ?)",
        err);
    store_query_text(&query, one->id);
    store_query_text(&query, owner->hex);
    store_query_bytes_as_text(&query, buf_text(&one->metadata), one->metadata.len);
    store_query_integer(&query, one->created);
    return store_query_run(&query);
}

static bool insert_all(struct store_db *db, const struct auth_digest *owner,
                       const struct store_conversation *one, const struct item_list *items,
                       struct err *err)
{
    return store_db_begin(db, err) &&
           finish(db,
                  insert_row(db, owner, one, err) &&
                      store_conversation_append(db, owner, one->id, items, err),
                  err);
}

bool store_conversation_insert(struct store_db *db, const struct auth_digest *owner,
                               const struct store_conversation *one, const struct item_list *items,
                               struct err *err)
{
    struct err failure;
    err = err == NULL ? &failure : err;
    while (!insert_all(db, owner, one, items, err)) {
        if (!store_room_make(db, err))
            return false;
    }
    return true;
}

static bool append_all(struct store_db *db, const struct auth_digest *owner, const char *id,
                       const struct item_list *items, struct err *err)
{
    return store_db_begin(db, err) &&
           finish(db, store_conversation_append(db, owner, id, items, err), err);
}

bool store_conversation_add_items(struct store_db *db, const struct auth_digest *owner,
                                  const char *id, const struct item_list *items, struct err *err)
{
    struct err failure;
    err = err == NULL ? &failure : err;
    while (!append_all(db, owner, id, items, err)) {
        if (!store_room_make(db, err))
            return false;
    }
    return true;
}

bool store_conversation_set_metadata(struct store_db *db, const struct auth_digest *owner,
                                     const char *id, const struct buf *metadata, struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db,
                      "UPDATE conversations SET metadata = ? WHERE id = ? AND owner = ?", err);
    store_query_bytes_as_text(&query, buf_text(metadata), metadata->len);
    store_query_text(&query, id);
    store_query_text(&query, owner->hex);
    return store_query_run(&query) && (store_db_changes(db) > 0 || no_such_conversation(id, err));
}

bool store_conversation_delete(struct store_db *db, const struct auth_digest *owner, const char *id,
                               struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db, "DELETE FROM conversations WHERE id = ? AND owner = ?", err);
    store_query_text(&query, id);
    store_query_text(&query, owner->hex);
    if (!store_query_run(&query) || !(store_db_changes(db) > 0 || no_such_conversation(id, err)))
        return false;
    store_db_scrub(db);
    return true;
}

bool store_conversation_list(struct store_db *db, const struct auth_digest *owner,
                             const struct store_page *page, struct store_list *out, struct err *err)
{
#define AS_JSON                                                                          \
    "SELECT id, json_object('id', id, 'object', 'conversation', 'created_at', created, " \
    "'metadata', json(metadata)) FROM conversations WHERE owner = ?1 AND rowid > ?2 "    \
    "AND rowid < ?3 ORDER BY rowid "
    static const struct store_list_sql of_owner = {
        .place_of = "SELECT rowid FROM conversations WHERE owner = ?1 AND id = ?2",
        .ascending = AS_JSON "LIMIT ?4",
        .descending = AS_JSON "DESC LIMIT ?4",
    };
#undef AS_JSON
    return store_list_read(db, &of_owner, owner->hex, page, out, err);
}

bool store_conversation_page(struct store_db *db, const struct auth_digest *owner, const char *id,
                             const struct store_page *page, struct store_list *out, struct err *err)
{
    return exists(db, owner, id, err) && store_items_page(db, id, page, out, err);
}

bool store_conversation_read_items(struct store_db *db, const struct auth_digest *owner,
                                   const char *id, struct item_list *out, struct err *err)
{
    return exists(db, owner, id, err) && store_items_read_all(db, id, out, err);
}

bool store_conversation_read_item(struct store_db *db, const struct auth_digest *owner,
                                  const char *id, const char *item_id, struct buf *out,
                                  struct err *err)
{
    return exists(db, owner, id, err) && store_items_read(db, id, item_id, out, err);
}

static bool delete_item(struct store_db *db, const struct auth_digest *owner, const char *id,
                        const char *item_id, struct err *err)
{
    struct store_query query;
    if (!exists(db, owner, id, err))
        return false;
    store_query_begin(&query, db,
                      "UPDATE conversations SET n_items = n_items - 1, n_bytes = n_bytes - "
                      "(SELECT length(CAST(json AS BLOB)) FROM items WHERE parent = ?1 AND id = ?2)"
                      " WHERE id = ?1 AND EXISTS (SELECT 1 FROM items WHERE parent = ?1 AND id = "
                      "?2)",
                      err);
    store_query_text(&query, id);
    store_query_text(&query, item_id);
    return store_query_run(&query) && store_items_delete(db, id, item_id, err);
}

bool store_conversation_delete_item(struct store_db *db, const struct auth_digest *owner,
                                    const char *id, const char *item_id, struct err *err)
{
    if (!store_db_begin(db, err) || !finish(db, delete_item(db, owner, id, item_id, err), err))
        return false;
    store_db_scrub(db);
    return true;
}
