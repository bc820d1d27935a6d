#include "tests/core/text/grammar_check.h"

#include <jansson.h>

#include "core/base/buf.h"
#include "server/answer_grammar.h"
#include "server/api_error.h"
#include "server/tool_format.h"
#include "server/tool_grammar.h"
#include "server/tool_request.h"

/* Two functions, the first of which takes {"a": 1} and nothing else. */
static const char TOOLS[] =
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,"
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"],"
    "\"additionalProperties\":false}}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]";

static void read_tools(const char *more, struct tool_request *out)
{
    char body[1024];
    struct api_error error;
    snprintf(body, sizeof body, "{%s%s}", TOOLS, more);
    json_t *parsed = json_loads(body, 0, NULL);
    assert_true(tool_request_read(parsed, out, &error));
    json_decref(parsed);
}

static enum grammar_fit fit_answer(const struct answer_frame *frame, const char *text)
{
    struct buf gbnf;
    struct err err;
    buf_init(&gbnf);
    assert_true(answer_grammar_write(frame, &gbnf, &err));
    buf_append_text(&gbnf, "answer ::= \"{\" [0-9]+ \"}\"\n");
    enum grammar_fit is = grammar_check_text(buf_text(&gbnf), text);
    buf_done(&gbnf);
    return is;
}

static enum grammar_fit fit_calls(const struct answer_frame *frame, const char *text)
{
    struct buf gbnf;
    struct err err;
    buf_init(&gbnf);
    assert_true(answer_grammar_write_calls(frame, &gbnf, &err));
    enum grammar_fit is = grammar_check_text(buf_text(&gbnf), text);
    buf_done(&gbnf);
    return is;
}

static void thoughts_may_come_first_where_there_are_any(void **state)
{
    (void)state;
    const struct answer_frame plain = {0};
    const struct answer_frame thinking = {.think_open = "<think>", .think_close = "</think>"};
    assert_int_equal(fit_answer(&plain, "{1}"), FIT_WHOLE);
    assert_int_equal(fit_answer(&plain, "<think>a</think>{1}"), FIT_NOT);
    assert_int_equal(fit_answer(&thinking, "{1}"), FIT_WHOLE);
    assert_int_equal(fit_answer(&thinking, "<think>\n{ a < b </thin\n</think>\n\n{1}"), FIT_WHOLE);
    assert_int_equal(fit_answer(&thinking, "<think>a"), FIT_BEGINNING);
    assert_int_equal(fit_answer(&thinking, "<think></think>{x"), FIT_NOT);
    assert_int_equal(fit_answer(&thinking, "<think>a</think><think>b</think>"), FIT_NOT);
    assert_int_equal(fit_answer(&thinking, "a</think>{1}"), FIT_NOT);
}

