#include "core/text/jinja_text.h"

#include <string.h>

#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"

/* ---- strip ---- */

static bool is_among(const struct jinja_string *characters, const struct jinja_string *string,
                     size_t at, size_t n, uint32_t point)
{
    return characters == NULL
               ? jinja_point_is_space(point)
               : memmem(characters->data, characters->len, string->data + at, n) != NULL;
}

bool jinja_text_strip(struct jinja_run *run, const struct jinja_string *string,
                      enum jinja_side side, const struct jinja_string *characters,
                      struct jinja_value *out)
{
    size_t begin = 0, end = string->len;
    uint32_t point;
    while (begin < end && (side & JINJA_LEFT) != 0) {
        size_t n = jinja_string_point(string, begin, &point);
        if (!is_among(characters, string, begin, n, point))
            break;
        begin += n;
    }
    while (begin < end && (side & JINJA_RIGHT) != 0) {
        size_t n = jinja_string_point_before(string, end, &point);
        if (!is_among(characters, string, end - n, n, point))
            break;
        end -= n;
    }
    size_t work = (string->len - (end - begin)) * (characters == NULL ? 1 : characters->len + 1);
    return jinja_spend_bytes(run, work) && jinja_string_slice(run, string, begin, end, out);
}

/* ---- split ---- */

/* The parts found so far; from the right they come last first. */
struct parts {
    struct jinja_run *run;
    const struct jinja_string *string;
    struct jinja_list *list;
};

static bool add_part(const struct parts *parts, size_t begin, size_t end)
{
    struct jinja_value part;
    return jinja_string_slice(parts->run, parts->string, begin, end, &part) &&
           jinja_list_push(parts->run, parts->list, part);
}

static void turn_round(struct jinja_list *list)
{
    for (size_t i = 0; i < list->n / 2; i++) {
        struct jinja_value item = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = item;
    }
}

static size_t skip(const struct jinja_string *string, size_t at, bool is_space)
{
    uint32_t point;
    while (at < string->len) {
        size_t n = jinja_string_point(string, at, &point);
        if (jinja_point_is_space(point) != is_space)
            break;
        at += n;
    }
    return at;
}

static size_t skip_back(const struct jinja_string *string, size_t end, bool is_space)
{
    uint32_t point;
    while (end > 0) {
        size_t n = jinja_string_point_before(string, end, &point);
        if (jinja_point_is_space(point) != is_space)
            break;
        end -= n;
    }
    return end;
}

static bool split_words(const struct parts *parts, int64_t max)
{
    const struct jinja_string *string = parts->string;
    size_t at = skip(string, 0, true);
    for (; at < string->len; max--) {
        size_t end = max == 0 ? string->len : skip(string, at, false);
        if (!add_part(parts, at, end))
            return false;
        at = skip(string, end, true);
    }
    return true;
}

static bool split_words_back(const struct parts *parts, int64_t max)
{
    const struct jinja_string *string = parts->string;
    size_t end = skip_back(string, string->len, true);
    for (; end > 0; max--) {
        size_t begin = max == 0 ? 0 : skip_back(string, end, false);
        if (!add_part(parts, begin, end))
            return false;
        end = skip_back(string, begin, true);
    }
    turn_round(parts->list);
    return true;
}

static bool split_at(const struct parts *parts, const struct jinja_string *separator, int64_t max)
{
    size_t begin = 0, end;
    while (max-- != 0 && (end = jinja_string_find(parts->string, begin, separator)) != SIZE_MAX) {
        if (!add_part(parts, begin, end))
            return false;
        begin = end + separator->len;
    }
    return add_part(parts, begin, parts->string->len);
}

static bool split_at_back(const struct parts *parts, const struct jinja_string *separator,
                          int64_t max)
{
    size_t end = parts->string->len, at;
    while (max-- != 0) {
        if (!jinja_string_rfind(parts->run, parts->string, end, separator, &at))
            return false;
        if (at == SIZE_MAX)
            break;
        if (!add_part(parts, at + separator->len, end))
            return false;
        end = at;
    }
    if (!add_part(parts, 0, end))
        return false;
    turn_round(parts->list);
    return true;
}

