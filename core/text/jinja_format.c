#include "core/text/jinja_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/jinja_dict.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

/* One "%..." of a format. */
struct place {
    char flags[8]; /* of "-+ 0#" */
    int width;
    int precision; /* -1: none */
    char kind;
};

struct formatting {
    struct jinja_run *run;
    const struct jinja_string *format;
    size_t at;
    struct jinja_value values;
    size_t n_used;
    struct jinja_writer writer;
};

enum { MAX_WIDTH = 10000 };

static char next_char(const struct formatting *job)
{
    return job->at < job->format->len ? job->format->data[job->at] : '\0';
}

static int read_digits(struct formatting *job)
{
    int number = 0;
    for (; next_char(job) >= '0' && next_char(job) <= '9'; job->at++)
        number = number > MAX_WIDTH ? number : number * 10 + (next_char(job) - '0');
    return number > MAX_WIDTH ? MAX_WIDTH : number;
}

/* The value for "%(name)s", whose bracket is next, or for the next place. */
static bool take_value(struct formatting *job, struct jinja_value *out)
{
    if (next_char(job) == '(') {
        size_t begin = ++job->at;
        while (job->at < job->format->len && next_char(job) != ')')
            job->at++;
        const struct jinja_string name = {.data = job->format->data + begin,
                                          .len = job->at - begin};
        const struct jinja_value key = {.type = JINJA_STRING, .string = &name};
        const struct jinja_value *item =
            job->values.type == JINJA_DICT ? jinja_dict_get(job->values.dict, key) : NULL;
        if (item == NULL || next_char(job) != ')')
            return jinja_fail(job->run, "a format names a value that is not there");
        job->at++;
        *out = *item;
        return true;
    }
    bool is_tuple = job->values.type == JINJA_TUPLE;
    if (job->n_used == (is_tuple ? job->values.list->n : 1))
        return jinja_fail(job->run, "not enough arguments for format string");
    *out = is_tuple ? job->values.list->items[job->n_used] : job->values;
    job->n_used++;
    return true;
}

static void read_place(struct formatting *job, struct place *place)
{
    size_t n = 0;
    *place = (struct place){.precision = -1};
    while (jinja_is_one_of(next_char(job), "-+ 0#")) {
        if (n < 5)
            place->flags[n++] = next_char(job);
        job->at++;
    }
    place->width = read_digits(job);
    if (next_char(job) == '.') {
        job->at++;
        place->precision = read_digits(job);
    }
    place->kind = next_char(job);
    job->at++;
}

static void pad(struct formatting *job, size_t n)
{
    for (size_t i = 0; i < n; i++)
        jinja_write(&job->writer, " ", 1, JINJA_DATA);
}

static bool put_text(struct formatting *job, const struct place *place, struct jinja_value value)
{
    struct jinja_value text;
    struct jinja_writer writer;
    if (place->kind == 'r') {
        jinja_writer_init(&writer, job->run, 16);
        if (!jinja_write_repr(job->run, value, &writer) || !jinja_writer_end(&writer, &text))
            return false;
    } else if (!jinja_to_string(job->run, value, &text)) {
        return false;
    }
    size_t end = place->precision < 0 ? text.string->len
                                      : jinja_string_byte_at(text.string, (size_t)place->precision);
    size_t n = 0, width = (size_t)place->width;
    const struct jinja_string shown = {.data = text.string->data, .len = end};
    if (width > 0)
        n = jinja_string_n_points(&shown);
    bool is_left = strchr(place->flags, '-') != NULL;
    if (!is_left && n < width)
        pad(job, width - n);
    jinja_write_part(&job->writer, text.string, 0, end);
    if (is_left && n < width)
        pad(job, width - n);
    return true;
}

static bool put_number(struct formatting *job, const struct place *place, struct jinja_value value)
{
    char format[48], *text = NULL;
    if (!jinja_is_number(value))
        return jinja_fail(job->run, "%%%c format: a number is required, not %s", place->kind,
                          jinja_type_name(value));
    bool is_real = strchr("eEfFgG", place->kind) != NULL;
    int precision = place->precision;
    double real = value.type == JINJA_FLOAT ? value.real
                  : value.type == JINJA_INT ? (double)value.integer
                                            : (double)value.boolean;
    int n;
    if (is_real) {
        snprintf(format, sizeof format, "%%%s%d.%d%c", place->flags, place->width,
                 precision < 0 ? 6 : precision, place->kind);
        n = asprintf(&text, format, real);
    } else {
        long long integer = value.type == JINJA_FLOAT
                                ? (real > -9e18 && real < 9e18 ? (long long)real : 0)
                            : value.type == JINJA_INT ? value.integer
                                                      : value.boolean;
        char digits[16] = "";
        if (precision >= 0)
            snprintf(digits, sizeof digits, ".%d", precision);
        snprintf(format, sizeof format, "%%%s%d%sll%c", place->flags, place->width, digits,
                 place->kind == 'i' ? 'd' : place->kind);
        n = asprintf(&text, format, integer);
    }
    if (n < 0)
        return jinja_fail(job->run, "a number cannot be formatted");
    jinja_write(&job->writer, text, (size_t)n, JINJA_DATA);
    free(text);
    return true;
}

static bool put_place(struct formatting *job)
{
    struct place place;
    struct jinja_value value = {.type = JINJA_ABSENT};
    if (next_char(job) == '%') {
        jinja_write_part(&job->writer, job->format, job->at, job->at + 1);
        job->at++;
        return true;
    }
    if (next_char(job) == '(' && !take_value(job, &value))
        return false;
    read_place(job, &place);
    if (place.kind == '\0' || strchr("srdiouxXeEfFgG", place.kind) == NULL)
        return jinja_fail(job->run, "unsupported format character");
    if (value.type == JINJA_ABSENT && !take_value(job, &value))
        return false;
    return place.kind == 's' || place.kind == 'r' ? put_text(job, &place, value)
                                                  : put_number(job, &place, value);
}

bool jinja_format_percent(struct jinja_run *run, const struct jinja_string *format,
                          struct jinja_value values, struct jinja_value *out)
{
    struct formatting job = {.run = run, .format = format, .values = values};
    jinja_writer_init(&job.writer, run, format->len);
    while (job.at < format->len) {
        const char *percent = memchr(format->data + job.at, '%', format->len - job.at);
        size_t end = percent == NULL ? format->len : (size_t)(percent - format->data);
        jinja_write_part(&job.writer, format, job.at, end);
        if (end == format->len)
            break;
        job.at = end + 1;
        if (job.writer.failed || !put_place(&job))
            return false;
    }
    if (values.type == JINJA_TUPLE && job.n_used < values.list->n)
        return jinja_fail(run, "not all arguments converted during string formatting");
    return jinja_writer_end(&job.writer, out);
}
