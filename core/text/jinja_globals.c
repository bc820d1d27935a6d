/* Functions that a template can call by name. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/err.h"
#include "core/text/jinja_dict.h"
#include "core/text/jinja_eval.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/utf8.h"

static bool count(struct jinja_run *run, size_t n, bool is_falling, struct jinja_list **out)
{
    struct jinja_value list;
    if (!jinja_list_new(run, JINJA_TUPLE, n, &list))
        return false;
    for (size_t i = 0; i < n; i++) {
        int64_t integer = (int64_t)(is_falling ? n - 1 - i : i);
        if (!jinja_list_push(run, list.list, jinja_int(integer)))
            return false;
    }
    *out = list.list;
    return true;
}

/* Templates make ranges over all messages for each message: ranges that rise or fall by one are
 * parts of a list that is made once. */
static bool shared_range(struct jinja_run *run, bool is_falling, int64_t begin, int64_t end,
                         struct jinja_value *out)
{
    struct jinja_list **shared = is_falling ? &run->falling : &run->rising;
    size_t need = (size_t)(is_falling ? begin + 1 : end);
    if (need > 1 << 20)
        return jinja_fail(run, "a range is too long");
    if ((*shared == NULL || (*shared)->n < need) && !count(run, need * 2, is_falling, shared))
        return false;
    struct jinja_list *part = jinja_alloc(run, sizeof *part);
    if (part == NULL)
        return false;
    size_t first = is_falling ? (*shared)->n - need : (size_t)begin;
    part->items = (*shared)->items + first;
    part->n = part->max = (size_t)(is_falling ? begin - end : end - begin);
    *out = (struct jinja_value){.type = JINJA_TUPLE, .list = part};
    return true;
}

static bool global_range(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    int64_t begin = 0, end, step = 1;
    struct jinja_value list;
    bool has_begin = call->arg[1].type != JINJA_ABSENT;
    if (call->arg[0].type == JINJA_ABSENT)
        return jinja_fail(run, "range expected at least 1 argument, got 0");
    if ((has_begin && !jinja_arg_int(run, call->arg[0], 0, &begin)) ||
        !jinja_arg_int(run, call->arg[has_begin], 0, &end) ||
        !jinja_arg_int(run, call->arg[2], 1, &step) || !jinja_list_new(run, JINJA_LIST, 0, &list))
        return false;
    if (step == 0)
        return jinja_fail(run, "range() arg 3 must not be zero");
    if (step == 1 && begin >= 0 && begin < end)
        return shared_range(run, false, begin, end, out);
    if (step == -1 && end >= -1 && begin > end)
        return shared_range(run, true, begin, end, out);
    for (int64_t at = begin; step > 0 ? at < end : at > end;) {
        if (!jinja_list_push(run, list.list, jinja_int(at)))
            return false;
        if (__builtin_add_overflow(at, step, &at))
            break;
    }
    *out = list;
    return true;
}

static bool copy_dict(struct jinja_run *run, const struct jinja_dict *from, struct jinja_dict *to)
{
    for (size_t i = 0; i < from->n; i++) {
        if (!jinja_dict_set(run, to, from->items[i].key, from->items[i].value))
            return false;
    }
    return true;
}

static bool copy_pairs(struct jinja_run *run, struct jinja_value value, struct jinja_dict *to)
{
    const struct jinja_list *list, *pair;
    if (!jinja_iterate(run, value, &list))
        return false;
    for (size_t i = 0; i < list->n; i++) {
        if (!jinja_iterate(run, list->items[i], &pair))
            return false;
        if (pair->n != 2)
            return jinja_fail(run, "dict() needs pairs");
        if (!jinja_dict_set(run, to, pair->items[0], pair->items[1]))
            return false;
    }
    return true;
}

