/* Tables: what is printed, what CSV holds, what is missing. */
#include "eval/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

static void fill(struct table *table)
{
    table_init(table);
    table_add_column(table, "name", "name", 0);
    table_add_column(table, "n", "count", 0);
    table_add_column(table, "x", "share %", 1);
    table_add_row(table);
    table_put_text(table, "name", "a \"b\", c");
    table_put_integer(table, "n", 4000000000);
    table_put_number(table, "x", 12.34);
    table_add_row(table);
    table_put_text(table, "name", "d");
    table_put_number(table, "x", NAN);
    assert_false(table_failed(table));
}

static void expect_text(const struct table *table, void (*write)(const struct table *, FILE *),
                        const char *expected)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    write(table, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void test_print(void **state)
{
    (void)state;
    struct table table;
    fill(&table);
    expect_text(&table, table_print,
                "name           count  share %\n"
                "a \"b\", c  4000000000     12.3\n"
                "d                  -        -\n");
    table_done(&table);
}

static void test_csv(void **state)
{
    (void)state;
    struct table table;
    fill(&table);
    expect_text(&table, table_write_csv,
                "name,n,x\n"
                "\"a \"\"b\"\", c\",4000000000,12.34\n"
                "\"d\",,\n");
    table_done(&table);
}

static void test_get(void **state)
{
    (void)state;
    struct table table;
    fill(&table);
    assert_int_equal(table_n_rows(&table), 2);
    assert_true(json_is_integer(table_get(&table, 0, "n")));
    assert_null(table_get(&table, 1, "n"));
    assert_null(table_get(&table, 1, "x"));
    assert_null(table_get(&table, 2, "name"));
    table_done(&table);
}

/* A value without a row and a column too many are failures that stay. */
static void test_failures_stay(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    table_put_integer(&table, "n", 1);
    assert_true(table_failed(&table));
    table_add_row(&table);
    assert_true(table_failed(&table));
    table_done(&table);

    table_init(&table);
    for (int i = 0; i < TABLE_MAX_COLUMNS; i++)
        table_add_column(&table, "a", "a", 0);
    assert_false(table_failed(&table));
    table_add_column(&table, "a", "a", 0);
    assert_true(table_failed(&table));
    table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_failures_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
