#include "server/answer_parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/tool_format.h"
#include "tests/support/check.h"

/* What came out, as one line: r:thought c:content f(arguments). */
static struct buf seen;
static int last_part = -1;

static void note(void *arg, const struct answer_delta *delta)
{
    (void)arg;
    static const char *const names[] = {"c:", "r:", "", ""};
    bool goes_on = (int)delta->part == last_part && delta->part != ANSWER_CALL;
    if (!goes_on && delta->part != ANSWER_ARGUMENTS && seen.len > 0)
        buf_append_char(&seen, '|');
    if (!goes_on)
        buf_append_text(&seen, names[delta->part]);
    assert_true(delta->len > 0);
    buf_append(&seen, delta->text, delta->len);
    if (delta->part == ANSWER_CALL) {
        assert_non_null(delta->call_id);
        buf_append_char(&seen, ' ');
    }
    last_part = (int)delta->part;
}

static bool is_tool(void *arg, const char *name, size_t len)
{
    (void)arg;
    return len > 0 && name[0] == 'f';
}

/* Feeds the text in pieces of `step` bytes. */
static const char *parse(struct answer_parser_options options, const char *text, size_t step)
{
    struct answer_parser parser;
    buf_clear(&seen);
    last_part = -1;
    options.emit = note;
    options.is_tool = is_tool;
    answer_parser_init(&parser, &options);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i += step)
        answer_parser_push(&parser, text + i, len - i < step ? len - i : step);
    answer_parser_end(&parser);
    assert_false(parser.answer.failed);
    answer_parser_done(&parser);
    return buf_text(&seen);
}

static void check(struct answer_parser_options options, const char *text, const char *expected)
{
    for (size_t step = 1; step <= 7; step++)
        assert_string_equal(parse(options, text, step), expected);
    assert_string_equal(parse(options, text, 1000), expected);
}

static struct answer_parser_options with(const char *format)
{
    struct answer_parser_options options = {.format = tool_format_find(format)};
    assert_non_null(options.format);
    return options;
}

static void thinking_is_split_off(void **state)
{
    (void)state;
    struct answer_parser_options thinks = {.think_open = "<think>", .think_close = "</think>"};
    check(thinks, "Hello <think>", "c:Hello <think>");
    check(thinks, "<think>\nWell, a < b\n\nand so\n</think>\n\nHello\n",
          "r:Well, a < b\n\nand so|c:Hello\n");
    check(thinks, "<think>\n\n</think>\n\nHello", "c:Hello");
    check(thinks, " <thin", "c: <thin");
    check(thinks, "<think>cut </thi", "r:cut </thi");
    check(thinks, "", "");
    thinks.is_thinking = true;
    check(thinks, "I muse</think>Hi", "r:I muse|c:Hi");
    check(thinks, "never ends ", "r:never ends ");
    struct answer_parser_options plain = {0};
    check(plain, "<think>a</think>b", "c:<think>a</think>b");
}

static void hermes_calls(void **state)
{
    (void)state;
    struct answer_parser_options hermes = with("hermes");
    check(hermes, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"}\\\"\"}}\n</tool_call>",
          "f {\"x\": \"}\\\"\"}");
    check(hermes,
          "Let me see.\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n"
          "<tool_call>{\"name\":\"g\",\"arguments\":{\"a\":[1,{}]}}</tool_call>\n",
          "c:Let me see.|f {}|g {\"a\":[1,{}]}");
    /* Another order, arguments as text, another key, a brace too few. */
    check(hermes, "<tool_call>{\"arguments\": {\"x\": 1}, \"name\": \"f\"}</tool_call>",
          "f {\"x\":1}");
    check(hermes, "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"x\\\": 1}\"}</tool_call>",
          "f {\"x\":1}");
    check(hermes, "<tool_call>{\"name\": \"f\", \"parameters\": {\"x\": 1}}</tool_call>",
          "f {\"x\": 1}");
    check(hermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}</tool_call>ok",
          "f {\"x\": 1}|c:ok");
    check(hermes, "<tool_call>{\"name\": \"f\"}</tool_call>", "f {}");
    /* The end comes early. */
    check(hermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}", "f {\"x\": 1}");
    check(hermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1", "f {\"x\": 1");
}

