/* Filters that make strings. */
#include <stdlib.h>
#include <string.h>

#include "core/text/jinja_eval.h"
#include "core/text/jinja_filters.h"
#include "core/text/jinja_format.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_text.h"

static bool string_of(struct jinja_run *run, struct jinja_value value,
                      const struct jinja_string **out)
{
    struct jinja_value text;
    if (!jinja_to_string(run, value, &text))
        return false;
    *out = text.string;
    return true;
}

static bool change_case(struct jinja_run *run, const struct jinja_call *call, enum jinja_case which,
                        struct jinja_value *out)
{
    const struct jinja_string *string;
    return string_of(run, call->self, &string) && jinja_text_case(run, string, which, out);
}

bool jinja_filter_upper(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    return change_case(run, call, JINJA_UPPER, out);
}

bool jinja_filter_lower(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    return change_case(run, call, JINJA_LOWER, out);
}

bool jinja_filter_capitalize(struct jinja_run *run, const struct jinja_call *call,
                             struct jinja_value *out)
{
    return change_case(run, call, JINJA_CAPITAL, out);
}

bool jinja_filter_title(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    return change_case(run, call, JINJA_TITLE_FILTER, out);
}

bool jinja_filter_string(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return jinja_to_string(run, call->self, out);
}

bool jinja_filter_trim(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    const struct jinja_string *string, *characters = NULL;
    if (!string_of(run, call->self, &string))
        return false;
    if (call->arg[0].type != JINJA_ABSENT && call->arg[0].type != JINJA_NONE &&
        !jinja_arg_string(run, call->arg[0], &characters))
        return false;
    return jinja_text_strip(run, string, JINJA_BOTH, characters, out);
}

bool jinja_filter_replace(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    const struct jinja_string *string, *from, *to;
    int64_t max = -1;
    if (call->arg[2].type != JINJA_NONE && !jinja_arg_int(run, call->arg[2], -1, &max))
        return false;
    if (call->arg[0].type == JINJA_ABSENT || call->arg[1].type == JINJA_ABSENT)
        return jinja_fail(run, "replace() needs two arguments");
    return string_of(run, call->self, &string) && string_of(run, call->arg[0], &from) &&
           string_of(run, call->arg[1], &to) && jinja_text_replace(run, string, from, to, max, out);
}

/* ---- indent, wrap, center ---- */

static bool indent_text(struct jinja_run *run, struct jinja_value width,
                        const struct jinja_string **out)
{
    struct jinja_writer writer;
    struct jinja_value text;
    int64_t n;
    if (width.type == JINJA_STRING)
        return jinja_arg_string(run, width, out);
    if (!jinja_arg_int(run, width, 4, &n))
        return false;
    jinja_writer_init(&writer, run, 16);
    for (int64_t i = 0; i < n && !writer.failed; i++)
        jinja_write(&writer, " ", 1, JINJA_CONTROL);
    if (!jinja_writer_end(&writer, &text))
        return false;
    *out = text.string;
    return true;
}

bool jinja_filter_indent(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    const struct jinja_string *string, *indent;
    struct jinja_value lines;
    struct jinja_writer writer;
    bool with_first = jinja_is_true(call->arg[1]), with_blank = jinja_is_true(call->arg[2]);
    if (!string_of(run, call->self, &string) || !indent_text(run, call->arg[0], &indent) ||
        !jinja_text_splitlines(run, string, false, &lines))
        return false;
    bool ends_line = string->len > 0 && strchr("\n\r", string->data[string->len - 1]) != NULL;
    jinja_writer_init(&writer, run, string->len);
    for (size_t i = 0; i < lines.list->n; i++) {
        const struct jinja_string *line = lines.list->items[i].string;
        if (i > 0)
            jinja_write(&writer, "\n", 1, JINJA_CONTROL);
        if (i == 0 ? with_first : with_blank || line->len > 0)
            jinja_write_string(&writer, indent);
        jinja_write_string(&writer, line);
    }
    if (lines.list->n == 0 && with_first)
        jinja_write_string(&writer, indent);
    if (ends_line) {
        jinja_write(&writer, "\n", 1, JINJA_CONTROL);
        if (with_blank)
            jinja_write_string(&writer, indent);
    }
    return jinja_writer_end(&writer, out);
}

bool jinja_filter_center(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    const struct jinja_string *string, *filler = NULL;
    struct jinja_writer writer;
    int64_t width;
    if (!string_of(run, call->self, &string) || !jinja_arg_int(run, call->arg[0], 80, &width) ||
        (call->arg[1].type != JINJA_ABSENT && !jinja_arg_string(run, call->arg[1], &filler)))
        return false;
    int64_t n = (int64_t)jinja_string_n_points(string);
    int64_t total = width > n ? width - n : 0;
    int64_t left = total / 2 + (total & width & 1);
    jinja_writer_init(&writer, run, string->len);
    for (int64_t i = 0; i < total && !writer.failed; i++) {
        if (i == left)
            jinja_write_string(&writer, string);
        if (filler != NULL)
            jinja_write_string(&writer, filler);
        else
            jinja_write(&writer, " ", 1, JINJA_CONTROL);
    }
    if (left >= total)
        jinja_write_string(&writer, string);
    return jinja_writer_end(&writer, out);
}

