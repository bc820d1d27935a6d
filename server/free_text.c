#include "server/free_text.h"

#include <stdint.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/text/utf8.h"

/* The text is stretches without a character that a mark begins with, each but the first after such
 * a character, and a stretch is only to be kept from continuing that to a mark: a tree. */

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

/* The characters that the marks go on with, each once. */
static size_t find_firsts(const struct marks *marks, uint32_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < marks->n; i++) {
        uint32_t point;
        bool is_known = false;
        first_of(marks->at[i], &point);
        for (size_t k = 0; k < n && !is_known; k++)
            is_known = out[k] == point;
        if (!is_known)
            out[n++] = point;
    }
    return n;
}

/* How the stretch may go on, having come so far; "" is always one way. `firsts` are what a mark
 * begins with, as a class. */
static void write_stretch(struct buf *out, const char *firsts, const struct marks *marks)
{
    uint32_t points[FREE_TEXT_MAX_MARKS];
    size_t n = find_firsts(marks, points);
    buf_append_text(out, "(\"\"");
    for (size_t i = 0; i < n; i++) {
        struct marks left = follow(marks, points[i]);
        if (*left.at[0] == '\0')
            continue; /* it would be complete */
        buf_append_text(out, " | [");
        append_char(out, points[i]);
        buf_append_text(out, "] ");
        write_stretch(out, firsts, &left);
    }
    buf_append_format(out, " | [^%s", firsts);
    for (size_t i = 0; i < n; i++)
        append_char(out, points[i]);
    buf_append_format(out, "] [^%s]*)", firsts);
}

/* Fewer of the character than make the mark, and not that many of them together. */
static void write_without_run(struct buf *out, uint32_t point, int n)
{
    buf_append_text(out, "([^");
    append_char(out, point);
    buf_append_text(out, "] | [");
    append_char(out, point);
    buf_append_format(out, "]{1,%d} [^", n - 1);
    append_char(out, point);
    buf_append_text(out, "])* [");
    append_char(out, point);
    buf_append_format(out, "]{0,%d}", n - 1);
}

/* How often the only character of `mark` is in it; 0 when it has several. */
static int count_run(const char *mark)
{
    uint32_t first, point;
    int n = 0;
    first_of(mark, &first);
    for (; *mark != '\0'; n++) {
        mark += first_of(mark, &point);
        if (point != first)
            return 0;
    }
    return n;
}

static void write_stretches(struct buf *out, const struct marks *marks)
{
    uint32_t points[FREE_TEXT_MAX_MARKS];
    struct buf firsts;
    size_t n = find_firsts(marks, points);
    buf_init(&firsts);
    for (size_t i = 0; i < n; i++)
        append_char(&firsts, points[i]);
    buf_append_format(out, "[^%s]* (", buf_text(&firsts));
    for (size_t i = 0; i < n; i++) {
        struct marks left = follow(marks, points[i]);
        buf_append_text(out, i > 0 ? " | [" : "[");
        append_char(out, points[i]);
        buf_append_text(out, "] ");
        write_stretch(out, buf_text(&firsts), &left);
    }
    buf_append_text(out, ")*");
    out->failed = out->failed || firsts.failed;
    buf_done(&firsts);
}

void free_text_write(struct buf *out, const char *const *marks, size_t n_marks)
{
    uint32_t first;
    struct marks all = {.n = n_marks};
    for (size_t i = 0; i < n_marks; i++)
        all.at[i] = marks[i];
    int n_run = n_marks == 1 ? count_run(marks[0]) : 0;
    first_of(marks[0], &first);
    buf_append_char(out, '(');
    if (n_run > 1)
        write_without_run(out, first, n_run);
    else
        write_stretches(out, &all);
    buf_append_char(out, ')');
}
