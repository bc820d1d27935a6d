/* test_tool_request.c - the tools of a request, and which of them may be used. */
#include "server/tool_request.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/chat_request_check.h"
#include "tests/support/check.h"

#define TOOL(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"

static void tools_are_those_that_may_be_used(void **state)
{
    (void)state;
    static const struct {
        const char *choice;
        enum tool_choice expected;
        size_t n;
    } cases[] = {
        {"null", TOOL_CHOICE_AUTO, 2},
        {"\"auto\"", TOOL_CHOICE_AUTO, 2},
        {"\"none\"", TOOL_CHOICE_AUTO, 0},
        {"\"required\"", TOOL_CHOICE_REQUIRED, 2},
        {"{\"type\":\"function\",\"function\":{\"name\":\"g\"}}", TOOL_CHOICE_NAMED, 1},
        {"{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":[" TOOL(
             "g") "]}}",
         TOOL_CHOICE_REQUIRED, 1},
        {"{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":"
         "\"g\"}]}",
         TOOL_CHOICE_AUTO, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[1000];
        snprintf(fields, sizeof fields,
                 "\"tools\":[" TOOL("f") "," TOOL("g") "],\"tool_choice\":%s", cases[i].choice);
        if (!parse_chat_with(fields))
            fail_msg("%s: %s", fields, refusal.message);
        const struct tool_request *tools = &parsed.generation.tools;
        assert_int_equal(tools->choice, cases[i].expected);
        assert_int_equal(tools->n, cases[i].n);
        assert_int_equal(tool_request_has(tools, "g", 1), cases[i].n > 0);
        assert_int_equal(tool_request_has(tools, "f", 1), cases[i].n > 1);
        assert_int_equal(tools->json != NULL, cases[i].n > 0);
        /* What the model reads stays the same, whatever the choice. */
        assert_true(tools->json == NULL || strstr(tools->json, "\"f\"") != NULL);
        chat_request_done(&parsed);
    }
}

static void wrong_tools_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *code, *param;
    } cases[] = {
        {"\"tools\":{}", "invalid_type", "tools"},
        {"\"tools\":[1]", "invalid_type", "tools[0]"},
        {"\"tools\":[{}]", "missing_required_parameter", "tools[0].type"},
        {"\"tools\":[{\"type\":\"custom\"}]", "unsupported_value", "tools[0].type"},
        {"\"tools\":[{\"type\":\"function\"}]", "missing_required_parameter", "tools[0].function"},
        {"\"tools\":[" TOOL("f") ",{\"type\":\"function\",\"function\":{}}]",
         "missing_required_parameter", "tools[1].function.name"},
        {"\"tools\":[" TOOL("a b") "]", "invalid_value", "tools[0].function.name"},
        {"\"tools\":[" TOOL("") "]", "invalid_value", "tools[0].function.name"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}]",
         "invalid_type", "tools[0].function.parameters"},
        {"\"tool_choice\":\"required\"", "invalid_value", "tool_choice"},
        {"\"tool_choice\":\"sometimes\"", "invalid_value", "tool_choice"},
        {"\"tool_choice\":5", "invalid_value", "tool_choice"},
        {"\"tools\":[" TOOL(
             "f") "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}",
         "invalid_value", "tool_choice"},
        {"\"tools\":[" TOOL(
             "f") "],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[]}",
         "invalid_value", "tool_choice"},
        {"\"parallel_tool_calls\":\"yes\"", "invalid_type", "parallel_tool_calls"},
        {"\"chat_template_kwargs\":[]", "invalid_type", "chat_template_kwargs"},
        {"\"reasoning_effort\":1", "invalid_type", "reasoning_effort"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(parse_chat_with(cases[i].fields), cases[i].code, cases[i].param);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tools_are_those_that_may_be_used),
        cmocka_unit_test(wrong_tools_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
