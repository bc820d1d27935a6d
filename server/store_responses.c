#include "server/store_responses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/err.h"
#include "server/store_conversations.h"
#include "server/store_db.h"
#include "server/store_items.h"
#include "server/store_room.h"

enum { EXPIRE_AT_ONCE = 100 };

static const char *const status_names[] = {"queued",     "in_progress", "completed",
                                           "incomplete", "cancelled",   "failed"};

const char *response_status_name(enum response_status status)
{
    return status_names[status];
}

static enum response_status status_of(const char *name)
{
    int status = RESPONSE_QUEUED;
    while (status < RESPONSE_FAILED && strcmp(name, status_names[status]) != 0)
        status++;
    return (enum response_status)status;
}

void response_row_init(struct response_row *row)
{
    *row = (struct response_row){0};
    buf_init(&row->echo);
    buf_init(&row->usage);
    buf_init(&row->error);
    buf_init(&row->session);
    item_list_init(&row->input);
    item_list_init(&row->output);
}

void response_row_done(struct response_row *row)
{
    buf_done(&row->echo);
    buf_done(&row->usage);
    buf_done(&row->error);
    buf_done(&row->session);
    item_list_done(&row->input);
    item_list_done(&row->output);
}

static bool no_such_response(const char *id, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "Response with id '%.64s' not found.", id);
}

/* ---- writing ---- */

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static bool touch_chain(struct store_db *db, const struct auth_digest *owner,
                        const struct response_row *row, int64_t ttl_s, struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db,
                      "INSERT INTO chains (id, owner, expires) VALUES (?1, ?2, nullif(?3, 0)) "
                      "ON CONFLICT (id) DO UPDATE SET expires = excluded.expires",
                      err);
    store_query_text(&query, row->chain);
    store_query_text(&query, owner->hex);
    store_query_integer(&query, ttl_s == 0 ? 0 : (int64_t)time(NULL) + ttl_s);
    return store_query_run(&query);
}

static bool write_row(struct store_db *db, const struct auth_digest *owner,
                      const struct response_row *row, struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db,
                      "INSERT INTO responses (id, owner, chain, lineage, previous, conversation, "
                      "status, created, completed, echo, usage, error, incomplete_reason) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) "
                      "ON CONFLICT (id) DO UPDATE SET status = ?7, completed = ?9, usage = ?11, "
                      "error = ?12, incomplete_reason = ?13",
                      err);
    store_query_text(&query, row->id);
    store_query_text(&query, owner->hex);
    store_query_text(&query, row->chain);
    store_query_text(&query, row->lineage);
    store_query_text(&query, or_null(row->previous));
    store_query_text(&query, or_null(row->conversation));
    store_query_text(&query, response_status_name(row->status));
    store_query_integer(&query, row->created);
    store_query_integer(&query, row->completed);
    store_query_bytes_as_text(&query, buf_text(&row->echo), row->echo.len);
    store_query_bytes_as_text(&query, buf_text(&row->usage), row->usage.len);
    store_query_bytes_as_text(&query, buf_text(&row->error), row->error.len);
    store_query_text(&query, row->incomplete_reason);
    return store_query_run(&query);
}

static bool write_items(struct store_db *db, const struct response_row *row, struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db, "DELETE FROM items WHERE parent = ?", err);
    store_query_text(&query, row->id);
    return store_query_run(&query) && store_items_insert(db, row->id, false, &row->input, err) &&
           store_items_insert(db, row->id, true, &row->output, err);
}

/* Also checks that the conversation is still there. */
static bool append_to_conversation(struct store_db *db, const struct auth_digest *owner,
                                   const struct response_row *row, struct err *err)
{
    static const struct item_list nothing;
    bool has_ended_well = row->status == RESPONSE_COMPLETED || row->status == RESPONSE_INCOMPLETE;
    const struct item_list *input = has_ended_well ? &row->input : &nothing;
    const struct item_list *output = has_ended_well ? &row->output : &nothing;
    return row->conversation[0] == '\0' ||
           (store_conversation_append(db, owner, row->conversation, input, err) &&
            store_conversation_append(db, owner, row->conversation, output, err));
}

