#include "server/free_text.h"

#include <stdint.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/text/utf8.h"

/* All marks begin with one character, F. So the text is stretches without F, each but the first
 * after an F, and a stretch is only to be kept from continuing that F to a mark: a tree. */

struct marks {
    const char *at[FREE_TEXT_MAX_MARKS]; /* what is left of each that the stretch may become */
    size_t n;
};

static size_t first_of(const char *text, uint32_t *out)
{
    return utf8_decode(text, strlen(text), out);
}

static void append_char(struct buf *out, uint32_t point)
{
    buf_append_format(out, "\\U%08X", point);
}

/* Those that go on with `point`, after it. */
static struct marks follow(const struct marks *marks, uint32_t point)
{
    struct marks left = {.n = 0};
    for (size_t i = 0; i < marks->n; i++) {
        uint32_t own;
        size_t len = first_of(marks->at[i], &own);
        if (own == point)
            left.at[left.n++] = marks->at[i] + len;
    }
    return left;
}

/* How the stretch may go on, having come so far; "" is always one way. */
static void write_stretch(struct buf *out, uint32_t first, const struct marks *marks)
{
    struct buf others;
    buf_init(&others);
    append_char(&others, first);
    buf_append_text(out, "(\"\"");
    for (size_t i = 0; i < marks->n; i++) {
        uint32_t point, before;
        bool is_known = false;
        first_of(marks->at[i], &point);
        for (size_t k = 0; k < i && !is_known; k++)
            is_known = first_of(marks->at[k], &before) > 0 && before == point;
        if (is_known)
            continue;
        append_char(&others, point);
        struct marks left = follow(marks, point);
        if (*left.at[0] == '\0')
            continue; /* it would be complete */
        buf_append_text(out, " | [");
        append_char(out, point);
        buf_append_text(out, "] ");
        write_stretch(out, first, &left);
    }
    buf_append_format(out, " | [^%s] [^", buf_text(&others));
    append_char(out, first);
    buf_append_text(out, "]*)");
    out->failed = out->failed || others.failed;
    buf_done(&others);
}

void free_text_write(struct buf *out, const char *const *marks, size_t n_marks)
{
    uint32_t first = 0;
    struct marks left = {.n = n_marks};
    for (size_t i = 0; i < n_marks; i++)
        left.at[i] = marks[i] + first_of(marks[i], &first);
    buf_append_text(out, "([^");
    append_char(out, first);
    buf_append_text(out, "]* ([");
    append_char(out, first);
    buf_append_text(out, "] ");
    write_stretch(out, first, &left);
    buf_append_text(out, ")*)");
}
