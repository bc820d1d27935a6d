/* The table of filters, and those that choose, map or make numbers. */
#include "core/text/jinja_filters.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/jinja_eval.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_sort.h"
#include "core/text/jinja_text.h"

static bool filter_default(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    bool is_missing = call->self.type == JINJA_UNDEFINED ||
                      (jinja_is_true(call->arg[1]) && !jinja_is_true(call->self));
    *out = is_missing ? call->arg[0] : call->self;
    return out->type != JINJA_ABSENT || jinja_string_borrow(run, "", 0, JINJA_CONTROL, out);
}

static bool filter_attr(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    const struct jinja_string *name;
    if (!jinja_arg_string(run, call->arg[0], &name))
        return false;
    if (call->self.type != JINJA_DICT ||
        jinja_method_find(JINJA_DICT, name->data, name->len) != NULL)
        return jinja_attribute(run, call->self, call->arg[0], out);
    *out = jinja_undefined(NULL); /* an item is no attribute */
    return true;
}

/* ---- map, select ---- */

static const struct jinja_value *named(const struct jinja_args *args, const char *name)
{
    for (size_t i = 0; i < args->n_named; i++) {
        if (strcmp(args->named[i].name, name) == 0)
            return &args->named[i].value;
    }
    return NULL;
}

static bool map_attribute(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value path, struct jinja_value *out)
{
    const struct jinja_value *fallback = named(call->args, "default");
    struct jinja_keyed *items;
    size_t n;
    if (!jinja_keys_of(run, call->self, path, true, &items, &n) ||
        !jinja_list_new(run, JINJA_LIST, n, out))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool is_missing = items[i].key.type == JINJA_UNDEFINED && fallback != NULL;
        out->list->items[i] = is_missing ? *fallback : items[i].key;
    }
    out->list->n = n;
    return true;
}

/* The filter or test that an argument names, and the arguments behind it. */
static const struct jinja_native *find_named(struct jinja_run *run, const struct jinja_args *args,
                                             size_t at, bool is_filter, struct jinja_args *out_rest)
{
    const struct jinja_string *name;
    if (!jinja_arg_string(run, args->items[at], &name))
        return NULL;
    *out_rest = *args;
    out_rest->items += at + 1;
    out_rest->n -= at + 1;
    const struct jinja_native *native = is_filter ? jinja_filter_find(name->data, name->len)
                                                  : jinja_test_find(name->data, name->len);
    if (native == NULL)
        jinja_fail(run, "there is no %s '%.*s'", is_filter ? "filter" : "test",
                   (int)(name->len < 40 ? name->len : 40), name->data);
    return native;
}

/* Of what is false, which may be none: nothing, whatever is asked. */
static bool filter_map(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    const struct jinja_value *path = named(call->args, "attribute");
    const struct jinja_list *list;
    struct jinja_value mapped, item;
    struct jinja_args rest;
    if (!jinja_is_true(call->self))
        return jinja_list_new(run, JINJA_LIST, 0, out);
    if (call->args->n == 0 && path != NULL)
        return map_attribute(run, call, *path, out);
    if (call->args->n == 0)
        return jinja_fail(run, "map() needs the name of a filter");
    const struct jinja_native *filter = find_named(run, call->args, 0, true, &rest);
    if (filter == NULL || !jinja_iterate(run, call->self, &list) ||
        !jinja_list_new(run, JINJA_LIST, list->n, &mapped))
        return false;
    for (size_t i = 0; i < list->n; i++) {
        if (!jinja_enter(run))
            return false;
        bool is_good = jinja_native_call(run, filter, list->items[i], &rest, &item);
        jinja_leave(run);
        if (!is_good || !jinja_list_push(run, mapped.list, item))
            return false;
    }
    *out = mapped;
    return true;
}

