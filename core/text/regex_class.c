#include "core/text/regex_class.h"

#include <stddef.h>
#include <string.h>

#include "core/base/buf.h"

bool regex_class_add(struct regex_class *class, uint32_t first, uint32_t last)
{
    if (class->n == REGEX_CLASS_MAX_RANGES)
        return false;
    class->ranges[class->n++] = (struct regex_range){first, last};
    return true;
}

/* ---- classes that have a name ---- */

bool regex_class_is_name(char c)
{
    return c != '\0' && strchr("dwsDWS", c) != NULL;
}

/* The digits, word characters or spaces that \d, \w, \s mean, in order. */
static const struct {
    char name;
    int n;
    struct regex_range ranges[10];
} NAMED[] = {
    {'d', 1, {{'0', '9'}}},
    {'w', 4, {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
    {'s',
     10,
     {{'\t', '\r'},
      {' ', ' '},
      {0xA0, 0xA0},
      {0x1680, 0x1680},
      {0x2000, 0x200A},
      {0x2028, 0x2029},
      {0x202F, 0x202F},
      {0x205F, 0x205F},
      {0x3000, 0x3000},
      {0xFEFF, 0xFEFF}}},
};

bool regex_class_add_named(struct regex_class *class, char name)
{
    size_t k = name == 'd' || name == 'D' ? 0 : name == 'w' || name == 'W' ? 1 : 2;
    bool is_opposite = name != NAMED[k].name;
    uint32_t next = 0;
    for (int i = 0; i < NAMED[k].n; i++) {
        struct regex_range range = NAMED[k].ranges[i];
        bool is_added = is_opposite ? regex_class_add(class, next, range.first - 1)
                                    : regex_class_add(class, range.first, range.last);
        if (!is_added)
            return false;
        next = range.last + 1;
    }
    return !is_opposite || regex_class_add(class, next, REGEX_CLASS_LAST_POINT);
}

/* ---- to GBNF ---- */

static bool class_has(const struct regex_class *class, uint32_t point)
{
    bool is_listed = false;
    for (int i = 0; i < class->n; i++)
        is_listed =
            is_listed || (point >= class->ranges[i].first && point <= class->ranges[i].last);
    return is_listed != class->is_negated;
}

static void write_ranges(const struct regex_class *class, struct buf *out)
{
    for (int i = 0; i < class->n; i++) {
        buf_append_format(out, "\\U%08X", class->ranges[i].first);
        if (class->ranges[i].last > class->ranges[i].first)
            buf_append_format(out, "-\\U%08X", class->ranges[i].last);
    }
}

/* Cuts what GBNF's escapes cannot name out of the ranges: surrogates. */
static void drop_surrogates(struct regex_class *class)
{
    int n = class->n;
    for (int i = 0; i < n; i++) {
        struct regex_range *range = &class->ranges[i];
        if (range->last < 0xD800 || range->first > 0xDFFF)
            continue;
        if (range->first >= 0xD800)
            range->first = 0xE000;
        if (range->last <= 0xDFFF)
            range->last = 0xD7FF;
    }
}

void regex_class_write(struct regex_class *class, struct buf *out)
{
    drop_surrogates(class);
    buf_append_text(out, class->is_negated ? "[^" : "[");
    write_ranges(class, out);
    buf_append_text(out, "]");
}

void regex_class_write_json(struct regex_class *class, struct buf *out)
{
    static const struct {
        uint32_t point;
        const char *escape;
    } escapes[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\b', "b"}, {'\f', "f"},
                   {'\n', "n"},   {'\r', "r"},    {'\t', "t"}};
    bool has_escapes = false;
    drop_surrogates(class);
    buf_append_text(out, "(");
    if (class->is_negated) {
        buf_append_text(out, "[^\"\\\\\\x00-\\x1F");
        write_ranges(class, out);
        buf_append_text(out, "]");
    } else {
        /* The same without a negation: what lies between the special characters. */
        static const struct regex_range plain[] = {
            {0x20, 0x21}, {0x23, 0x5B}, {0x5D, REGEX_CLASS_LAST_POINT}};
        buf_append_text(out, "[");
        for (int i = 0; i < class->n; i++) {
            for (int p = 0; p < 3; p++) {
                uint32_t first = class->ranges[i].first, last = class->ranges[i].last;
                first = first > plain[p].first ? first : plain[p].first;
                last = last < plain[p].last ? last : plain[p].last;
                if (first <= last)
                    buf_append_format(out, "\\U%08X-\\U%08X", first, last);
            }
        }
        buf_append_text(out, "]");
    }
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        if (!class_has(class, escapes[i].point))
            continue;
        buf_append_text(out, has_escapes ? "" : " | \"\\\\\" [");
        buf_append_text(out, escapes[i].escape);
        has_escapes = true;
    }
    buf_append_text(out, has_escapes ? "])" : ")");
}