static bool write_response(struct store_db *db, const struct auth_digest *owner,
                           const struct response_row *row, int64_t ttl_s, struct err *err)
{
    return touch_chain(db, owner, row, ttl_s, err) && write_row(db, owner, row, err) &&
           write_items(db, row, err);
}

static bool write_all(struct store_db *db, const struct auth_digest *owner,
                      const struct response_row *row, int64_t ttl_s, struct err *err)
{
    if (!store_db_begin(db, err))
        return false;
    if (append_to_conversation(db, owner, row, err) &&
        (!row->is_kept || write_response(db, owner, row, ttl_s, err)))
        return store_db_commit(db, err);
    store_db_rollback(db);
    return false;
}

bool store_response_write(struct store_db *db, const struct auth_digest *owner,
                          const struct response_row *row, int64_t ttl_s, struct err *err)
{
    struct err failure;
    if (err == NULL)
        err = &failure;
    while (!write_all(db, owner, row, ttl_s, err)) {
        if (!store_room_make(db, err))
            return false;
    }
    return true;
}

/* ---- reading ---- */

static void read_columns(const struct store_query *query, struct response_row *out)
{
    snprintf(out->chain, sizeof out->chain, "%s", store_query_get_text(query, 0));
    snprintf(out->lineage, sizeof out->lineage, "%s", store_query_get_text(query, 1));
    snprintf(out->previous, sizeof out->previous, "%s", store_query_get_text(query, 2));
    snprintf(out->conversation, sizeof out->conversation, "%s", store_query_get_text(query, 3));
    out->status = status_of(store_query_get_text(query, 4));
    out->created = store_query_get_integer(query, 5);
    out->completed = store_query_get_integer(query, 6);
    store_query_append(query, 7, &out->echo);
    store_query_append(query, 8, &out->usage);
    store_query_append(query, 9, &out->error);
    snprintf(out->incomplete_reason, sizeof out->incomplete_reason, "%s",
             store_query_get_text(query, 10));
}

static bool read_row(struct store_db *db, const struct auth_digest *owner, const char *id,
                     struct response_row *out, struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db,
                      "SELECT chain, lineage, previous, conversation, status, created, completed, "
                      "echo, usage, error, incomplete_reason FROM responses WHERE id = ? AND "
                      "owner = ?",
                      err);
    store_query_text(&query, id);
    store_query_text(&query, owner->hex);
    bool is_found = store_query_next(&query);
    if (is_found)
        read_columns(&query, out);
    snprintf(out->id, sizeof out->id, "%s", id);
    return store_query_end(&query) && (is_found || no_such_response(id, err));
}

/* All items of one response, or only its output. */
static bool read_items(struct store_db *db, const char *id, bool with_input, struct item_list *out,
                       struct err *err)
{
    struct store_query query;
    bool has_memory = true;
    store_query_begin(&query, db,
                      "SELECT id, json FROM items WHERE parent = ? AND is_output >= ? ORDER BY seq",
                      err);
    store_query_text(&query, id);
    store_query_integer(&query, !with_input);
    while (has_memory && store_query_next(&query)) {
        const char *item_id = store_query_get_text(&query, 0);
        const char *json = store_query_get_text(&query, 1);
        has_memory = item_list_push(out, item_id, json, store_query_get_len(&query, 1));
    }
    return store_query_end(&query) && (has_memory || err_no_memory(err, "the items"));
}

bool store_response_read(struct store_db *db, const struct auth_digest *owner, const char *id,
                         struct response_row *out, struct err *err)
{
    return read_row(db, owner, id, out, err) && read_items(db, id, false, &out->output, err);
}

bool store_response_delete(struct store_db *db, const struct auth_digest *owner, const char *id,
                           struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db, "DELETE FROM responses WHERE id = ? AND owner = ?", err);
    store_query_text(&query, id);
    store_query_text(&query, owner->hex);
    if (!store_query_run(&query) || !(store_db_changes(db) > 0 || no_such_response(id, err)))
        return false;
    store_db_scrub(db);
    return true;
}