/* One call as each format has it, and what stands between two. */
static const struct {
    const char *format, *call, *other, *between;
} calls[] = {
    {"hermes", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>",
     "<tool_call>{\"name\":\"g\",\"arguments\":{\"x\":[]}}</tool_call>", "\n"},
    {"mistral", "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}]",
     "[TOOL_CALLS][{\"name\": \"g\", \"arguments\": {}}]", ""},
    {"granite", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]",
     "<tool_call>[{\"name\": \"g\", \"arguments\": {}}]", ""},
    {"llama3", "{\"name\": \"f\", \"parameters\": {\"a\": 1}}",
     "<|python_tag|>{\"name\": \"g\", \"parameters\": {}}", "\n"},
    {"qwen3-coder",
     "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n"
     "</tool_call>",
     "<function=g>\n</function>\n</tool_call>", "\n"},
    {"deepseek",
     "<\xEF\xBD\x9Ctool\xE2\x96\x81"
     "calls\xE2\x96\x81"
     "begin\xEF\xBD\x9C>"
     "<\xEF\xBD\x9Ctool\xE2\x96\x81"
     "call\xE2\x96\x81"
     "begin\xEF\xBD\x9C>"
     "function<\xEF\xBD\x9Ctool\xE2\x96\x81sep\xEF\xBD\x9C>f\n```json\n{\"a\": 1}\n```",
     "<\xEF\xBD\x9Ctool\xE2\x96\x81"
     "call\xE2\x96\x81"
     "begin\xEF\xBD\x9C>"
     "function<\xEF\xBD\x9Ctool\xE2\x96\x81sep\xEF\xBD\x9C>g\n```json\n{}\n```",
     "\n"},
    {"deepseek-v3.1",
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜>"
     "<｜tool▁calls▁end｜>",
     "<｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "\n"},
    {"kimi",
     "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>"
     "{\"a\": 1}<|tool_call_end|><|tool_calls_section_end|>",
     "<|tool_call_begin|>functions.g:0<|tool_call_argument_begin|>{}<|tool_call_end|>"
     "<|tool_calls_section_end|>",
     "\n"},
    {"command-r",
     "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": "
     "{\"a\": 1}}\n]<|END_ACTION|>",
     "<|START_ACTION|>[{\"tool_call_id\": \"0\",\"tool_name\": \"g\",\"parameters\": {}}]"
     "<|END_ACTION|>",
     "\n"},
    {"phi4", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]<|/tool_call|>",
     "functools[{\"name\": \"g\", \"arguments\": {}}]<|/tool_call|>", "\n"},
    {"functools", "functools[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]",
     "functools[{\"name\":\"g\",\"arguments\":{}}]", "\n"},
    {"nemotron", "<TOOLCALL>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]</TOOLCALL>",
     "<TOOLCALL>[{\"name\":\"g\",\"arguments\":{}}]</TOOLCALL>", "\n"},
    {"apriel", "<tool_calls>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]</tool_calls>",
     "<tool_calls>[{\"name\":\"g\",\"arguments\":{}}]</tool_calls>", "\n"},
    {"functionary-v3.1", "<function=f>{\"a\": 1}</function>", "<function=g>{}</function>", "\n"},
    {"seed",
     "<seed:tool_call>\n<function=f>\n<parameter=a>1</parameter>\n</function>\n</seed:tool_call>",
     "<seed:tool_call><function=g></function></seed:tool_call>", "\n"},
    {"minimax",
     "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"a\">1</parameter>\n</invoke>\n"
     "</minimax:tool_call>",
     "<minimax:tool_call><invoke name=\"g\"><parameter name=\"x\">y z</parameter></invoke>"
     "</minimax:tool_call>",
     "\n"},
    {"glm", "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
     "<tool_call>g\n</tool_call>", "\n"},
    {"pythonic", "[f(a=1)]", "<|python_start|>[g(x=[1], y=\"z\")]", "\n"},
    {"lfm2", "<|tool_call_start|>[f(a=1)]<|tool_call_end|>",
     "<|tool_call_start|>[g()]<|tool_call_end|>", "\n"},
    {"gemma4", "<|tool_call>call:f{a:1}<tool_call|>",
     "<|tool_call>call:g{x:<|\"|>y}<|\"|>,z:[1]}<tool_call|>", ""},
    {"functiongemma", "<start_function_call>call:f{a:1}<end_function_call>",
     "<start_function_call>call:g{x:<escape>y<escape>}<end_function_call>", ""},
};
enum { N_CALLS = sizeof calls / sizeof calls[0] };

static void check_fit(const struct answer_frame *frame, const char *a, const char *b, const char *c,
                      enum grammar_fit expected)
{
    char text[1024];
    snprintf(text, sizeof text, "%s%s%s", a, b, c);
    if (fit_calls(frame, text) != expected)
        fail_msg("%s: %s", frame->calls->name, text);
}

