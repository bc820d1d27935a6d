#include "core/text/jinja_value.h"

#include <string.h>

#include "core/text/jinja_dict.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

struct jinja_value jinja_none(void)
{
    return (struct jinja_value){.type = JINJA_NONE};
}

struct jinja_value jinja_undefined(const char *missing)
{
    return (struct jinja_value){.type = JINJA_UNDEFINED, .missing = missing};
}

struct jinja_value jinja_bool(bool boolean)
{
    return (struct jinja_value){.type = JINJA_BOOL, .boolean = boolean};
}

struct jinja_value jinja_int(int64_t integer)
{
    return (struct jinja_value){.type = JINJA_INT, .integer = integer};
}

struct jinja_value jinja_float(double real)
{
    return (struct jinja_value){.type = JINJA_FLOAT, .real = real};
}

bool jinja_list_new(struct jinja_run *run, enum jinja_type type, size_t max,
                    struct jinja_value *out)
{
    struct jinja_list *list = jinja_alloc(run, sizeof *list);
    if (list == NULL)
        return false;
    list->items = jinja_alloc_array(run, max, sizeof *list->items);
    list->max = max;
    *out = (struct jinja_value){.type = type, .list = list};
    return list->items != NULL;
}

bool jinja_list_push(struct jinja_run *run, struct jinja_list *list, struct jinja_value item)
{
    if (!jinja_spend(run, 1))
        return false;
    if (list->n == list->max) {
        size_t max = list->max < 4 ? 4 : list->max * 2;
        struct jinja_value *items = jinja_alloc_array(run, max, sizeof *items);
        if (items == NULL)
            return false;
        if (list->n > 0)
            memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->max = max;
    }
    list->items[list->n++] = item;
    return true;
}

bool jinja_is_number(struct jinja_value value)
{
    return value.type == JINJA_BOOL || value.type == JINJA_INT || value.type == JINJA_FLOAT;
}

bool jinja_is_true(struct jinja_value value)
{
    switch (value.type) {
    case JINJA_ABSENT:
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return false;
    case JINJA_BOOL:
        return value.boolean;
    case JINJA_INT:
        return value.integer != 0;
    case JINJA_FLOAT:
        return value.real != 0;
    case JINJA_STRING:
        return value.string->len > 0;
    case JINJA_LIST:
    case JINJA_TUPLE:
        return value.list->n > 0;
    case JINJA_DICT:
        return value.dict->n > 0;
    default:
        return true;
    }
}

const char *jinja_type_name(struct jinja_value value)
{
    static const char *const names[] = {
        [JINJA_ABSENT] = "nothing",
        [JINJA_UNDEFINED] = "Undefined",
        [JINJA_NONE] = "NoneType",
        [JINJA_BOOL] = "bool",
        [JINJA_INT] = "int",
        [JINJA_FLOAT] = "float",
        [JINJA_STRING] = "str",
        [JINJA_LIST] = "list",
        [JINJA_TUPLE] = "tuple",
        [JINJA_DICT] = "dict",
        [JINJA_NAMESPACE] = "Namespace",
        [JINJA_LOOP] = "LoopContext",
        [JINJA_NATIVE] = "function",
        [JINJA_METHOD] = "method",
        [JINJA_MACRO] = "Macro",
        [JINJA_CYCLER] = "Cycler",
    };
    return names[value.type];
}

double jinja_real(struct jinja_value value)
{
    return value.type == JINJA_FLOAT ? value.real
           : value.type == JINJA_INT ? (double)value.integer
                                     : (double)value.boolean;
}

int64_t jinja_integer(struct jinja_value value)
{
    return value.type == JINJA_BOOL ? value.boolean : value.integer;
}

static bool equal_lists(struct jinja_run *run, const struct jinja_list *a,
                        const struct jinja_list *b, bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++) {
        if (!jinja_equal(run, a->items[i], b->items[i], out))
            return false;
    }
    return true;
}

static bool equal_dicts(struct jinja_run *run, const struct jinja_dict *a,
                        const struct jinja_dict *b, bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++) {
        const struct jinja_value *other = jinja_dict_get(b, a->items[i].key);
        *out = other != NULL;
        if (*out && !jinja_equal(run, a->items[i].value, *other, out))
            return false;
    }
    return true;
}

static bool equal_inside(struct jinja_run *run, struct jinja_value a, struct jinja_value b,
                         bool *out)
{
    if (!jinja_enter(run))
        return false;
    bool is_good = a.type == JINJA_DICT ? equal_dicts(run, a.dict, b.dict, out)
                                        : equal_lists(run, a.list, b.list, out);
    jinja_leave(run);
    return is_good;
}

bool jinja_equal(struct jinja_run *run, struct jinja_value a, struct jinja_value b, bool *out)
{
    if (jinja_is_number(a) && jinja_is_number(b)) {
        *out = a.type == JINJA_FLOAT || b.type == JINJA_FLOAT
                   ? jinja_real(a) == jinja_real(b)
                   : jinja_integer(a) == jinja_integer(b);
        return true;
    }
    *out = a.type == b.type;
    if (!*out)
        return true;
    switch (a.type) {
    case JINJA_ABSENT:
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return true;
    case JINJA_STRING:
        *out = jinja_string_same(a.string, b.string);
        return true;
    case JINJA_LIST:
    case JINJA_TUPLE:
    case JINJA_DICT:
        return equal_inside(run, a, b, out);
    default:
        *out = a.list == b.list; /* all others are the same thing or not */
        return true;
    }
}