static void what_is_no_call_is_content(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a <tool",
        "<<tool_call",
        "<tool_call>{\"name\": \"f\"",
        "<tool_call>no JSON</tool_call> more",
        "<tool_call>[]</tool_call>",
        "<tool_call>{\"name\": 5, \"arguments\": {}}</tool_call>",
        "  x \n\n y ",
        "<tool_call>",
        "{\"name\": \"f\", \"arguments\": {}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char expected[200] = "c:";
        strncat(expected, texts[i], 190);
        check(with("hermes"), texts[i], expected);
    }
    check(with("llama3"), "{\"name\": \"other\", \"parameters\": {}}",
          "c:{\"name\": \"other\", \"parameters\": {}}");
    check(with("llama3"), "{\"a\": 1}", "c:{\"a\": 1}");
    check(with("llama3"), "See {\"name\": \"f\", \"parameters\": {}}",
          "c:See {\"name\": \"f\", \"parameters\": {}}");
    check(with("mistral"), "[TOOL_CALLS] nothing", "c:[TOOL_CALLS] nothing");
}

static void other_formats(void **state)
{
    (void)state;
    check(with("llama3"), "{\"name\": \"f\", \"parameters\": {\"x\": 1}}", "f {\"x\": 1}");
    check(with("llama3"), "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"x\": 1}}",
          "f {\"x\": 1}");
    check(with("llama3"),
          "{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"f2\", \"parameters\": {}}",
          "f {}|f2 {}");
    check(with("llama3"),
          "{\"type\": \"function\", \"name\": \"f\", \"parameters\": {\"x\": 1}}; "
          "{ \"type\":\"function\",\"name\":\"f\",\"parameters\":{}}",
          "f {\"x\": 1}|f {}");
    check(with("llama3"), "{\"type\": \"circle\", \"name\": \"f\", \"parameters\": {}}",
          "c:{\"type\": \"circle\", \"name\": \"f\", \"parameters\": {}}");
    check(with("granite"),
          "Let me see. <|tool_call|>[{\"name\": \"f\", \"arguments\": {\"x\": 1}}, "
          "{\"name\": \"g\", \"arguments\": {}}]",
          "c:Let me see.|f {\"x\": 1}|g {}");
    check(with("granite"), "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
          "f {}");
    check(with("granite"), "<|tool_call|> nothing", "c:<|tool_call|> nothing");
    check(with("mistral"),
          "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"x\": 1}}, "
          "{\"name\": \"g\", \"arguments\": {}}]",
          "f {\"x\": 1}|g {}");
    check(with("mistral"), "[TOOL_CALLS]f[ARGS]{\"x\": 1}[TOOL_CALLS]g{\"y\": 2}",
          "f {\"x\": 1}|g {\"y\": 2}");
    check(with("mistral"), "[TOOL_CALLS]f[CALL_ID]a1B2c3D4e[ARGS]{\"x\": 1}[TOOL_CALLS]g[ARGS]{}",
          "f {\"x\": 1}|g {}");
    check(with("mistral"), "[TOOL_CALLS][{\"arguments\": {\"x\": 1}, \"name\": \"f\"}]",
          "f {\"x\":1}");
    check(
        with("qwen3-coder"),
        "Sure.\n<tool_call>\n<function=f>\n<parameter=path>\na/b\n</parameter>\n<parameter=n>\n5\n"
        "</parameter>\n</function>\n</tool_call>",
        "c:Sure.|f {\"path\":\"a/b\",\"n\":5}");
    check(with("qwen3-coder"), "<function=f>\n<parameter=x>\n1\n2\n</parameter>\n</function>",
          "f {\"x\":\"1\\n2\"}");
    check(with("qwen3-coder"), "<tool_call>\n<function=f", "c:<tool_call>\n<function=f");
    check(with("deepseek"),
          "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"x\": "
          "1}\n```"
          "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
          "f {\"x\": 1}");
    check(with("deepseek"),
          "So: <tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>\n"
          "<tool_call>{\"arguments\": {}, \"name\": \"g\"}</tool_call>",
          "c:So:|f {\"x\": 1}|g {}");
    check(with("deepseek"), "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"x\": 1}<｜tool▁call▁end｜>",
          "f {\"x\": 1}");
}

