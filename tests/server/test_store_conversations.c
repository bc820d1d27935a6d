#include "server/store_conversations.h"

#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "server/store_db.h"
#include "server/store_items.h"
#include "tests/support/check.h"

static const struct auth_digest alice = {"alice"}, bob = {"bob"};
static struct store_db *db;

static int open_db(void **state)
{
    (void)state;
    struct store_db_options options = {0};
    return store_db_open(&db, &options, NULL) ? 0 : -1;
}

static int close_db(void **state)
{
    (void)state;
    store_db_close(&db);
    return 0;
}

/* msg_FIRST .. msg_LAST */
static void make_items(struct item_list *out, int first, int last)
{
    item_list_init(out);
    for (int i = first; i <= last; i++) {
        char id[ITEM_ID_SIZE], json[64];
        snprintf(id, sizeof id, "msg_%d", i);
        snprintf(json, sizeof json, "{\"id\":\"%s\"}", id);
        assert_true(item_list_push(out, id, json, strlen(json)));
    }
}

static void make(const char *id, const struct auth_digest *owner, int n_items)
{
    struct store_conversation one;
    struct item_list items;
    store_conversation_init(&one);
    snprintf(one.id, sizeof one.id, "%s", id);
    one.created = 17;
    buf_append_text(&one.metadata, "{\"topic\":\"tea\"}");
    make_items(&items, 1, n_items);
    assert_true(store_conversation_insert(db, owner, &one, &items, NULL));
    item_list_done(&items);
    store_conversation_done(&one);
}