bool store_response_input_page(struct store_db *db, const struct auth_digest *owner, const char *id,
                               const struct store_page *page, struct store_list *out,
                               struct err *err)
{
#define BEFORE                                                                                     \
    "WITH RECURSIVE before (id) AS (VALUES (?1) UNION SELECT previous FROM responses JOIN before " \
    "USING (id) WHERE previous IS NOT NULL) "
#define AMONG "items WHERE parent IN (SELECT id FROM before) AND NOT (parent = ?1 AND is_output)"
#define ROWS "SELECT id, json FROM " AMONG " AND seq > ?2 AND seq < ?3 ORDER BY seq "
    static const struct store_list_sql before_output = {
        .place_of = BEFORE "SELECT seq FROM " AMONG " AND id = ?2",
        .ascending = BEFORE ROWS "LIMIT ?4",
        .descending = BEFORE ROWS "DESC LIMIT ?4",
    };
#undef ROWS
#undef AMONG
#undef BEFORE
    struct response_row row;
    response_row_init(&row);
    bool is_good = read_row(db, owner, id, &row, err) &&
                   store_list_read(db, &before_output, id, page, out, err);
    response_row_done(&row);
    return is_good;
}

/* ---- what a response follows ---- */

/* The ids from a response back to the first one of its chain. */
struct ancestry {
    char (*ids)[ITEM_ID_SIZE];
    size_t n, max;
};

static bool ancestry_push(struct ancestry *ancestry, const char *id, struct err *err)
{
    if (ancestry->n == ancestry->max) {
        size_t max = ancestry->max == 0 ? 16 : ancestry->max * 2;
        char(*ids)[ITEM_ID_SIZE] = reallocarray(ancestry->ids, max, sizeof *ids);
        if (ids == NULL)
            return err_no_memory(err, "a chain of responses");
        ancestry->ids = ids;
        ancestry->max = max;
    }
    snprintf(ancestry->ids[ancestry->n++], ITEM_ID_SIZE, "%s", id);
    return true;
}

/* `conversation` becomes the one that the first of them belongs to, if any. */
static bool trace(struct store_db *db, const struct auth_digest *owner, const char *id,
                  struct ancestry *out, char conversation[ITEM_ID_SIZE], struct err *err)
{
    char at[ITEM_ID_SIZE];
    snprintf(at, sizeof at, "%s", id);
    while (at[0] != '\0' && conversation[0] == '\0') {
        struct response_row row;
        response_row_init(&row);
        bool is_good = ancestry_push(out, at, err) && read_row(db, owner, at, &row, err);
        snprintf(at, sizeof at, "%s", row.previous);
        snprintf(conversation, ITEM_ID_SIZE, "%s", row.conversation);
        response_row_done(&row);
        if (!is_good)
            return false;
    }
    return true;
}

/* The items of a conversation up to what this response, the first of `ancestry`, has added. */
static bool read_conversation_until(struct store_db *db, const char *conversation, const char *id,
                                    struct item_list *out, struct err *err)
{
    struct store_query query;
    bool has_memory = true;
    store_query_begin(&query, db,
                      "SELECT id, json FROM items WHERE parent = ?1 AND seq <= (SELECT max(seq) "
                      "FROM items WHERE parent = ?1 AND id IN (SELECT id FROM items WHERE parent = "
                      "?2)) ORDER BY seq",
                      err);
    store_query_text(&query, conversation);
    store_query_text(&query, id);
    while (has_memory && store_query_next(&query)) {
        const char *item_id = store_query_get_text(&query, 0);
        const char *json = store_query_get_text(&query, 1);
        has_memory = item_list_push(out, item_id, json, store_query_get_len(&query, 1));
    }
    return store_query_end(&query) && (has_memory || err_no_memory(err, "the items"));
}

