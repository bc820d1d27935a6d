/* Values as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/jinja_dict.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

/* One call: what is written how, and how deep. */
struct dump {
    struct jinja_run *run;
    const struct jinja_json_style *style;
    struct jinja_writer *out;
    int level;
};

static bool dump_value(struct dump *dump, struct jinja_value value);

static void put(const struct dump *dump, const char *text)
{
    jinja_write(dump->out, text, strlen(text), JINJA_DATA);
}

static void put_unit(const struct dump *dump, uint32_t unit)
{
    char text[8];
    snprintf(text, sizeof text, "\\u%04x", unit);
    put(dump, text);
}

/* A character that JSON, or ASCII, cannot hold as it is. */
static void put_escaped(const struct dump *dump, uint32_t point)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    const char *simple = point < 0x80 && point > 0 ? strchr(from, (int)point) : NULL;
    if (simple != NULL) {
        char text[] = {'\\', to[simple - from], '\0'};
        put(dump, text);
    } else if (point >= 0x10000 && point <= 0x10FFFF) {
        put_unit(dump, 0xD800 + ((point - 0x10000) >> 10));
        put_unit(dump, 0xDC00 + ((point - 0x10000) & 0x3FF));
    } else {
        put_unit(dump, point > 0x10FFFF ? 0xFFFD : point);
    }
}

static void dump_string(const struct dump *dump, const struct jinja_string *string)
{
    uint32_t point;
    size_t begin = 0;
    put(dump, "\"");
    for (size_t at = 0, n; at < string->len && !dump->out->failed; at += n) {
        n = jinja_string_point(string, at, &point);
        bool is_plain = point >= 0x20 && point != '"' && point != '\\' &&
                        (point < 0x7F || point == 0x7F || !dump->style->is_ascii);
        if (is_plain)
            continue;
        jinja_write_part(dump->out, string, begin, at);
        put_escaped(dump, point);
        begin = at + n;
    }
    jinja_write_part(dump->out, string, begin, string->len);
    put(dump, "\"");
}

static void put_newline(const struct dump *dump)
{
    const struct jinja_json_style *style = dump->style;
    if (style->indent < 0 && style->indent_text == NULL)
        return;
    put(dump, "\n");
    for (int i = 0; i < dump->level && !dump->out->failed; i++) {
        for (int k = 0; k < style->indent; k++)
            put(dump, " ");
        if (style->indent_text != NULL)
            jinja_write_string(dump->out, style->indent_text);
    }
}

static void put_comma(const struct dump *dump)
{
    bool is_indented = dump->style->indent >= 0 || dump->style->indent_text != NULL;
    if (dump->style->between_items != NULL)
        jinja_write_string(dump->out, dump->style->between_items);
    else
        put(dump, is_indented ? "," : ", ");
}

static bool dump_list(struct dump *dump, const struct jinja_list *list)
{
    if (list->n == 0) {
        put(dump, "[]");
        return true;
    }
    put(dump, "[");
    dump->level++;
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0)
            put_comma(dump);
        put_newline(dump);
        if (!dump_value(dump, list->items[i]))
            return false;
    }
    dump->level--;
    put_newline(dump);
    put(dump, "]");
    return true;
}

static bool dump_key(struct dump *dump, struct jinja_value key)
{
    if (key.type == JINJA_STRING) {
        dump_string(dump, key.string);
        return true;
    }
    put(dump, "\"");
    bool is_good = dump_value(dump, key); /* a number, true, false or null */
    put(dump, "\"");
    return is_good;
}

static int by_key(const void *a, const void *b)
{
    const struct jinja_item *x = a, *y = b;
    return jinja_string_compare(x->key.string, y->key.string);
}

static bool sort_items(struct dump *dump, const struct jinja_dict *dict,
                       const struct jinja_item **out)
{
    for (size_t i = 0; i < dict->n; i++) {
        if (dict->items[i].key.type != JINJA_STRING)
            return jinja_fail(dump->run, "keys that are not strings cannot be sorted");
    }
    struct jinja_item *items = jinja_alloc_array(dump->run, dict->n, sizeof *items);
    if (items == NULL)
        return false;
    memcpy(items, dict->items, dict->n * sizeof *items);
    qsort(items, dict->n, sizeof *items, by_key);
    *out = items;
    return jinja_spend(dump->run, dict->n);
}

static bool dump_dict(struct dump *dump, const struct jinja_dict *dict)
{
    const struct jinja_item *items = dict->items;
    if (dict->n == 0) {
        put(dump, "{}");
        return true;
    }
    if (dump->style->sorts_keys && !sort_items(dump, dict, &items))
        return false;
    put(dump, "{");
    dump->level++;
    for (size_t i = 0; i < dict->n; i++) {
        if (i > 0)
            put_comma(dump);
        put_newline(dump);
        if (!dump_key(dump, items[i].key))
            return false;
        if (dump->style->between_pair != NULL)
            jinja_write_string(dump->out, dump->style->between_pair);
        else
            put(dump, ": ");
        if (!dump_value(dump, items[i].value))
            return false;
    }
    dump->level--;
    put_newline(dump);
    put(dump, "}");
    return true;
}

static void dump_float(const struct dump *dump, double real)
{
    char text[JINJA_FLOAT_SIZE];
    jinja_print_float(real, text);
    put(dump, isnan(real) ? "NaN" : isinf(real) ? real > 0 ? "Infinity" : "-Infinity" : text);
}

static bool dump_inside(struct dump *dump, struct jinja_value value)
{
    char text[24];
    switch (value.type) {
    case JINJA_NONE:
        put(dump, "null");
        return true;
    case JINJA_BOOL:
        put(dump, value.boolean ? "true" : "false");
        return true;
    case JINJA_INT:
        snprintf(text, sizeof text, "%lld", (long long)value.integer);
        put(dump, text);
        return true;
    case JINJA_FLOAT:
        dump_float(dump, value.real);
        return true;
    case JINJA_STRING:
        dump_string(dump, value.string);
        return true;
    case JINJA_LIST:
    case JINJA_TUPLE:
        return dump_list(dump, value.list);
    case JINJA_DICT:
        return dump_dict(dump, value.dict);
    default:
        return jinja_fail(dump->run, "Object of type %s is not JSON serializable",
                          jinja_type_name(value));
    }
}

static bool dump_value(struct dump *dump, struct jinja_value value)
{
    if (!jinja_enter(dump->run))
        return false;
    bool is_good = dump_inside(dump, value) && !dump->out->failed;
    jinja_leave(dump->run);
    return is_good;
}

bool jinja_write_json(struct jinja_run *run, struct jinja_value value,
                      const struct jinja_json_style *style, struct jinja_writer *out)
{
    struct dump dump = {run, style, out, 0};
    return dump_value(&dump, value);
}
