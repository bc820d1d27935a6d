#include "server/store_items.h"

#include "core/base/buf.h"
#include "core/base/err.h"
#include "server/store_db.h"

void store_list_init(struct store_list *list)
{
    item_list_init(&list->items);
    list->has_more = false;
}

void store_list_done(struct store_list *list)
{
    item_list_done(&list->items);
}

/* ---- pages ---- */

static bool find_place(struct store_db *db, const struct store_list_sql *sql, const char *key,
                       const char *id, int64_t *out, struct err *err)
{
    struct store_query query;
    if (id[0] == '\0')
        return true;
    store_query_begin(&query, db, sql->place_of, err);
    store_query_text(&query, key);
    store_query_text(&query, id);
    bool is_found = store_query_next(&query);
    if (is_found)
        *out = store_query_get_integer(&query, 0);
    return store_query_end(&query) &&
           (is_found || err_set(err, ERR_NOT_FOUND, "There is no '%.64s' in this list.", id));
}

static void reverse(struct item_list *list)
{
    for (size_t i = 0, k = list->n; i + 1 < k; i++) {
        struct item swapped = list->items[i];
        list->items[i] = list->items[--k];
        list->items[k] = swapped;
    }
}

static bool read_rows(struct store_query *query, int limit, struct store_list *out)
{
    bool has_memory = true;
    while (has_memory && store_query_next(query)) {
        out->has_more = out->items.n == (size_t)limit;
        if (out->has_more)
            break;
        const char *id = store_query_get_text(query, 0);
        const char *json = store_query_get_text(query, 1);
        has_memory = item_list_push(&out->items, id, json, store_query_get_len(query, 1));
    }
    return store_query_end(query) && (has_memory || err_no_memory(query->err, "a list"));
}

bool store_list_read(struct store_db *db, const struct store_list_sql *sql, const char *key,
                     const struct store_page *page, struct store_list *out, struct err *err)
{
    const char *low = page->is_ascending ? page->after : page->before;
    const char *high = page->is_ascending ? page->before : page->after;
    int64_t above = INT64_MIN, below = INT64_MAX;
    if (!find_place(db, sql, key, low, &above, err) || !find_place(db, sql, key, high, &below, err))
        return false;
    /* What is nearest to `before` is read backwards. */
    bool is_backwards = page->before[0] != '\0' && page->after[0] == '\0';
    struct store_query query;
    store_query_begin(&query, db,
                      page->is_ascending != is_backwards ? sql->ascending : sql->descending, err);
    store_query_text(&query, key);
    store_query_integer(&query, above);
    store_query_integer(&query, below);
    store_query_integer(&query, (int64_t)page->limit + 1);
    if (!read_rows(&query, page->limit, out))
        return false;
    if (is_backwards)
        reverse(&out->items);
    return true;
}

/* ---- items ---- */

bool store_items_insert(struct store_db *db, const char *parent, bool is_output,
                        const struct item_list *items, struct err *err)
{
    for (size_t i = 0; i < items->n; i++) {
        struct store_query query;
        store_query_begin(
            &query, db, "INSERT INTO items (parent, is_output, id, json) VALUES (?, ?, ?, ?)", err);
        store_query_text(&query, parent);
        store_query_integer(&query, is_output);
        store_query_text(&query, items->items[i].id);
        store_query_bytes_as_text(&query, items->items[i].json, items->items[i].len);
        if (!store_query_run(&query))
            return false;
    }
    return true;
}

static const struct store_list_sql of_parent = {
    .place_of = "SELECT seq FROM items WHERE parent = ?1 AND id = ?2",
    .ascending = "SELECT id, json FROM items WHERE parent = ?1 AND seq > ?2 AND seq < ?3 "
                 "ORDER BY seq LIMIT ?4",
    .descending = "SELECT id, json FROM items WHERE parent = ?1 AND seq > ?2 AND seq < ?3 "
                  "ORDER BY seq DESC LIMIT ?4",
};

bool store_items_page(struct store_db *db, const char *parent, const struct store_page *page,
                      struct store_list *out, struct err *err)
{
    return store_list_read(db, &of_parent, parent, page, out, err);
}

bool store_items_read_all(struct store_db *db, const char *parent, struct item_list *out,
                          struct err *err)
{
    struct store_query query;
    bool has_memory = true;
    store_query_begin(&query, db, "SELECT id, json FROM items WHERE parent = ? ORDER BY seq", err);
    store_query_text(&query, parent);
    while (has_memory && store_query_next(&query)) {
        const char *id = store_query_get_text(&query, 0);
        const char *json = store_query_get_text(&query, 1);
        has_memory = item_list_push(out, id, json, store_query_get_len(&query, 1));
    }
    return store_query_end(&query) && (has_memory || err_no_memory(err, "the items"));
}

static bool no_such_item(const char *parent, const char *id, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "Item with id '%.64s' not found in '%.64s'.", id, parent);
}

bool store_items_read(struct store_db *db, const char *parent, const char *id, struct buf *out,
                      struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db, "SELECT json FROM items WHERE parent = ? AND id = ?", err);
    store_query_text(&query, parent);
    store_query_text(&query, id);
    bool is_found = store_query_next(&query);
    if (is_found)
        store_query_append(&query, 0, out);
    return store_query_end(&query) && (is_found || no_such_item(parent, id, err));
}

bool store_items_delete(struct store_db *db, const char *parent, const char *id, struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db, "DELETE FROM items WHERE parent = ? AND id = ?", err);
    store_query_text(&query, parent);
    store_query_text(&query, id);
    return store_query_run(&query) && (store_db_changes(db) > 0 || no_such_item(parent, id, err));
}
