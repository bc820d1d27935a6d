/* test_json_schema_refusals.c - schemas that cannot be a grammar, and that are too large for one.
 */
#include "tests/core/text/grammar_check.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/text/grammar.h"
#include "tests/support/check.h"
#include "tests/support/json_schema_gbnf.h"

static void refuses(const char *schema, const char *reason)
{
    struct buf gbnf;
    struct err err = {0};
    struct grammar *grammar = NULL;
    bool is_good = json_schema_gbnf(schema, true, &gbnf, &err) &&
                   grammar_new(&grammar, gbnf.data, gbnf.len, &err);
    buf_done(&gbnf);
    grammar_free(&grammar);
    if (is_good)
        fail_msg("this was accepted: %.300s", schema);
    assert_true(err.code == ERR_INVALID || err.code == ERR_UNSUPPORTED);
    if (strstr(err.text, reason) == NULL)
        fail_msg("'%s' does not say '%s' of %.300s", err.text, reason, schema);
}

static void what_cannot_be_said_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *reason;
    } cases[] = {
        {"1", "object or a boolean"},
        {"{\"type\":\"text\"}", "'type'"},
        {"{\"type\":1}", "'type'"},
        {"{\"type\":[\"string\",\"x\"]}", "'type'"},
        {"{\"type\":\"integer\",\"multipleOf\":3,\"minimum\":5}", "'multipleOf' is not supported"},
        {"{\"type\":\"integer\",\"multipleOf\":997}", "'multipleOf' is not supported"},
        {"{\"type\":\"integer\",\"multipleOf\":0}", "above 0"},
        {"{\"type\":\"integer\",\"multipleOf\":\"x\"}", "above 0"},
        {"{\"not\":{}}", "no text that fits"},
        {"{\"not\":{\"minimum\":5}}", "'not'"},
        {"{\"type\":\"number\",\"not\":{\"type\":\"integer\"}}", "'not'"},
        {"{\"not\":{\"const\":5}}", "'not'"},
        {"{\"type\":\"string\",\"maxLength\":3,\"not\":{\"const\":\"a\"}}", "'not'"},
        {"{\"type\":\"array\",\"uniqueItems\":true,\"minItems\":3,\"items\":{\"enum\":[1,2]}}",
         "'minItems'"},
        {"{\"if\":{\"type\":\"string\"}}", "'if'"},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "'uniqueItems'"},
        {"{\"type\":\"array\",\"contains\":{\"const\":1}}", "'contains'"},
        {"{\"properties\":{\"a\":{}},\"patternProperties\":{\"a\":{}}}", "'patternProperties'"},
        {"{\"patternProperties\":{\"a\":{}},\"additionalProperties\":true}", "'patternProperties'"},
        {"{\"properties\":{\"a\":{}},\"propertyNames\":{\"maxLength\":3},"
         "\"additionalProperties\":true}",
         "'propertyNames'"},
        {"{\"type\":\"string\",\"format\":\"email\",\"maxLength\":30}", "'maxLength'"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"minProperties\":1}", "'minProperties'"},
        {"{\"properties\":[]}", "'properties'"},
        {"{\"properties\":{\"a\":{}},\"required\":\"a\"}", "'required'"},
        {"{\"properties\":{\"a\":{}},\"required\":[\"b\"],\"additionalProperties\":false}",
         "'required' names"},
        {"{\"type\":\"array\",\"minItems\":3,\"maxItems\":2}", "'maxItems'"},
        {"{\"type\":\"array\",\"minItems\":-1}", "'minItems'"},
        {"{\"type\":\"array\",\"minItems\":1.5}", "'minItems'"},
        {"{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "'maxLength'"},
        {"{\"type\":\"string\",\"maxLength\":99999999}", "'maxLength'"},
        {"{\"type\":\"string\",\"pattern\":\"(?=a)\"}", "look-around"},
        {"{\"type\":\"string\",\"pattern\":\"a\\\\1\"}", "\\1"},
        {"{\"type\":\"string\",\"pattern\":\"[a\"}", "']'"},
        {"{\"type\":\"string\",\"pattern\":\"(a\"}", "')'"},
        {"{\"type\":\"string\",\"pattern\":\"a)\"}", "'('"},
        {"{\"type\":\"string\",\"pattern\":\"*\"}", "nothing to repeat"},
        {"{\"type\":\"string\",\"pattern\":\"\\\\bx\"}", "\\b"},
        {"{\"type\":\"string\",\"pattern\":\"^ab*$\",\"maxLength\":5}", "length"},
        {"{\"type\":\"string\",\"pattern\":1}", "'pattern'"},
        {"{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", "no number"},
        {"{\"type\":\"integer\",\"minimum\":\"5\"}", "'minimum'"},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":5,\"exclusiveMaximum\":6}", "no number"},
        {"{\"type\":\"number\",\"minimum\":1e300}", "too many digits"},
        {"{\"anyOf\":[]}", "'anyOf'"},
        {"{\"allOf\":{}}", "'allOf'"},
        {"{\"enum\":1}", "'enum'"},
        {"{\"enum\":[]}", "no text that fits"},
        {"false", "no text that fits"},
        {"{\"type\":\"string\",\"const\":1}", "no text that fits"},
        {"{\"allOf\":[{\"const\":1},{\"const\":2}]}", "no text that fits"},
        {"{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "no text that fits"},
        {"{\"$ref\":\"#/$defs/missing\"}", "leads nowhere"},
        {"{\"$ref\":\"https://example.org/x\"}", "leads nowhere"},
        {"{\"$ref\":\"#\"}", "circles"},
        {"{\"allOf\":[{\"$ref\":\"#\"}]}", "circles"},
        {"{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}},\"$ref\":\"#/"
         "$defs/a\"}",
         "circles"},
        {"{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", "begin with itself"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
         "no text that fits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuses(cases[i].schema, cases[i].reason);
}

static void only_strict_schemas_are_taken_literally(void **state)
{
    (void)state;
    static const char *const loose[] = {
        "{\"type\":\"integer\",\"multipleOf\":997}", "{\"type\":\"array\",\"uniqueItems\":true}",
        "{\"type\":\"object\",\"properties\":{\"a\":{}},\"minProperties\":1}",
        "{\"not\":{\"minimum\":5}}"};
    for (size_t i = 0; i < sizeof loose / sizeof loose[0]; i++) {
        struct buf gbnf;
        struct err err = {0};
        assert_false(json_schema_gbnf(loose[i], true, &gbnf, &err));
        buf_done(&gbnf);
        assert_true(json_schema_gbnf(loose[i], false, &gbnf, &err));
        buf_done(&gbnf);
    }
}

/* A multiple that a grammar cannot say takes no bound with it. */
static void bounds_stay_where_a_multiple_cannot_be_said(void **state)
{
    (void)state;
    struct buf gbnf;
    struct err err = {0};
    assert_true(json_schema_gbnf(
        "{\"type\":\"integer\",\"exclusiveMaximum\":5,\"multipleOf\":0.01}", false, &gbnf, &err));
    assert_int_equal(grammar_check_text(buf_text(&gbnf), "4"), FIT_WHOLE);
    assert_int_equal(grammar_check_text(buf_text(&gbnf), "-40"), FIT_WHOLE_AND_MORE);
    assert_int_equal(grammar_check_text(buf_text(&gbnf), "5"), FIT_NOT);
    assert_int_equal(grammar_check_text(buf_text(&gbnf), "88"), FIT_NOT);
    buf_done(&gbnf);
}

static char *nest(const char *open, const char *inner, const char *close, int n)
{
    struct buf buf;
    buf_init(&buf);
    for (int i = 0; i < n; i++)
        buf_append_text(&buf, open);
    buf_append_text(&buf, inner);
    for (int i = 0; i < n; i++)
        buf_append_text(&buf, close);
    return buf.data;
}

static void bombs_are_errors(void **state)
{
    (void)state;
    char *deep = nest("{\"type\":\"array\",\"items\":", "{}", "}", 500);
    refuses(deep, "nested");
    free(deep);
    deep = nest("{\"allOf\":[", "{}", "]}", 500);
    refuses(deep, "nested");
    free(deep);

    /* Each level has both of two copies of the next: 2^20 ways. */
    struct buf wide;
    buf_init(&wide);
    buf_append_text(&wide, "{\"$defs\":{\"d20\":{\"type\":\"null\"}");
    for (int i = 0; i < 20; i++)
        buf_append_format(
            &wide, ",\"d%d\":{\"allOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"$ref\":\"#/$defs/d%d\"}]}",
            i, i + 1, i + 1);
    buf_append_text(&wide, "},\"$ref\":\"#/$defs/d0\"}");
    refuses(wide.data, "too many combinations");
    buf_done(&wide);

    buf_init(&wide);
    buf_append_text(&wide, "{\"properties\":{\"a\":{}");
    for (int i = 0; i < 20000; i++)
        buf_append_format(&wide, ",\"p%d\":{\"type\":\"string\"}", i);
    buf_append_text(&wide, "}}");
    refuses(wide.data, "too large");
    buf_done(&wide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_said_is_refused),
        cmocka_unit_test(only_strict_schemas_are_taken_literally),
        cmocka_unit_test(bounds_stay_where_a_multiple_cannot_be_said),
        cmocka_unit_test(bombs_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
