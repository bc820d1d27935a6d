/* Methods of lists, dicts, loops and cyclers; which type has which. */
#include "core/text/jinja_methods.h"

#include <string.h>

#include "core/text/jinja_dict.h"
#include "core/text/jinja_eval.h"
#include "core/text/jinja_filters.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

/* ---- dicts ---- */

static bool dict_get(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    (void)run;
    const struct jinja_value *value = jinja_dict_get(call->self.dict, call->arg[0]);
    *out = value != NULL ? *value : call->arg[1].type == JINJA_ABSENT ? jinja_none() : call->arg[1];
    return true;
}

static bool dict_keys(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    return jinja_filter_list(run, call, out);
}

static bool dict_values(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    const struct jinja_dict *dict = call->self.dict;
    struct jinja_value list;
    if (!jinja_list_new(run, JINJA_LIST, dict->n, &list))
        return false;
    for (size_t i = 0; i < dict->n; i++) {
        if (!jinja_list_push(run, list.list, dict->items[i].value))
            return false;
    }
    *out = list;
    return true;
}

static bool dict_pop(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    if (!jinja_dict_take(run, call->self.dict, call->arg[0], out))
        return false;
    if (out->type == JINJA_ABSENT)
        *out = call->arg[1];
    return out->type != JINJA_ABSENT || jinja_fail(run, "pop(): the key is not there");
}

static bool dict_setdefault(struct jinja_run *run, const struct jinja_call *call,
                            struct jinja_value *out)
{
    const struct jinja_value *known = jinja_dict_get(call->self.dict, call->arg[0]);
    *out = known != NULL ? *known : call->arg[1].type == JINJA_ABSENT ? jinja_none() : call->arg[1];
    return known != NULL || jinja_dict_set(run, call->self.dict, call->arg[0], *out);
}

static bool dict_update(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    const struct jinja_args *args = call->args;
    const struct jinja_dict *from =
        args->n > 0 && args->items[0].type == JINJA_DICT ? args->items[0].dict : NULL;
    size_t n = from == NULL ? 0 : from->n;
    for (size_t i = 0; i < n; i++) {
        if (!jinja_dict_set(run, call->self.dict, from->items[i].key, from->items[i].value))
            return false;
    }
    for (size_t i = 0; i < args->n_named; i++) {
        if (!jinja_dict_set_text(run, call->self.dict, args->named[i].name, args->named[i].value))
            return false;
    }
    *out = jinja_none();
    return true;
}

static bool dict_copy(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    const struct jinja_dict *dict = call->self.dict;
    struct jinja_value copy;
    if (!jinja_dict_new(run, JINJA_DICT, &copy))
        return false;
    for (size_t i = 0; i < dict->n; i++) {
        if (!jinja_dict_set(run, copy.dict, dict->items[i].key, dict->items[i].value))
            return false;
    }
    *out = copy;
    return true;
}

/* ---- lists ---- */

static bool list_append(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    *out = jinja_none();
    if (call->arg[0].type == JINJA_ABSENT)
        return jinja_fail(run, "append() needs an item");
    return jinja_list_push(run, call->self.list, call->arg[0]);
}

static bool list_extend(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    const struct jinja_list *items;
    *out = jinja_none();
    if (!jinja_iterate(run, call->arg[0], &items))
        return false;
    for (size_t i = 0, n = items->n; i < n; i++) {
        if (!jinja_list_push(run, call->self.list, items->items[i]))
            return false;
    }
    return true;
}

static bool list_place(struct jinja_run *run, const struct jinja_call *call, int64_t fallback,
                       size_t *out)
{
    int64_t at, n = (int64_t)call->self.list->n;
    if (!jinja_arg_int(run, call->arg[0], fallback, &at))
        return false;
    at += at < 0 ? n : 0;
    *out = at < 0 || at > n ? SIZE_MAX : (size_t)at;
    return true;
}

static bool list_pop(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    struct jinja_list *list = call->self.list;
    size_t at;
    if (!list_place(run, call, -1, &at))
        return false;
    if (at >= list->n)
        return jinja_fail(run, "pop index out of range");
    *out = list->items[at];
    memmove(list->items + at, list->items + at + 1, (list->n - at - 1) * sizeof *list->items);
    list->n--;
    return jinja_spend(run, list->n - at + 1);
}

