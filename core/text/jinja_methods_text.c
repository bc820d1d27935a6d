/* Methods of strings. */
#include <string.h>

#include <utf8proc.h>

#include "core/text/jinja_eval.h"
#include "core/text/jinja_filters.h"
#include "core/text/jinja_methods.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_text.h"

/* An argument that may be none or not given: then *out is NULL. */
static bool optional_string(struct jinja_run *run, struct jinja_value arg,
                            const struct jinja_string **out)
{
    *out = NULL;
    return arg.type == JINJA_ABSENT || arg.type == JINJA_NONE || jinja_arg_string(run, arg, out);
}

static bool strip(struct jinja_run *run, const struct jinja_call *call, enum jinja_side side,
                  struct jinja_value *out)
{
    const struct jinja_string *characters;
    return optional_string(run, call->arg[0], &characters) &&
           jinja_text_strip(run, call->self.string, side, characters, out);
}

static bool method_strip(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return strip(run, call, JINJA_BOTH, out);
}

static bool method_lstrip(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    return strip(run, call, JINJA_LEFT, out);
}

static bool method_rstrip(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    return strip(run, call, JINJA_RIGHT, out);
}

static bool split(struct jinja_run *run, const struct jinja_call *call, enum jinja_side side,
                  struct jinja_value *out)
{
    const struct jinja_string *separator;
    int64_t max;
    return optional_string(run, call->arg[0], &separator) &&
           jinja_arg_int(run, call->arg[1], -1, &max) &&
           jinja_text_split(run, call->self.string, separator, max, side, out);
}

static bool method_split(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return split(run, call, JINJA_LEFT, out);
}

static bool method_rsplit(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    return split(run, call, JINJA_RIGHT, out);
}

static bool method_splitlines(struct jinja_run *run, const struct jinja_call *call,
                              struct jinja_value *out)
{
    return jinja_text_splitlines(run, call->self.string, jinja_is_true(call->arg[0]), out);
}

/* What stands before, in and behind the separator; all before it, or behind it, without one. */
static bool partition(struct jinja_run *run, const struct jinja_call *call, bool is_back,
                      struct jinja_value *out)
{
    const struct jinja_string *string = call->self.string, *separator;
    struct jinja_value parts[3], list;
    size_t at;
    if (!jinja_arg_string(run, call->arg[0], &separator))
        return false;
    if (separator->len == 0)
        return jinja_fail(run, "empty separator");
    if (!is_back)
        at = jinja_string_find(string, 0, separator);
    else if (!jinja_string_rfind(run, string, string->len, separator, &at))
        return false;
    size_t end = at == SIZE_MAX ? 0 : at + separator->len;
    if (at == SIZE_MAX)
        at = end = is_back ? 0 : string->len;
    if (!jinja_string_slice(run, string, 0, at, &parts[0]) ||
        !jinja_string_slice(run, string, at, end, &parts[1]) ||
        !jinja_string_slice(run, string, end, string->len, &parts[2]) ||
        !jinja_list_new(run, JINJA_TUPLE, 3, &list))
        return false;
    memcpy(list.list->items, parts, sizeof parts);
    list.list->n = 3;
    *out = list;
    return jinja_spend_bytes(run, string->len);
}

static bool method_partition(struct jinja_run *run, const struct jinja_call *call,
                             struct jinja_value *out)
{
    return partition(run, call, false, out);
}

static bool method_rpartition(struct jinja_run *run, const struct jinja_call *call,
                              struct jinja_value *out)
{
    return partition(run, call, true, out);
}

static bool method_replace(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    const struct jinja_string *from, *to;
    int64_t max;
    return jinja_arg_string(run, call->arg[0], &from) && jinja_arg_string(run, call->arg[1], &to) &&
           jinja_arg_int(run, call->arg[2], -1, &max) &&
           jinja_text_replace(run, call->self.string, from, to, max, out);
}

static bool method_join(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    const struct jinja_list *items;
    return jinja_iterate(run, call->arg[0], &items) &&
           jinja_text_join(run, call->self.string, items, out);
}

/* ---- looking inside ---- */

typedef bool matcher(const struct jinja_string *string, const struct jinja_string *part);

/* The string between the optional positions in arg[1] and arg[2]. */
static bool window(struct jinja_run *run, const struct jinja_call *call, struct jinja_value *out)
{
    struct jinja_value begin = call->arg[1], end = call->arg[2];
    *out = call->self;
    if (begin.type == JINJA_ABSENT && end.type == JINJA_ABSENT)
        return true;
    return jinja_slice(run, call->self, begin.type == JINJA_ABSENT ? jinja_none() : begin,
                       end.type == JINJA_ABSENT ? jinja_none() : end, jinja_none(), out);
}