static void one_call_is_one_in_every_format(void **state)
{
    (void)state;
    struct tool_request tools;
    read_tools(",\"parallel_tool_calls\":false", &tools);
    for (size_t i = 0; i < N_CALLS; i++) {
        const struct answer_frame frame = {.tools = &tools,
                                           .calls = tool_format_find(calls[i].format)};
        bool is_bare = frame.calls->open == NULL;
        assert_true(tool_grammar_is_needed(&tools, frame.calls));
        check_fit(&frame, "", "Hello [1] < 2", "", FIT_WHOLE_AND_MORE);
        check_fit(&frame, calls[i].call, "", "", FIT_WHOLE);
        check_fit(&frame, calls[i].other, "", "", FIT_WHOLE);
        check_fit(&frame, "Let me see. ", calls[i].other, "", FIT_WHOLE);
        check_fit(&frame, calls[i].call, calls[i].between, calls[i].other, FIT_NOT);
        if (frame.calls->told != NULL) /* which has no grammar */
            check_fit(&frame, "So: ", frame.calls->told->open, "", FIT_NOT);
        if (!is_bare)
            check_fit(&frame, "Let me see.\n\n", calls[i].call, "", FIT_WHOLE);
    }
    tool_request_done(&tools);
}

/* The prompt's end has the first opening mark. */
static void a_call_may_be_opened_by_the_prompt(void **state)
{
    (void)state;
    struct tool_request tools;
    read_tools("", &tools);
    const struct answer_frame frame = {.tools = &tools, .calls = tool_format_find("functionary")};
    check_fit(&frame, "all\nHello > you", "", "", FIT_WHOLE_AND_MORE);
    check_fit(&frame, "Hello", "", "", FIT_NOT);
    check_fit(&frame, "f\n{\"a\": 1}", "", "", FIT_WHOLE_AND_MORE);
    check_fit(&frame, "f\n{\"a\": 2", "", "", FIT_NOT);
    check_fit(&frame, "f\n{\"a\": 1}", "\n>>>g\n", "{}", FIT_WHOLE_AND_MORE);
    check_fit(&frame, "all\nWell. ", ">>>f\n{\"a\": 1}", "", FIT_WHOLE_AND_MORE);
    check_fit(&frame, "all\nWell. ", ">>>f\n{\"a\": 2", "", FIT_NOT);
    tool_request_done(&tools);
    read_tools(",\"parallel_tool_calls\":false", &tools);
    check_fit(&frame, "f\n{\"a\": 1}", "", "", FIT_WHOLE);
    assert_int_equal(fit_answer(&frame, "all\n{1}"), FIT_WHOLE);
    assert_int_equal(fit_answer(&frame, "{1}"), FIT_NOT);
    assert_int_equal(fit_answer(&frame, "f\n{\"a\": 1}"), FIT_WHOLE);
    tool_request_done(&tools);
}

#define ANALYSIS "<|channel|>analysis<|message|>"
#define FINAL "<|channel|>final<|message|>"
#define NEXT "<|end|><|start|>assistant"

#define PREAMBLE "<|channel|>commentary<|message|>So:" NEXT

