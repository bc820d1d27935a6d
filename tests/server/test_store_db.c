#include "server/store_db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/err.h"
#include "server/store_schema.h"
#include "tests/support/check.h"
#include "tests/support/store_files.h"

static const char insert[] = "INSERT INTO items (parent, is_output, id, json) VALUES (?, 0, ?, ?)";

static struct store_db *open_db(const char *path)
{
    struct store_db_options options = {.path = path};
    struct store_db *db;
    struct err err;
    if (!store_db_open(&db, &options, &err))
        fail_msg("%s", err.text);
    return db;
}

static bool add(struct store_db *db, const char *id, const char *json, struct err *err)
{
    struct store_query query;
    store_query_begin(&query, db, insert, err);
    store_query_text(&query, "conv_a");
    store_query_text(&query, id);
    store_query_text(&query, json);
    return store_query_run(&query);
}

static int64_t count(struct store_db *db)
{
    struct store_query query;
    struct err err;
    int64_t n = -1;
    store_query_begin(&query, db, "SELECT count(*) FROM items", &err);
    while (store_query_next(&query))
        n = store_query_get_integer(&query, 0);
    if (!store_query_end(&query))
        fail_msg("%s", err.text);
    return n;
}

static void execute_raw(const char *path, const char *sql)
{
    sqlite3 *raw;
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(raw);
}

static void refuses(const char *path, const char *why)
{
    struct store_db_options options = {.path = path};
    struct store_db *db = NULL;
    struct err err;
    assert_false(store_db_open(&db, &options, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.text, why));
    assert_null(db);
}

static void what_is_committed_is_there_when_it_is_opened_again(void **state)
{
    (void)state;
    const char *path = store_files_make();
    struct store_db *db = open_db(path);
    assert_true(store_db_begin(db, NULL));
    assert_true(add(db, "msg_1", "{}", NULL));
    assert_true(store_db_commit(db, NULL));
    assert_true(store_db_begin(db, NULL));
    assert_true(add(db, "msg_2", "{}", NULL));
    store_db_rollback(db);
    assert_int_equal(count(db), 1);
    store_db_close(&db);
    assert_null(db);

    db = open_db(path);
    assert_int_equal(count(db), 1);
    store_db_close(&db);
    store_files_remove();
}

static void its_files_are_its_owners_alone(void **state)
{
    (void)state;
    const char *path = store_files_make();
    struct store_db *db = open_db(path);
    struct err err;
    assert_true(add(db, "msg_a", "{}", &err));
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char name[4096];
        struct stat file;
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        assert_int_equal(stat(name, &file), 0);
        assert_int_equal(file.st_mode & 07777, 0600);
    }
    store_db_close(&db);
    store_files_remove();
}

static void a_database_of_each_older_version_is_brought_up_to_date(void **state)
{
    (void)state;
    for (int version = 1; version < STORE_SCHEMA_VERSION; version++) {
        const char *path = store_files_make();
        struct store_db_options options = {.path = path, .schema_version = version};
        struct store_db *db;
        assert_true(store_db_open(&db, &options, NULL));
        assert_true(add(db, "msg_1", "{\"old\":true}", NULL));
        store_db_close(&db);

        db = open_db(path);
        assert_int_equal(count(db), 1);
        assert_true(add(db, "msg_2", "{}", NULL));
        store_db_close(&db);
        store_files_remove();
    }
}

static void a_newer_database_and_that_of_another_program_are_refused(void **state)
{
    (void)state;
    const char *path = store_files_make();
    struct store_db *db = open_db(path);
    store_db_close(&db);
    execute_raw(path, "PRAGMA user_version = 1000");
    refuses(path, "newer sinkd");
    store_files_remove();

    path = store_files_make();
    execute_raw(path, "CREATE TABLE bookmarks (url TEXT)");
    refuses(path, "another program");
    store_files_remove();

    path = store_files_make();
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database at all ", file);
    fclose(file);
    refuses(path, "not a database");
    store_files_remove();
}

static void a_full_database_says_so_and_goes_on_after_a_delete(void **state)
{
    (void)state;
    struct store_db_options options = {.max_bytes = 256 * 1024};
    struct store_db *db;
    struct err err;
    static char large[32 * 1024];
    memset(large, 'x', sizeof large - 1);
    assert_true(store_db_open(&db, &options, NULL));
    int n = 0;
    while (n < 100 && add(db, "msg_1", large, &err))
        n++;
    assert_in_range(n, 1, 99);
    assert_int_equal(err.code, ERR_FULL);
    assert_int_equal(count(db), n);
    assert_true(store_db_execute(db, "DELETE FROM items", NULL));
    assert_true(add(db, "msg_2", large, NULL));
    store_db_close(&db);
}