/* Keeps the items whose value at the path passes the test, or does not. */
static bool choose(struct jinja_run *run, const struct jinja_call *call, bool has_path,
                   bool is_wanted, struct jinja_value *out)
{
    const struct jinja_native *test = NULL;
    struct jinja_args rest;
    struct jinja_keyed *items;
    struct jinja_value chosen, path = {.type = JINJA_ABSENT}, result;
    size_t n;
    if (!jinja_is_true(call->self))
        return jinja_list_new(run, JINJA_LIST, 0, out);
    if (has_path && call->args->n == 0)
        return jinja_fail(run, "the name of an attribute is missing");
    if (has_path)
        path = call->args->items[0];
    if (call->args->n > has_path) {
        test = find_named(run, call->args, has_path, false, &rest);
        if (test == NULL)
            return false;
    }
    if (!jinja_keys_of(run, call->self, path, true, &items, &n) ||
        !jinja_list_new(run, JINJA_LIST, 0, &chosen))
        return false;
    for (size_t i = 0; i < n; i++) {
        result = items[i].key;
        if (test != NULL && !jinja_native_call(run, test, items[i].key, &rest, &result))
            return false;
        if (jinja_is_true(result) == is_wanted && !jinja_list_push(run, chosen.list, items[i].item))
            return false;
    }
    *out = chosen;
    return true;
}

static bool filter_select(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    return choose(run, call, false, true, out);
}

static bool filter_reject(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    return choose(run, call, false, false, out);
}

static bool filter_selectattr(struct jinja_run *run, const struct jinja_call *call,
                              struct jinja_value *out)
{
    return choose(run, call, true, true, out);
}

static bool filter_rejectattr(struct jinja_run *run, const struct jinja_call *call,
                              struct jinja_value *out)
{
    return choose(run, call, true, false, out);
}

/* ---- numbers ---- */

/* Text as a number: an integer of the base, or else a float. False when it is neither. */
static bool parse_number(const struct jinja_string *string, int base, struct jinja_value *out)
{
    char text[64];
    size_t n = 0;
    for (size_t i = 0; i < string->len; i++) {
        if (string->data[i] == '_')
            continue;
        if (n == sizeof text - 1 || string->data[i] == '\0')
            return false;
        text[n++] = string->data[i];
    }
    while (n > 0 && strchr(" \t\n\r\f\v", text[n - 1]) != NULL)
        n--;
    text[n] = '\0';
    char *end;
    errno = 0;
    *out = jinja_int(strtoll(text, &end, base));
    if (n > 0 && *end == '\0' && errno == 0)
        return true;
    *out = jinja_float(strtod(text, &end));
    return n > 0 && *end == '\0' && memchr(text, 'x', n) == NULL;
}

static struct jinja_value truncated(double real, struct jinja_value fallback)
{
    return real > -9.2e18 && real < 9.2e18 ? jinja_int((int64_t)real) : fallback;
}

static bool filter_int(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    struct jinja_value value = call->self;
    struct jinja_value fallback = call->arg[0].type == JINJA_ABSENT ? jinja_int(0) : call->arg[0];
    int64_t base;
    if (!jinja_arg_int(run, call->arg[1], 10, &base))
        return false;
    if (base != 0 && (base < 2 || base > 36))
        return jinja_fail(run, "int() needs a base from 2 to 36");
    if (value.type == JINJA_STRING && !parse_number(value.string, (int)base, &value))
        value = jinja_none();
    *out = value.type == JINJA_INT     ? value
           : value.type == JINJA_BOOL  ? jinja_int(value.boolean)
           : value.type == JINJA_FLOAT ? truncated(value.real, fallback)
                                       : fallback;
    return true;
}

static bool filter_float(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    (void)run;
    struct jinja_value value = call->self;
    if (value.type == JINJA_STRING && !parse_number(value.string, 10, &value))
        value = jinja_none();
    *out = value.type == JINJA_FLOAT           ? value
           : value.type == JINJA_INT           ? jinja_float((double)value.integer)
           : value.type == JINJA_BOOL          ? jinja_float(value.boolean)
           : call->arg[0].type == JINJA_ABSENT ? jinja_float(0)
                                               : call->arg[0];
    return true;
}

static bool filter_abs(struct jinja_run *run, const struct jinja_call *call,
                       struct jinja_value *out)
{
    struct jinja_value value = call->self;
    bool is_negative = value.type == JINJA_FLOAT ? signbit(value.real)
                                                 : value.type == JINJA_INT && value.integer < 0;
    return jinja_negate(run, value, is_negative, out);
}