/* Where all that is said are messages of Harmony. */
static void answers_in_channels(void **state)
{
    (void)state;
    struct answer_frame plain = {.has_channels = true};
    assert_int_equal(fit_answer(&plain, FINAL "{1}"), FIT_WHOLE);
    assert_int_equal(fit_answer(&plain, "<|channel|>final <|constrain|>json<|message|>{1}"),
                     FIT_WHOLE);
    assert_int_equal(fit_answer(&plain, "{1}"), FIT_NOT);
    assert_int_equal(fit_answer(&plain, ANALYSIS), FIT_NOT);
    plain.think_open = ANALYSIS;
    plain.think_close = "<|end|>";
    assert_int_equal(fit_answer(&plain, ANALYSIS "a < <|en" NEXT FINAL "{1}"), FIT_WHOLE);
    assert_int_equal(fit_answer(&plain, ANALYSIS NEXT ANALYSIS "b" NEXT FINAL "{1}"), FIT_WHOLE);
    assert_int_equal(fit_answer(&plain, ANALYSIS "a" NEXT), FIT_BEGINNING);
    assert_int_equal(fit_answer(&plain, ANALYSIS "a" NEXT FINAL "{x"), FIT_NOT);
    assert_int_equal(fit_answer(&plain, "<|channel|>commentary"), FIT_NOT);

    struct tool_request tools;
    read_tools("", &tools);
    const struct answer_frame frame = {.think_open = ANALYSIS,
                                       .think_close = "<|end|>",
                                       .tools = &tools,
                                       .calls = tool_format_find("harmony"),
                                       .has_channels = true};
    static const char AFTER[] = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>";
    static const char BEFORE[] = " to=functions.g<|channel|>commentary json<|message|>";
    assert_true(tool_grammar_is_needed(&tools, frame.calls));
    check_fit(&frame, FINAL "Hello [1] < 2", "", "", FIT_WHOLE_AND_MORE);
    check_fit(&frame, "Hello", "", "", FIT_NOT);
    check_fit(&frame, AFTER, "{\"a\": 1}", "", FIT_WHOLE);
    check_fit(&frame, AFTER, "{\"a\": 2", "", FIT_NOT);
    check_fit(&frame, BEFORE, "{}", "", FIT_WHOLE);
    check_fit(&frame, ANALYSIS "a" NEXT, PREAMBLE, ANALYSIS "b" NEXT, FIT_BEGINNING);
    check_fit(&frame, PREAMBLE, BEFORE, "{}", FIT_WHOLE);
    check_fit(&frame, " to=functions.h", "", "", FIT_NOT);
    assert_int_equal(fit_answer(&frame, ANALYSIS "a" NEXT FINAL "{1}"), FIT_WHOLE);
    assert_int_equal(fit_answer(&frame, PREAMBLE FINAL "{1}"), FIT_NOT);
    assert_int_equal(
        fit_answer(&frame, " to=functions.f<|channel|>commentary<|message|>{\"a\": 1}"), FIT_WHOLE);
    tool_request_done(&tools);
}

