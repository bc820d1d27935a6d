#include "core/text/jinja_sort.h"

#include <string.h>

#include "core/text/jinja_eval.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_text.h"

/* A part of a path; one of digits is an index. */
static bool step(struct jinja_run *run, struct jinja_value *value, struct jinja_value part)
{
    const struct jinja_string *text = part.string;
    int64_t index = 0;
    size_t n = 0;
    while (n < text->len && n < 9 && text->data[n] >= '0' && text->data[n] <= '9')
        index = index * 10 + (text->data[n++] - '0');
    if (n > 0 && n == text->len)
        part = jinja_int(index);
    return jinja_item(run, *value, part, value);
}

static bool key_at(struct jinja_run *run, struct jinja_value item, struct jinja_value path,
                   bool is_case_sensitive, struct jinja_value *out)
{
    static const struct jinja_string dot = {.data = ".", .len = 1};
    struct jinja_value parts;
    *out = item;
    if (path.type == JINJA_INT && !jinja_item(run, item, path, out))
        return false;
    if (path.type == JINJA_STRING) {
        if (!jinja_text_split(run, path.string, &dot, -1, JINJA_LEFT, &parts))
            return false;
        for (size_t i = 0; i < parts.list->n; i++) {
            if (!step(run, out, parts.list->items[i]))
                return false;
        }
    }
    return is_case_sensitive || out->type != JINJA_STRING ||
           jinja_text_case(run, out->string, JINJA_LOWER, out);
}

bool jinja_key_of(struct jinja_run *run, struct jinja_value item, struct jinja_value path,
                  bool is_case_sensitive, struct jinja_value *out)
{
    static const struct jinja_string comma = {.data = ",", .len = 1};
    struct jinja_value paths, keys, key;
    if (path.type != JINJA_STRING || jinja_string_find(path.string, 0, &comma) == SIZE_MAX)
        return key_at(run, item, path, is_case_sensitive, out);
    if (!jinja_text_split(run, path.string, &comma, -1, JINJA_LEFT, &paths) ||
        !jinja_list_new(run, JINJA_TUPLE, paths.list->n, &keys))
        return false;
    for (size_t i = 0; i < paths.list->n; i++) {
        if (!key_at(run, item, paths.list->items[i], is_case_sensitive, &key) ||
            !jinja_list_push(run, keys.list, key))
            return false;
    }
    *out = keys;
    return true;
}

bool jinja_keys_of(struct jinja_run *run, struct jinja_value value, struct jinja_value path,
                   bool is_case_sensitive, struct jinja_keyed **out, size_t *out_n)
{
    const struct jinja_list *list;
    if (!jinja_iterate(run, value, &list))
        return false;
    struct jinja_keyed *items = jinja_alloc_array(run, list->n, sizeof *items);
    if (items == NULL)
        return false;
    for (size_t i = 0; i < list->n; i++) {
        items[i].item = list->items[i];
        if (!jinja_spend(run, 1) ||
            !jinja_key_of(run, items[i].item, path, is_case_sensitive, &items[i].key))
            return false;
    }
    *out = items;
    *out_n = list->n;
    return true;
}

/* Merges the sorted halves [0, middle) and [middle, n). */
static bool merge(struct jinja_run *run, struct jinja_keyed *items, size_t middle, size_t n,
                  bool is_reverse, struct jinja_keyed *spare)
{
    size_t a = 0, b = middle, at = 0;
    while (a < middle && b < n) {
        int order = 0;
        bool is_equal; /* asked first: equal keys need no order */
        if (!jinja_equal(run, items[a].key, items[b].key, &is_equal) ||
            (!is_equal && !jinja_compare(run, items[a].key, items[b].key, &order)))
            return false;
        order = is_equal ? 0 : order;
        bool takes_b = is_reverse ? order < 0 : order > 0;
        spare[at++] = items[takes_b ? b++ : a++];
    }
    while (a < middle)
        spare[at++] = items[a++];
    memcpy(items, spare, at * sizeof *items);
    return true;
}

bool jinja_sort(struct jinja_run *run, struct jinja_keyed *items, size_t n, bool is_reverse)
{
    struct jinja_keyed *spare = jinja_alloc_array(run, n, sizeof *spare);
    if (spare == NULL)
        return false;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t begin = 0; begin + width < n; begin += 2 * width) {
            size_t len = n - begin < 2 * width ? n - begin : 2 * width;
            if (!merge(run, items + begin, width, len, is_reverse, spare))
                return false;
        }
    }
    return true;
}