#define ANALYSIS "<|channel|>analysis<|message|>"
#define FINAL "<|channel|>final<|message|>"
#define NEXT "<|end|><|start|>assistant"

static struct answer_parser_options in_channels(bool has_tools)
{
    return (struct answer_parser_options){
        .think_open = ANALYSIS,
        .think_close = "<|end|>",
        .has_channels = true,
        .format = has_tools ? tool_format_find("harmony") : NULL,
    };
}

static void messages_of_harmony(void **state)
{
    (void)state;
    struct answer_parser_options plain = in_channels(false);
    check(plain, ANALYSIS "Hm, a < b <|en" NEXT FINAL "Hello!\n", "r:Hm, a < b <|en|c:Hello!\n");
    check(plain, FINAL "Hello", "c:Hello");
    check(plain, "<|message|>Hello", "c:Hello");
    check(plain, "<|channel|>final <|constrain|>json<|message|>{}", "c:{}");
    check(plain, "<|channel|>commentary<|channel|>analysis<|message|>a" NEXT FINAL "b", "r:a|c:b");
    check(plain,
          ANALYSIS "a" NEXT ANALYSIS "b" NEXT "<|channel|>commentary<|message|>c" NEXT FINAL "d",
          "r:a\n\nb|c:c\n\nd");
    /* An end or a header is missing. */
    check(plain, ANALYSIS "a<|channel|>final<|message|>b", "r:a|c:b");
    check(plain, ANALYSIS "a<|start|>assistant" FINAL "b", "r:a|c:b");
    check(plain, "Hello <|x", "c:Hello <|x");
    check(plain, "  \n<|stars|>", "c:  \n<|stars|>");
    check(plain, ANALYSIS "a<|end|>b", "r:a|c:b");
    check(plain, ANALYSIS "a<|e", "r:a<|e");
    check(plain, ANALYSIS "a<|end|><|start|>assi", "r:a");
    check(plain, "<|channel|>fin", "");
    check(plain, "<|chan", "c:<|chan");
    check(plain, "", "");
    /* Without tools nothing is a call. */
    check(plain, " to=functions.f<|channel|>commentary json<|message|>{}", "c:{}");

    struct answer_parser_options keeps = plain;
    keeps.think_open = NULL;
    check(keeps, ANALYSIS "a" NEXT FINAL "b", "c:a\n\nb");
    struct answer_parser_options goes_on = plain;
    goes_on.is_continued = true;
    check(goes_on, " and more<|end|>", "c: and more");
    check(goes_on, ANALYSIS "a" NEXT FINAL "b", "r:a|c:b"); /* nothing was said before */
}

