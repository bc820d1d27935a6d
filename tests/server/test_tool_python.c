#include "tests/support/check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/json_load.h"
#include "server/tool_python.h"

static struct buf out;

static const char *mark; /* around strings, for the next texts */

static enum tool_python_result read_text(const char *text)
{
    struct tool_python python;
    enum tool_python_result is = TOOL_PYTHON_MORE;
    buf_clear(&out);
    tool_python_init(&python, mark);
    while (*text != '\0' && is == TOOL_PYTHON_MORE)
        is = tool_python_push(&python, *text++, &out);
    if (is == TOOL_PYTHON_FAIL)
        tool_python_close(&python, &out);
    if (is != TOOL_PYTHON_MORE) {
        json_t *json = json_load_text(out.data, out.len, JSON_ALLOW_NUL, NULL);
        assert_true(json_is_object(json));
        json_decref(json);
    }
    return is;
}

static void check(const char *text, const char *expected)
{
    assert_int_equal(read_text(text), TOOL_PYTHON_END);
    assert_string_equal(buf_text(&out), expected);
}

static void check_fails(const char *text, const char *expected)
{
    assert_int_equal(read_text(text), TOOL_PYTHON_FAIL);
    assert_string_equal(buf_text(&out), expected);
}

static void keywords_become_members(void **state)
{
    (void)state;
    check(")", "{}");
    check(" )", "{}");
    check("city=\"Paris\")", "{\"city\": \"Paris\"}");
    check("city = 'Paris' , n=3, )", "{\"city\": \"Paris\", \"n\": 3}");
    check("my-key=1)", "{\"my-key\": 1}");
    check("\n  a=1,\n  b=2\n)", "{\"a\": 1, \"b\": 2}");
}

static void words_become_json(void **state)
{
    (void)state;
    check("a=True, b=False, c=None)", "{\"a\": true, \"b\": false, \"c\": null}");
    check("a=true, b=false, c=null)", "{\"a\": true, \"b\": false, \"c\": null}");
    check("a=-1.5e3, b=+5, c=.5, d=5., e=1_000)",
          "{\"a\": -1.5e3, \"b\": 5, \"c\": 0.5, \"d\": 5.0, \"e\": 1000}");
    check("a=today, b=007)", "{\"a\": \"today\", \"b\": \"007\"}");
    check("a=18446744073709551616)", "{\"a\": 18446744073709551616}");
    char points[TOOL_PYTHON_MAX_WORD], call[TOOL_PYTHON_MAX_WORD + 8],
        json[TOOL_PYTHON_MAX_WORD + 16];
    memset(points, '.', sizeof points); /* no number, but nearly */
    snprintf(call, sizeof call, "a=%.*s)", TOOL_PYTHON_MAX_WORD, points);
    snprintf(json, sizeof json, "{\"a\": \"%.*s\"}", TOOL_PYTHON_MAX_WORD, points);
    check(call, json);
}

static void strings_keep_what_they_say(void **state)
{
    (void)state;
    check("a='it\\'s \"so\"')", "{\"a\": \"it's \\\"so\\\"\"}");
    check("a=\"x), b=[\")", "{\"a\": \"x), b=[\"}");
    check("a='\\n\\t\\\\\\q\\x41\\u00e9\\0')", "{\"a\": \"\\n\\t\\\\\\\\q\\u0041\\u00e9\\u0000\"}");
    check("a='\\x4\\u12')", "{\"a\": \"\\\\x4\\\\u12\"}");
    check("a='\\x\\n')", "{\"a\": \"\\\\x\\n\"}");
    check("a='1\n2\t')", "{\"a\": \"1\\u000a2\\u0009\"}");
    check("a='\xC3\xA9')", "{\"a\": \"\xC3\xA9\"}");
}

