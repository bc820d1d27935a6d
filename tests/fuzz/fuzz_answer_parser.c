/* fuzz_answer_parser.c - what a model says, in every format of calls. The pieces that a text comes
 * in may not change what is understood, and no byte may be said twice. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/answer_parser.h"
#include "server/tool_format.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void on_delta(void *arg, const struct answer_delta *delta)
{
    size_t *n_said = arg;
    check(delta->len > 0);
    check((delta->part == ANSWER_CALL) == (delta->call_id != NULL));
    *n_said += delta->len;
}

/* The answer's parts one after the other. */
static void run(const struct tool_format *format, const char *text, size_t len, size_t step,
                struct buf *out)
{
    size_t n_said = 0;
    struct answer_parser_options options = {
        .think_open = "<think>",
        .think_close = "</think>",
        .format = format,
        .has_channels = format->has_channels,
        .emit = on_delta,
        .arg = &n_said,
    };
    struct answer_parser parser;
    answer_parser_init(&parser, &options);
    for (size_t i = 0; i < len; i += step)
        answer_parser_push(&parser, text + i, len - i < step ? len - i : step);
    answer_parser_end(&parser);
    const struct answer *answer = &parser.answer;
    check(!answer->failed);
    check(answer->reasoning.len + answer->content.len <= len);
    buf_append(out, buf_text(&answer->reasoning), answer->reasoning.len);
    buf_append_char(out, '|');
    buf_append(out, buf_text(&answer->content), answer->content.len);
    for (size_t i = 0; i < answer->n_calls; i++) {
        check(answer->calls[i].name.len > 0);
        buf_append_char(out, '|');
        buf_append(out, buf_text(&answer->calls[i].name), answer->calls[i].name.len);
        buf_append(out, buf_text(&answer->calls[i].arguments), answer->calls[i].arguments.len);
    }
    answer_parser_done(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const char *text = n_bytes == 0 ? "" : (const char *)bytes;
    if (n_bytes > 4096)
        return 0;
    for (size_t i = 0; tool_format_at(i) != NULL; i++) {
        struct buf whole = {0}, pieces = {0};
        run(tool_format_at(i), text, n_bytes, n_bytes + 1, &whole);
        run(tool_format_at(i), text, n_bytes, 3, &pieces);
        check(whole.len == pieces.len && memcmp(whole.data, pieces.data, whole.len) == 0);
        buf_done(&whole);
        buf_done(&pieces);
    }
    return 0;
}