/* One part, or any of a tuple. */
static bool match(struct jinja_run *run, const struct jinja_call *call, matcher *matches,
                  struct jinja_value *out)
{
    const struct jinja_string *part;
    struct jinja_value parts = call->arg[0], string;
    bool is_match = false;
    if (!window(run, call, &string))
        return false;
    if (parts.type != JINJA_TUPLE) {
        if (!jinja_arg_string(run, parts, &part))
            return false;
        is_match = matches(string.string, part);
    } else {
        for (size_t i = 0; !is_match && i < parts.list->n; i++) {
            if (!jinja_spend(run, 1) || !jinja_arg_string(run, parts.list->items[i], &part))
                return false;
            is_match = matches(string.string, part);
        }
    }
    *out = jinja_bool(is_match);
    return true;
}

static bool method_startswith(struct jinja_run *run, const struct jinja_call *call,
                              struct jinja_value *out)
{
    return match(run, call, jinja_text_starts, out);
}

static bool method_endswith(struct jinja_run *run, const struct jinja_call *call,
                            struct jinja_value *out)
{
    return match(run, call, jinja_text_ends, out);
}

/* The place in code points; -1 for nowhere. */
static bool find(struct jinja_run *run, const struct jinja_call *call, bool is_back,
                 struct jinja_value *out)
{
    const struct jinja_string *part, *string;
    struct jinja_value within;
    size_t at;
    if (!jinja_arg_string(run, call->arg[0], &part) || !window(run, call, &within))
        return false;
    string = within.string;
    if (!is_back)
        at = jinja_string_find(string, 0, part);
    else if (!jinja_string_rfind(run, string, string->len, part, &at))
        return false;
    const struct jinja_string before = {.data = call->self.string->data,
                                        .len = (size_t)(string->data - call->self.string->data) +
                                               (at == SIZE_MAX ? 0 : at)};
    *out = jinja_int(at == SIZE_MAX ? -1 : (int64_t)jinja_string_n_points(&before));
    return jinja_spend_bytes(run, call->self.string->len);
}

static bool method_find(struct jinja_run *run, const struct jinja_call *call,
                        struct jinja_value *out)
{
    return find(run, call, false, out);
}

static bool method_rfind(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return find(run, call, true, out);
}

static bool method_index(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return find(run, call, false, out) &&
           (out->integer >= 0 || jinja_fail(run, "substring not found"));
}

static bool method_rindex(struct jinja_run *run, const struct jinja_call *call,
                          struct jinja_value *out)
{
    return method_rfind(run, call, out) &&
           (out->integer >= 0 || jinja_fail(run, "substring not found"));
}

static bool method_count(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    const struct jinja_string *string = call->self.string, *part;
    int64_t n = 0;
    if (!jinja_arg_string(run, call->arg[0], &part) || !jinja_spend_bytes(run, string->len))
        return false;
    if (part->len == 0)
        n = (int64_t)jinja_string_n_points(string) + 1;
    for (size_t at = 0; part->len > 0 && (at = jinja_string_find(string, at, part)) != SIZE_MAX;
         at += part->len)
        n++;
    *out = jinja_int(n);
    return true;
}

static bool remove_end(struct jinja_run *run, const struct jinja_call *call, bool is_prefix,
                       struct jinja_value *out)
{
    const struct jinja_string *string = call->self.string, *part;
    if (!jinja_arg_string(run, call->arg[0], &part))
        return false;
    bool is_there = (is_prefix ? jinja_text_starts : jinja_text_ends)(string, part);
    size_t n = is_there ? part->len : 0;
    return jinja_string_slice(run, string, is_prefix ? n : 0,
                              is_prefix ? string->len : string->len - n, out);
}

static bool method_removeprefix(struct jinja_run *run, const struct jinja_call *call,
                                struct jinja_value *out)
{
    return remove_end(run, call, true, out);
}

static bool method_removesuffix(struct jinja_run *run, const struct jinja_call *call,
                                struct jinja_value *out)
{
    return remove_end(run, call, false, out);
}

/* ---- case, kinds of characters, width ---- */

static bool method_upper(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return jinja_text_case(run, call->self.string, JINJA_UPPER, out);
}

static bool method_lower(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return jinja_text_case(run, call->self.string, JINJA_LOWER, out);
}

static bool method_capitalize(struct jinja_run *run, const struct jinja_call *call,
                              struct jinja_value *out)
{
    return jinja_text_case(run, call->self.string, JINJA_CAPITAL, out);
}

static bool method_title(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return jinja_text_case(run, call->self.string, JINJA_TITLE, out);
}

static bool method_swapcase(struct jinja_run *run, const struct jinja_call *call,
                            struct jinja_value *out)
{
    return jinja_text_case(run, call->self.string, JINJA_SWAPPED, out);
}

static bool method_isupper(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    *out = jinja_bool(jinja_text_is_case(call->self.string, true));
    return jinja_spend_bytes(run, call->self.string->len);
}

