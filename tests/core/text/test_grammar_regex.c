#include "tests/core/text/grammar_check.h"

#include "core/base/buf.h"
#include "core/text/grammar_regex.h"

static void expect(const char *regex, const char *text, bool expected)
{
    struct buf gbnf;
    struct err err = {0};
    buf_init(&gbnf);
    buf_append_text(&gbnf, "root ::= ");
    if (!grammar_regex_write(regex, strlen(regex), GRAMMAR_REGEX_TEXT, 0, -1, &gbnf, &err))
        fail_msg("%s in %s", err.text, regex);
    bool fits = grammar_check_text(gbnf.data, text) >= FIT_WHOLE;
    if (fits != expected)
        fail_msg("'%s' should %sfit %s", text, expected ? "" : "not ", regex);
    buf_done(&gbnf);
}

static void texts(void **state)
{
    (void)state;
    static const struct {
        const char *regex, *fits, *does_not;
    } cases[] = {
        {"abc", "abc", "xabc"},
        {"", "", "a"},
        {"a|b|", "", "c"},
        {"^(yes|no)$", "no", "nope"},
        {"[0-9]{3}-[0-9]{2,}", "123-4567", "123-4"},
        {"a?b*c+", "cc", "ab"},
        {"(ab){0,2}?x", "ababx", "abababx"},
        {"(?:a(?<n>b(?P<m>c)))", "abc", "ab"},
        {"[^\\d\\s]+", "ab-", "a1"},
        {"[\\w.-]+@\\w+", "a.b-c@d", "@d"},
        {"\\.\\*\\\\\\/", ".*\\/", "a*\\/"},
        {"\\x41\\u0042\\u{1F600}\\n\\t", "AB\xF0\x9F\x98\x80\n\t", "AB"},
        {".", "\xC3\xA9", "\n"},
        {"\\D\\W\\S", "a-b", "1-b"},
        {"\\s", "\xE3\x80\x80", "a"},
        {"[a\\]]", "]", "["},
        {"[+-]?[0-9]", "-1", "*1"},
        {"a{2}", "aa", "aaa"},
        {"\xC3\xA9+", "\xC3\xA9\xC3\xA9", "e"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect(cases[i].regex, cases[i].fits, true);
        expect(cases[i].regex, cases[i].does_not, false);
    }
}

static void what_a_grammar_cannot_say_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "(?=a)",       "(?!a)",     "(?<=a)", "(?i)a",  "\\1",      "\\bx",   "a++",
        "*a",          "a{2,1}",    "a{x}",   "[b-a]",  "[a",       "(a",     "a)",
        "a$b",         "a^",        "\\",     "\\u12",  "\\xG0",    "\\p{L}", "[a-\\d]",
        "[[:alpha:]]", "a{200000}", "\xFF",   "(a|^b)", "\\u{D800}"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf gbnf;
        struct err err = {0};
        buf_init(&gbnf);
        if (grammar_regex_write(cases[i], strlen(cases[i]), GRAMMAR_REGEX_TEXT, 0, -1, &gbnf, &err))
            fail_msg("this was accepted: %s", cases[i]);
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.text, "regular expression"));
        buf_done(&gbnf);
    }
}

static void long_ones_are_refused(void **state)
{
    (void)state;
    struct buf regex, gbnf;
    struct err err = {0};
    buf_init(&regex);
    buf_init(&gbnf);
    for (int i = 0; i < 1000; i++)
        buf_append_text(&regex, "(");
    assert_false(
        grammar_regex_write(regex.data, regex.len, GRAMMAR_REGEX_TEXT, 0, -1, &gbnf, &err));
    assert_non_null(strstr(err.text, "too deep"));
    for (int i = 0; i < 20000; i++)
        buf_append_text(&regex, "a");
    assert_false(
        grammar_regex_write(regex.data, regex.len, GRAMMAR_REGEX_TEXT, 0, -1, &gbnf, &err));
    assert_non_null(strstr(err.text, "at most"));
    buf_done(&regex);
    buf_done(&gbnf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(what_a_grammar_cannot_say_is_refused),
        cmocka_unit_test(long_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
