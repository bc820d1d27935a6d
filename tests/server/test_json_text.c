#include "server/json_text.h"

#include <jansson.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "tests/support/check.h"

static void check(const char *text, size_t len, const char *expected)
{
    struct buf out;
    buf_init(&out);
    json_text_append(&out, text, len);
    assert_string_equal(buf_text(&out), expected);
    buf_done(&out);
}

static void escapes_what_json_asks_for(void **state)
{
    (void)state;
    check("plain", 5, "\"plain\"");
    check("", 0, "\"\"");
    check("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    check("\n\r\t\0\x1f\x7f", 6, "\"\\n\\r\\t\\u0000\\u001f\\u007f\"");
    check("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

#define FFFD "\xef\xbf\xbd"

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
    (void)state;
    check("\xff", 1, "\"" FFFD "\"");
    check("a\x80z", 3, "\"a" FFFD "z\"");
    check("\xe2\x82", 2, "\"" FFFD FFFD "\"");
    check("\xc0\xaf", 2, "\"" FFFD FFFD "\"");
    check("\xe0\x80\xaf", 3, "\"" FFFD FFFD FFFD "\"");
    check("\xed\xa0\x80", 3, "\"" FFFD FFFD FFFD "\"");
    check("\xf4\x90\x80\x80", 4, "\"" FFFD FFFD FFFD FFFD "\"");
}

static void every_pair_of_bytes_gives_valid_json(void **state)
{
    (void)state;
    for (int i = 0; i < 65536; i++) {
        char text[2] = {(char)(i >> 8), (char)i};
        struct buf out;
        buf_init(&out);
        json_text_append(&out, text, 2);
        json_t *value = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(value);
        json_decref(value);
        buf_done(&out);
    }
}

static void error_body_has_four_keys(void **state)
{
    (void)state;
    struct api_error error;
    struct buf out;
    buf_init(&out);
    api_error_set(&error, 400, "invalid_value", "a\"b", "Bad \"%s\".", "thing");
    api_error_write(&error, &out);
    assert_string_equal(buf_text(&out), "{\"error\":{\"message\":\"Bad \\\"thing\\\".\",\"type\":"
                                        "\"invalid_request_error\",\"param\":\"a\\\"b\",\"code\":"
                                        "\"invalid_value\"}}");
    buf_clear(&out);
    api_error_set(&error, 503, "out_of_memory", NULL, "x");
    api_error_write(&error, &out);
    assert_string_equal(buf_text(&out), "{\"error\":{\"message\":\"x\",\"type\":\"server_error\","
                                        "\"param\":null,\"code\":\"out_of_memory\"}}");
    assert_true(error.retry_after_s > 0);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_what_json_asks_for),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(every_pair_of_bytes_gives_valid_json),
        cmocka_unit_test(error_body_has_four_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
