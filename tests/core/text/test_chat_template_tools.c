/* Tools, calls and thoughts in a template's form. */
#include "tests/core/text/chat_template_check.h"

#include <string.h>

static const char CALL_WITH_OBJECT[] =
    "{\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
    "\"arguments\":{\"a\":1}}}]}";

static void tools_that_nest_too_deep_are_the_clients_fault(void **state)
{
    (void)state;
    enum { DEPTH = 500 };
    char tools[2 * DEPTH];
    memset(tools, '[', DEPTH);
    memset(tools + DEPTH, ']', DEPTH);
    const struct chat_message hi = said(CHAT_USER, "Hi");
    const struct chat_render_options options = {.tools = tools, .tools_len = sizeof tools};
    struct chat_template *built_in = NULL;
    assert_true(chat_template_open_named(&built_in, "chatml", NULL));
    struct chat_template *templates[] = {built_in, open_text("{{ messages[0].content }}")};
    for (int i = 0; i < 2; i++) {
        struct err err = {0};
        struct prompt out;
        prompt_init(&out);
        assert_false(chat_template_render(templates[i], &hi, 1, &options, &out, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.text, "the tools: nested too deep"));
        assert_int_equal(out.text.len, 0);
        prompt_done(&out);
        chat_template_close(&templates[i]);
    }
}

static void calls_come_in_the_form_that_a_template_wants(void **state)
{
    (void)state;
    struct chat_message talk[] = {said(CHAT_USER, "q"), called(), said(CHAT_TOOL, "42")};
    talk[2].extra = "{\"tool_call_id\":\"call_1\"}";
    talk[2].extra_len = strlen(talk[2].extra);

    struct chat_template *template = open_file("thinking"); /* arguments as an object */
    check(template, talk, 3, NULL,
          "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{\"name\": \"f\", "
          "\"arguments\": {\"a\": 1}}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\n"
          "42\n</tool_response><|im_end|>\n<|im_start|>assistant\n");
    chat_template_close(&template);

    template = open_file("opened"); /* as text */
    check(template, talk, 3, NULL,
          "<s><|User|>q<|Assistant|><|calls|><|call|>function<|sep|>f\n```json\n{\"a\": 1}\n```"
          "<|/call|><|outputs|><|output|>42<|/output|><|/outputs|>");
    chat_template_close(&template);

    template = open_file("strict"); /* an id of nine digits, the same in both places */
    struct prompt out;
    const struct chat_render_options options = {
        .add_generation_prompt = true, .tools = TOOLS, .tools_len = strlen(TOOLS)};
    prompt_init(&out);
    assert_true(chat_template_render(template, talk, 3, &options, &out, NULL));
    const char *id = strstr(buf_text(&out.text), "\"id\": \"");
    const char *call_id = strstr(buf_text(&out.text), "\"call_id\": \"");
    assert_non_null(id);
    assert_non_null(call_id);
    assert_memory_equal(id + strlen("\"id\": \""), call_id + strlen("\"call_id\": \""), 9);
    assert_non_null(strstr(buf_text(&out.text), "[AVAILABLE_TOOLS] [{\"type\": \"function\""));
    prompt_done(&out);
    chat_template_close(&template);
}

/* The server has made objects of arguments that are JSON. */
static void arguments_come_in_either_form(void **state)
{
    (void)state;
    struct chat_message talk[] = {said(CHAT_USER, "q"), called(), said(CHAT_USER, "r")};
    talk[1].extra = CALL_WITH_OBJECT;
    talk[1].extra_len = strlen(CALL_WITH_OBJECT);
    struct chat_template *template =
        open_text("{% for m in messages %}<{{ m.role }}>{{ m.content or '' }}{% for c in "
                  "m.tool_calls or [] %}[{{ c.function.name + c.function.arguments }}]{% endfor %}"
                  "{% endfor %}");
    check(template, talk, 3, NULL, "<user>q<assistant>[f{\"a\": 1}]<user>r");
    chat_template_close(&template);
    template = open_text("{% for m in messages %}<{{ m.role }}>{{ m.content or '' }}{% for c in "
                         "m.tool_calls or [] %}[{{ c.function.arguments.items() | list }}]"
                         "{% endfor %}{% endfor %}");
    check(template, talk, 3, NULL, "<user>q<assistant>[[('a', 1)]]<user>r");
    chat_template_close(&template);
}

/* A call comes without words, and templates say "None" of none. */
static void a_call_says_nothing_more(void **state)
{
    (void)state;
    const struct chat_message talk[] = {said(CHAT_USER, "q"), called(), said(CHAT_USER, "r")};
    struct chat_template *template =
        open_text("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in "
                  "m.tool_calls or [] %}[{{ c.function.name }}{{ c.function.arguments | tojson }}]"
                  "{% endfor %}{% endfor %}");
    check(template, talk, 3, NULL, "<user>q<assistant>[f{\"a\": 1}]<user>r");
    chat_template_close(&template);
    template = open_text("{% for m in messages %}<{{ m.role }}>{% if m.content is none %}{% for c "
                         "in m.tool_calls %}[{{ c.function.name }}{{ c.function.arguments | tojson "
                         "}}]{% endfor %}{% else %}{{ m.content }}{% endif %}{% endfor %}");
    check(template, talk, 3, NULL, "<user>q<assistant>[f{\"a\": 1}]<user>r");
    chat_template_close(&template);
}

