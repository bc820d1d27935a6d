#include "tests/core/text/grammar_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/buf.h"

static void says(const char *gbnf, const char *text, bool expected)
{
    bool is_whole = grammar_check_text(gbnf, text) >= FIT_WHOLE;
    if (is_whole != expected)
        fail_msg("'%s' should %sfit %s", text, expected ? "" : "not ", gbnf);
}

static void refuses(const char *gbnf, size_t len, const char *reason)
{
    struct grammar *grammar = NULL;
    struct err err = {0};
    if (grammar_new(&grammar, gbnf, len, &err))
        fail_msg("this was accepted: %.100s", gbnf);
    assert_null(grammar);
    assert_int_equal(err.code, ERR_INVALID);
    if (strstr(err.text, reason) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, reason);
}

static void the_dialect(void **state)
{
    (void)state;
    static const struct {
        const char *gbnf, *fits, *does_not;
    } cases[] = {
        {"root ::= \"abc\"", "abc", "ab"},
        {"root ::= \"\"", "", "a"},
        {"root ::=", "", "a"},
        {"root ::= \"a\" | \"b\"", "b", "ab"},
        {"root ::= \"a\" |", "", "b"},
        {"root ::= (\"a\" | \"b\")+", "abba", ""},
        {"root ::= \"a\"? \"b\"*", "abb", "aab"},
        {"root ::= \"a\"{3}", "aaa", "aa"},
        {"root ::= \"a\"{3}", "aaa", "aaaa"},
        {"root ::= \"a\"{2,}", "aaaaa", "a"},
        {"root ::= \"a\"{2,4}", "aaaa", "aaaaa"},
        {"root ::= \"a\"{,2}", "aa", "aaa"},
        {"root ::= \"a\"{0}", "", "a"},
        {"root ::= \"a\"{ 1 , 2 }", "aa", "aaa"},
        {"root ::= (\"a\"?){3}", "aa", "aaaa"},
        {"root ::= [a-c0]+", "ab0c", "ad"},
        {"root ::= [^a-c]", "d", "b"},
        {"root ::= [a-]", "-", "b"},
        {"root ::= [\\]\\-\\\\]+", "]-\\", "["},
        {"root ::= .", "\xC3\xA9", "\xC3"},
        {"root ::= .", "\n", ""},
        {"root ::= \"\\x41\\u00e9\\U0001F600\\n\\t\\\"\\\\\"", "A\xC3\xA9\xF0\x9F\x98\x80\n\t\"\\",
         "A"},
        {"root ::= a b\na ::= \"x\"\nb ::= \"y\"", "xy", "yx"},
        {"# comment\nroot ::= # another\n  \"a\" # more\n# and more\n", "a", "#"},
        {"root ::= (\n \"a\"\n \"b\" # here\n)\n", "ab", "a"},
        {"root ::= \"a\" |\n \"b\"", "b", "c"},
        {"root ::= \"a\"\n | \"b\"\nother ::= \"c\"", "b", "c"},
        {"root ::= x\r\nx ::= \"a\"\r\n", "a", "b"},
        {"root ::= my-rule_1\nmy-rule_1 ::= \"a\"", "a", "b"},
        {"root ::= \"(\" root \")\" | \"x\"", "((x))", "((x)"},
        {"root ::= \"a\" root \"b\" | \"\"", "aaabbb", "aabbb"},
        {"root ::= item (\",\" item)*\nitem ::= [0-9]+", "1,22,333", "1,,2"},
        {"root ::= nothing* \"x\"\nnothing ::= \"\" | nothing2\nnothing2 ::= nothing3?\n"
         "nothing3 ::= \"y\"",
         "yyx", "yy"},
        {"root ::= ((\"a\"*)*)* \"b\"", "aaab", "aaa"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        says(cases[i].gbnf, cases[i].fits, true);
        says(cases[i].gbnf, cases[i].does_not, false);
    }
}

static void characters_become_bytes(void **state)
{
    (void)state;
    /* Every border of UTF-8's table, from both sides. */
    const char *any = "root ::= [^\"]*";
    static const char *const good[] = {"\x7F",         "\xC2\x80",         "\xDF\xBF",
                                       "\xE0\xA0\x80", "\xED\x9F\xBF",     "\xEE\x80\x80",
                                       "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {
        "\"",           "\x80",         "\xC0\x80",         "\xC1\xBF",         "\xE0\x9F\xBF",
        "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
        "\xFF"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        says(any, good[i], true);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(grammar_check_text(any, bad[i]), FIT_NOT);

    const char *range = "root ::= [\\u00e0-\\u4e2d\\U0001F600-\\U0001F64F]";
    says(range, "\xC3\xA0", true);
    says(range, "\xC3\x9F", false);
    says(range, "\xE4\xB8\xAD", true);
    says(range, "\xE4\xB8\xAE", false);
    says(range, "\xF0\x9F\x99\x8F", true);
    says(range, "\xF0\x9F\x99\x90", false);
    /* A part of a character is a beginning. */
    assert_int_equal(grammar_check_text(range, "\xF0\x9F"), FIT_BEGINNING);
}

static void long_counts_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *gbnf;
        size_t min, max;
    } cases[] = {
        {"root ::= \"a\"{0,1000}", 0, 1000},     {"root ::= \"a\"{257}", 257, 257},
        {"root ::= \"a\"{300,1023}", 300, 1023}, {"root ::= \"a\"{1024,}", 1024, 4000},
        {"root ::= \"a\"{17,599}", 17, 599},
    };
    char text[4000];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct grammar *grammar = grammar_check_new(cases[i].gbnf);
        struct grammar_states states;
        assert_true(grammar_states_init(&states, grammar));
        uint32_t at = grammar_states_start(&states);
        for (size_t n = 0; n <= cases[i].max; n++) {
            if (n > 0)
                at = grammar_states_step(&states, at, 'a');
            assert_int_equal(grammar_states_accepts(&states, at), n >= cases[i].min);
        }
        if (cases[i].max < sizeof text)
            assert_int_equal(grammar_states_step(&states, at, 'a'), GRAMMAR_DEAD);
        grammar_states_done(&states);
        grammar_free(&grammar);
    }
}

