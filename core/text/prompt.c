#include "core/text/prompt.h"

#include <stdlib.h>

void prompt_init(struct prompt *prompt)
{
    *prompt = (struct prompt){0};
    buf_init(&prompt->text);
}

void prompt_done(struct prompt *prompt)
{
    buf_done(&prompt->text);
    free(prompt->spans);
    prompt_init(prompt);
}

bool prompt_failed(const struct prompt *prompt)
{
    return prompt->failed || prompt->text.failed;
}

/* Room for one more span. */
static bool reserve(struct prompt *prompt)
{
    if (prompt->n_spans < prompt->max_spans)
        return true;
    size_t max = prompt->max_spans == 0 ? 16 : prompt->max_spans * 2;
    struct prompt_span *spans = realloc(prompt->spans, max * sizeof *spans);
    if (spans == NULL) {
        prompt->failed = true;
        return false;
    }
    prompt->spans = spans;
    prompt->max_spans = max;
    return true;
}

/* Neighbours of one kind grow into one span, so the number of spans is that of the changes. */
static void append(struct prompt *prompt, const char *text, size_t len, bool is_control)
{
    if (len == 0 || prompt_failed(prompt) || !reserve(prompt))
        return;
    buf_append(&prompt->text, text, len);
    if (prompt->text.failed)
        return;
    size_t n = prompt->n_spans;
    if (n == 0 || prompt->spans[n - 1].is_control != is_control)
        prompt->spans[prompt->n_spans++].is_control = is_control;
    prompt->spans[prompt->n_spans - 1].end = prompt->text.len;
}

void prompt_append_control(struct prompt *prompt, const char *text, size_t len)
{
    append(prompt, text, len, true);
}

void prompt_append_plain(struct prompt *prompt, const char *text, size_t len)
{
    append(prompt, text, len, false);
}

void prompt_truncate(struct prompt *prompt, size_t len)
{
    if (len >= prompt->text.len)
        return;
    buf_truncate(&prompt->text, len);
    while (prompt->n_spans > 0 &&
           (prompt->n_spans == 1 ? 0 : prompt->spans[prompt->n_spans - 2].end) >= len)
        prompt->n_spans--;
    if (prompt->n_spans > 0)
        prompt->spans[prompt->n_spans - 1].end = len;
}

void prompt_append_slice(struct prompt *prompt, const struct prompt *from, size_t begin, size_t end)
{
    for (size_t i = 0; i < from->n_spans && begin < end; i++) {
        size_t stop = from->spans[i].end < end ? from->spans[i].end : end;
        if (stop <= begin)
            continue;
        append(prompt, from->text.data + begin, stop - begin, from->spans[i].is_control);
        begin = stop;
    }
    if (prompt_failed(from))
        prompt->failed = true;
}
