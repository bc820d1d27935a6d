#include "server/store_db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "server/store_schema.h"

enum {
    MAX_STATEMENTS = 64,    /* the constants of all store_* files */
    BUSY_TIMEOUT_MS = 5000, /* somebody makes a backup */
    PAGE_BYTES = 4096,
    SCRUB_PAGES = 1024, /* given back at once */
};

struct prepared {
    const char *sql;
    sqlite3_stmt *statement;
};

struct store_db {
    struct store_db_options options;
    sqlite3 *handle;
    struct prepared prepared[MAX_STATEMENTS];
    int n_prepared;
    _Atomic uint64_t n_commits, n_failures;
    bool has_failed; /* the last transaction that wrote */
    bool needs_scrub;
    bool is_dirty; /* STORE_EVERYSEC: committed, and not yet on the platter */
};

const char *store_durability_name(enum store_durability durability)
{
    return durability == STORE_ALWAYS ? "always" : "everysec";
}

bool store_durability_parse(const char *name, enum store_durability *out)
{
    for (enum store_durability d = STORE_ALWAYS; d <= STORE_EVERYSEC; d++) {
        if (strcmp(name, store_durability_name(d)) == 0) {
            *out = d;
            return true;
        }
    }
    return false;
}

/* ---- errors ---- */

static enum err_code code_of(int status)
{
    switch (status & 0xff) { /* the rest is detail */
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_NOMEM:
        return ERR_MEMORY;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return ERR_FORMAT;
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
    case SQLITE_CONSTRAINT:
    case SQLITE_RANGE:
        return ERR_INTERNAL;
    default:
        return ERR_IO;
    }
}

static bool fail(struct store_db *db, int status, struct err *err)
{
    const char *text = db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(status);
    enum err_code code = code_of(status);
    if (code == ERR_FULL || code == ERR_IO) {
        db->has_failed = true;
        db->n_failures++;
    }
    if (code == ERR_FULL)
        return err_set(err, code, "there is no room to store more (%s)", text);
    return err_set(err, code, "the database cannot be used: %s", text);
}

/* ---- opening ---- */

static void close_handle(struct store_db *db)
{
    for (int i = 0; i < db->n_prepared; i++)
        sqlite3_finalize(db->prepared[i].statement);
    db->n_prepared = 0;
    sqlite3_close(db->handle);
    db->handle = NULL;
}

static bool set_limit(struct store_db *db, struct err *err)
{
    char sql[64];
    if (db->options.max_bytes == 0)
        return true;
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %zu", db->options.max_bytes / PAGE_BYTES);
    return store_db_execute(db, sql, err);
}

/* Deleted text is overwritten with zeros (secure_delete). auto_vacuum must come before the first
 * table, the journal mode before the first transaction. */
static bool configure(struct store_db *db, struct err *err)
{
    return store_db_execute(db,
                            "PRAGMA auto_vacuum = INCREMENTAL;"
                            "PRAGMA journal_mode = WAL;"
                            "PRAGMA journal_size_limit = 16777216;"
                            "PRAGMA cache_size = -2000;" /* KiB of memory for its pages */
                            "PRAGMA foreign_keys = ON;"
                            "PRAGMA secure_delete = ON;"
                            "PRAGMA trusted_schema = OFF;"
                            "PRAGMA cell_size_check = ON;",
                            err) &&
           store_db_execute(db,
                            db->options.durability == STORE_ALWAYS ? "PRAGMA synchronous = FULL"
                                                                   : "PRAGMA synchronous = NORMAL",
                            err) &&
           set_limit(db, err);
}

/* What is said in it is nobody else's business: made before SQLite does, which gives its other
 * files the mode of this one. */