/* What begins as a header and is longer than any is text, however it comes. */
static void a_header_that_never_ends_is_text(void **state)
{
    (void)state;
    static const char *const begins[] = {"<|channel|>", "<|start|>", " \n<|start|>", "to="};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        char text[1000], expected[1100];
        snprintf(text, sizeof text, "%s%0700d", begins[i], 0);
        snprintf(expected, sizeof expected, "c:%s", text);
        check(in_channels(true), text, expected);
        snprintf(text, sizeof text, FINAL "a%s%0700d", begins[i], 0);
        snprintf(expected, sizeof expected, "c:a%s%0700d", begins[i], 0);
        check(in_channels(true), text, expected);
        snprintf(text, sizeof text, ANALYSIS "a<|end|>%s%0700d" NEXT FINAL "b", begins[i], 0);
        snprintf(expected, sizeof expected, "r:a|c:%s%0700d\n\nb", begins[i], 0);
        check(in_channels(true), text, expected);
    }
    for (int len = 490; len < 530; len++) {
        char text[1200], whole[1200];
        snprintf(text, sizeof text, "<|channel|>%0*d<|message|>a", len, 0);
        snprintf(whole, sizeof whole, "%s", parse(in_channels(true), text, sizeof text));
        assert_int_equal(strcmp(whole, "c:a") != 0, len > 512 - (int)strlen("<|channel|>"));
        check(in_channels(true), text, whole);
    }
}

static void calls_of_harmony(void **state)
{
    (void)state;
    struct answer_parser_options tools = in_channels(true);
    check(tools, "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"x\": 1}",
          "f {\"x\": 1}");
    check(tools, " to=functions.f<|channel|>commentary json<|message|>{\"x\": \"<|\"}",
          "f {\"x\": \"<|\"}");
    check(tools, ANALYSIS "a" NEXT " to=functions.f<|channel|>commentary json<|message|>{}",
          "r:a|f {}");
    check(tools, ANALYSIS "a" NEXT "<|channel|>commentary to=functions.f<|message|>{}", "r:a|f {}");
    check(tools, "<|channel|>analysis to=functions.g code<|message|>{}", "g {}");
    check(tools,
          "<|channel|>commentary<|message|>Let me see." NEXT
          "<|channel|>commentary to=functions.f json<|message|>{\"x\": 1}" NEXT
          "<|channel|>commentary to=functions.g json<|message|>{}" NEXT FINAL "Done",
          "c:Let me see.|f {\"x\": 1}|g {}|c:\n\nDone");
    check(tools, "<|channel|>commentary to=functions.f json<|message|>", "f {}");
    check(tools, "<|channel|>commentary to=functions.<|message|>{}", "c:{}");
    check(tools, "<|channel|>analysis to=python code<|message|>1 + 1", "r:1 + 1");
    check(tools, "<|channel|>commentary to=functions.f", "");
}

static void formats_of_lists(void **state)
{
    (void)state;
    check(with("command-r"),
          "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": "
          "{\"x\": 1}},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"g\", \"parameters\": {}}\n"
          "]<|END_ACTION|>",
          "f {\"x\": 1}|g {}");
    check(with("command-r"),
          "<|START_ACTION|>[{\"parameters\":{\"x\":1},\"tool_name\":\"f\"}]<|END_ACTION|>",
          "f {\"x\":1}");
    check(with("command-r"), "<|START_RESPONSE|>Hello [you].<|END_RESPONSE|>", "c:Hello [you].");
    check(with("phi4"), "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"x\": 1}}]<|/tool_call|>",
          "f {\"x\": 1}");
    check(with("phi4"), "<|tool_call|>{\"name\": \"f\", \"arguments\": {}}<|/tool_call|>ok",
          "f {}|c:ok");
    check(with("phi4"),
          "functools[{\"name\": \"f\", \"arguments\": {\"x\": 1}}, {\"name\": \"g\", "
          "\"arguments\": {}}]",
          "f {\"x\": 1}|g {}");
    check(with("functools"), "So: functools[{\"name\": \"f\", \"arguments\": {\"x\": 1}}]",
          "c:So:|f {\"x\": 1}");
    check(with("functools"), "use functools.wraps(f), functools",
          "c:use functools.wraps(f), functools");
    check(with("nemotron"), "<TOOLCALL>[{\"name\": \"f\", \"arguments\": {\"x\": 1}}]</TOOLCALL>",
          "f {\"x\": 1}");
    check(with("apriel"),
          "<tool_calls>[{\"name\": \"f\", \"arguments\": {\"x\": 1}, \"id\": "
          "\"call_1\"}]</tool_calls>",
          "f {\"x\": 1}");
}

