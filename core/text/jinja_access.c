/* Attributes, items and slices of values. */
#include "core/text/jinja_dict.h"
#include "core/text/jinja_eval.h"
#include "core/text/jinja_run.h"

static bool bind_method(struct jinja_run *run, const struct jinja_native *native,
                        struct jinja_value self, struct jinja_value *out)
{
    struct jinja_bound_method *method = jinja_alloc(run, sizeof *method);
    if (method == NULL)
        return false;
    *method = (struct jinja_bound_method){native, self};
    *out = (struct jinja_value){.type = JINJA_METHOD, .method = method};
    return true;
}

/* What was looked for, for a message; the name lives as long as the template or the run. */
static struct jinja_value no_attribute(struct jinja_run *run, struct jinja_value name)
{
    size_t len = name.string->len;
    char *text = jinja_alloc_text(run, len + 1);
    if (text == NULL)
        return jinja_undefined(NULL);
    for (size_t i = 0; i < len; i++)
        text[i] = name.string->data[i];
    text[len] = '\0';
    return jinja_undefined(text);
}

static bool loop_attribute(struct jinja_run *run, const struct jinja_loop *loop,
                           struct jinja_value name, struct jinja_value *out)
{
    const struct jinja_string *text = name.string;
    int64_t at = (int64_t)loop->at, n = (int64_t)loop->n;
    const struct {
        const char *name;
        int64_t value;
    } integers[] = {{"index", at + 1},          {"index0", at},         {"length", n},
                    {"revindex", n - at},       {"depth", loop->depth}, {"revindex0", n - at - 1},
                    {"depth0", loop->depth - 1}};
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        if (jinja_string_is(text, integers[i].name)) {
            *out = jinja_int(integers[i].value);
            return true;
        }
    }
    *out = jinja_undefined(NULL);
    if (jinja_string_is(text, "first"))
        *out = jinja_bool(at == 0);
    else if (jinja_string_is(text, "last"))
        *out = jinja_bool(at == n - 1);
    else if (jinja_string_is(text, "previtem"))
        *out = at > 0 ? loop->items[at - 1] : jinja_undefined("there is no previous item");
    else if (jinja_string_is(text, "nextitem"))
        *out = at < n - 1 ? loop->items[at + 1] : jinja_undefined("there is no next item");
    else
        *out = no_attribute(run, name);
    return true;
}

static bool get_method(struct jinja_run *run, struct jinja_value object, struct jinja_value name,
                       struct jinja_value *out, bool *out_found)
{
    const struct jinja_native *native =
        jinja_method_find(object.type, name.string->data, name.string->len);
    *out_found = native != NULL;
    return native == NULL || bind_method(run, native, object, out);
}

bool jinja_attribute(struct jinja_run *run, struct jinja_value object, struct jinja_value name,
                     struct jinja_value *out)
{
    bool is_found;
    if (object.type == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, object);
    if (!get_method(run, object, name, out, &is_found))
        return false;
    if (is_found)
        return true;
    if (object.type == JINJA_LOOP)
        return loop_attribute(run, object.loop, name, out);
    const struct jinja_value *item = NULL;
    if (object.type == JINJA_DICT || object.type == JINJA_NAMESPACE)
        item = jinja_dict_get(object.dict, name);
    else if (object.type == JINJA_CYCLER && jinja_string_is(name.string, "current") &&
             object.cycler->items != NULL)
        item = &object.cycler->items->items[object.cycler->at];
    *out = item != NULL ? *item : no_attribute(run, name);
    return true;
}

static bool character(struct jinja_run *run, const struct jinja_string *string, int64_t at,
                      struct jinja_value *out)
{
    if (!jinja_spend_bytes(run, string->len))
        return false;
    if (at < 0)
        at += (int64_t)jinja_string_n_points(string);
    size_t begin = at < 0 ? string->len : jinja_string_byte_at(string, (size_t)at);
    uint32_t point;
    *out = jinja_undefined("a character that is not there");
    return begin >= string->len ||
           jinja_string_slice(run, string, begin, begin + jinja_string_point(string, begin, &point),
                              out);
}