/* gpt-oss's template says one of both before a call, and refuses to choose. */
static void thoughts_have_the_name_that_a_template_knows(void **state)
{
    (void)state;
    static const char TEXT[] =
        "{% for m in messages %}{% if m.tool_calls %}"
        "{% if m.content and m.thinking %}{{ raise_exception('both') }}{% endif %}"
        "{% if m.thinking or m.content %}<a>{{ m.thinking or m.content }}{% endif %}"
        "<call>{{ m.tool_calls[0].function.name }}{{ m.tool_calls[0].function.arguments | tojson }}"
        "{% else %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}";
    struct chat_template *template = open_text(TEXT);
    struct chat_message messages[] = {said(CHAT_USER, "Hi"), called(), said(CHAT_TOOL, "21")};
    check(template, messages, 3, NULL, "<user>Hi<call>f{\"a\": 1}<tool>21");
    messages[1].content = "Let me see.";
    messages[1].len = strlen(messages[1].content);
    check(template, messages, 3, NULL, "<user>Hi<a>Let me see.<call>f{\"a\": 1}<tool>21");
    messages[1].reasoning = "I should.";
    messages[1].reasoning_len = strlen(messages[1].reasoning);
    check(template, messages, 3, NULL, "<user>Hi<a>I should.<call>f{\"a\": 1}<tool>21");
    chat_template_close(&template);
}

/* What a template has no form for is written in the model's own, whose marks are control tokens. */
static void calls_are_written_as_the_model_writes_them(void **state)
{
    (void)state;
    static const char JINJA[] = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
    static const char TWO[] =
        "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}},"
        "{\"function\":{\"name\":\"g\\\"\",\"arguments\":{}}}]}";
    struct chat_message talk[] = {said(CHAT_USER, "q"), said(CHAT_ASSISTANT, "Well."),
                                  said(CHAT_USER, "r")};
    talk[1].extra = TWO;
    talk[1].extra_len = strlen(TWO);
    const struct chat_call_form list = {"<|call|>[{\"name\": \"", "\", \"arguments\": ", "}]",
                                        "}, {\"name\": \"", false};
    const struct chat_call_form single = {"<call=", ">", "</call>", NULL, false};
    struct chat_template *template = open_with_calls(JINJA, list);
    check(template, talk, 3, NULL,
          "<user>q<assistant>Well.\n<|call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}, "
          "{\"name\": \"g\\\"\", \"arguments\": {}}]<user>r");
    chat_template_close(&template);
    template = open_with_calls(JINJA, single);
    check(template, talk, 3, NULL,
          "<user>q<assistant>Well.\n<call=f>{\"a\": 1}</call>\n<call=g\">{}</call><user>r");
    struct prompt out;
    const struct chat_render_options options = {.tools = TOOLS, .tools_len = strlen(TOOLS)};
    prompt_init(&out);
    assert_true(chat_template_render(template, talk, 2, &options, &out, NULL));
    const char *mark = strstr(buf_text(&out.text), "<call=f");
    assert_non_null(strstr(buf_text(&out.text), "<call=<function-name>><args-json-object></call>"));
    assert_non_null(mark);
    for (size_t i = 0; i < out.n_spans; i++) {
        if (out.spans[i].end > (size_t)(mark - buf_text(&out.text))) {
            assert_true(out.spans[i].is_control);
            break;
        }
    }
    prompt_done(&out);
    chat_template_close(&template);
}

static void calls_in_python_are_written_in_python(void **state)
{
    (void)state;
    static const char JINJA[] = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
    static const char TWO[] =
        "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":\"it's\",\"b\":true,"
        "\"c\":[null,{\"d\":1}]}}},{\"function\":{\"name\":\"g\",\"arguments\":{}}}]}";
    struct chat_message talk[] = {said(CHAT_USER, "q"), said(CHAT_ASSISTANT, ""),
                                  said(CHAT_USER, "r")};
    talk[1].extra = TWO;
    talk[1].extra_len = strlen(TWO);
    const struct chat_call_form python = {"<|call|>[", "(", ")]", "), ", true};
    struct chat_template *template = open_with_calls(JINJA, python);
    check(template, talk, 3, NULL,
          "<user>q<assistant><|call|>[f(a=\"it's\", b=True, c=[None, {'d': 1}]), g()]<user>r");
    chat_template_close(&template);
}