/* The first `n` characters, and what is left of them before the last space. */
static size_t cut(const struct jinja_string *string, size_t n, bool kills_words)
{
    size_t end = jinja_string_byte_at(string, n);
    const char *space = kills_words ? NULL : memrchr(string->data, ' ', end);
    return space == NULL ? end : (size_t)(space - string->data);
}

bool jinja_filter_truncate(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    const struct jinja_string *string, *end = NULL;
    struct jinja_writer writer;
    int64_t length, leeway = 5;
    if (!string_of(run, call->self, &string) || !jinja_arg_int(run, call->arg[0], 255, &length) ||
        (call->arg[3].type != JINJA_NONE && !jinja_arg_int(run, call->arg[3], 5, &leeway)) ||
        (call->arg[2].type != JINJA_ABSENT && !jinja_arg_string(run, call->arg[2], &end)))
        return false;
    int64_t n_end = end == NULL ? 3 : (int64_t)jinja_string_n_points(end);
    if (length < n_end || leeway < 0 || length > INT64_MAX - leeway)
        return jinja_fail(run, "truncate() needs a length that its end fits into");
    if ((int64_t)jinja_string_n_points(string) <= length + leeway)
        return jinja_to_string(run, call->self, out);
    jinja_writer_init(&writer, run, string->len);
    jinja_write_part(&writer, string, 0,
                     cut(string, (size_t)(length - n_end), jinja_is_true(call->arg[1])));
    if (end == NULL)
        jinja_write(&writer, "...", 3, JINJA_CONTROL);
    else
        jinja_write_string(&writer, end);
    return jinja_writer_end(&writer, out);
}

bool jinja_filter_wordcount(struct jinja_run *run, const struct jinja_call *call,
                            struct jinja_value *out)
{
    const struct jinja_string *string;
    struct jinja_value words;
    if (!string_of(run, call->self, &string) ||
        !jinja_text_split(run, string, NULL, -1, JINJA_LEFT, &words))
        return false;
    *out = jinja_int((int64_t)words.list->n);
    return true;
}

/* ---- escape, format, tojson ---- */

bool jinja_filter_escape(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    static const struct {
        char character;
        const char *text;
    } escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&#34;"}, {'\'', "&#39;"}};
    const struct jinja_string *string;
    struct jinja_writer writer;
    size_t begin = 0;
    if (!string_of(run, call->self, &string))
        return false;
    jinja_writer_init(&writer, run, string->len);
    for (size_t at = 0; at < string->len && !writer.failed; at++) {
        for (size_t k = 0; k < sizeof escapes / sizeof escapes[0]; k++) {
            if (string->data[at] != escapes[k].character)
                continue;
            jinja_write_part(&writer, string, begin, at);
            jinja_write_instead(&writer, string, at, at + 1, escapes[k].text,
                                strlen(escapes[k].text));
            begin = at + 1;
        }
    }
    jinja_write_part(&writer, string, begin, string->len);
    return jinja_spend_bytes(run, string->len) && jinja_writer_end(&writer, out);
}

bool jinja_filter_format(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    const struct jinja_string *format;
    struct jinja_value values;
    if (!string_of(run, call->self, &format) ||
        !jinja_list_new(run, JINJA_TUPLE, call->args->n, &values))
        return false;
    for (size_t i = 0; i < call->args->n; i++) {
        if (!jinja_list_push(run, values.list, call->args->items[i]))
            return false;
    }
    return jinja_format_percent(run, format, values, out);
}

static bool read_separators(struct jinja_run *run, struct jinja_value value,
                            struct jinja_json_style *style)
{
    if (value.type == JINJA_ABSENT || value.type == JINJA_NONE)
        return true;
    bool is_pair = (value.type == JINJA_TUPLE || value.type == JINJA_LIST) && value.list->n == 2;
    if (!is_pair)
        return jinja_fail(run, "tojson() needs two separators");
    return jinja_arg_string(run, value.list->items[0], &style->between_items) &&
           jinja_arg_string(run, value.list->items[1], &style->between_pair);
}

bool jinja_filter_tojson(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    struct jinja_json_style style = {
        .is_ascii = jinja_is_true(call->arg[0]),
        .sorts_keys = jinja_is_true(call->arg[3]),
        .indent = -1,
    };
    struct jinja_value indent = call->arg[1];
    struct jinja_writer writer;
    int64_t n = -1;
    if (indent.type == JINJA_STRING)
        style.indent_text = indent.string;
    else if (indent.type != JINJA_NONE && !jinja_arg_int(run, indent, -1, &n))
        return false;
    if (n > 100)
        return jinja_fail(run, "tojson() indents by 100 spaces at most");
    style.indent = n < 0 && indent.type == JINJA_INT ? 0 : (int)n;
    if (!read_separators(run, call->arg[2], &style))
        return false;
    jinja_writer_init(&writer, run, 64);
    return jinja_write_json(run, call->self, &style, &writer) && jinja_writer_end(&writer, out);
}

bool jinja_filter_pprint(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    struct jinja_writer writer;
    jinja_writer_init(&writer, run, 64);
    return jinja_write_repr(run, call->self, &writer) && jinja_writer_end(&writer, out);
}