static void strict_arguments_fit_their_schema(void **state)
{
    (void)state;
    struct tool_request tools;
    read_tools("", &tools);
    assert_true(tools.has_strict);
    const struct answer_frame frame = {.tools = &tools, .calls = tool_format_find("hermes")};
    assert_true(tool_grammar_is_needed(&tools, frame.calls));
    check_fit(&frame, calls[0].call, "", "", FIT_WHOLE_AND_MORE);
    check_fit(&frame, calls[0].call, "\n", calls[0].other, FIT_WHOLE_AND_MORE);
    check_fit(&frame, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 2", "", "", FIT_NOT);
    check_fit(&frame, "<tool_call>\n{\"name\": \"h", "", "", FIT_NOT);
    tool_request_done(&tools);
}

/* One tool that must be called, with parameters by a schema: what follows its beginning. */
static void check_arguments(const char *format, const char *schema, const char *arguments,
                            enum grammar_fit expected)
{
    struct tool_request tools;
    struct api_error error;
    struct buf gbnf;
    struct err err;
    json_t *body =
        json_pack("{s:s, s:[{s:s, s:{s:s, s:o}}]}", "tool_choice", "required", "tools", "type",
                  "function", "function", "name", "f", "parameters", json_loads(schema, 0, NULL));
    assert_true(tool_request_read(body, &tools, &error));
    buf_init(&gbnf);
    assert_true(tool_grammar_write(&tools, tool_format_find(format), &gbnf, &err));
    if (grammar_check_text(buf_text(&gbnf), arguments) != expected)
        fail_msg("%s: %s", format, arguments);
    buf_done(&gbnf);
    tool_request_done(&tools);
    json_decref(body);
}

static void check_forced(const char *format, const char *arguments, enum grammar_fit expected)
{
    check_arguments(
        format,
        "{\"type\":\"object\",\"properties\":{\"unit\":{\"enum\":[\"C\",\"F\",null]},"
        "\"days\":{\"type\":\"integer\"},\"now\":{\"type\":\"boolean\"},\"at\":{\"anyOf\":[{"
        "\"$ref\":\"#/$defs/place\"},{\"type\":\"null\"}]}},\"required\":[\"unit\",\"now\"],"
        "\"$defs\":{\"place\":{\"type\":\"string\"}}}",
        arguments, expected);
}

static void arguments_in_python_fit_their_schema(void **state)
{
    (void)state;
    check_forced("pythonic", "unit=\"C\", now=True)]", FIT_WHOLE);
    check_forced("pythonic", "unit=None, days=-3, now=False, at=\"a)\\n\")]", FIT_WHOLE);
    check_forced("pythonic", "unit=\"F\", now=True, at=None)]", FIT_WHOLE);
    check_forced("pythonic", "unit=\"K\"", FIT_NOT);
    check_forced("pythonic", "now=True", FIT_NOT);
    check_forced("pythonic", "unit=\"C\")", FIT_NOT);
    check_forced("pythonic", "unit=\"C\", now=true", FIT_NOT);
    check_forced("pythonic", "unit=\"C\", now=True, x", FIT_NOT);
    check_forced("pythonic", "unit=\"C\", days=1.5", FIT_NOT);
    check_forced("pythonic", "unit=\"C\", now=True, at=5", FIT_NOT);
    check_forced("lfm2", "unit=\"C\", now=True)]<|tool_call_end|>", FIT_WHOLE);
}

/* With strings between marks, wherever they are. */
static void arguments_of_gemma_fit_their_schema(void **state)
{
    (void)state;
#define S(text) "<|\"|>" text "<|\"|>"
#define END "}<tool_call|>"
    check_forced("gemma4", "unit:" S("C") ",now:true" END, FIT_WHOLE);
    check_forced("gemma4", "unit:null,days:-3,now:false,at:" S("a}\n\"<|") END, FIT_WHOLE);
    check_forced("gemma4", "unit:" S("F") ",now:true,at:null" END, FIT_WHOLE);
    check_forced("gemma4", "unit:" S("K"), FIT_NOT);
    check_forced("gemma4", "unit:C", FIT_NOT);
    check_forced("gemma4", "unit:\"C\"", FIT_NOT);
    check_forced("gemma4", "now:true", FIT_NOT);
    check_forced("gemma4", "unit:" S("C") ",now:True", FIT_NOT);
    check_forced("gemma4", "unit:" S("C") END, FIT_NOT);
    check_forced("gemma4", "unit:" S("C") ",days:1.5", FIT_NOT);
    check_forced("gemma4", "unit:" S("C") ",now:true,at:5", FIT_NOT);

    static const char NESTED[] =
        "{\"type\":\"object\",\"properties\":{\"list\":{\"type\":\"array\",\"minItems\":1,"
        "\"maxItems\":2,\"items\":{\"type\":\"string\"}},\"any\":{\"type\":\"array\"},"
        "\"map\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}},"
        "\"inner\":{\"type\":[\"object\",\"null\"],\"properties\":{\"s\":{\"type\":\"string\"},"
        "\"self\":{\"$ref\":\"#\"}},\"required\":[\"s\"]}}}";
    check_arguments("gemma4", NESTED, END, FIT_WHOLE);
    check_arguments("gemma4", NESTED, "list:[" S("a") "," S("b") "]" END, FIT_WHOLE);
    check_arguments("gemma4", NESTED, "list:[]", FIT_NOT);
    check_arguments("gemma4", NESTED, "list:[" S("a") "," S("b") ",", FIT_NOT);
    check_arguments("gemma4", NESTED, "list:[\"", FIT_NOT);
    check_arguments("gemma4", NESTED, "any:[1," S("x") ",[]]" END, FIT_WHOLE);
    check_arguments("gemma4", NESTED, "any:[],map:{},inner:null" END, FIT_WHOLE);
    check_arguments("gemma4", NESTED, "map:{k:" S("v") ",l:" S("w") "}" END, FIT_WHOLE);
    check_arguments("gemma4", NESTED, "map:{k:1", FIT_NOT);
    check_arguments("gemma4", NESTED, "inner:{s:" S("v") ",self:{inner:{s:" S("w") "}}}" END,
                    FIT_WHOLE);
    check_arguments("gemma4", NESTED, "inner:{self", FIT_NOT);
    check_arguments("gemma4", NESTED, "inner:{}", FIT_NOT);
#undef S
#undef END
}

static void arguments_in_tags_fit_their_schema(void **state)
{
    (void)state;
#define P(name, value) "<parameter=" name ">\n" value "\n</parameter>\n"
#define END "</function>\n</tool_call>"
    check_forced("qwen3-coder", P("unit", "C") P("now", "true") END, FIT_WHOLE);
    check_forced("qwen3-coder",
                 P("unit", "null") P("days", "7") P("now", "false") P("at", "<b>\n1 </para") END,
                 FIT_WHOLE);
    check_forced("qwen3-coder", "<parameter=unit>F</parameter><parameter=now>true</parameter>" END,
                 FIT_WHOLE);
    check_forced("qwen3-coder", P("unit", "K"), FIT_NOT);
    check_forced("qwen3-coder", P("unit", "\"C\""), FIT_NOT);
    check_forced("qwen3-coder", P("unit", "C") P("days", "x"), FIT_NOT);
    check_forced("qwen3-coder", P("unit", "C") P("now", "True"), FIT_NOT);
    check_forced("qwen3-coder", P("unit", "C") END, FIT_NOT);
    check_forced("qwen3-coder", "<parameter=x", FIT_NOT);
#undef P
#undef END
    check_forced(
        "minimax",
        "<parameter name=\"unit\">C</parameter>\n<parameter name=\"now\">true</parameter>\n"
        "</invoke>\n</minimax:tool_call>",
        FIT_WHOLE);
    check_forced("glm",
                 "<arg_key>unit</arg_key>\n<arg_value>C</arg_value>\n<arg_key>now</arg_key>\n"
                 "<arg_value>true</arg_value>\n</tool_call>",
                 FIT_WHOLE);
    check_forced("glm", "<arg_key>unit</arg_key>\n<arg_value>K", FIT_NOT);
}

static void calls_that_need_no_hold_have_none(void **state)
{
    (void)state;
    struct tool_request tools;
    read_tools(",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}},"
               "\"parallel_tool_calls\":false",
               &tools);
    assert_false(tool_grammar_is_needed(&tools, tool_format_find("hermes"))); /* it is forced */
    tool_request_done(&tools);
    read_tools(
        ",\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":"
        "\"function\",\"name\":\"g\"}]}",
        &tools);
    assert_false(tool_grammar_is_needed(&tools, tool_format_find("hermes"))); /* g is not strict */
    tool_request_done(&tools);
}

/* An answer in JSON, or one call in its place. */
static void a_call_may_stand_for_the_answer(void **state)
{
    (void)state;
    struct tool_request tools;
    read_tools(",\"parallel_tool_calls\":false", &tools);
    for (size_t i = 0; i < N_CALLS; i++) {
        const struct answer_frame frame = {.think_open = "<think>",
                                           .think_close = "</think>",
                                           .tools = &tools,
                                           .calls = tool_format_find(calls[i].format)};
        char text[1024];
        snprintf(text, sizeof text, "<think>x</think>\n%s", calls[i].call);
        assert_int_equal(fit_answer(&frame, "{1}"), FIT_WHOLE);
        assert_int_equal(fit_answer(&frame, calls[i].call), FIT_WHOLE);
        assert_int_equal(fit_answer(&frame, text), FIT_WHOLE);
        assert_int_equal(fit_answer(&frame, "Hello"), FIT_NOT);
    }
    tool_request_done(&tools);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thoughts_may_come_first_where_there_are_any),
        cmocka_unit_test(one_call_is_one_in_every_format),
        cmocka_unit_test(a_call_may_be_opened_by_the_prompt),
        cmocka_unit_test(answers_in_channels),
        cmocka_unit_test(strict_arguments_fit_their_schema),
        cmocka_unit_test(arguments_in_python_fit_their_schema),
        cmocka_unit_test(arguments_of_gemma_fit_their_schema),
        cmocka_unit_test(arguments_in_tags_fit_their_schema),
        cmocka_unit_test(calls_that_need_no_hold_have_none),
        cmocka_unit_test(a_call_may_stand_for_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