static void formats_of_names(void **state)
{
    (void)state;
    check(with("kimi"),
          "I look.<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0"
          "<|tool_call_argument_begin|>{\"x\": 1}<|tool_call_end|><|tool_call_begin|>functions.g:1"
          "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
          "c:I look.|f {\"x\": 1}|g {}");
    check(with("deepseek-v3.1"),
          "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"x\": 1}<｜tool▁call▁end｜>"
          "<｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
          "f {\"x\": 1}|g {}");
    check(with("functionary-v3.1"), "Well. <function=f>{\"x\": 1}</function>",
          "c:Well.|f {\"x\": 1}");
    check(with("functionary-v3.1"), "<function=f>x</function>", "c:<function=f>x</function>");
}

/* The prompt's end has the first opening mark. */
static void calls_may_be_opened_by_the_prompt(void **state)
{
    (void)state;
    struct answer_parser_options functionary = with("functionary");
    check(functionary, "f\n{\"x\": 1}", "f {\"x\": 1}");
    check(functionary, "f\n{\"x\": 1}\n>>>f2\n{}", "f {\"x\": 1}|f2 {}");
    check(functionary, "all\nHello\nyou", "c:Hello\nyou");
    check(functionary, "all\nI look.\n>>>f\n{}", "c:I look.|f {}");
    check(functionary, "f\n{}\n>>>all\nDone.", "f {}|c:Done.");
    check(functionary, "all\n>>> print(1)\n1\n>>>", "c:>>> print(1)\n1\n>>>");
    check(functionary, "all\n>>>g\n{}", "c:>>>g\n{}");
    check(functionary, "Hello you", "c:Hello you");
    check(functionary, "{\"x\": 1}", "c:{\"x\": 1}");
    check(functionary, "blue", "c:blue");
    check(functionary, "", "");
}

static void calls_in_python(void **state)
{
    (void)state;
    struct answer_parser_options python = with("pythonic");
    check(python, "[f(city=\"Paris\", n=1), fg()]", "f {\"city\": \"Paris\", \"n\": 1}|fg {}");
    check(python, "<|python_start|>[f(a=True)]<|python_end|>", "f {\"a\": true}");
    check(python, " [ f(\n  a = 'x)]'\n) ]\n", "f {\"a\": \"x)]\"}");
    check(python, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "f {\"a\": 1}");
    check(python, "f(a=1)", "c:f(a=1)");
    check(python, "[1, 2]", "c:[1, 2]");
    check(python, "[other(a=1)]", "c:[other(a=1)]");
    check(python, "[f(a)]", "c:[f(a)]");
    check(python, "[f](http)", "c:[f](http)");
    check(python, "[f", "c:[f");
    check(python, "[f(a=1 2)] so", "f {\"a\": 1}|c:2)] so");
    check(python, "[f(a=\"cut", "f {\"a\": \"cut");
    check(with("llama3"), "[f(a=1)]", "f {\"a\": 1}");
    check(with("llama3"), "[f] and", "c:[f] and");
    struct answer_parser_options lfm2 = with("lfm2");
    check(lfm2, "I look.<|tool_call_start|>[g(a=[1]), f(b='')]<|tool_call_end|>Done",
          "c:I look.|g {\"a\": [1]}|f {\"b\": \"\"}|c:Done");
    check(lfm2, "<|tool_call_start|>f(a=1)<|tool_call_end|>", "f {\"a\": 1}");
    check(lfm2, "[f(a=1)]", "c:[f(a=1)]");
    check(lfm2, "<|tool_call_start|>[no]<|tool_call_end|>",
          "c:<|tool_call_start|>[no]<|tool_call_end|>");
}