/* JSON that is read strictly has no half of a pair. */
static void halves_of_pairs_are_no_characters(void **state)
{
    (void)state;
    check("a='\\ud83d\\uDE00')", "{\"a\": \"\\ud83d\\ude00\"}");
    check("a='\\ude00')", "{\"a\": \"\\ufffd\"}");
    check("a='\\ud83d')", "{\"a\": \"\\ufffd\"}");
    check("a='\\ud83dx\\ude00')", "{\"a\": \"\\ufffdx\\ufffd\"}");
    check("a='\\ud83d\\ud83d\\ude00')", "{\"a\": \"\\ufffd\\ud83d\\ude00\"}");
    check("a='\\ud83d\\n\\ud83d\\u41')", "{\"a\": \"\\ufffd\\n\\ufffd\\\\u41\"}");
}

static void lists_and_dictionaries_nest(void **state)
{
    (void)state;
    check("a=[], b={}, c=())", "{\"a\": [], \"b\": {}, \"c\": []}");
    check("a=[1, 'x', [True]], b=(1, 2,))", "{\"a\": [1, \"x\", [true]], \"b\": [1, 2]}");
    check("a={'k': {'l': None}, \"m\": [1], 5: 2})",
          "{\"a\": {\"k\": {\"l\": null}, \"m\": [1], \"5\": 2}}");
    char deep[256] = "a=";
    memset(deep + 2, '[', TOOL_PYTHON_MAX_DEPTH);
    assert_int_equal(read_text(deep), TOOL_PYTHON_FAIL);
}

static void a_failure_leaves_an_object(void **state)
{
    (void)state;
    check_fails("a=1 b", "{\"a\": 1}");
    check_fails("a=*", "{\"a\": null}");
    check_fails("a={'k' *", "{\"a\": {\"k\": null}}");
    check_fails("a={[", "{\"a\": {}}");
    check_fails("a=[1}", "{\"a\": [1]}");
    check_fails("*", "{}");
    check_fails("a b", "{}");
    check_fails("a=1,,", "{\"a\": 1}");
}

/* Gemma's: what stands between the marks is the string as it is. */
static void marked_strings_and_bare_keys(void **state)
{
    (void)state;
#define S(text) "<|\"|>" text "<|\"|>"
    mark = "<|\"|>";
    check("}", "{}");
    check("city:" S("San \"Luis\" {1}, \\n\n<|\"| <<|") "}",
          "{\"city\": \"San \\\"Luis\\\" {1}, \\\\n\\u000a<|\\\"| <<|\"}");
    check("a:-7,b:1.5e10, c:true,d:false,e:null,f:" S("") "}",
          "{\"a\": -7, \"b\": 1.5e10, \"c\": true, \"d\": false, \"e\": null, \"f\": \"\"}");
    check("l:[" S("a") "," S("b") "],m:[],o:{theme:" S("dark") ",n:{k:[{x:1}]}},p:{}}",
          "{\"l\": [\"a\", \"b\"], \"m\": [], \"o\": {\"theme\": \"dark\", \"n\": {\"k\": "
          "[{\"x\": 1}]}}, \"p\": {}}");
    check(S("quoted key") ":1,plain key : 2,$ref:3,\"k\":\"v\\n\"}",
          "{\"quoted key\": 1, \"plain key\": 2, \"$ref\": 3, \"k\": \"v\\n\"}");
    check(" city : New York , n : 3 }", "{\"city\": \"New York\", \"n\": 3}");
    check_fails("a:" S("x") " y", "{\"a\": \"x\"}");
    check_fails("a:<x", "{\"a\": \"\"}");
    check_fails("a:1<", "{\"a\": 1}");
    check_fails("a}", "{\"a\": null}");
    check_fails("a:1]", "{\"a\": 1}");
    mark = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keywords_become_members),
        cmocka_unit_test(words_become_json),
        cmocka_unit_test(strings_keep_what_they_say),
        cmocka_unit_test(halves_of_pairs_are_no_characters),
        cmocka_unit_test(lists_and_dictionaries_nest),
        cmocka_unit_test(a_failure_leaves_an_object),
        cmocka_unit_test(marked_strings_and_bare_keys),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&out);
    return n_failed;
}