static bool list_insert(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    struct jinja_list *list = call->self.list;
    size_t at;
    *out = jinja_none();
    if (!list_place(run, call, 0, &at))
        return false;
    if (at == SIZE_MAX) /* Python takes the nearer end */
        at = call->arg[0].integer < 0 ? 0 : list->n;
    if (!jinja_list_push(run, list, call->arg[1]))
        return false;
    memmove(list->items + at + 1, list->items + at, (list->n - 1 - at) * sizeof *list->items);
    list->items[at] = call->arg[1];
    return jinja_spend(run, list->n - at);
}

static bool list_find(struct jinja_run *run, const struct jinja_call *call, size_t *out_at,
                      int64_t *out_n)
{
    const struct jinja_list *list = call->self.list;
    bool is_equal;
    *out_at = SIZE_MAX;
    *out_n = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (!jinja_spend(run, 1) || !jinja_equal(run, list->items[i], call->arg[0], &is_equal))
            return false;
        if (is_equal && (*out_n)++ == 0)
            *out_at = i;
    }
    return true;
}

static bool list_index(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    size_t at;
    int64_t n;
    if (!list_find(run, call, &at, &n))
        return false;
    *out = jinja_int((int64_t)at);
    return n > 0 || jinja_fail(run, "the value is not in the list");
}

static bool list_count(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    size_t at;
    int64_t n;
    if (!list_find(run, call, &at, &n))
        return false;
    *out = jinja_int(n);
    return true;
}

/* ---- loops and cyclers ---- */

static bool loop_cycle(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    const struct jinja_args *args = call->args;
    if (args->n == 0)
        return jinja_fail(run, "no items for cycling given");
    *out = args->items[call->self.loop->at % args->n];
    return true;
}

static bool loop_changed(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    struct jinja_loop *loop = call->self.loop;
    struct jinja_value now;
    bool is_same;
    if (!jinja_list_new(run, JINJA_TUPLE, call->args->n, &now))
        return false;
    if (call->args->n > 0)
        memcpy(now.list->items, call->args->items, call->args->n * sizeof now);
    now.list->n = call->args->n;
    if (!jinja_equal(run, loop->changed, now, &is_same))
        return false;
    loop->changed = now;
    *out = jinja_bool(!is_same);
    return true;
}

static bool cycler_next(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    return jinja_invoke(run, call->self, call->args, out);
}

static bool cycler_reset(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    (void)run;
    call->self.cycler->at = 0;
    *out = jinja_none();
    return true;
}

static const struct jinja_native DICT_METHODS[] = {
    {"copy", "", dict_copy},           {"get", "key default", dict_get},
    {"items", "", jinja_filter_items}, {"keys", "", dict_keys},
    {"pop", "key default", dict_pop},  {"setdefault", "key default", dict_setdefault},
    {"update", "*", dict_update},      {"values", "", dict_values},
};

/* The last four change the list: a tuple lacks them. */
static const struct jinja_native LIST_METHODS[] = {
    {"count", "value", list_count},      {"index", "value", list_index},
    {"copy", "", jinja_filter_list},     {"append", "object", list_append},
    {"extend", "iterable", list_extend}, {"insert", "index object", list_insert},
    {"pop", "index", list_pop},
};
enum { N_LIST_METHODS = sizeof LIST_METHODS / sizeof LIST_METHODS[0], N_TUPLE_METHODS = 2 };

static const struct jinja_native LOOP_METHODS[] = {
    {"changed", "*", loop_changed},
    {"cycle", "*", loop_cycle},
};

static const struct jinja_native CYCLER_METHODS[] = {
    {"next", "", cycler_next},
    {"reset", "", cycler_reset},
};

const struct jinja_native *jinja_method_find(enum jinja_type type, const char *name, size_t len)
{
    switch (type) {
    case JINJA_STRING:
        return jinja_text_method_find(name, len);
    case JINJA_DICT:
        return jinja_native_find(DICT_METHODS, sizeof DICT_METHODS / sizeof DICT_METHODS[0], name,
                                 len);
    case JINJA_LIST:
        return jinja_native_find(LIST_METHODS, N_LIST_METHODS, name, len);
    case JINJA_TUPLE:
        return jinja_native_find(LIST_METHODS, N_TUPLE_METHODS, name, len);
    case JINJA_LOOP:
        return jinja_native_find(LOOP_METHODS, 2, name, len);
    case JINJA_CYCLER:
        return jinja_native_find(CYCLER_METHODS, 2, name, len);
    default:
        return NULL;
    }
}
