#include "tests/support/check.h"

#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "server/answer_style.h"
#include "server/tool_format.h"
#include "tests/core/text/small_vocab.h"

/* Where the text is cut off by a stop string; its length for nowhere. */
static size_t find_cut(const struct answer_style *style, bool is_thinking, bool has_calls,
                       const char *stop, const char *text)
{
    struct stop_shelter shelters[STOP_SEARCH_MAX_SHELTERS];
    struct stop_search search;
    struct err err;
    int n = answer_style_shelters(style, is_thinking, has_calls, shelters);
    size_t i = 0;
    assert_true(stop_search_init(&search, &stop, 1, shelters, n, &err));
    while (text[i] != '\0' && search.n_cut == 0)
        stop_search_push(&search, text[i++]);
    i -= search.n_cut > 0 ? search.n_cut : stop_search_end(&search);
    stop_search_done(&search);
    return i;
}

/* A call as the model would write it, behind some text or none. */
static void write_call(const struct tool_format *format, const char *before, struct buf *out)
{
    buf_append_text(out, format->words_mark == NULL ? "" : format->words_mark);
    buf_append_text(out, before);
    if (format->words_mark != NULL)
        buf_append_text(out, format->open);
    buf_append_format(out, "%sf%s{\"a\": \"STOP\"}%s", format->force_open, format->force_middle,
                      format->force_end == NULL ? format->close : format->force_end);
}

static void no_stop_string_is_in_a_call(void **state)
{
    (void)state;
    const struct tool_format *format;
    for (size_t i = 0; (format = tool_format_at(i)) != NULL; i++) {
        const struct answer_style style = {.format = format};
        const char *before = format->open == NULL ? "" : "So. ";
        const char *const stops[] = {"STOP", "{", "a", "f"};
        struct buf text;
        buf_init(&text);
        write_call(format, before, &text);
        for (size_t s = 0; s < sizeof stops / sizeof stops[0]; s++)
            assert_int_equal(find_cut(&style, false, true, stops[s], buf_text(&text)), text.len);
        if (before[0] != '\0')
            assert_true(find_cut(&style, false, true, "So", buf_text(&text)) < text.len);
        buf_done(&text);
    }
}

static void without_tools_a_call_is_text(void **state)
{
    (void)state;
    const struct answer_style style = {.format = tool_format_find("hermes")};
    assert_int_equal(find_cut(&style, false, false, "x", "<tool_call>x"), 11);
    assert_int_equal(find_cut(&style, false, true, "x", "<tool_call>x"), 12);
}

static void no_stop_string_is_in_a_thought(void **state)
{
    (void)state;
    const struct answer_style style = {
        .format = tool_format_find("llama3"), .think_open = "<t>", .think_close = "</t>"};
    assert_int_equal(find_cut(&style, false, false, "x", "<t>x</t>axb"), 9);
    assert_int_equal(find_cut(&style, true, false, "x", "x</t>axb"), 6);
    assert_int_equal(find_cut(&style, true, true, "x", "x</t>\n{x}"), 9);
    assert_int_equal(find_cut(&style, true, true, "x", "x</t>a {x}"), 8);
}

/* In Harmony only what the last channel says is surely content. */
static void no_stop_string_is_before_the_final_channel(void **state)
{
    (void)state;
    static const char TEXT[] = "<|channel|>analysis<|message|>x<|end|><|start|>assistant"
                               "<|channel|>final<|message|>axb";
    const struct answer_style style = {.format = tool_format_find("harmony")};
    assert_int_equal(find_cut(&style, false, false, "x", TEXT), strlen(TEXT) - 2);
    assert_int_equal(find_cut(&style, false, true, "final", TEXT), strlen(TEXT));
}

/* Gemma 4's prompt ends with a thought that is over, unless it is to think. */
static void a_template_tells_the_marks_of_thoughts(void **state)
{
    (void)state;
    static const char TEMPLATE[] = "{{- '<|channel>thought\\n' + thoughts + '\\n<channel|>' -}}";
    static const char OVER[] = "<|turn>model\n<|channel>thought\n<channel|>";
    struct small_vocab vocab;
    struct answer_style style;
    struct err err = {0};
    small_vocab_bpe(&vocab, "gpt-2");
    struct tokenizer *tokenizer = small_vocab_open(&vocab, &err);
    assert_non_null(tokenizer);
    assert_true(
        answer_style_init(&style, TEMPLATE, strlen(TEMPLATE), tokenizer, "auto", true, &err));
    assert_string_equal(style.think_open, "<|channel>thought");
    assert_string_equal(style.think_close, "<channel|>");
    assert_false(answer_style_is_thinking(&style, OVER, strlen(OVER)));
    assert_true(answer_style_is_thinking(&style, OVER, strlen(OVER) - strlen("<channel|>")));
    tokenizer_close(&tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_stop_string_is_in_a_call),
        cmocka_unit_test(without_tools_a_call_is_text),
        cmocka_unit_test(no_stop_string_is_in_a_thought),
        cmocka_unit_test(no_stop_string_is_before_the_final_channel),
        cmocka_unit_test(a_template_tells_the_marks_of_thoughts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
