#include "core/text/glyph.h"

#include <string.h>

#include "tests/support/check.h"

static struct glyph first(const char *text)
{
    return glyph_at(text, 0, strlen(text));
}

static void each_character_has_its_classes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        unsigned classes;
    } CASES[] = {
        {"a", 1, GLYPH_LETTER | GLYPH_LOWER},
        {"Z", 1, GLYPH_LETTER | GLYPH_UPPER},
        {"7", 1, GLYPH_NUMBER},
        {"\n", 1, GLYPH_SPACE},
        {"+", 1, GLYPH_SYMBOL},
        {"_", 1, GLYPH_PUNCTUATION},
        {"\x01", 1, 0},
        {"\xC3\x89", 2, GLYPH_LETTER | GLYPH_UPPER},                   /* É */
        {"\xE4\xBD\xA0", 3, GLYPH_LETTER | GLYPH_UPPER | GLYPH_LOWER}, /* an ideograph */
        {"\xCC\x81", 2, GLYPH_MARK | GLYPH_UPPER | GLYPH_LOWER},       /* an accent alone */
        {"\xC2\xBD", 2, GLYPH_NUMBER},                                 /* ½ */
        {"\xE3\x80\x80", 3, GLYPH_SPACE},                              /* a wide space */
        {"\xE3\x80\x82", 3, GLYPH_PUNCTUATION},                        /* a Chinese full stop */
        {"\xF0\x9F\x99\x82", 4, GLYPH_SYMBOL},                         /* an emoji */
        {"\xE2\x80\x8B", 3, 0},                                        /* no width, no class */
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct glyph glyph = first(CASES[i].text);
        assert_int_equal(glyph.len, CASES[i].len);
        assert_int_equal(glyph.classes, CASES[i].classes);
    }
}

static void the_table_of_ascii_is_unicodes(void **state)
{
    (void)state;
    for (int c = 0; c < 128; c++) {
        const char text = (char)c;
        struct glyph fast = glyph_at(&text, 0, 1);
        struct glyph slow = glyph_decode(&text, 0, 1);
        assert_int_equal(fast.point, slow.point);
        assert_int_equal(fast.classes, slow.classes);
        assert_int_equal(fast.len, slow.len);
    }
}

static void what_is_not_utf8_is_a_symbol(void **state)
{
    (void)state;
    struct glyph glyph = glyph_at("\xC3\xA9", 0, 1); /* cut */
    assert_int_equal(glyph.len, 1);
    assert_int_equal(glyph.classes, GLYPH_SYMBOL);
    assert_int_equal(first("\xFF").classes, GLYPH_SYMBOL);
    assert_int_equal(first("\x80").len, 1);
}

static void a_text_can_be_looked_at_backwards(void **state)
{
    (void)state;
    static const char text[] = "a\xE4\xBD\xA0"
                               "7";
    assert_int_equal(glyph_before(text, 5).point, '7');
    assert_int_equal(glyph_before(text, 4).point, 0x4F60);
    assert_int_equal(glyph_before(text, 1).point, 'a');
}

static void predicates_are_those_of_the_expressions(void **state)
{
    (void)state;
    assert_true(glyph_is_number(first("\xC2\xBD")));
    assert_false(glyph_is_decimal(first("\xC2\xBD")));
    assert_true(glyph_is_decimal(first("\xD9\xA3"))); /* an Arabic 3 */
    assert_false(glyph_is_digit(first("\xD9\xA3")));
    assert_true(glyph_is_word(first("_")));
    assert_false(glyph_is_word(first("7")));
    assert_false(glyph_is_word(first("-")));
    assert_true(glyph_is_operator(first("|")));
    assert_false(glyph_is_operator(first("`")));
    assert_true(glyph_is_operator_or_backtick(first("`")));
    assert_false(glyph_is_bloom_word(first("\xE3\x80\x82")));
    assert_true(glyph_is_bloom_word(first(";")));
    assert_true(
        glyph_is_deepseek_letter(first("\xC2\xB5"))); /* the first of its range and the last */
    assert_true(glyph_is_deepseek_letter(first("\xF0\x9E\xA5\x83")));
    assert_false(glyph_is_deepseek_letter(first("\xF0\x9E\xA5\x84")));
    assert_false(glyph_is_deepseek_letter(first("\xC6\xBB"))); /* between two */
    assert_true(glyph_is_ideograph_or_kana(first("\xE3\x82\xAB")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_character_has_its_classes),
        cmocka_unit_test(the_table_of_ascii_is_unicodes),
        cmocka_unit_test(what_is_not_utf8_is_a_symbol),
        cmocka_unit_test(a_text_can_be_looked_at_backwards),
        cmocka_unit_test(predicates_are_those_of_the_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