static double rounded(double real, int precision)
{
    char text[400];
    if (precision < 0) {
        double scale = pow(10, -precision);
        return nearbyint(real / scale) * scale;
    }
    snprintf(text, sizeof text, "%.*f", precision, real); /* exact, ties to even */
    return strtod(text, NULL);
}

static bool filter_round(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    int64_t precision;
    if (!jinja_is_number(call->self))
        return jinja_fail(run, "round() needs a number, not '%s'", jinja_type_name(call->self));
    if (!jinja_arg_int(run, call->arg[0], 0, &precision))
        return false;
    precision = precision > 40 ? 40 : precision < -40 ? -40 : precision;
    const struct jinja_string *method =
        call->arg[1].type == JINJA_STRING ? call->arg[1].string : NULL;
    bool is_common = method == NULL || jinja_string_is(method, "common");
    bool is_whole = is_common && call->self.type != JINJA_FLOAT;
    double real = jinja_real(call->self);
    if (is_whole) {
        bool stays = precision >= 0 || precision < -18;
        int64_t integer = precision < -18 ? 0 : jinja_integer(call->self);
        *out = jinja_int(stays ? integer : (int64_t)rounded(real, (int)precision));
        return true;
    }
    double scale = pow(10, (double)precision);
    if (is_common)
        *out = jinja_float(rounded(real, (int)precision));
    else
        *out = jinja_float((jinja_string_is(method, "ceil") ? ceil : floor)(real * scale) / scale);
    return true;
}

static const struct jinja_native FILTERS[] = {
    {"abs", "", filter_abs},
    {"attr", "name", filter_attr},
    {"batch", "linecount fill_with", jinja_filter_batch},
    {"capitalize", "", jinja_filter_capitalize},
    {"center", "width", jinja_filter_center},
    {"count", "", jinja_filter_length},
    {"d", "default_value boolean", filter_default},
    {"default", "default_value boolean", filter_default},
    {"dictsort", "case_sensitive by reverse", jinja_filter_dictsort},
    {"e", "", jinja_filter_escape},
    {"escape", "", jinja_filter_escape},
    {"first", "", jinja_filter_first},
    {"float", "default", filter_float},
    {"forceescape", "", jinja_filter_escape},
    {"format", "*", jinja_filter_format},
    {"groupby", "attribute default case_sensitive", jinja_filter_groupby},
    {"indent", "width first blank", jinja_filter_indent},
    {"int", "default base", filter_int},
    {"items", "", jinja_filter_items},
    {"join", "d attribute", jinja_filter_join},
    {"last", "", jinja_filter_last},
    {"length", "", jinja_filter_length},
    {"list", "", jinja_filter_list},
    {"lower", "", jinja_filter_lower},
    {"map", "*", filter_map},
    {"max", "case_sensitive attribute", jinja_filter_max},
    {"min", "case_sensitive attribute", jinja_filter_min},
    {"pprint", "", jinja_filter_pprint},
    {"reject", "*", filter_reject},
    {"rejectattr", "*", filter_rejectattr},
    {"replace", "old new count", jinja_filter_replace},
    {"reverse", "", jinja_filter_reverse},
    {"round", "precision method", filter_round},
    {"safe", "", jinja_filter_string},
    {"select", "*", filter_select},
    {"selectattr", "*", filter_selectattr},
    {"slice", "slices fill_with", jinja_filter_slice},
    {"sort", "reverse case_sensitive attribute", jinja_filter_sort},
    {"string", "", jinja_filter_string},
    {"sum", "attribute start", jinja_filter_sum},
    {"title", "", jinja_filter_title},
    {"tojson", "ensure_ascii indent separators sort_keys", jinja_filter_tojson},
    {"trim", "chars", jinja_filter_trim},
    {"truncate", "length killwords end leeway", jinja_filter_truncate},
    {"unique", "case_sensitive attribute", jinja_filter_unique},
    {"upper", "", jinja_filter_upper},
    {"wordcount", "", jinja_filter_wordcount},
};

const struct jinja_native *jinja_filter_find(const char *name, size_t len)
{
    return jinja_native_find(FILTERS, sizeof FILTERS / sizeof FILTERS[0], name, len);
}