static bool compare_lists(struct jinja_run *run, const struct jinja_list *a,
                          const struct jinja_list *b, int *out)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        bool is_equal;
        if (!jinja_equal(run, a->items[i], b->items[i], &is_equal))
            return false;
        if (!is_equal)
            return jinja_compare(run, a->items[i], b->items[i], out);
    }
    *out = (a->n > b->n) - (a->n < b->n);
    return true;
}

bool jinja_compare(struct jinja_run *run, struct jinja_value a, struct jinja_value b, int *out)
{
    if (jinja_is_number(a) && jinja_is_number(b)) {
        if (a.type == JINJA_FLOAT || b.type == JINJA_FLOAT)
            *out = (jinja_real(a) > jinja_real(b)) - (jinja_real(a) < jinja_real(b));
        else
            *out = (jinja_integer(a) > jinja_integer(b)) - (jinja_integer(a) < jinja_integer(b));
        return jinja_spend(run, 1);
    }
    if (a.type == JINJA_STRING && b.type == JINJA_STRING) {
        *out = jinja_string_compare(a.string, b.string);
        return jinja_spend(run, 1);
    }
    if (a.type == b.type && (a.type == JINJA_LIST || a.type == JINJA_TUPLE)) {
        if (!jinja_enter(run))
            return false;
        bool is_good = compare_lists(run, a.list, b.list, out);
        jinja_leave(run);
        return is_good;
    }
    return jinja_fail(run, "'%s' and '%s' have no order", jinja_type_name(a), jinja_type_name(b));
}

bool jinja_length(struct jinja_run *run, struct jinja_value value, size_t *out)
{
    switch (value.type) {
    case JINJA_UNDEFINED:
        *out = 0;
        return true;
    case JINJA_STRING:
        *out = jinja_string_n_points(value.string);
        return jinja_spend_bytes(run, value.string->len);
    case JINJA_LIST:
    case JINJA_TUPLE:
        *out = value.list->n;
        return true;
    case JINJA_DICT:
        *out = value.dict->n;
        return true;
    default:
        return jinja_fail(run, "object of type '%s' has no len()", jinja_type_name(value));
    }
}

static bool list_contains(struct jinja_run *run, const struct jinja_list *list,
                          struct jinja_value item, bool *out)
{
    *out = false;
    for (size_t i = 0; !*out && i < list->n; i++) {
        if (!jinja_spend(run, 1) || !jinja_equal(run, list->items[i], item, out))
            return false;
    }
    return true;
}

bool jinja_contains(struct jinja_run *run, struct jinja_value container, struct jinja_value item,
                    bool *out)
{
    switch (container.type) {
    case JINJA_UNDEFINED:
        *out = false;
        return true;
    case JINJA_STRING:
        if (item.type != JINJA_STRING)
            return jinja_fail(run, "'in <string>' requires string as left operand, not %s",
                              jinja_type_name(item));
        *out = jinja_string_find(container.string, 0, item.string) != SIZE_MAX;
        return jinja_spend_bytes(run, container.string->len);
    case JINJA_LIST:
    case JINJA_TUPLE:
        return list_contains(run, container.list, item, out);
    case JINJA_DICT:
        *out = jinja_dict_get(container.dict, item) != NULL;
        return true;
    default:
        return jinja_fail(run, "argument of type '%s' is not iterable", jinja_type_name(container));
    }
}

static bool characters(struct jinja_run *run, const struct jinja_string *string,
                       struct jinja_list *list)
{
    uint32_t point;
    for (size_t at = 0, n; at < string->len; at += n) {
        struct jinja_value character;
        n = jinja_string_point(string, at, &point);
        if (!jinja_string_slice(run, string, at, at + n, &character) ||
            !jinja_list_push(run, list, character))
            return false;
    }
    return true;
}

static bool keys(struct jinja_run *run, const struct jinja_dict *dict, struct jinja_list *list)
{
    for (size_t i = 0; i < dict->n; i++) {
        if (!jinja_list_push(run, list, dict->items[i].key))
            return false;
    }
    return true;
}

bool jinja_iterate(struct jinja_run *run, struct jinja_value value, const struct jinja_list **out)
{
    struct jinja_value list;
    if (value.type == JINJA_LIST || value.type == JINJA_TUPLE) {
        *out = value.list;
        return true;
    }
    if (value.type != JINJA_UNDEFINED && value.type != JINJA_STRING && value.type != JINJA_DICT)
        return jinja_fail(run, "'%s' object is not iterable", jinja_type_name(value));
    if (!jinja_list_new(run, JINJA_LIST, value.type == JINJA_DICT ? value.dict->n : 0, &list))
        return false;
    *out = list.list;
    return value.type == JINJA_STRING ? characters(run, value.string, list.list)
           : value.type == JINJA_DICT ? keys(run, value.dict, list.list)
                                      : true;
}