static void errors_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *gbnf, *reason;
    } cases[] = {
        {"", "'root'"},
        {"other ::= \"a\"", "'root'"},
        {"root ::= missing", "'missing' is not defined"},
        {"root ::= \"a\"\nroot ::= \"b\"", "line 2: rule 'root' is defined twice"},
        {"root ::= \"a", "line 1"},
        {"root ::= \"a\n\"", "does not end on its line"},
        {"root ::= [a", "line 1"},
        {"root ::= [z-a]", "backwards"},
        {"root ::= (\"a\"", "')'"},
        {"root ::= \"a\")", "not GBNF"},
        {"root ::= *", "not GBNF"},
        {"root = \"a\"", "'::='"},
        {"\n\n!", "line 3"},
        {"root ::= \"a\"{", "{n}"},
        {"root ::= \"a\"{1,2", "'}'"},
        {"root ::= \"a\"{5,2}", "not possible"},
        {"root ::= \"a\"{1000001}", "counts too far"},
        {"root ::= \"\\q\"", "escape"},
        {"root ::= \"\\x4\"", "hexadecimal"},
        {"root ::= \"\\uD800\"", "no Unicode character"},
        {"root ::= \"\xFF\"", "UTF-8"},
        {"root ::= root \"a\" | \"a\"", "rule 'root': a rule can begin with itself"},
        {"root ::= x\nx ::= y\ny ::= \"\" x \"a\" | \"b\"", "begin with itself"},
        {"root ::= x\nx ::= n x \"a\" | \"b\"\nn ::= \"\" | \"c\"", "'x': a rule can begin"},
        {"root ::= \"a\" root", "no text that fits"},
        {"root ::= []", "no text that fits"},
        {"root ::= x \"b\"\nx ::= \"a\" x", "no text that fits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuses(cases[i].gbnf, strlen(cases[i].gbnf), cases[i].reason);
}

static void dead_branches_are_not_entered(void **state)
{
    (void)state;
    const char *gbnf = "root ::= \"a\" | \"b\" never | \"c\" []\nnever ::= \"x\" never";
    says(gbnf, "a", true);
    assert_int_equal(grammar_check_text(gbnf, "b"), FIT_NOT);
    assert_int_equal(grammar_check_text(gbnf, "c"), FIT_NOT);
}

static char *repeat(const char *head, const char *piece, size_t n, const char *tail, size_t *len)
{
    struct buf buf;
    buf_init(&buf);
    buf_append_text(&buf, head);
    for (size_t i = 0; i < n; i++)
        buf_append_text(&buf, piece);
    buf_append_text(&buf, tail);
    assert_false(buf.failed);
    *len = buf.len;
    return buf.data;
}

static void bombs_are_errors(void **state)
{
    (void)state;
    size_t len;
    char *text = repeat("root ::= ", "(", 100000, "", &len);
    refuses(text, len, "nested too deep");
    free(text);
    text = repeat("root ::= \"a\"", "*", 100000, "", &len);
    refuses(text, len, "too many repetitions");
    free(text);
    text = repeat("root ::= \"", "aaaaaaaaaa", 100000, "\"", &len);
    refuses(text, len, "too large");
    free(text);
    text = repeat("root ::= ", "a\n", GRAMMAR_MAX_TEXT, "", &len);
    refuses(text, len, "at most");
    free(text);
    text = repeat("root ::= ", "x | ", 200000, "x\nx ::= \"a\"", &len);
    refuses(text, len, "too large");
    free(text);

    /* As many rules as fit into the text. */
    struct buf rules;
    buf_init(&rules);
    for (int i = 0; rules.len < GRAMMAR_MAX_TEXT - 64; i++)
        buf_append_format(&rules, "r%d::=r%d\n", i, i + 1);
    buf_append_text(&rules, "root::=r0\n");
    refuses(rules.data, rules.len, "rules");
    buf_done(&rules);

    /* Counts of counts do not multiply. */
    says("root ::= (((\"a\"{0,1000000}){0,1000000}){0,1000000}){0,1000000}", "aaaa", true);
}

static void owners_share_one(void **state)
{
    (void)state;
    struct grammar *grammar = grammar_check_new("root ::= \"a\"");
    struct grammar *other = grammar_share(grammar);
    assert_ptr_equal(other, grammar);
    assert_true(grammar_bytes(grammar) > 0);
    grammar_free(&grammar);
    assert_null(grammar);
    struct grammar_states states;
    assert_true(grammar_states_init(&states, other));
    assert_int_equal(grammar_check_fit(&states, "a", 1), FIT_WHOLE);
    grammar_states_done(&states);
    grammar_free(&other);
    grammar_free(&other);
    assert_null(grammar_share(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_dialect),
        cmocka_unit_test(characters_become_bytes),
        cmocka_unit_test(long_counts_are_exact),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(dead_branches_are_not_entered),
        cmocka_unit_test(bombs_are_errors),
        cmocka_unit_test(owners_share_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