static bool method_islower(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    *out = jinja_bool(jinja_text_is_case(call->self.string, false));
    return jinja_spend_bytes(run, call->self.string->len);
}

static bool is_digit(uint32_t point)
{
    return point <= 0x10FFFF && utf8proc_category((utf8proc_int32_t)point) == UTF8PROC_CATEGORY_ND;
}

static bool is_alpha(uint32_t point)
{
    if (point > 0x10FFFF)
        return false;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)point);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

static bool is_alnum(uint32_t point)
{
    return is_digit(point) || is_alpha(point);
}

static bool is_all(struct jinja_run *run, const struct jinja_call *call, bool (*is)(uint32_t),
                   struct jinja_value *out)
{
    const struct jinja_string *string = call->self.string;
    bool is_so = string->len > 0;
    uint32_t point;
    for (size_t at = 0; is_so && at < string->len;) {
        at += jinja_string_point(string, at, &point);
        is_so = is(point);
    }
    *out = jinja_bool(is_so);
    return jinja_spend_bytes(run, string->len);
}

static bool method_isdigit(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    return is_all(run, call, is_digit, out);
}

static bool method_isalpha(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    return is_all(run, call, is_alpha, out);
}

static bool method_isalnum(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    return is_all(run, call, is_alnum, out);
}

static bool method_isspace(struct jinja_run *run, const struct jinja_call *call,
                           struct jinja_value *out)
{
    return is_all(run, call, jinja_point_is_space, out);
}

/* Fills up to a width, with spaces or the given character, on one side. */
static bool fill(struct jinja_run *run, const struct jinja_call *call, bool is_left,
                 const char *fallback, struct jinja_value *out)
{
    const struct jinja_string *string = call->self.string, *filler;
    struct jinja_writer writer;
    int64_t width;
    if (!jinja_arg_int(run, call->arg[0], 0, &width) ||
        !optional_string(run, call->arg[1], &filler))
        return false;
    int64_t n = width - (int64_t)jinja_string_n_points(string);
    bool has_sign = *fallback == '0' && string->len > 0 && strchr("+-", string->data[0]) != NULL;
    jinja_writer_init(&writer, run, string->len);
    jinja_write_part(&writer, string, 0, is_left ? string->len : has_sign);
    for (; n > 0 && !writer.failed; n--) {
        if (filler != NULL)
            jinja_write_string(&writer, filler);
        else
            jinja_write(&writer, fallback, 1, JINJA_CONTROL);
    }
    if (!is_left)
        jinja_write_part(&writer, string, has_sign, string->len);
    return jinja_writer_end(&writer, out);
}

static bool method_ljust(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return fill(run, call, true, " ", out);
}

static bool method_rjust(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return fill(run, call, false, " ", out);
}

static bool method_zfill(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    return fill(run, call, false, "0", out);
}

static const struct jinja_native METHODS[] = {
    {"capitalize", "", method_capitalize},
    {"casefold", "", method_lower},
    {"center", "width fillchar", jinja_filter_center},
    {"count", "sub", method_count},
    {"endswith", "suffix start end", method_endswith},
    {"find", "sub start end", method_find},
    {"format", "*", jinja_method_format},
    {"index", "sub start end", method_index},
    {"isalnum", "", method_isalnum},
    {"isalpha", "", method_isalpha},
    {"isdecimal", "", method_isdigit},
    {"isdigit", "", method_isdigit},
    {"islower", "", method_islower},
    {"isnumeric", "", method_isdigit},
    {"isspace", "", method_isspace},
    {"isupper", "", method_isupper},
    {"join", "iterable", method_join},
    {"ljust", "width fillchar", method_ljust},
    {"lower", "", method_lower},
    {"lstrip", "chars", method_lstrip},
    {"partition", "sep", method_partition},
    {"removeprefix", "prefix", method_removeprefix},
    {"removesuffix", "suffix", method_removesuffix},
    {"replace", "old new count", method_replace},
    {"rfind", "sub start end", method_rfind},
    {"rindex", "sub start end", method_rindex},
    {"rjust", "width fillchar", method_rjust},
    {"rpartition", "sep", method_rpartition},
    {"rsplit", "sep maxsplit", method_rsplit},
    {"rstrip", "chars", method_rstrip},
    {"split", "sep maxsplit", method_split},
    {"splitlines", "keepends", method_splitlines},
    {"startswith", "prefix start end", method_startswith},
    {"strip", "chars", method_strip},
    {"swapcase", "", method_swapcase},
    {"title", "", method_title},
    {"upper", "", method_upper},
    {"zfill", "width", method_zfill},
};

const struct jinja_native *jinja_text_method_find(const char *name, size_t len)
{
    return jinja_native_find(METHODS, sizeof METHODS / sizeof METHODS[0], name, len);
}