#define S(text) "<|\"|>" text "<|\"|>"

static void calls_of_gemma(void **state)
{
    (void)state;
    struct answer_parser_options gemma = with("gemma4");
    check(gemma, "<|tool_call>call:f{city:" S("Rome}<tool_call|>") ",n:3}<tool_call|>",
          "f {\"city\": \"Rome}<tool_call|>\", \"n\": 3}");
    check(gemma,
          "I look.\n<|tool_call>call:f{}<tool_call|><|tool_call>call:g-h.i{a:[1]}<tool_call|>",
          "c:I look.|f {}|g-h.i {\"a\": [1]}");
    check(gemma, "<|tool_call> call: f {a:1} <tool_call|> Done", "f {\"a\": 1}|c: Done");
    check(gemma, "<|tool_call>call:f{a:1", "f {\"a\": ");
    check(gemma, "<|tool_call>call:f{a:1 <tool_call|>So", "f {\"a\": 1}|c:So");
    check(gemma, "<|tool_call>f{a:1}<tool_call|>", "c:<|tool_call>f{a:1}<tool_call|>");
    check(gemma, "<|tool_call>call:f", "c:<|tool_call>call:f");
    check(gemma, "call:f{a:1}", "c:call:f{a:1}");
    check(with("functiongemma"),
          "<start_function_call>call:f{city:<escape>Rome<escape>}<end_function_call>",
          "f {\"city\": \"Rome\"}");
    gemma.think_open = "<|channel>thought";
    gemma.think_close = "<channel|>";
    check(gemma, "<|channel>thought\nRome?\n<channel|><|tool_call>call:f{}<tool_call|>",
          "r:Rome?|f {}");
}

static void formats_of_elements(void **state)
{
    (void)state;
    check(
        with("seed"),
        "<seed:tool_call>\n<function=f>\n<parameter=x>a b</parameter>\n<parameter=y>1</parameter>\n"
        "</function>\n</seed:tool_call>",
        "f {\"x\":\"a b\",\"y\":1}");
    check(
        with("minimax"),
        "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"x\">a</parameter>\n</invoke>\n"
        "<invoke name=\"g\">\n</invoke>\n</minimax:tool_call>",
        "f {\"x\":\"a\"}|g {}");
    check(with("glm"),
          "Yes.\n<tool_call>f\n<arg_key>x</arg_key>\n<arg_value>a\nb</arg_value>\n<arg_key>y</"
          "arg_key>\n"
          "<arg_value>[1]</arg_value>\n</tool_call>\n<tool_call>g\n</tool_call>",
          "c:Yes.|f {\"x\":\"a\\nb\",\"y\":[1]}|g {}");
    check(with("glm"), "<tool_call>f<arg_key>x</arg_key><arg_value>1</arg_value></tool_call>",
          "f {\"x\":1}");
    check(with("glm"), "<tool_call>no call</tool_call>", "c:<tool_call>no call</tool_call>");
}

/* What cannot become a call is not held back until the answer's end. */
static void words_behind_a_mark_come_as_they_are_said(void **state)
{
    (void)state;
    struct answer_parser parser;
    struct answer_parser_options options = with("mistral");
    options.emit = note;
    buf_clear(&seen);
    last_part = -1;
    answer_parser_init(&parser, &options);
    answer_parser_push(&parser, "[TOOL_CALLS] nothing, and ", 26);
    assert_string_equal(buf_text(&seen), "c:[TOOL_CALLS] nothing, and");
    answer_parser_push(&parser, "[TOOL_CALLS]f[ARGS]{}", 21);
    answer_parser_end(&parser);
    assert_string_equal(buf_text(&seen), "c:[TOOL_CALLS] nothing, and|f {}");
    answer_parser_done(&parser);
}