/* Phi-4-mini's looks for them there. */
static void tools_may_be_a_part_of_the_system_message(void **state)
{
    (void)state;
    struct chat_template *template =
        open_text("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.role == 'system' "
                  "and 'tools' in m and m['tools'] is not none %}{{ '<|tool|>' + m['tools'] + "
                  "'<|/tool|>' }}{% endif %}<|end|>{% endfor %}");
    const struct chat_message talk[] = {said(CHAT_SYSTEM, "S"), said(CHAT_USER, "q")};
    check(template, talk, 2, NULL, "<|system|>S<|end|><|user|>q<|end|>");
    check(template, talk, 2, TOOLS,
          "<|system|>S<|tool|>[{\"name\": \"f\", \"description\": \"d\", \"parameters\": "
          "{\"type\": \"object\", \"properties\": {}}}]<|/tool|><|end|><|user|>q<|end|>");
    check(template, talk + 1, 1, TOOLS,
          "<|system|><|tool|>[{\"name\": \"f\", \"description\": \"d\", \"parameters\": "
          "{\"type\": \"object\", \"properties\": {}}}]<|/tool|><|end|><|user|>q<|end|>");
    chat_template_close(&template);
}

static void a_template_that_needs_tools_gets_a_list_of_none(void **state)
{
    (void)state;
    const struct chat_message hi = said(CHAT_USER, "Hi");
    struct chat_template *template =
        open_text("<tools>{% for t in tools %}{{ t.function.name }}{% endfor %}</tools>"
                  "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}");
    assert_null(chat_template_warning(template));
    check(template, &hi, 1, NULL, "<tools></tools><user>Hi");
    check(template, &hi, 1, TOOLS, "<tools>f</tools><user>Hi");
    chat_template_close(&template);
}

static void tools_without_a_form_are_written_as_text(void **state)
{
    (void)state;
    const struct chat_message talk[] = {said(CHAT_SYSTEM, "S"), said(CHAT_USER, "q"), called(),
                                        said(CHAT_TOOL, "42")};
    static const char EXPECTED[] =
        "<|im_start|>system\nS\n\nYou may call one or more functions to assist with the user "
        "query. "
        "The functions are described within <tools></tools> XML tags:\n<tools>\n{\"type\": "
        "\"function\", \"function\": {\"name\": \"f\", \"description\": \"d\", \"parameters\": "
        "{\"type\": \"object\", \"properties\": {}}}}\n</tools>\n\nFor each function call return a "
        "JSON object with the function's name and arguments within <tool_call></tool_call> XML "
        "tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n"
        "</"
        "tool_call><|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<tool_call>\n"
        "{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call><|im_end|>\n";
    char expected[2048];
    struct chat_template *template = open_file("chatml");
    snprintf(expected, sizeof expected, "%s<|im_start|>tool\n42<|im_end|>\n<|im_start|>assistant\n",
             EXPECTED);
    check(template, talk, 4, TOOLS, expected);
    chat_template_close(&template);
    assert_true(chat_template_open_named(&template, "chatml", NULL));
    snprintf(expected, sizeof expected,
             "%s<|im_start|>user\n<tool_response>\n42\n</tool_response><|im_end|>\n"
             "<|im_start|>assistant\n",
             EXPECTED);
    check(template, talk, 4, TOOLS, expected);
    chat_template_close(&template);
}

static void a_template_for_tools_is_used_with_tools(void **state)
{
    (void)state;
    static const char MAIN[] = "{% for m in messages %}{{ m.content }}{% endfor %}";
    static const char WITH[] = "{% for m in messages %}{{ m.content }}{% endfor %}{% for t in "
                               "tools %}{{ t.function.name }}{% endfor %}";
    const struct chat_template_source source = {.jinja = MAIN,
                                                .jinja_len = strlen(MAIN),
                                                .tool_jinja = WITH,
                                                .tool_jinja_len = strlen(WITH)};
    struct chat_template *template = NULL;
    const struct chat_message hi = said(CHAT_USER, "Hi");
    assert_true(chat_template_open(&template, &source, NULL));
    size_t len;
    const char *text = chat_template_text(template, &len);
    assert_int_equal(len, strlen(MAIN));
    assert_memory_equal(text, MAIN, len);
    check(template, &hi, 1, NULL, "Hi");
    struct prompt out;
    prompt_init(&out);
    const struct chat_render_options options = {.tools = TOOLS, .tools_len = strlen(TOOLS)};
    assert_true(chat_template_render(template, &hi, 1, &options, &out, NULL));
    assert_string_equal(buf_text(&out.text), "Hif");
    prompt_done(&out);
    chat_template_close(&template);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tools_that_nest_too_deep_are_the_clients_fault),
        cmocka_unit_test(calls_come_in_the_form_that_a_template_wants),
        cmocka_unit_test(arguments_come_in_either_form),
        cmocka_unit_test(a_call_says_nothing_more),
        cmocka_unit_test(thoughts_have_the_name_that_a_template_knows),
        cmocka_unit_test(calls_are_written_as_the_model_writes_them),
        cmocka_unit_test(calls_in_python_are_written_in_python),
        cmocka_unit_test(tools_may_be_a_part_of_the_system_message),
        cmocka_unit_test(a_template_that_needs_tools_gets_a_list_of_none),
        cmocka_unit_test(tools_without_a_form_are_written_as_text),
        cmocka_unit_test(a_template_for_tools_is_used_with_tools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