static bool make_private(const struct store_db *db, struct err *err)
{
    if (store_db_is_in_memory(db))
        return true;
    int fd = open(db->options.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot be written: %s", strerror(errno));
    close(fd);
    return true;
}

static bool open_handle(struct store_db *db, struct err *err)
{
    if (!make_private(db, err))
        return false;
    const char *path = store_db_is_in_memory(db) ? ":memory:" : db->options.path;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int status = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (status != SQLITE_OK)
        return fail(db, status, err);
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    int version = db->options.schema_version;
    return configure(db, err) &&
           store_schema_upgrade(db, version == 0 ? STORE_SCHEMA_VERSION : version, err);
}

bool store_db_open(struct store_db **out, const struct store_db_options *options, struct err *err)
{
    struct store_db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return err_no_memory(err, "the database");
    db->options = *options;
    if (!open_handle(db, err)) {
        store_db_close(&db);
        return err_prefix(err, "%s", options->path == NULL ? "in memory" : options->path);
    }
    db->needs_scrub = true; /* what a crash may have left */
    *out = db;
    return true;
}

void store_db_close(struct store_db **db)
{
    if (*db != NULL)
        close_handle(*db);
    free(*db);
    *db = NULL;
}

bool store_db_is_in_memory(const struct store_db *db)
{
    return db->options.path == NULL;
}

/* ---- transactions ---- */

bool store_db_execute(struct store_db *db, const char *sql, struct err *err)
{
    int status = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return status == SQLITE_OK || fail(db, status, err);
}

bool store_db_begin(struct store_db *db, struct err *err)
{
    return store_db_execute(db, "BEGIN IMMEDIATE", err);
}

/* After a write or an fsync that failed, the connection goes on as it is: the next transaction
 * writes the same frames of the journal anew. Opened anew, SQLite would find the frames of the
 * failed one, and take them for committed. */
bool store_db_commit(struct store_db *db, struct err *err)
{
    if (!store_db_execute(db, "COMMIT", err)) {
        store_db_rollback(db);
        return false;
    }
    db->has_failed = false;
    db->n_commits++;
    db->is_dirty = true;
    return true;
}

void store_db_rollback(struct store_db *db)
{
    /* Some errors have rolled back already. */
    if (!sqlite3_get_autocommit(db->handle))
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

void store_db_read_counters(const struct store_db *db, uint64_t *out_n_commits,
                            uint64_t *out_n_failures)
{
    *out_n_commits = db->n_commits;
    *out_n_failures = db->n_failures;
}

bool store_db_check_room(struct store_db *db, struct err *err)
{
    char sql[64];
    if (!db->has_failed || store_db_is_in_memory(db))
        return true;
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", STORE_SCHEMA_VERSION);
    if (!store_db_begin(db, err))
        return false;
    if (store_db_execute(db, sql, err))
        return store_db_commit(db, err);
    store_db_rollback(db);
    return false;
}

void store_db_scrub(struct store_db *db)
{
    db->needs_scrub = true;
}

/* Without patience: while somebody makes a backup the journal cannot be cut, and nobody should wait
 * for that. */
static int checkpoint(struct store_db *db, int mode)
{
    sqlite3_busy_timeout(db->handle, 0);
    int status = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, NULL, NULL);
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    return status;
}

void store_db_tend(struct store_db *db)
{
    char sql[64];
    bool is_unsynced = db->is_dirty && db->options.durability == STORE_EVERYSEC;
    int status = SQLITE_OK;
    db->is_dirty = false;
    if (store_db_is_in_memory(db))
        return;
    if (db->needs_scrub) {
        snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", (int)SCRUB_PAGES);
        sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
        status = checkpoint(db, SQLITE_CHECKPOINT_TRUNCATE);
        db->needs_scrub = status != SQLITE_OK;
    }
    if (is_unsynced)
        status = checkpoint(db, SQLITE_CHECKPOINT_PASSIVE);
    if (status != SQLITE_OK && status != SQLITE_BUSY) {
        struct err err;
        fail(db, status, &err);
        log_warning("%s", err.text);
    }
}

/* ---- queries ---- */

static void fail_query(struct store_query *query, int status)
{
    if (query->has_failed)
        return;
    fail(query->db, status, query->err);
    query->has_failed = true;
}

static sqlite3_stmt *find_prepared(const struct store_db *db, const char *sql)
{
    for (int i = 0; i < db->n_prepared; i++) {
        if (db->prepared[i].sql == sql)
            return db->prepared[i].statement;
    }
    return NULL;
}

static sqlite3_stmt *prepare(struct store_query *query, const char *sql)
{
    struct store_db *db = query->db;
    sqlite3_stmt *statement = NULL;
    if (db->n_prepared == MAX_STATEMENTS) {
        fail_query(query, SQLITE_RANGE);
        return NULL;
    }
    int status =
        sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    if (status != SQLITE_OK) {
        fail_query(query, status);
        return NULL;
    }
    db->prepared[db->n_prepared++] = (struct prepared){sql, statement};
    return statement;
}

void store_query_begin(struct store_query *query, struct store_db *db, const char *sql,
                       struct err *err)
{
    *query = (struct store_query){.db = db, .err = err};
    query->statement = find_prepared(db, sql);
    if (query->statement == NULL)
        query->statement = prepare(query, sql);
}

static void check_bind(struct store_query *query, int status)
{
    if (status != SQLITE_OK)
        fail_query(query, status);
}

void store_query_text(struct store_query *query, const char *text)
{
    store_query_bytes_as_text(query, text, text == NULL ? 0 : strlen(text));
}

void store_query_bytes_as_text(struct store_query *query, const char *text, size_t len)
{
    if (!query->has_failed)
        check_bind(query, sqlite3_bind_text64(query->statement, ++query->n_bound, text, len,
                                              SQLITE_STATIC, SQLITE_UTF8));
}

void store_query_blob(struct store_query *query, const void *bytes, size_t len)
{
    if (!query->has_failed)
        check_bind(query, sqlite3_bind_blob64(query->statement, ++query->n_bound, bytes, len,
                                              SQLITE_STATIC));
}

void store_query_integer(struct store_query *query, int64_t number)
{
    if (!query->has_failed)
        check_bind(query, sqlite3_bind_int64(query->statement, ++query->n_bound, number));
}

bool store_query_next(struct store_query *query)
{
    if (query->has_failed)
        return false;
    int status = sqlite3_step(query->statement);
    if (status != SQLITE_ROW && status != SQLITE_DONE)
        fail_query(query, status);
    return status == SQLITE_ROW;
}

int64_t store_query_get_integer(const struct store_query *query, int column)
{
    return sqlite3_column_int64(query->statement, column);
}

const char *store_query_get_text(const struct store_query *query, int column)
{
    const char *text = (const char *)sqlite3_column_text(query->statement, column);
    return text == NULL ? "" : text;
}

size_t store_query_get_len(const struct store_query *query, int column)
{
    return (size_t)sqlite3_column_bytes(query->statement, column);
}

bool store_query_is_null(const struct store_query *query, int column)
{
    return sqlite3_column_type(query->statement, column) == SQLITE_NULL;
}

void store_query_append(const struct store_query *query, int column, struct buf *out)
{
    const char *text = store_query_get_text(query, column);
    buf_append(out, text, store_query_get_len(query, column));
}

bool store_query_end(struct store_query *query)
{
    if (query->statement != NULL) {
        sqlite3_reset(query->statement);
        sqlite3_clear_bindings(query->statement);
        query->statement = NULL;
    }
    return !query->has_failed;
}

bool store_query_run(struct store_query *query)
{
    while (store_query_next(query))
        continue;
    query->db->is_dirty = true;
    return store_query_end(query);
}

int64_t store_db_changes(const struct store_db *db)
{
    return sqlite3_changes64(db->handle);
}
