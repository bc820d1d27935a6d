/* store_db.h - one SQLite database with its statements and transactions, for the store_* files.
 *
 * A query is written freely and asked once: after a failure its calls do nothing, and
 * store_query_end says what went wrong. A full disk is ERR_FULL, any other refusal of the system
 * ERR_IO; neither loses what was committed, and both pass by themselves when the disk is well
 * again. Owner: the store. Thread: the store's, or a test's. */
#ifndef SERVER_STORE_DB_H
#define SERVER_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct sqlite3_stmt;
struct store_db;

enum store_durability {
    STORE_ALWAYS,   /* what was committed survives a power cut */
    STORE_EVERYSEC, /* the same, but for the last second; a crash of the daemon loses nothing */
};

const char *store_durability_name(enum store_durability durability);
bool store_durability_parse(const char *name, enum store_durability *out);

struct store_db_options {
    const char *path; /* NULL: in memory, gone at the end. Borrowed until closed */
    enum store_durability durability;
    size_t max_bytes;   /* of the database; 0: as many as the disk has */
    int schema_version; /* for tests of older ones; 0: the newest */
};

/* Opens or makes the database and brings its schema up to date. ERR_FORMAT when the file is not
 * ours, is damaged or was written by a newer version; ERR_IO when it cannot be used. */
bool store_db_open(struct store_db **out, const struct store_db_options *options, struct err *err);
void store_db_close(struct store_db **db);

/* Everything between begin and commit is there afterwards as a whole or not at all. A commit that
 * fails has rolled back. */
bool store_db_begin(struct store_db *db, struct err *err);
bool store_db_commit(struct store_db *db, struct err *err);
void store_db_rollback(struct store_db *db);

/* Runs statements without parameters and results. */
bool store_db_execute(struct store_db *db, const char *sql, struct err *err);

/* Rows were deleted: the next store_db_tend leaves no copy of them in the journal, and gives some
 * free pages back to the disk. */
void store_db_scrub(struct store_db *db);
/* To be called about once a second. With STORE_EVERYSEC it writes to the platter what was committed
 * since the last call. */
void store_db_tend(struct store_db *db);
/* False when the last write has failed and another one would: to be asked before work whose result
 * must be stored. */
bool store_db_check_room(struct store_db *db, struct err *err);
/* Any thread. */
void store_db_read_counters(const struct store_db *db, uint64_t *out_n_commits,
                            uint64_t *out_n_failures);
bool store_db_is_in_memory(const struct store_db *db);

/* ---- one query ---- */

struct store_query {
    struct store_db *db;
    struct sqlite3_stmt *statement; /* NULL after a failure */
    struct err *err;
    int n_bound;
    bool has_failed;
};

/* `sql` must be a constant: its address names the prepared statement, which is kept. */
void store_query_begin(struct store_query *query, struct store_db *db, const char *sql,
                       struct err *err);
/* Bind the next parameter. Text and bytes are borrowed until store_query_end; NULL is SQL's. */
void store_query_text(struct store_query *query, const char *text);
void store_query_bytes_as_text(struct store_query *query, const char *text, size_t len);
void store_query_blob(struct store_query *query, const void *bytes, size_t len);
void store_query_integer(struct store_query *query, int64_t number);
/* The next row; false at the end and after a failure. */
bool store_query_next(struct store_query *query);
/* Of the current row; columns count from 0. */
int64_t store_query_get_integer(const struct store_query *query, int column);
/* Borrowed until the next row; never NULL. */
const char *store_query_get_text(const struct store_query *query, int column);
size_t store_query_get_len(const struct store_query *query, int column);
bool store_query_is_null(const struct store_query *query, int column);
void store_query_append(const struct store_query *query, int column, struct buf *out);
bool store_query_end(struct store_query *query);

/* For statements without rows: the rest of the steps, then the end. */
bool store_query_run(struct store_query *query);
/* Rows that the last store_query_run has changed. */
int64_t store_db_changes(const struct store_db *db);

#endif