static void thinking_and_calls_go_together(void **state)
{
    (void)state;
    struct answer_parser_options both = with("hermes");
    both.think_open = "<think>";
    both.think_close = "</think>";
    check(both,
          "<think>\nhm "
          "<tool_call>\n</think>\n\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>",
          "r:hm <tool_call>|f {}");
}

static void formats_are_told_from_the_template(void **state)
{
    (void)state;
    static const struct {
        const char *template, *name;
    } cases[] = {
        {"", "hermes"},
        {"{{ messages }} [TOOL_CALLS]", "mistral"},
        {"{% if tools %}<tool_call>", "hermes"},
        {"{% if tools %}write <|tool_call|> and a JSON list of the tools used", "granite"},
        {"{% if tools %}<tool_call>\\n<function=x>\\n<parameter=", "qwen3-coder"},
        {"{% if tools %}<seed:tool_call>\\n<function=x>\\n<parameter=", "seed"},
        {"{% if tools %}<function=x>{}</function>", "functionary-v3.1"},
        {"'>>>all\\n' + message['content']", "functionary"},
        {"{% if tools %}<|tool_call|> <|/tool_call|> <|tool|> <|/tool|>", "phi4"},
        {"formatted as functools[{\"name\"", "functools"},
        {"<|START_ACTION|> \"parameters\":", "command-r"},
        {"<TOOLCALL>", "nemotron"},
        {"<tool_calls>", "apriel"},
        {"<|tool_call_begin|><|tool_call_argument_begin|>", "kimi"},
        {"<tool_call>{name}<arg_key>", "glm"},
        {"'<minimax:tool_call>'", "minimax"},
        {"{% if tools %}{\"name\": function name, \"parameters\": dictionary} <|python_tag|>",
         "llama3"},
        {"{% for tool in tools %}<｜tool▁call▁begin｜>\\n```json\\n", "deepseek"},
        {"{% for tool in tools %}<｜tool▁call▁begin｜>", "deepseek-v3.1"},
        {"[func_name1(params_name1=params_value1)] \"parameters\":", "pythonic"},
        {"\"List of tools: <|tool_list_start|>[\"", "lfm2"},
        {"\"<|tool_call_start|>[\"", "lfm2"},
        {"\"List of tools: [\"", "lfm2"},
        {"{{- '<|tool_call>call:' + function['name'] + '{' -}}", "gemma4"},
        {"'<start_function_call>call:'", "functiongemma"},
    };
    for (size_t i = 1; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text = cases[i].template;
        char with_tools[300] = "tools ";
        strncat(with_tools, text, 200);
        assert_string_equal(tool_format_detect(with_tools, strlen(with_tools))->name,
                            cases[i].name);
    }
    assert_string_equal(tool_format_detect("", 0)->name, "hermes");
    assert_false(tool_format_template_has_tools("{{ messages }}", 14));
    assert_null(tool_format_find("none such"));
}

static int forget_seen(void **state)
{
    (void)state;
    buf_done(&seen);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thinking_is_split_off),
        cmocka_unit_test(hermes_calls),
        cmocka_unit_test(what_is_no_call_is_content),
        cmocka_unit_test(other_formats),
        cmocka_unit_test(formats_of_lists),
        cmocka_unit_test(messages_of_harmony),
        cmocka_unit_test(a_header_that_never_ends_is_text),
        cmocka_unit_test(calls_of_harmony),
        cmocka_unit_test(calls_of_gemma),
        cmocka_unit_test(formats_of_names),
        cmocka_unit_test(calls_may_be_opened_by_the_prompt),
        cmocka_unit_test(calls_in_python),
        cmocka_unit_test(formats_of_elements),
        cmocka_unit_test(words_behind_a_mark_come_as_they_are_said),
        cmocka_unit_test(thinking_and_calls_go_together),
        cmocka_unit_test(formats_are_told_from_the_template),
    };
    return cmocka_run_group_tests(tests, NULL, forget_seen);
}
