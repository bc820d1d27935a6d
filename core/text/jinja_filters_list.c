/* Filters over lists and dicts. */
#include <string.h>

#include "core/text/jinja_dict.h"
#include "core/text/jinja_eval.h"
#include "core/text/jinja_filters.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_sort.h"
#include "core/text/jinja_text.h"

static bool push_pair(struct jinja_run *run, struct jinja_list *list, struct jinja_value a,
                      struct jinja_value b)
{
    struct jinja_value pair;
    return jinja_list_new(run, JINJA_TUPLE, 2, &pair) && jinja_list_push(run, pair.list, a) &&
           jinja_list_push(run, pair.list, b) && jinja_list_push(run, list, pair);
}

bool jinja_filter_length(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    size_t n;
    if (!jinja_length(run, call->self, &n))
        return false;
    *out = jinja_int((int64_t)n);
    return true;
}

static bool end_of(struct jinja_run *run, struct jinja_value value, bool is_first,
                   struct jinja_value *out)
{
    const struct jinja_list *list;
    if (value.type == JINJA_STRING && value.string->len > 0)
        return jinja_item(run, value, jinja_int(is_first ? 0 : -1), out);
    if (!jinja_iterate(run, value, &list))
        return false;
    *out = list->n == 0 ? jinja_undefined("an item of an empty list")
                        : list->items[is_first ? 0 : list->n - 1];
    return true;
}

bool jinja_filter_first(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    return end_of(run, call->self, true, out);
}

bool jinja_filter_last(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    return end_of(run, call->self, false, out);
}

bool jinja_filter_list(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    const struct jinja_list *list;
    struct jinja_value copy;
    if (!jinja_iterate(run, call->self, &list) || !jinja_list_new(run, JINJA_LIST, list->n, &copy))
        return false;
    if (list->n > 0)
        memcpy(copy.list->items, list->items, list->n * sizeof *list->items);
    copy.list->n = list->n;
    *out = copy;
    return jinja_spend(run, list->n);
}

bool jinja_filter_reverse(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    if (call->self.type == JINJA_STRING)
        return jinja_slice(run, call->self, jinja_none(), jinja_none(), jinja_int(-1), out);
    if (!jinja_filter_list(run, call, out))
        return false;
    struct jinja_list *list = out->list;
    for (size_t i = 0; i < list->n / 2; i++) {
        struct jinja_value item = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = item;
    }
    return true;
}

bool jinja_filter_items(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    struct jinja_value list;
    if (call->self.type != JINJA_DICT && call->self.type != JINJA_UNDEFINED)
        return jinja_fail(run, "can only get item pairs from a mapping");
    size_t n = call->self.type == JINJA_DICT ? call->self.dict->n : 0;
    if (!jinja_list_new(run, JINJA_LIST, n, &list))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct jinja_item *item = &call->self.dict->items[i];
        if (!push_pair(run, list.list, item->key, item->value))
            return false;
    }
    *out = list;
    return true;
}

bool jinja_filter_join(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    struct jinja_keyed *items;
    struct jinja_value list, separator;
    size_t n;
    if (!jinja_keys_of(run, call->self, call->arg[1], true, &items, &n) ||
        !jinja_list_new(run, JINJA_LIST, n, &list) ||
        !jinja_string_borrow(run, "", 0, JINJA_CONTROL, &separator) ||
        (call->arg[0].type != JINJA_ABSENT && !jinja_to_string(run, call->arg[0], &separator)))
        return false;
    for (size_t i = 0; i < n; i++)
        list.list->items[list.list->n++] = items[i].key;
    return jinja_text_join(run, separator.string, list.list, out);
}

/* ---- order ---- */

static bool list_of(struct jinja_run *run, const struct jinja_keyed *items, size_t n,
                    struct jinja_value *out)
{
    if (!jinja_list_new(run, JINJA_LIST, n, out))
        return false;
    for (size_t i = 0; i < n; i++)
        out->list->items[i] = items[i].item;
    out->list->n = n;
    return true;
}

bool jinja_filter_sort(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    struct jinja_keyed *items;
    size_t n;
    return jinja_keys_of(run, call->self, call->arg[2], jinja_is_true(call->arg[1]), &items, &n) &&
           jinja_sort(run, items, n, jinja_is_true(call->arg[0])) && list_of(run, items, n, out);
}

bool jinja_filter_dictsort(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    struct jinja_value pairs;
    struct jinja_keyed *items;
    size_t n;
    bool by_value =
        call->arg[1].type == JINJA_STRING && jinja_string_is(call->arg[1].string, "value");
    return jinja_filter_items(run, call, &pairs) &&
           jinja_keys_of(run, pairs, jinja_int(by_value), jinja_is_true(call->arg[0]), &items,
                         &n) &&
           jinja_sort(run, items, n, jinja_is_true(call->arg[2])) && list_of(run, items, n, out);
}

