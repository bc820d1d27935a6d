#include "tests/support/check.h"

#include <string.h>

#include "core/text/utf8.h"

/* Writes by the definition alone: the decoder has to agree for every character there is. */
static size_t encode(uint32_t point, char *out)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3F));
    out[0] = (char)(0xF00u >> n | point);
    return n;
}

static void every_character(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x120000; point++) {
        char text[4];
        uint32_t got = 0;
        size_t n = encode(point, text);
        bool is_valid = point < 0x110000 && (point < 0xD800 || point > 0xDFFF);
        assert_int_equal(utf8_decode(text, n, &got), is_valid ? n : 0);
        assert_true(!is_valid || got == point);
        assert_int_equal(utf8_decode(text, n - 1, &got), 0); /* cut short */
    }
}

static void every_two_and_three_bytes_agree_with_the_parts(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 1u << 24; bits += 7) {
        char text[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        uint32_t point;
        size_t n = utf8_decode(text, 3, &point);
        unsigned char lead = (unsigned char)text[0];
        size_t len = utf8_sequence_len(lead);
        bool is_whole = len > 0 && len <= 3;
        for (size_t i = 1; is_whole && i < len; i++)
            is_whole = utf8_continues(lead, i, (unsigned char)text[i]);
        assert_int_equal(n, is_whole ? len : 0);
    }
}

static void overlong_forms_are_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "\xC0\x80",         "\xC1\xBF",         "\xE0\x80\x80", "\xE0\x9F\xBF", "\xF0\x80\x80\x80",
        "\xF0\x8F\xBF\xBF", "\xF8\x88\x80\x80", "\x80",         "\xFF"};
    uint32_t point;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_int_equal(utf8_decode(BAD[i], strlen(BAD[i]), &point), 0);
    assert_true(utf8_is_valid("na\xC3\xAFve \xF0\x9F\x99\x82", 11));
    assert_false(utf8_is_valid("na\xC3", 3));
    assert_true(utf8_is_valid("", 0));
}

static void spaces(void **state)
{
    (void)state;
    static const uint32_t SPACES[] = {9,      10,     11,     12,     13,     32,     0x85,
                                      0xA0,   0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004,
                                      0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200A, 0x2028,
                                      0x2029, 0x202F, 0x205F, 0x3000};
    size_t n = 0;
    for (uint32_t point = 0; point < 0x110000; point++)
        n += utf8_is_space(point);
    assert_int_equal(n, sizeof SPACES / sizeof SPACES[0]);
    for (size_t i = 0; i < n; i++)
        assert_true(utf8_is_space(SPACES[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character),
        cmocka_unit_test(every_two_and_three_bytes_agree_with_the_parts),
        cmocka_unit_test(overlong_forms_are_refused),
        cmocka_unit_test(spaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
