#include "server/answer_style.h"

#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/text/tokenizer.h"
#include "server/harmony_parser.h"
#include "server/tool_format.h"
#include "server/tool_text.h"

static const struct {
    const char *open, *close;
} thoughts[] = {
    {"<think>", "</think>"},
    {"[THINK]", "[/THINK]"},
    {"<thinking>", "</thinking>"},
    {"<thought>", "</thought>"},
    {"<reasoning>", "</reasoning>"},
    {"<seed:think>", "</seed:think>"},
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {"<|channel>thought", "<channel|>"}, /* Gemma 4 */
};

static bool is_token(const struct tokenizer *tokenizer, int32_t id, const char *name)
{
    size_t len;
    const char *text = name == NULL ? NULL : tokenizer_name(tokenizer, id, &len);
    return text != NULL && len == strlen(name) && memcmp(text, name, len) == 0;
}

static bool has_token(const struct tokenizer *tokenizer, const char *name)
{
    for (int32_t id = 0; id < tokenizer_n_vocab(tokenizer); id++) {
        if (is_token(tokenizer, id, name))
            return true;
    }
    return false;
}

/* A vocabulary with a token for it was made for thinking, whatever the template says. */
static void find_thoughts(struct answer_style *style, const char *jinja, size_t len,
                          const struct tokenizer *tokenizer)
{
    for (size_t i = 0; i < sizeof thoughts / sizeof thoughts[0]; i++) {
        const char *close = thoughts[i].close;
        bool is_in_template = len > 0 && memmem(jinja, len, close, strlen(close)) != NULL;
        if (!is_in_template && !has_token(tokenizer, close))
            continue;
        style->think_open = thoughts[i].open;
        style->think_close = close;
        return;
    }
}

/* Control tokens only: others have text of their own. */
static void show(struct answer_style *style, const struct tokenizer *tokenizer, const char *mark)
{
    for (int32_t id = 0; mark != NULL && id < tokenizer_n_vocab(tokenizer); id++) {
        bool is_mark = tokenizer_is_control(tokenizer, id) && !tokenizer_is_end(tokenizer, id) &&
                       is_token(tokenizer, id, mark);
        if (is_mark && style->n_shown < DETOKENIZER_MAX_SHOWN)
            style->shown[style->n_shown++] = id;
    }
}

static void show_format(struct answer_style *style, const struct tokenizer *tokenizer,
                        const struct tool_format *format)
{
    const char *const marks[] = {format->open,    format->other_open,    format->close,
                                 format->id_mark, format->argument_mark, format->string_mark};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        show(style, tokenizer, marks[i]);
    for (size_t i = 0; i < TOOL_FORMAT_MOST_NOISE; i++)
        show(style, tokenizer, format->noise[i]);
}

static bool fail_unknown(const char *name, struct err *err)
{
    struct buf names;
    buf_init(&names);
    for (size_t i = 0; tool_format_at(i) != NULL; i++)
        buf_append_format(&names, ", %s", tool_format_at(i)->name);
    err_set(err, ERR_INVALID, "--tool-format: there is no format \"%.40s\"; there are auto%s", name,
            buf_text(&names));
    buf_done(&names);
    return false;
}

bool answer_style_init(struct answer_style *style, const char *jinja, size_t len,
                       const struct tokenizer *tokenizer, const char *tool_format,
                       bool splits_thoughts, struct err *err)
{
    *style = (struct answer_style){0};
    style->format = strcmp(tool_format, "auto") == 0 ? tool_format_detect(jinja, len)
                                                     : tool_format_find(tool_format);
    if (style->format == NULL)
        return fail_unknown(tool_format, err);
    if (splits_thoughts && style->format->has_channels) {
        style->think_open = HARMONY_ANALYSIS;
        style->think_close = HARMONY_END;
    } else if (splits_thoughts) {
        find_thoughts(style, jinja, len, tokenizer);
    }
    show(style, tokenizer, style->think_open);
    show(style, tokenizer, style->think_close);
    for (int i = 0; i < HARMONY_N_MARKS && style->format->has_channels; i++)
        show(style, tokenizer, harmony_marks[i]);
    style->n_think = style->n_shown;
    show_format(style, tokenizer, style->format);
    if (style->format->told != NULL)
        show_format(style, tokenizer, style->format->told);
    return true;
}

bool answer_style_is_thinking(const struct answer_style *style, const char *prompt, size_t len)
{
    if (style->think_open == NULL)
        return false;
    while (len > 0 && tool_text_spaces(prompt + len - 1, 1) == 1)
        len--;
    size_t n = strlen(style->think_open);
    return len >= n && memcmp(prompt + len - n, style->think_open, n) == 0;
}

/* What is written as calls of one format. A mark of `noise` is nothing but itself. */
static int shelter_calls(const struct tool_format *format, struct stop_shelter *out)
{
    static const char *const brackets[] = {"{", "[", NULL};
    const char *close = format->words_mark != NULL ? format->words_mark : format->close;
    int n = 0;
    if (format->words_mark != NULL)
        out[n++] = (struct stop_shelter){.open = "", .close = close};
    if (format->open == NULL)
        for (const char *const *open = brackets; *open != NULL; open++)
            out[n++] = (struct stop_shelter){.open = *open, .is_first = true};
    else
        out[n++] = (struct stop_shelter){.open = format->open, .close = close};
    if (format->other_open != NULL)
        out[n++] = (struct stop_shelter){.open = format->other_open, .close = close};
    for (int i = 0; i < TOOL_FORMAT_MOST_NOISE && format->noise[i] != NULL; i++)
        out[n++] = (struct stop_shelter){.open = format->noise[i], .close = ""};
    return n;
}

/* Only what the last channel says is content for sure. */
static int shelter_channels(struct stop_shelter *out)
{
    out[0] = (struct stop_shelter){.open = "", .close = HARMONY_FINAL};
    out[1] = (struct stop_shelter){.open = HARMONY_END, .close = HARMONY_FINAL};
    return 2;
}

int answer_style_shelters(const struct answer_style *style, bool is_thinking, bool has_calls,
                          struct stop_shelter out[STOP_SEARCH_MAX_SHELTERS])
{
    const struct tool_format *format = style->format;
    int n = 0;
    if (format->has_channels)
        return shelter_channels(out);
    if (style->think_open != NULL)
        out[n++] = (struct stop_shelter){.open = is_thinking ? "" : style->think_open,
                                         .close = style->think_close,
                                         .is_first = true};
    if (!has_calls)
        return n;
    n += shelter_calls(format, out + n);
    return n + (format->told == NULL ? 0 : shelter_calls(format->told, out + n));
}
