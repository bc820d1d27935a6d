#include "core/base/buf.h"

#include <string.h>

#include "tests/support/check.h"

static void appends_and_terminates(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    assert_string_equal(buf_text(&buf), "");
    buf_append_text(&buf, "ab");
    buf_append_char(&buf, 'c');
    buf_append_format(&buf, "-%d-%s", 42, "x");
    assert_string_equal(buf_text(&buf), "abc-42-x");
    assert_int_equal(buf.len, 8);
    buf_done(&buf);
    assert_null(buf.data);
}

static void grows_past_its_first_size(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    for (int i = 0; i < 1000; i++)
        buf_append_format(&buf, "%03d", i);
    assert_int_equal(buf.len, 3000);
    assert_memory_equal(buf.data + 2997, "999", 3);
    buf_done(&buf);
}

static void drops_from_the_front(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    buf_append_text(&buf, "hello world");
    buf_drop_front(&buf, 6);
    assert_string_equal(buf_text(&buf), "world");
    buf_drop_front(&buf, 100);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf_text(&buf), "");
    buf_done(&buf);
}

static void an_impossible_size_fails_and_stays_failed(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    buf_append_text(&buf, "kept");
    buf_append(&buf, "x", SIZE_MAX / 2);
    assert_true(buf.failed);
    buf_append_text(&buf, "more");
    assert_string_equal(buf_text(&buf), "kept");
    buf_done(&buf);
    assert_false(buf.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_terminates),
        cmocka_unit_test(grows_past_its_first_size),
        cmocka_unit_test(drops_from_the_front),
        cmocka_unit_test(an_impossible_size_fails_and_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