bool jinja_item(struct jinja_run *run, struct jinja_value object, struct jinja_value key,
                struct jinja_value *out)
{
    if (object.type == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, object);
    if (object.type == JINJA_DICT) {
        const struct jinja_value *item = jinja_dict_get(object.dict, key);
        if (item != NULL) {
            *out = *item;
            return true;
        }
    }
    if (key.type == JINJA_STRING)
        return jinja_attribute(run, object, key, out);
    *out = jinja_undefined("an item that is not there");
    if (key.type != JINJA_INT && key.type != JINJA_BOOL)
        return true;
    int64_t at = key.type == JINJA_BOOL ? key.boolean : key.integer;
    if (object.type == JINJA_STRING)
        return character(run, object.string, at, out);
    if (object.type != JINJA_LIST && object.type != JINJA_TUPLE)
        return true;
    int64_t n = (int64_t)object.list->n;
    at += at < 0 ? n : 0;
    if (at >= 0 && at < n)
        *out = object.list->items[at];
    return true;
}

/* ---- slices ---- */

/* Which of n items a slice has: `count` of them from `first` on, `step` apart. */
struct range {
    int64_t first;
    int64_t step;
    int64_t count;
};

/* A bound of a slice inside of 0 .. n, or -1 .. n-1 backwards. */
static bool bound(struct jinja_run *run, struct jinja_value value, int64_t n, int64_t fallback,
                  int64_t step, int64_t *out)
{
    *out = fallback;
    if (value.type == JINJA_NONE)
        return true;
    if (value.type != JINJA_INT && value.type != JINJA_BOOL)
        return jinja_fail(run, "slice indices must be integers or None");
    int64_t at = value.type == JINJA_BOOL ? value.boolean : value.integer;
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    at += at < 0 ? n : 0;
    *out = at < low ? low : at > high ? high : at;
    return true;
}

static bool find_range(struct jinja_run *run, int64_t n, struct jinja_value begin,
                       struct jinja_value end, struct jinja_value step, struct range *out)
{
    int64_t first, stop;
    out->step = 1;
    if (step.type != JINJA_NONE && !jinja_arg_int(run, step, 1, &out->step))
        return false;
    if (out->step == 0)
        return jinja_fail(run, "slice step cannot be zero");
    if (out->step < -n - 1) /* as good as any longer one */
        out->step = -n - 1;
    if (out->step > n + 1)
        out->step = n + 1;
    bool is_forward = out->step > 0;
    if (!bound(run, begin, n, is_forward ? 0 : n - 1, out->step, &first) ||
        !bound(run, end, n, is_forward ? n : -1, out->step, &stop))
        return false;
    int64_t distance = is_forward ? stop - first : first - stop;
    int64_t width = is_forward ? out->step : -out->step;
    out->first = first;
    out->count = distance <= 0 ? 0 : (distance + width - 1) / width;
    return true;
}

static bool slice_list(struct jinja_run *run, const struct jinja_list *list,
                       const struct range *range, enum jinja_type type, struct jinja_value *out)
{
    struct jinja_value part;
    if (!jinja_list_new(run, type, (size_t)range->count, &part))
        return false;
    for (int64_t i = 0, at = range->first; i < range->count; i++, at += range->step) {
        if (!jinja_list_push(run, part.list, list->items[at]))
            return false;
    }
    *out = part;
    return true;
}

static bool slice_string(struct jinja_run *run, struct jinja_value object,
                         const struct range *range, struct jinja_value *out)
{
    const struct jinja_string *string = object.string;
    const struct jinja_list *characters;
    struct jinja_writer writer;
    if (range->step == 1) {
        size_t begin = jinja_string_byte_at(string, (size_t)range->first);
        const struct jinja_string rest = {.data = string->data + begin, .len = string->len - begin};
        size_t len = jinja_string_byte_at(&rest, (size_t)range->count);
        return jinja_string_slice(run, string, begin, begin + len, out);
    }
    if (!jinja_iterate(run, object, &characters))
        return false;
    jinja_writer_init(&writer, run, (size_t)range->count);
    for (int64_t i = 0, at = range->first; i < range->count; i++, at += range->step)
        jinja_write_string(&writer, characters->items[at].string);
    return jinja_writer_end(&writer, out);
}

bool jinja_slice(struct jinja_run *run, struct jinja_value object, struct jinja_value begin,
                 struct jinja_value end, struct jinja_value step, struct jinja_value *out)
{
    struct range range;
    size_t n;
    if (object.type == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, object);
    if (object.type != JINJA_STRING && object.type != JINJA_LIST && object.type != JINJA_TUPLE) {
        *out = jinja_undefined("a slice");
        return true;
    }
    if (!jinja_length(run, object, &n) || !find_range(run, (int64_t)n, begin, end, step, &range))
        return false;
    return object.type == JINJA_STRING ? slice_string(run, object, &range, out)
                                       : slice_list(run, object.list, &range, object.type, out);
}