bool jinja_text_split(struct jinja_run *run, const struct jinja_string *string,
                      const struct jinja_string *separator, int64_t max_splits,
                      enum jinja_side side, struct jinja_value *out)
{
    struct jinja_value list;
    if (separator != NULL && separator->len == 0)
        return jinja_fail(run, "empty separator");
    if (!jinja_list_new(run, JINJA_LIST, 2, &list) || !jinja_spend_bytes(run, string->len))
        return false;
    const struct parts parts = {run, string, list.list};
    bool is_back = side == JINJA_RIGHT;
    *out = list;
    if (separator == NULL)
        return (is_back ? split_words_back : split_words)(&parts, max_splits);
    return (is_back ? split_at_back : split_at)(&parts, separator, max_splits);
}

/* Bytes of the line end at `at`; 0 for none. */
static size_t line_end(const struct jinja_string *string, size_t at)
{
    uint32_t point;
    size_t n = jinja_string_point(string, at, &point);
    if (point == '\r' && at + 1 < string->len && string->data[at + 1] == '\n')
        return 2;
    bool is_end = (point >= '\n' && point <= '\r') || (point >= 0x1C && point <= 0x1E) ||
                  point == 0x85 || point == 0x2028 || point == 0x2029;
    return is_end ? n : 0;
}

bool jinja_text_splitlines(struct jinja_run *run, const struct jinja_string *string,
                           bool keeps_ends, struct jinja_value *out)
{
    struct jinja_value list;
    if (!jinja_list_new(run, JINJA_LIST, 2, &list) || !jinja_spend_bytes(run, string->len))
        return false;
    const struct parts parts = {run, string, list.list};
    uint32_t point;
    size_t begin = 0;
    for (size_t at = 0; at < string->len;) {
        size_t n = line_end(string, at);
        if (n == 0) {
            at += jinja_string_point(string, at, &point);
            continue;
        }
        if (!add_part(&parts, begin, keeps_ends ? at + n : at))
            return false;
        begin = at += n;
    }
    *out = list;
    return begin == string->len || add_part(&parts, begin, string->len);
}

/* ---- replace, join ---- */

/* An empty `from` is found before each character and at the end. */
static void insert_between(struct jinja_writer *writer, const struct jinja_string *string,
                           const struct jinja_string *to, int64_t max)
{
    uint32_t point;
    size_t at = 0;
    while (max-- != 0 && !writer->failed) {
        jinja_write_string(writer, to);
        if (at == string->len)
            return;
        size_t n = jinja_string_point(string, at, &point);
        jinja_write_part(writer, string, at, at + n);
        at += n;
    }
    jinja_write_part(writer, string, at, string->len);
}

bool jinja_text_replace(struct jinja_run *run, const struct jinja_string *string,
                        const struct jinja_string *from, const struct jinja_string *to, int64_t max,
                        struct jinja_value *out)
{
    struct jinja_writer writer;
    if (!jinja_spend_bytes(run, string->len))
        return false;
    size_t at = from->len == 0 ? 0 : jinja_string_find(string, 0, from), begin = 0;
    if (at == SIZE_MAX || max == 0) {
        *out = (struct jinja_value){.type = JINJA_STRING, .string = string};
        return true;
    }
    jinja_writer_init(&writer, run, string->len);
    if (from->len == 0) {
        insert_between(&writer, string, to, max);
        return jinja_writer_end(&writer, out);
    }
    for (; at != SIZE_MAX && max-- != 0 && !writer.failed && jinja_spend(run, 1);
         at = jinja_string_find(string, begin, from)) {
        jinja_write_part(&writer, string, begin, at);
        jinja_write_string(&writer, to);
        begin = at + from->len;
    }
    jinja_write_part(&writer, string, begin, string->len);
    return jinja_spend(run, 1) && jinja_writer_end(&writer, out);
}

bool jinja_text_join(struct jinja_run *run, const struct jinja_string *separator,
                     const struct jinja_list *items, struct jinja_value *out)
{
    struct jinja_writer writer;
    struct jinja_value text;
    jinja_writer_init(&writer, run, 64);
    for (size_t i = 0; i < items->n; i++) {
        if (i > 0)
            jinja_write_string(&writer, separator);
        if (!jinja_spend(run, 1) || !jinja_to_string(run, items->items[i], &text))
            return false;
        jinja_write_string(&writer, text.string);
    }
    return jinja_writer_end(&writer, out);
}

bool jinja_text_starts(const struct jinja_string *string, const struct jinja_string *start)
{
    return start->len <= string->len && memcmp(string->data, start->data, start->len) == 0;
}

bool jinja_text_ends(const struct jinja_string *string, const struct jinja_string *end)
{
    return end->len <= string->len &&
           memcmp(string->data + string->len - end->len, end->data, end->len) == 0;
}
