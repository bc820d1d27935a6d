/* str.format(). */
#include "core/text/jinja_methods.h"

#include <string.h>

#include "core/text/jinja_eval.h"
#include "core/text/jinja_format_spec.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

/* One call. */
struct formatting {
    struct jinja_run *run;
    const struct jinja_args *args;
    size_t n_used; /* of arguments without a number */
    bool has_numbers;
};

/* {name.attribute[item]!conversion:spec}, as places in the format. */
struct field {
    size_t name_end; /* of what tells the argument ... */
    size_t path_end; /* ... and what is taken of it */
    char conversion; /* 0: none */
    size_t spec_begin, end;
};

static const char NOT_UNDERSTOOD[] = "a format string is not understood";

static bool format_range(struct formatting *job, const struct jinja_string *format, size_t begin,
                         size_t end, bool is_spec, struct jinja_writer *out);

/* ---- the value ---- */

/* The number that the text is; -1 for another text. */
static int64_t number_of(const char *text, size_t len)
{
    int64_t number = 0;
    size_t n = 0;
    while (n < len && n < 6 && text[n] >= '0' && text[n] <= '9')
        number = number * 10 + (text[n++] - '0');
    return n > 0 && n == len ? number : -1;
}

static const struct jinja_value *numbered(struct formatting *job, int64_t number, bool is_next)
{
    if (is_next ? job->has_numbers : job->n_used > 0)
        return NULL; /* Python has them one way or the other */
    job->has_numbers = !is_next;
    size_t place = is_next ? job->n_used++ : (size_t)number;
    return place < job->args->n ? &job->args->items[place] : NULL;
}

static bool find_argument(struct formatting *job, const char *name, size_t len,
                          struct jinja_value *out)
{
    const struct jinja_value *value = NULL;
    int64_t number = number_of(name, len);
    if (len == 0 || number >= 0)
        value = numbered(job, number, len == 0);
    for (size_t i = 0; i < job->args->n_named && value == NULL; i++) {
        const struct jinja_named *named = &job->args->named[i];
        if (strlen(named->name) == len && memcmp(named->name, name, len) == 0)
            value = &named->value;
    }
    if (value == NULL)
        return jinja_fail(job->run, "format() lacks an argument");
    *out = *value;
    return true;
}

/* .name or [key] at `at`, which moves behind it. */
static bool take_step(struct formatting *job, const struct jinja_string *format, size_t *at,
                      size_t end, struct jinja_value *value)
{
    bool is_item = format->data[*at] == '[';
    size_t begin = *at + 1, stop = begin;
    while (stop < end &&
           (is_item ? format->data[stop] != ']' : !jinja_is_one_of(format->data[stop], ".[")))
        stop++;
    struct jinja_value object = *value, key;
    int64_t number = is_item ? number_of(format->data + begin, stop - begin) : -1;
    if (stop == begin || (is_item && stop == end))
        return jinja_fail(job->run, NOT_UNDERSTOOD);
    *at = stop + is_item;
    if (number >= 0)
        return jinja_item(job->run, object, jinja_int(number), value);
    return jinja_string_slice(job->run, format, begin, stop, &key) &&
           (is_item ? jinja_item : jinja_attribute)(job->run, object, key, value);
}

static bool find_value(struct formatting *job, const struct jinja_string *format, size_t begin,
                       const struct field *field, struct jinja_value *out)
{
    if (!find_argument(job, format->data + begin, field->name_end - begin, out))
        return false;
    for (size_t at = field->name_end; at < field->path_end;) {
        if (!jinja_is_one_of(format->data[at], ".["))
            return jinja_fail(job->run, NOT_UNDERSTOOD);
        if (!take_step(job, format, &at, field->path_end, out))
            return false;
    }
    return true;
}

static bool convert(struct formatting *job, char conversion, struct jinja_value *value)
{
    struct jinja_writer writer;
    if (conversion == '\0')
        return true;
    if (conversion == 's')
        return jinja_to_string(job->run, *value, value);
    if (conversion != 'r')
        return jinja_fail(job->run, NOT_UNDERSTOOD);
    jinja_writer_init(&writer, job->run, 16);
    return jinja_write_repr(job->run, *value, &writer) && jinja_writer_end(&writer, value);
}

/* ---- a place ---- */

/* Of the field whose text begins at `begin`; false when it has no end. */
static bool find_field(const struct jinja_string *format, size_t begin, size_t end,
                       struct field *out)
{
    size_t at = begin, depth = 1;
    *out = (struct field){0};
    while (at < end && !jinja_is_one_of(format->data[at], ".[!:}"))
        at++;
    out->name_end = at;
    while (at < end && !jinja_is_one_of(format->data[at], "!:}")) {
        const char *close =
            format->data[at] == '[' ? memchr(format->data + at, ']', end - at) : NULL;
        at = close != NULL ? (size_t)(close - format->data) : at + 1;
    }
    out->path_end = at;
    if (at + 1 < end && format->data[at] == '!') {
        out->conversion = format->data[at + 1];
        at += 2;
    }
    if (at < end && format->data[at] == ':')
        at++;
    else if (at < end && format->data[at] != '}')
        return false;
    out->spec_begin = at;
    for (; at < end; at++) {
        depth += format->data[at] == '{';
        depth -= format->data[at] == '}';
        if (depth == 0)
            break;
    }
    out->end = at;
    return at < end;
}

/* Its specification may have places of its own. */
static bool put_field(struct formatting *job, const struct jinja_string *format, size_t begin,
                      const struct field *field, bool is_spec, struct jinja_writer *out)
{
    struct jinja_value value, spec;
    struct jinja_writer writer;
    if (is_spec && memchr(format->data + field->spec_begin, '{', field->end - field->spec_begin))
        return jinja_fail(job->run, "a format string nests too deep");
    jinja_writer_init(&writer, job->run, 16);
    return find_value(job, format, begin, field, &value) &&
           convert(job, field->conversion, &value) &&
           format_range(job, format, field->spec_begin, field->end, true, &writer) &&
           jinja_writer_end(&writer, &spec) &&
           jinja_format_value(job->run, value, spec.string, out);
}

static bool format_range(struct formatting *job, const struct jinja_string *format, size_t begin,
                         size_t end, bool is_spec, struct jinja_writer *out)
{
    struct field field;
    for (size_t at = begin; at < end;) {
        char c = format->data[at];
        bool is_double = !is_spec && at + 1 < end && format->data[at + 1] == c;
        if (c != '{' && c != '}') {
            size_t stop = at;
            while (stop < end && !jinja_is_one_of(format->data[stop], "{}"))
                stop++;
            jinja_write_part(out, format, at, stop);
            at = stop;
        } else if (is_double) {
            jinja_write_part(out, format, at, at + 1);
            at += 2;
        } else {
            if (c == '}' || !find_field(format, at + 1, end, &field))
                return jinja_fail(job->run, NOT_UNDERSTOOD);
            if (!put_field(job, format, at + 1, &field, is_spec, out))
                return false;
            at = field.end + 1;
        }
    }
    return !out->failed;
}

bool jinja_method_format(struct jinja_run *run, const struct jinja_call *call,
                         struct jinja_value *out)
{
    const struct jinja_string *format = call->self.string;
    struct formatting job = {.run = run, .args = call->args};
    struct jinja_writer writer;
    jinja_writer_init(&writer, run, format->len);
    return format_range(&job, format, 0, format->len, false, &writer) &&
           jinja_writer_end(&writer, out);
}