static void a_sick_disk_refuses_and_recovers_by_itself(void **state)
{
    (void)state;
    static const struct {
        enum disk_fault fault;
        enum err_code code;
    } faults[] = {
        {DISK_FAILS_WRITES, ERR_IO}, {DISK_FAILS_SYNCS, ERR_IO}, {DISK_IS_FULL, ERR_FULL}};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct err err;
        store_files_set_fault(DISK_IS_WELL);
        struct store_db *db = open_db(store_files_make());
        assert_true(store_db_begin(db, NULL) && add(db, "msg_1", "{}", NULL) &&
                    store_db_commit(db, NULL));

        store_files_set_fault(faults[i].fault);
        for (int k = 0; k < 3; k++) {
            bool is_stored = store_db_begin(db, &err) && add(db, "msg_2", "{}", &err) &&
                             store_db_commit(db, &err);
            assert_false(is_stored);
            assert_int_equal(err.code, faults[i].code);
            store_db_rollback(db);
        }

        store_files_set_fault(DISK_IS_WELL);
        assert_true(store_db_begin(db, NULL) && add(db, "msg_3", "{}", NULL) &&
                    store_db_commit(db, NULL));
        assert_int_equal(count(db), 2);
        store_db_close(&db);
        store_files_remove();
    }
}

static void a_failed_transaction_does_not_go_on_half(void **state)
{
    (void)state;
    struct err err;
    store_files_set_fault(DISK_IS_WELL);
    struct store_db *db = open_db(store_files_make());
    store_files_set_fault(DISK_FAILS_SYNCS);
    assert_true(store_db_begin(db, NULL));
    assert_true(add(db, "msg_1", "{}", NULL));
    assert_false(store_db_commit(db, &err));
    store_files_set_fault(DISK_IS_WELL);
    assert_int_equal(count(db), 0);
    store_db_close(&db);
    store_files_remove();
}

static void deleted_text_is_in_no_file(void **state)
{
    (void)state;
    const char *path = store_files_make();
    struct store_db *db = open_db(path);
    assert_true(add(db, "msg_1", "{\"secret\":\"the treasure lies under the oak\"}", NULL));
    assert_true(store_files_hold("under the oak"));
    assert_true(store_db_execute(db, "DELETE FROM items", NULL));
    store_db_scrub(db);
    store_db_tend(db);
    assert_false(store_files_hold("under the oak"));
    store_db_close(&db);
    store_files_remove();
}

/* More than fits into its memory, all of it read again: the database grows, the daemon does not. */
static void its_memory_has_a_bound(void **state)
{
    (void)state;
    enum { N_ITEMS = 600, ITEM_BYTES = 20000, MOST_BYTES = 3000 * 1024 };
    static char json[ITEM_BYTES + 1];
    struct store_db *db = open_db(store_files_make());
    memset(json, 'x', ITEM_BYTES);
    assert_true(store_db_begin(db, NULL));
    for (int i = 0; i < N_ITEMS; i++) {
        char id[16];
        snprintf(id, sizeof id, "msg_%d", i);
        assert_true(add(db, id, json, NULL));
        assert_true(sqlite3_memory_used() < MOST_BYTES);
    }
    assert_true(store_db_commit(db, NULL));
    struct store_query query;
    struct err err;
    int64_t n_bytes = 0;
    store_query_begin(&query, db, "SELECT sum(length(json || '')) FROM items", &err);
    while (store_query_next(&query))
        n_bytes = store_query_get_integer(&query, 0);
    assert_true(store_query_end(&query));
    assert_int_equal(n_bytes, N_ITEMS * ITEM_BYTES);
    assert_true(sqlite3_memory_used() < MOST_BYTES);
    print_message("%lld KiB of memory for %d KiB of data\n", sqlite3_memory_used() / 1024,
                  N_ITEMS * ITEM_BYTES / 1024);
    store_db_close(&db);
    store_files_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_committed_is_there_when_it_is_opened_again),
        cmocka_unit_test(its_files_are_its_owners_alone),
        cmocka_unit_test(a_database_of_each_older_version_is_brought_up_to_date),
        cmocka_unit_test(a_newer_database_and_that_of_another_program_are_refused),
        cmocka_unit_test(a_full_database_says_so_and_goes_on_after_a_delete),
        cmocka_unit_test(a_sick_disk_refuses_and_recovers_by_itself),
        cmocka_unit_test(a_failed_transaction_does_not_go_on_half),
        cmocka_unit_test(deleted_text_is_in_no_file),
        cmocka_unit_test(its_memory_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
