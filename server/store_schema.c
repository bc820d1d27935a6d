#include "server/store_schema.h"

#include <stdint.h>
#include <stdio.h>

#include "core/base/err.h"
#include "server/store_db.h"

enum { APPLICATION_ID = 0x73696e6b }; /* "sink" */

/* An item belongs to a conversation or to a response, whose id is its parent; `seq` is its place
 * among its siblings. `owner` is the digest of an API key in hexadecimal. Times are Unix seconds.
 */
static const char *const steps[STORE_SCHEMA_VERSION] = {
    "CREATE TABLE conversations ("
    "    id TEXT PRIMARY KEY,"
    "    owner TEXT NOT NULL,"
    "    metadata TEXT NOT NULL,"
    "    created INTEGER NOT NULL,"
    "    n_items INTEGER NOT NULL DEFAULT 0,"
    "    n_bytes INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX conversations_by_owner ON conversations (owner);"
    "CREATE TABLE items ("
    "    seq INTEGER PRIMARY KEY,"
    "    parent TEXT NOT NULL,"
    "    is_output INTEGER NOT NULL,"
    "    id TEXT NOT NULL,"
    "    json TEXT NOT NULL);"
    "CREATE INDEX items_by_parent ON items (parent, seq);"
    "CREATE INDEX items_by_id ON items (id);"
    "CREATE TRIGGER conversation_items AFTER DELETE ON conversations BEGIN"
    "    DELETE FROM items WHERE parent = old.id; END;",

    /* A chain ends with its last response. */
    "CREATE TABLE chains ("
    "    id TEXT PRIMARY KEY,"
    "    owner TEXT NOT NULL,"
    "    expires INTEGER);"
    "CREATE INDEX chains_by_expiry ON chains (expires);"
    "CREATE TABLE responses ("
    "    id TEXT PRIMARY KEY,"
    "    owner TEXT NOT NULL,"
    "    chain TEXT NOT NULL REFERENCES chains (id) ON DELETE CASCADE,"
    "    lineage TEXT NOT NULL,"
    "    previous TEXT,"
    "    conversation TEXT REFERENCES conversations (id) ON DELETE CASCADE,"
    "    status TEXT NOT NULL,"
    "    created INTEGER NOT NULL,"
    "    completed INTEGER NOT NULL,"
    "    echo TEXT NOT NULL,"
    "    usage TEXT NOT NULL,"
    "    error TEXT NOT NULL,"
    "    incomplete_reason TEXT NOT NULL);"
    "CREATE INDEX responses_by_chain ON responses (chain);"
    "CREATE INDEX responses_by_previous ON responses (previous);"
    "CREATE INDEX responses_by_conversation ON responses (conversation);"
    "CREATE INDEX unfinished_responses ON responses (status) WHERE completed = 0;"
    "CREATE TRIGGER response_items AFTER DELETE ON responses BEGIN"
    "    DELETE FROM items WHERE parent = old.id;"
    "    DELETE FROM chains WHERE id = old.chain AND NOT EXISTS"
    "        (SELECT 1 FROM responses WHERE chain = old.chain); END;",
};

static bool read_number(struct store_db *db, const char *sql, int64_t *out, struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db, sql, err);
    if (store_query_next(&query))
        *out = store_query_get_integer(&query, 0);
    return store_query_end(&query);
}

static bool take_step(struct store_db *db, int64_t from, struct err *err)
{
    char sql[80];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d; PRAGMA application_id = %d", (int)from + 1,
             (int)APPLICATION_ID);
    if (!store_db_begin(db, err))
        return false;
    if (!store_db_execute(db, steps[from], err) || !store_db_execute(db, sql, err)) {
        store_db_rollback(db);
        return false;
    }
    return store_db_commit(db, err);
}

bool store_schema_upgrade(struct store_db *db, int version, struct err *err)
{
    int64_t found = 0, application = 0, n_tables = 0;
    if (!read_number(db, "PRAGMA user_version", &found, err) ||
        !read_number(db, "PRAGMA application_id", &application, err) ||
        !read_number(db, "SELECT count(*) FROM sqlite_schema", &n_tables, err))
        return false;
    if (application != APPLICATION_ID && n_tables > 0)
        return err_set(err, ERR_FORMAT, "this is a database of another program");
    if (found > STORE_SCHEMA_VERSION)
        return err_set(err, ERR_FORMAT,
                       "it was written by a newer sinkd (its version is %lld, this one knows %d)",
                       (long long)found, (int)STORE_SCHEMA_VERSION);
    for (int64_t from = found < 0 ? 0 : found; from < version; from++) {
        if (!take_step(db, from, err))
            return false;
    }
    return true;
}