static bool check_length(const struct item_list *history, struct err *err)
{
    return (history->n <= STORE_MAX_ITEMS && history->n_bytes <= STORE_MAX_ITEM_BYTES) ||
           err_set(err, ERR_INVALID,
                   "the chain of responses is too long: it may hold %d items and %d MiB; begin "
                   "another one",
                   (int)STORE_MAX_ITEMS, STORE_MAX_ITEM_BYTES / (1024 * 1024));
}

static bool read_history(struct store_db *db, const struct auth_digest *owner, const char *previous,
                         struct item_list *out, struct err *err)
{
    struct ancestry ancestry = {0};
    char conversation[ITEM_ID_SIZE] = "";
    bool is_good = trace(db, owner, previous, &ancestry, conversation, err);
    size_t n = ancestry.n;
    if (is_good && conversation[0] != '\0')
        is_good = read_conversation_until(db, conversation, ancestry.ids[--n], out, err);
    while (is_good && n > 0)
        is_good = read_items(db, ancestry.ids[--n], true, out, err) && check_length(out, err);
    free(ancestry.ids);
    return is_good;
}

static bool has_heir(struct store_db *db, const char *previous, const char *lineage, bool *out,
                     struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db,
                      "SELECT 1 FROM responses WHERE previous = ? AND lineage = ? LIMIT 1", err);
    store_query_text(&query, previous);
    store_query_text(&query, lineage);
    *out = store_query_next(&query);
    return store_query_end(&query);
}

bool store_response_follow(struct store_db *db, const struct auth_digest *owner,
                           const char *previous, struct response_row *row,
                           struct item_list *history, struct err *err)
{
    struct response_row parent;
    bool is_taken = false;
    response_row_init(&parent);
    bool is_good = read_row(db, owner, previous, &parent, err) &&
                   has_heir(db, previous, parent.lineage, &is_taken, err) &&
                   read_history(db, owner, previous, history, err);
    if (is_good && parent.status <= RESPONSE_IN_PROGRESS)
        is_good = err_set(err, ERR_INVALID, "Response '%.64s' is still in progress.", previous);
    if (is_good) {
        snprintf(row->chain, sizeof row->chain, "%s", parent.chain);
        snprintf(row->lineage, sizeof row->lineage, "%s", is_taken ? row->id : parent.lineage);
    }
    response_row_done(&parent);
    return is_good;
}

bool store_response_find_item(struct store_db *db, const struct auth_digest *owner, const char *id,
                              struct buf *out, struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db,
                      "SELECT json FROM items WHERE id = ?1 AND (EXISTS (SELECT 1 FROM responses "
                      "WHERE responses.id = parent AND owner = ?2) OR EXISTS (SELECT 1 FROM "
                      "conversations WHERE conversations.id = parent AND owner = ?2)) ORDER BY seq "
                      "DESC LIMIT 1",
                      err);
    store_query_text(&query, id);
    store_query_text(&query, owner->hex);
    bool is_found = store_query_next(&query);
    if (is_found)
        store_query_append(&query, 0, out);
    return store_query_end(&query) &&
           (is_found || err_set(err, ERR_NOT_FOUND, "Item with id '%.64s' not found.", id));
}

/* ---- housekeeping ---- */

bool store_responses_fail_unfinished(struct store_db *db, struct err *err)
{
    return store_db_execute(db,
                            "UPDATE responses SET status = 'failed', error = "
                            "'{\"code\":\"server_error\",\"message\":\"The server was stopped "
                            "before the response was complete.\"}' "
                            "WHERE completed = 0 AND status IN ('queued', 'in_progress')",
                            err);
}

bool store_responses_expire(struct store_db *db, int64_t now)
{
    struct err err;
    struct store_query query;
    store_query_begin(&query, db,
                      "DELETE FROM chains WHERE id IN (SELECT id FROM chains WHERE expires <= ?1 "
                      "ORDER BY expires LIMIT ?2)",
                      &err);
    store_query_integer(&query, now);
    store_query_integer(&query, EXPIRE_AT_ONCE);
    if (!store_query_run(&query) || store_db_changes(db) == 0)
        return false;
    store_db_scrub(db);
    return true;
}