static bool make_dict(struct jinja_run *run, const struct jinja_args *args, enum jinja_type type,
                      struct jinja_value *out)
{
    struct jinja_value dict;
    if (!jinja_dict_new(run, type, &dict))
        return false;
    for (size_t i = 0; i < args->n; i++) {
        struct jinja_value from = args->items[i];
        bool is_dict = from.type == JINJA_DICT || from.type == JINJA_NAMESPACE;
        if (!(is_dict ? copy_dict(run, from.dict, dict.dict) : copy_pairs(run, from, dict.dict)))
            return false;
    }
    for (size_t i = 0; i < args->n_named; i++) {
        if (!jinja_dict_set_text(run, dict.dict, args->named[i].name, args->named[i].value))
            return false;
    }
    *out = dict;
    return true;
}

static bool global_dict(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    return make_dict(run, call->args, JINJA_DICT, out);
}

static bool global_namespace(struct jinja_run *run, const struct jinja_call *call,
                             struct jinja_value *out)
{
    return make_dict(run, call->args, JINJA_NAMESPACE, out);
}

static bool make_cycler(struct jinja_run *run, struct jinja_cycler content, struct jinja_value *out)
{
    struct jinja_cycler *cycler = jinja_alloc(run, sizeof *cycler);
    if (cycler == NULL)
        return false;
    *cycler = content;
    *out = (struct jinja_value){.type = JINJA_CYCLER, .cycler = cycler};
    return true;
}

static bool global_cycler(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    struct jinja_value items;
    size_t n = call->args->n;
    if (n == 0)
        return jinja_fail(run, "at least one item has to be provided");
    if (!jinja_list_new(run, JINJA_LIST, n, &items))
        return false;
    memcpy(items.list->items, call->args->items, n * sizeof items);
    items.list->n = n;
    return make_cycler(run, (struct jinja_cycler){.items = items.list}, out);
}

static bool global_joiner(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    struct jinja_value separator = call->arg[0];
    if (separator.type == JINJA_ABSENT &&
        !jinja_string_borrow(run, ", ", 2, JINJA_CONTROL, &separator))
        return false;
    return make_cycler(run, (struct jinja_cycler){.separator = separator}, out);
}

/* The template's own words, as far as a message has room for them. */
static bool global_raise(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    struct jinja_value text;
    char words[220];
    (void)out;
    if (!jinja_to_string(run, call->arg[0], &text))
        return false;
    size_t n = text.string->len < sizeof words - 1 ? text.string->len : sizeof words - 1;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text.string->data[i];
        words[i] = (char)(c < ' ' || c == 0x7F ? ' ' : c);
    }
    while (n > 0 && !utf8_is_valid(words, n))
        n--; /* not in the middle of a character */
    words[n] = '\0';
    run->has_raised = true;
    return err_set(run->err, ERR_INVALID, "the chat template refuses these messages: %s", words);
}

static bool global_strftime_now(struct jinja_run *run, const struct jinja_call *call,
                                struct jinja_value *out)
{
    const struct jinja_string *format;
    char pattern[128], text[512];
    struct tm parts;
    time_t now = (time_t)run->now;
    if (!jinja_arg_string(run, call->arg[0], &format))
        return false;
    if (format->len >= sizeof pattern || memchr(format->data, '\0', format->len) != NULL)
        return jinja_fail(run, "strftime_now() is given too long a format");
    memcpy(pattern, format->data, format->len);
    pattern[format->len] = '\0';
    if (localtime_r(&now, &parts) == NULL)
        return jinja_fail(run, "strftime_now() has no time to show");
    size_t n = strftime(text, sizeof text, pattern, &parts);
    return jinja_string_copy(run, text, n, JINJA_DATA, out);
}

static const struct jinja_native GLOBALS[] = {
    {"cycler", "*", global_cycler},
    {"dict", "*", global_dict},
    {"joiner", "sep", global_joiner},
    {"namespace", "*", global_namespace},
    {"raise_exception", "message", global_raise},
    {"range", "start stop step", global_range},
    {"strftime_now", "format", global_strftime_now},
};

const struct jinja_native *jinja_global_find(const char *name, size_t len)
{
    return jinja_native_find(GLOBALS, sizeof GLOBALS / sizeof GLOBALS[0], name, len);
}