bool jinja_filter_unique(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    struct jinja_keyed *items;
    struct jinja_value seen;
    size_t n, n_kept = 0;
    if (!jinja_keys_of(run, call->self, call->arg[1], jinja_is_true(call->arg[0]), &items, &n) ||
        !jinja_dict_new(run, JINJA_DICT, &seen))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (jinja_dict_get(seen.dict, items[i].key) != NULL)
            continue;
        if (!jinja_dict_set(run, seen.dict, items[i].key, jinja_none()))
            return false;
        items[n_kept++] = items[i];
    }
    return list_of(run, items, n_kept, out);
}

static bool extreme(struct jinja_run *run, const struct jinja_call *call, bool is_max,
                    struct jinja_value *out)
{
    struct jinja_keyed *items;
    size_t n, best = 0;
    if (!jinja_keys_of(run, call->self, call->arg[1], jinja_is_true(call->arg[0]), &items, &n))
        return false;
    for (size_t i = 1; i < n; i++) {
        int order;
        if (!jinja_compare(run, items[i].key, items[best].key, &order))
            return false;
        if (is_max ? order > 0 : order < 0)
            best = i;
    }
    *out = n == 0 ? jinja_undefined("an item of an empty list") : items[best].item;
    return true;
}

bool jinja_filter_min(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return extreme(run, call, false, out);
}

bool jinja_filter_max(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return extreme(run, call, true, out);
}

bool jinja_filter_sum(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    struct jinja_keyed *items;
    size_t n;
    if (!jinja_keys_of(run, call->self, call->arg[0], true, &items, &n))
        return false;
    struct jinja_value sum = call->arg[1].type == JINJA_ABSENT ? jinja_int(0) : call->arg[1];
    for (size_t i = 0; i < n; i++) {
        if (!jinja_binary(run, JINJA_ADD, sum, items[i].key, &sum))
            return false;
    }
    *out = sum;
    return true;
}

/* ---- groups ---- */

bool jinja_filter_batch(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    const struct jinja_list *list;
    struct jinja_value rows, row = {.type = JINJA_ABSENT};
    int64_t width;
    if (!jinja_iterate(run, call->self, &list) || !jinja_arg_int(run, call->arg[0], 0, &width) ||
        !jinja_list_new(run, JINJA_LIST, 0, &rows))
        return false;
    if (width < 1)
        return jinja_fail(run, "batch() needs a number of items");
    for (size_t i = 0; i < list->n; i++) {
        bool is_new = i % (size_t)width == 0;
        if (is_new &&
            (!jinja_list_new(run, JINJA_LIST, 0, &row) || !jinja_list_push(run, rows.list, row)))
            return false;
        if (!jinja_list_push(run, row.list, list->items[i]))
            return false;
    }
    bool fills = call->arg[1].type != JINJA_ABSENT && call->arg[1].type != JINJA_NONE;
    while (fills && list->n > 0 && row.list->n < (size_t)width) {
        if (!jinja_list_push(run, row.list, call->arg[1]))
            return false;
    }
    *out = rows;
    return true;
}

bool jinja_filter_slice(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    const struct jinja_list *list;
    struct jinja_value rows, row;
    int64_t n_rows;
    if (!jinja_iterate(run, call->self, &list) || !jinja_arg_int(run, call->arg[0], 0, &n_rows) ||
        !jinja_list_new(run, JINJA_LIST, 0, &rows))
        return false;
    if (n_rows < 1)
        return jinja_fail(run, "slice() needs a number of lists");
    size_t width = list->n / (size_t)n_rows, n_longer = list->n % (size_t)n_rows, at = 0;
    bool fills = call->arg[1].type != JINJA_ABSENT && call->arg[1].type != JINJA_NONE;
    for (size_t i = 0; i < (size_t)n_rows; i++) {
        if (!jinja_list_new(run, JINJA_LIST, 0, &row) || !jinja_list_push(run, rows.list, row))
            return false;
        for (size_t k = 0; k < width + (i < n_longer); k++) {
            if (!jinja_list_push(run, row.list, list->items[at++]))
                return false;
        }
        if (fills && i >= n_longer && !jinja_list_push(run, row.list, call->arg[1]))
            return false;
    }
    *out = rows;
    return true;
}

bool jinja_filter_groupby(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    struct jinja_keyed *items;
    struct jinja_value groups, group = {.type = JINJA_ABSENT}, name;
    bool is_case_sensitive = jinja_is_true(call->arg[2]), is_same = false;
    size_t n;
    if (!jinja_keys_of(run, call->self, call->arg[0], is_case_sensitive, &items, &n))
        return false;
    for (size_t i = 0; i < n && call->arg[1].type != JINJA_ABSENT; i++) {
        if (items[i].key.type == JINJA_UNDEFINED)
            items[i].key = call->arg[1];
    }
    if (!jinja_sort(run, items, n, false) || !jinja_list_new(run, JINJA_LIST, 0, &groups))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && !jinja_equal(run, items[i - 1].key, items[i].key, &is_same))
            return false;
        if (!is_same && (!jinja_key_of(run, items[i].item, call->arg[0], true, &name) ||
                         !jinja_list_new(run, JINJA_LIST, 0, &group) ||
                         !push_pair(run, groups.list,
                                    name.type == JINJA_UNDEFINED ? items[i].key : name, group)))
            return false;
        if (!jinja_list_push(run, group.list, items[i].item))
            return false;
    }
    *out = groups;
    return true;
}
