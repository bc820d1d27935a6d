#include "server/line_reader.h"

#include <string.h>

#include "core/base/err.h"
#include "tests/support/check.h"

static struct err err;

static struct line_reader open_on(const char *text, size_t len, char *line, size_t size)
{
    struct line_reader reader = {.file = tmpfile(), .line = line, .size = size};
    assert_non_null(reader.file);
    assert_int_equal(fwrite(text, 1, len, reader.file), len);
    rewind(reader.file);
    return reader;
}

static void lines_come_whole_and_without_their_end(void **state)
{
    (void)state;
    static const char text[] = "one\n\n  three \r\n12345\nno end";
    static const char *const lines[] = {"one", "", "  three \r", "12345", "no end"};
    char line[10];
    struct line_reader reader = open_on(text, strlen(text), line, sizeof line);
    for (int i = 0; i < 5; i++) {
        assert_true(line_reader_next(&reader, &err));
        assert_string_equal(line, lines[i]);
        assert_int_equal(reader.n, i + 1);
    }
    assert_false(line_reader_next(&reader, &err));
    assert_false(reader.has_failed);
    fclose(reader.file);
}

static void a_line_is_never_cut(void **state)
{
    (void)state;
    char line[6];
    struct line_reader reader = open_on("12345\n123456\n", 13, line, sizeof line);
    assert_true(line_reader_next(&reader, &err));
    assert_string_equal(line, "12345");
    assert_false(line_reader_next(&reader, &err));
    assert_true(reader.has_failed);
    assert_string_equal(err.text, "line 2 is longer than 5 bytes");
    fclose(reader.file);
}

/* What stands behind it would go unseen. */
static void a_zero_byte_is_no_text(void **state)
{
    (void)state;
    char line[20];
    struct line_reader reader = open_on("one\ntw\0o\n", 9, line, sizeof line);
    assert_true(line_reader_next(&reader, &err));
    assert_false(line_reader_next(&reader, &err));
    assert_true(reader.has_failed);
    assert_string_equal(err.text, "line 2 is no text: it has a zero byte");
    fclose(reader.file);
}

static void what_cannot_be_read_is_not_the_end(void **state)
{
    (void)state;
    char line[20];
    struct line_reader reader = {.file = fopen("/", "re"), .line = line, .size = sizeof line};
    assert_non_null(reader.file);
    assert_false(line_reader_next(&reader, &err));
    assert_true(reader.has_failed);
    assert_string_equal(err.text, "Is a directory");
    fclose(reader.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_whole_and_without_their_end),
        cmocka_unit_test(a_line_is_never_cut),
        cmocka_unit_test(a_zero_byte_is_no_text),
        cmocka_unit_test(what_cannot_be_read_is_not_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
