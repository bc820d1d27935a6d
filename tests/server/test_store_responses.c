#include "server/store_responses.h"

#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "server/store_conversations.h"
#include "server/store_db.h"
#include "server/store_items.h"
#include "tests/support/check.h"

static const struct auth_digest alice = {"alice"}, bob = {"bob"};
static struct store_db *db;

enum { TTL_S = 1000 };

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

static void push(struct item_list *list, const char *id)
{
    char json[64];
    snprintf(json, sizeof json, "{\"id\":\"%s\"}", id);
    assert_true(item_list_push(list, id, json, strlen(json)));
}

/* Response resp_NAME with the items inNAME and outNAME, following `previous`. */
static void make_row(struct response_row *row, const char *name, const char *previous)
{
    char id[16];
    response_row_init(row);
    snprintf(row->id, sizeof row->id, "resp_%s", name);
    snprintf(row->chain, sizeof row->chain, "%s", row->id);
    snprintf(row->lineage, sizeof row->lineage, "%s", row->id);
    row->status = RESPONSE_COMPLETED;
    row->created = 17;
    row->completed = 18;
    row->is_kept = true;
    buf_append_text(&row->echo, "{\"model\":\"m\"}");
    snprintf(id, sizeof id, "in%s", name);
    push(&row->input, id);
    snprintf(id, sizeof id, "out%s", name);
    push(&row->output, id);
    if (previous != NULL) {
        struct item_list history;
        struct err err;
        item_list_init(&history);
        snprintf(row->previous, sizeof row->previous, "%s", previous);
        if (!store_response_follow(db, &alice, previous, row, &history, &err))
            fail_msg("%s", err.text);
        item_list_done(&history);
    }
}

static void write_row(struct response_row *row)
{
    struct err err;
    if (!store_response_write(db, &alice, row, TTL_S, &err))
        fail_msg("%s", err.text);
    response_row_done(row);
}

static void make(const char *name, const char *previous)
{
    struct response_row row;
    make_row(&row, name, previous);
    write_row(&row);
}

static void make_conversation(const char *id)
{
    struct store_conversation one;
    struct item_list items;
    item_list_init(&items);
    store_conversation_init(&one);
    snprintf(one.id, sizeof one.id, "%s", id);
    buf_append_text(&one.metadata, "{}");
    assert_true(store_conversation_insert(db, &alice, &one, &items, NULL));
    store_conversation_done(&one);
}

static void join_ids(const struct item_list *items, char out[256])
{
    out[0] = '\0';
    for (size_t i = 0; i < items->n; i++) {
        strcat(out, i == 0 ? "" : " ");
        strcat(out, items->items[i].id);
    }
}

static void check_history(const char *previous, const char *expected)
{
    struct item_list history;
    struct response_row row;
    struct err err;
    char got[256];
    item_list_init(&history);
    response_row_init(&row);
    if (!store_response_follow(db, &alice, previous, &row, &history, &err))
        fail_msg("%s", err.text);
    join_ids(&history, got);
    assert_string_equal(got, expected);
    item_list_done(&history);
    response_row_done(&row);
}

static int64_t count(const char *sql)
{
    struct store_query query;
    int64_t n = -1;
    store_query_begin(&query, db, sql, NULL);
    while (store_query_next(&query))
        n = store_query_get_integer(&query, 0);
    assert_true(store_query_end(&query));
    return n;
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    struct response_row row;
    make_row(&row, "a", NULL);
    buf_append_text(&row.usage, "{\"input_tokens\":3}");
    row.status = RESPONSE_INCOMPLETE;
    snprintf(row.incomplete_reason, sizeof row.incomplete_reason, "max_output_tokens");
    write_row(&row);

    response_row_init(&row);
    assert_true(store_response_read(db, &alice, "resp_a", &row, NULL));
    assert_int_equal(row.status, RESPONSE_INCOMPLETE);
    assert_string_equal(row.incomplete_reason, "max_output_tokens");
    assert_string_equal(buf_text(&row.usage), "{\"input_tokens\":3}");
    assert_string_equal(buf_text(&row.echo), "{\"model\":\"m\"}");
    assert_int_equal(row.error.len, 0);
    assert_int_equal(row.created, 17);
    assert_int_equal(row.completed, 18);
    assert_int_equal(row.output.n, 1);
    assert_string_equal(row.output.items[0].json, "{\"id\":\"outa\"}");
    response_row_done(&row);
}

static void a_second_write_replaces_the_first(void **state)
{
    (void)state;
    struct response_row row;
    make_row(&row, "a", NULL);
    row.status = RESPONSE_QUEUED;
    row.completed = 0;
    write_row(&row);
    make("a", NULL);
    assert_int_equal(count("SELECT count(*) FROM responses"), 1);
    assert_int_equal(count("SELECT count(*) FROM items"), 2);
    assert_int_equal(count("SELECT count(*) FROM responses WHERE status = 'completed'"), 1);
}