/* The ids of a page, as "1 2 3" or "1 2 3+" when there is more. */
static void check_page(struct store_page page, const char *expected)
{
    struct store_list list;
    struct err err;
    char got[256] = "";
    store_list_init(&list);
    if (!store_conversation_page(db, &alice, "conv_a", &page, &list, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < list.items.n; i++) {
        strcat(got, i == 0 ? "" : " ");
        strcat(got, list.items.items[i].id + strlen("msg_"));
    }
    strcat(got, list.has_more ? "+" : "");
    assert_string_equal(got, expected);
    store_list_done(&list);
}

static void what_was_inserted_is_read(void **state)
{
    (void)state;
    make("conv_a", &alice, 0);
    struct store_conversation one;
    store_conversation_init(&one);
    assert_true(store_conversation_read(db, &alice, "conv_a", &one, NULL));
    assert_string_equal(one.id, "conv_a");
    assert_string_equal(buf_text(&one.metadata), "{\"topic\":\"tea\"}");
    assert_int_equal(one.created, 17);

    buf_clear(&one.metadata);
    buf_append_text(&one.metadata, "{}");
    assert_true(store_conversation_set_metadata(db, &alice, "conv_a", &one.metadata, NULL));
    assert_true(store_conversation_read(db, &alice, "conv_a", &one, NULL));
    assert_string_equal(buf_text(&one.metadata), "{}");
    store_conversation_done(&one);
}

static void pages_go_both_ways(void **state)
{
    (void)state;
    make("conv_a", &alice, 7);
    check_page((struct store_page){.limit = 3, .is_ascending = true}, "1 2 3+");
    check_page((struct store_page){.limit = 3, .is_ascending = true, .after = "msg_3"}, "4 5 6+");
    check_page((struct store_page){.limit = 3, .is_ascending = true, .after = "msg_6"}, "7");
    check_page((struct store_page){.limit = 3, .is_ascending = true, .after = "msg_7"}, "");
    check_page((struct store_page){.limit = 3}, "7 6 5+");
    check_page((struct store_page){.limit = 7}, "7 6 5 4 3 2 1");
    check_page((struct store_page){.limit = 3, .after = "msg_5"}, "4 3 2+");
    check_page((struct store_page){.limit = 3, .after = "msg_4"}, "3 2 1");
    check_page((struct store_page){.limit = 2, .is_ascending = true, .before = "msg_5"}, "3 4+");
    check_page((struct store_page){.limit = 2, .before = "msg_5"}, "7 6");
    check_page((struct store_page){.limit = 1, .before = "msg_5"}, "6+");
    check_page(
        (struct store_page){.limit = 9, .is_ascending = true, .after = "msg_2", .before = "msg_5"},
        "3 4");
}

static void a_cursor_that_is_not_in_the_list_is_not_found(void **state)
{
    (void)state;
    make("conv_a", &alice, 2);
    struct store_page page = {.limit = 3, .after = "msg_9"};
    struct store_list list;
    struct err err;
    store_list_init(&list);
    assert_false(store_conversation_page(db, &alice, "conv_a", &page, &list, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    store_list_done(&list);
}

#define ASSERT_NOT_FOUND(call)                     \
    do {                                           \
        struct err err = {0};                      \
        assert_false(call);                        \
        assert_int_equal(err.code, ERR_NOT_FOUND); \
    } while (0)

static void what_another_key_owns_does_not_exist(void **state)
{
    (void)state;
    make("conv_a", &alice, 2);
    struct store_conversation one;
    struct store_page page = {.limit = 3};
    struct store_list list;
    struct item_list items;
    struct buf json;
    store_conversation_init(&one);
    store_list_init(&list);
    make_items(&items, 3, 3);
    buf_init(&json);
    ASSERT_NOT_FOUND(store_conversation_read(db, &bob, "conv_a", &one, &err));
    ASSERT_NOT_FOUND(store_conversation_set_metadata(db, &bob, "conv_a", &json, &err));
    ASSERT_NOT_FOUND(store_conversation_delete(db, &bob, "conv_a", &err));
    ASSERT_NOT_FOUND(store_conversation_add_items(db, &bob, "conv_a", &items, &err));
    ASSERT_NOT_FOUND(store_conversation_page(db, &bob, "conv_a", &page, &list, &err));
    ASSERT_NOT_FOUND(store_conversation_read_item(db, &bob, "conv_a", "msg_1", &json, &err));
    ASSERT_NOT_FOUND(store_conversation_delete_item(db, &bob, "conv_a", "msg_1", &err));
    assert_true(store_conversation_list(db, &bob, &page, &list, NULL));
    assert_int_equal(list.items.n, 0);
    check_page(page, "2 1");
    item_list_done(&items);
    store_list_done(&list);
    store_conversation_done(&one);
    buf_done(&json);
}

static void items_are_added_read_and_deleted(void **state)
{
    (void)state;
    make("conv_a", &alice, 2);
    struct item_list items;
    struct buf json;
    buf_init(&json);
    make_items(&items, 3, 4);
    assert_true(store_conversation_add_items(db, &alice, "conv_a", &items, NULL));
    assert_true(store_conversation_read_item(db, &alice, "conv_a", "msg_3", &json, NULL));
    assert_string_equal(buf_text(&json), "{\"id\":\"msg_3\"}");
    assert_true(store_conversation_delete_item(db, &alice, "conv_a", "msg_2", NULL));
    ASSERT_NOT_FOUND(store_conversation_delete_item(db, &alice, "conv_a", "msg_2", &err));
    ASSERT_NOT_FOUND(store_conversation_read_item(db, &alice, "conv_a", "msg_2", &json, &err));
    check_page((struct store_page){.limit = 9, .is_ascending = true}, "1 3 4");
    item_list_done(&items);
    buf_done(&json);
}

static int64_t number(const char *sql)
{
    struct store_query query;
    int64_t n = -1;
    store_query_begin(&query, db, sql, NULL);
    while (store_query_next(&query))
        n = store_query_get_integer(&query, 0);
    assert_true(store_query_end(&query));
    return n;
}

static void sizes_follow_the_items_and_are_limited(void **state)
{
    (void)state;
    make("conv_a", &alice, 3);
    assert_int_equal(number("SELECT n_items FROM conversations"), 3);
    assert_int_equal(number("SELECT n_bytes FROM conversations"), 3 * strlen("{\"id\":\"msg_1\"}"));
    assert_true(store_conversation_delete_item(db, &alice, "conv_a", "msg_2", NULL));
    assert_int_equal(number("SELECT n_items FROM conversations"), 2);
    assert_int_equal(number("SELECT n_bytes FROM conversations"), 2 * strlen("{\"id\":\"msg_1\"}"));

    struct item_list items;
    struct err err;
    make_items(&items, 4, 4);
    assert_true(store_db_execute(db, "UPDATE conversations SET n_items = 100000", NULL));
    assert_false(store_conversation_add_items(db, &alice, "conv_a", &items, &err));
    assert_int_equal(err.code, ERR_INVALID);
    check_page((struct store_page){.limit = 9, .is_ascending = true}, "1 3");
    item_list_done(&items);
}

static void a_deleted_conversation_takes_its_items_along(void **state)
{
    (void)state;
    make("conv_a", &alice, 3);
    make("conv_b", &alice, 2);
    assert_true(store_conversation_delete(db, &alice, "conv_a", NULL));
    ASSERT_NOT_FOUND(store_conversation_delete(db, &alice, "conv_a", &err));
    assert_int_equal(number("SELECT count(*) FROM items"), 2);
}

static void the_owners_conversations_are_listed(void **state)
{
    (void)state;
    make("conv_a", &alice, 0);
    make("conv_b", &bob, 0);
    make("conv_c", &alice, 0);
    struct store_page page = {.limit = 1};
    struct store_list list;
    store_list_init(&list);
    assert_true(store_conversation_list(db, &alice, &page, &list, NULL));
    assert_int_equal(list.items.n, 1);
    assert_true(list.has_more);
    assert_string_equal(list.items.items[0].json,
                        "{\"id\":\"conv_c\",\"object\":\"conversation\",\"created_at\":17,"
                        "\"metadata\":{\"topic\":\"tea\"}}");
    store_list_done(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_inserted_is_read, open_db, close_db),
        cmocka_unit_test_setup_teardown(pages_go_both_ways, open_db, close_db),
        cmocka_unit_test_setup_teardown(a_cursor_that_is_not_in_the_list_is_not_found, open_db,
                                        close_db),
        cmocka_unit_test_setup_teardown(what_another_key_owns_does_not_exist, open_db, close_db),
        cmocka_unit_test_setup_teardown(items_are_added_read_and_deleted, open_db, close_db),
        cmocka_unit_test_setup_teardown(sizes_follow_the_items_and_are_limited, open_db, close_db),
        cmocka_unit_test_setup_teardown(a_deleted_conversation_takes_its_items_along, open_db,
                                        close_db),
        cmocka_unit_test_setup_teardown(the_owners_conversations_are_listed, open_db, close_db),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