static void a_chain_is_followed_to_its_beginning(void **state)
{
    (void)state;
    make("a", NULL);
    make("b", "resp_a");
    make("c", "resp_b");
    check_history("resp_a", "ina outa");
    check_history("resp_c", "ina outa inb outb inc outc");
    assert_int_equal(count("SELECT count(*) FROM chains"), 1);
    assert_int_equal(count("SELECT count(DISTINCT lineage) FROM responses"), 1);
}

static void a_fork_has_its_own_history_and_lineage(void **state)
{
    (void)state;
    make("a", NULL);
    make("b", "resp_a");
    make("c", "resp_a");
    make("d", "resp_c");
    check_history("resp_d", "ina outa inc outc ind outd");
    check_history("resp_b", "ina outa inb outb");
    assert_int_equal(count("SELECT count(*) FROM responses WHERE lineage = 'resp_a'"), 2);
    assert_int_equal(count("SELECT count(*) FROM responses WHERE lineage = 'resp_c'"), 2);
    assert_int_equal(count("SELECT count(*) FROM chains"), 1);
}

static void a_chain_with_a_hole_is_not_found(void **state)
{
    (void)state;
    struct item_list history;
    struct response_row row;
    struct err err;
    make("a", NULL);
    make("b", "resp_a");
    assert_true(store_response_delete(db, &alice, "resp_a", NULL));
    item_list_init(&history);
    response_row_init(&row);
    assert_false(store_response_follow(db, &alice, "resp_b", &row, &history, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    item_list_done(&history);
    response_row_done(&row);
}

static void an_unfinished_response_cannot_be_followed(void **state)
{
    (void)state;
    struct item_list history;
    struct response_row row;
    struct err err;
    make_row(&row, "a", NULL);
    row.status = RESPONSE_IN_PROGRESS;
    row.completed = 0;
    write_row(&row);
    item_list_init(&history);
    response_row_init(&row);
    assert_false(store_response_follow(db, &alice, "resp_a", &row, &history, &err));
    assert_int_equal(err.code, ERR_INVALID);
    item_list_done(&history);
    assert_true(store_responses_fail_unfinished(db, NULL));
    assert_true(store_response_read(db, &alice, "resp_a", &row, NULL));
    assert_int_equal(row.status, RESPONSE_FAILED);
    assert_true(row.error.len > 0);
    response_row_done(&row);
}

static void check_conversation(const char *expected)
{
    struct item_list items;
    char got[256];
    item_list_init(&items);
    assert_true(store_conversation_read_items(db, &alice, "conv_a", &items, NULL));
    join_ids(&items, got);
    assert_string_equal(got, expected);
    item_list_done(&items);
}

static void make_in_conversation(const char *name, enum response_status status, bool is_kept)
{
    struct response_row row;
    make_row(&row, name, NULL);
    snprintf(row.conversation, sizeof row.conversation, "conv_a");
    row.status = status;
    row.is_kept = is_kept;
    write_row(&row);
}

static void a_conversation_gets_what_ended_well(void **state)
{
    (void)state;
    make_conversation("conv_a");
    make_in_conversation("a", RESPONSE_COMPLETED, true);
    make_in_conversation("b", RESPONSE_CANCELLED, true);
    make_in_conversation("c", RESPONSE_FAILED, true);
    make_in_conversation("d", RESPONSE_INCOMPLETE, true);
    make_in_conversation("e", RESPONSE_COMPLETED, false);
    check_conversation("ina outa ind outd ine oute");
    assert_int_equal(count("SELECT count(*) FROM responses"), 4);
    check_history("resp_a", "ina outa");
    check_history("resp_d", "ina outa ind outd");
}

static void a_deleted_conversation_takes_its_responses_along(void **state)
{
    (void)state;
    make_conversation("conv_a");
    make_in_conversation("a", RESPONSE_COMPLETED, true);
    make("b", NULL);
    assert_true(store_conversation_delete(db, &alice, "conv_a", NULL));
    assert_int_equal(count("SELECT count(*) FROM responses"), 1);
    assert_int_equal(count("SELECT count(*) FROM items"), 2);
    assert_int_equal(count("SELECT count(*) FROM chains"), 1);
}

static void a_response_of_a_deleted_conversation_is_not_written(void **state)
{
    (void)state;
    struct response_row row;
    struct err err;
    make_row(&row, "a", NULL);
    snprintf(row.conversation, sizeof row.conversation, "conv_gone");
    assert_false(store_response_write(db, &alice, &row, TTL_S, &err));
    response_row_done(&row);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(count("SELECT count(*) FROM responses"), 0);
    assert_int_equal(count("SELECT count(*) FROM items"), 0);
}

static void check_input(struct store_page page, const char *expected)
{
    struct store_list list;
    struct err err;
    char got[256];
    store_list_init(&list);
    if (!store_response_input_page(db, &alice, "resp_c", &page, &list, &err))
        fail_msg("%s", err.text);
    join_ids(&list.items, got);
    strcat(got, list.has_more ? " +" : "");
    assert_string_equal(got, expected);
    store_list_done(&list);
}

static void the_input_is_all_that_the_model_was_given(void **state)
{
    (void)state;
    make("a", NULL);
    make("x", "resp_a");
    make("b", "resp_a");
    make("c", "resp_b");
    check_input((struct store_page){.limit = 9, .is_ascending = true}, "ina outa inb outb inc");
    check_input((struct store_page){.limit = 2}, "inc outb +");
    check_input((struct store_page){.limit = 2, .after = "outb"}, "inb outa +");
    check_input((struct store_page){.limit = 2, .is_ascending = true, .before = "inc"},
                "inb outb +");
}

static void what_another_key_owns_does_not_exist(void **state)
{
    (void)state;
    struct response_row row;
    struct item_list history;
    struct store_list list;
    struct store_page page = {.limit = 1};
    struct buf json;
    struct err err = {0};
    make("a", NULL);
    response_row_init(&row);
    item_list_init(&history);
    store_list_init(&list);
    buf_init(&json);
    assert_false(store_response_read(db, &bob, "resp_a", &row, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(store_response_follow(db, &bob, "resp_a", &row, &history, &err));
    assert_false(store_response_delete(db, &bob, "resp_a", &err));
    assert_false(store_response_input_page(db, &bob, "resp_a", &page, &list, &err));
    assert_false(store_response_find_item(db, &bob, "outa", &json, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_true(store_response_find_item(db, &alice, "outa", &json, NULL));
    assert_string_equal(buf_text(&json), "{\"id\":\"outa\"}");
    buf_done(&json);
    store_list_done(&list);
    item_list_done(&history);
    response_row_done(&row);
}

static void chains_are_forgotten_as_a_whole_after_their_last_use(void **state)
{
    (void)state;
    make("a", NULL);
    make("b", "resp_a");
    make("c", NULL);
    assert_true(store_db_execute(db, "UPDATE chains SET expires = 100 WHERE id = 'resp_a'", NULL));
    assert_true(store_db_execute(db, "UPDATE chains SET expires = 300 WHERE id = 'resp_c'", NULL));
    assert_false(store_responses_expire(db, 99));
    assert_true(store_responses_expire(db, 100));
    assert_false(store_responses_expire(db, 100));
    assert_int_equal(count("SELECT count(*) FROM responses"), 1);
    assert_int_equal(count("SELECT count(*) FROM items"), 2);

    struct response_row row;
    make_row(&row, "d", "resp_c");
    assert_true(store_response_write(db, &alice, &row, 0, NULL));
    response_row_done(&row);
    assert_int_equal(count("SELECT count(*) FROM chains WHERE expires IS NULL"), 1);
    assert_false(store_responses_expire(db, INT64_MAX));
}

static void a_database_in_memory_forgets_the_oldest_when_it_is_full(void **state)
{
    (void)state;
    struct store_db_options options = {.max_bytes = 512 * 1024};
    static char large[20 * 1024];
    memset(large, 'x', sizeof large - 1);
    store_db_close(&db);
    assert_true(store_db_open(&db, &options, NULL));
    for (int i = 0; i < 100; i++) {
        struct response_row row;
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        make_row(&row, name, NULL);
        buf_append_text(&row.usage, large);
        write_row(&row);
    }
    struct response_row row;
    response_row_init(&row);
    assert_true(store_response_read(db, &alice, "resp_99", &row, NULL));
    response_row_done(&row);
    response_row_init(&row);
    assert_false(store_response_read(db, &alice, "resp_0", &row, NULL));
    response_row_done(&row);

    struct item_list items;
    item_list_init(&items);
    make_conversation("conv_a");
    assert_true(item_list_push(&items, "msg_1", large, strlen(large)));
    for (int i = 0; i < 10; i++)
        assert_true(store_conversation_add_items(db, &alice, "conv_a", &items, NULL));
    item_list_done(&items);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_db, close_db)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read),
        TEST(a_second_write_replaces_the_first),
        TEST(a_chain_is_followed_to_its_beginning),
        TEST(a_fork_has_its_own_history_and_lineage),
        TEST(a_chain_with_a_hole_is_not_found),
        TEST(an_unfinished_response_cannot_be_followed),
        TEST(a_conversation_gets_what_ended_well),
        TEST(a_deleted_conversation_takes_its_responses_along),
        TEST(a_response_of_a_deleted_conversation_is_not_written),
        TEST(the_input_is_all_that_the_model_was_given),
        TEST(what_another_key_owns_does_not_exist),
        TEST(chains_are_forgotten_as_a_whole_after_their_last_use),
        TEST(a_database_in_memory_forgets_the_oldest_when_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
