#include "core/text/jinja_format_spec.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"
#include "core/text/utf8.h"

/* [[fill]align][sign][#][0][width][grouping][.precision][kind] */
struct spec {
    const struct jinja_string *text;
    size_t fill_begin, fill_end; /* in the text; equal: spaces, or zeros */
    char align;                  /* of "<>=^"; 0: not said */
    char sign;                   /* of "+- "; 0: not said */
    bool is_alternate, has_zero;
    int width;
    char grouping; /* of ",_"; 0: none */
    int precision; /* -1: none */
    char kind;     /* 0: not said */
};

enum { MAX_WIDTH = 10000 };

static char char_at(const struct jinja_string *text, size_t at)
{
    return at < text->len ? text->data[at] : '\0';
}

static char take_one_of(const struct jinja_string *text, size_t *at, const char *set)
{
    char c = char_at(text, *at);
    if (!jinja_is_one_of(c, set))
        return '\0';
    (*at)++;
    return c;
}

/* False for a number that is too large; -1 for none. */
static bool take_number(const struct jinja_string *text, size_t *at, int *out)
{
    *out = -1;
    for (; isdigit((unsigned char)char_at(text, *at)); (*at)++) {
        *out = (*out < 0 ? 0 : *out * 10) + (char_at(text, *at) - '0');
        if (*out > MAX_WIDTH)
            return false;
    }
    return true;
}

static size_t take_alignment(struct spec *spec)
{
    const struct jinja_string *text = spec->text;
    uint32_t point;
    size_t at = text->len > 0 ? jinja_string_point(text, 0, &point) : 0;
    if (at > 0 && jinja_is_one_of(char_at(text, at), "<>=^"))
        spec->fill_end = at;
    else
        at = 0;
    spec->align = take_one_of(text, &at, "<>=^");
    return at;
}

static bool read_spec(struct jinja_run *run, struct spec *spec)
{
    const struct jinja_string *text = spec->text;
    size_t at = take_alignment(spec);
    spec->sign = take_one_of(text, &at, "+- ");
    spec->is_alternate = take_one_of(text, &at, "#") != '\0';
    spec->has_zero = take_one_of(text, &at, "0") != '\0';
    spec->precision = -1;
    if (!take_number(text, &at, &spec->width))
        return jinja_fail(run, "a format is too wide");
    spec->grouping = take_one_of(text, &at, ",_");
    if (take_one_of(text, &at, ".") != '\0' &&
        (!take_number(text, &at, &spec->precision) || spec->precision < 0))
        return jinja_fail(run, "a format lacks its precision");
    spec->kind = take_one_of(text, &at, "bcdeEfFgGnosxX%");
    return at == text->len || jinja_fail(run, "a format specification is not understood");
}

/* ---- text and its surroundings ---- */

static void pad(struct jinja_writer *out, const struct spec *spec, size_t n)
{
    for (; n > 0 && !out->failed; n--) {
        if (spec->fill_end > spec->fill_begin)
            jinja_write_part(out, spec->text, spec->fill_begin, spec->fill_end);
        else
            jinja_write(out, spec->has_zero ? "0" : " ", 1, JINJA_DATA);
    }
}

/* How many of the fill stand on the left. */
static size_t left_of(char align, size_t n)
{
    return align == '<' ? 0 : align == '^' ? n / 2 : n;
}

static bool put_text(struct jinja_run *run, const struct spec *spec,
                     const struct jinja_string *text, struct jinja_writer *out)
{
    if (spec->sign != '\0' || spec->is_alternate || spec->grouping != '\0' || spec->align == '=')
        return jinja_fail(run, "a format of a number is given a string");
    size_t end =
        spec->precision < 0 ? text->len : jinja_string_byte_at(text, (size_t)spec->precision);
    const struct jinja_string shown = {.data = text->data, .len = end};
    size_t n = spec->width > 0 ? jinja_string_n_points(&shown) : 0;
    size_t n_fill = spec->width > 0 && (size_t)spec->width > n ? (size_t)spec->width - n : 0;
    size_t n_left = left_of(spec->align == '\0' ? '<' : spec->align, n_fill);
    pad(out, spec, n_left);
    jinja_write_part(out, text, 0, end);
    pad(out, spec, n_fill - n_left);
    return !out->failed;
}

/* ---- numbers ---- */

/* Digits with a sign before each group of them, of `width` at least: zeros come in front. */
static void group(const struct spec *spec, const char *digits, size_t width, struct buf *out)
{
    size_t n = strspn(digits, spec->kind == 'x' || spec->kind == 'X' ? "0123456789abcdefABCDEF"
                                                                     : "0123456789");
    size_t per_group = jinja_is_one_of(spec->kind, "boxX") ? 4 : 3, n_rest = strlen(digits) - n;
    size_t n_all = n;
    while (n_all + (n_all - 1) / per_group + n_rest < width)
        n_all++;
    for (size_t i = 0; i < n_all; i++) {
        if (i > 0 && (n_all - i) % per_group == 0)
            buf_append_char(out, spec->grouping);
        buf_append_char(out, i < n_all - n ? '0' : digits[i - (n_all - n)]);
    }
    buf_append_text(out, digits + n);
}

/* `lead` is the sign and what tells the base. */
static bool put_digits(struct jinja_run *run, const struct spec *spec, const char *lead,
                       const char *digits, struct jinja_writer *out)
{
    struct buf grouped;
    char align = spec->align != '\0' ? spec->align : spec->has_zero ? '=' : '>';
    bool has_zeros = align == '=' && (spec->fill_end == spec->fill_begin
                                          ? spec->has_zero
                                          : char_at(spec->text, spec->fill_begin) == '0');
    size_t n_lead = strlen(lead), width = spec->width < 0 ? 0 : (size_t)spec->width;
    buf_init(&grouped);
    if (spec->grouping != '\0')
        group(spec, digits, has_zeros && width > n_lead ? width - n_lead : 0, &grouped);
    else
        buf_append_text(&grouped, digits);
    size_t n = n_lead + grouped.len, n_fill = width > n ? width - n : 0;
    size_t n_left = left_of(align, n_fill);
    if (align == '=')
        jinja_write(out, lead, n_lead, JINJA_DATA);
    pad(out, spec, n_left);
    if (align != '=')
        jinja_write(out, lead, n_lead, JINJA_DATA);
    jinja_write(out, buf_text(&grouped), grouped.len, JINJA_DATA);
    pad(out, spec, n_fill - n_left);
    bool is_good = !grouped.failed || jinja_fail(run, "a number cannot be formatted");
    buf_done(&grouped);
    return is_good && !out->failed;
}

static const char *sign_of(const struct spec *spec, bool is_negative)
{
    return is_negative ? "-" : spec->sign == '+' ? "+" : spec->sign == ' ' ? " " : "";
}

static bool put_integer(struct jinja_run *run, const struct spec *spec, int64_t integer,
                        struct jinja_writer *out)
{
    char digits[72], lead[8];
    uint64_t left = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
    unsigned base = spec->kind == 'b'                        ? 2
                    : spec->kind == 'o'                      ? 8
                    : spec->kind == 'x' || spec->kind == 'X' ? 16
                                                             : 10;
    const char *const letters = spec->kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    size_t at = sizeof digits;
    if (spec->precision >= 0)
        return jinja_fail(run, "a format of an integer has no precision");
    digits[--at] = '\0';
    do
        digits[--at] = letters[left % base];
    while ((left /= base) > 0);
    snprintf(lead, sizeof lead, "%s%s%.1s", sign_of(spec, integer < 0),
             spec->is_alternate && base != 10 ? "0" : "",
             spec->is_alternate && base != 10 ? &spec->kind : "");
    return put_digits(run, spec, lead, digits + at, out);
}

static bool put_character(struct jinja_run *run, const struct spec *spec, int64_t integer,
                          struct jinja_writer *out)
{
    char bytes[4];
    struct spec text_spec = *spec;
    struct jinja_value text;
    if (integer < 0 || integer > 0x10FFFF || spec->precision >= 0)
        return jinja_fail(run, "%%c: the number is no character");
    text_spec.align = spec->align == '\0' ? '>' : spec->align;
    return jinja_string_copy(run, bytes, utf8_encode((uint32_t)integer, bytes), JINJA_DATA,
                             &text) &&
           put_text(run, &text_spec, text.string, out);
}

static void append(char *text, size_t size, const char *more)
{
    size_t len = strlen(text);
    snprintf(text + len, size - len, "%s", more);
}

/* "1.20e+02" to "1.2e+02". */
static void strip_zeros(char *text)
{
    char *mark = strchr(text, 'e'), *end = mark;
    if (memchr(text, '.', (size_t)(mark - text)) == NULL)
        return;
    while (end[-1] == '0')
        end--;
    end -= end[-1] == '.';
    memmove(end, mark, strlen(mark) + 1);
}

/* Significant digits and no kind: as %g, but with a digit behind the point, and with an exponent
 * from the last digit on. */
static void print_general(double real, int precision, char *out, size_t size)
{
    int n = precision > 0 ? precision : 1;
    snprintf(out, size, "%.*e", n - 1, real);
    if (isfinite(real) && atoi(strchr(out, 'e') + 1) == n - 1) {
        strip_zeros(out);
        return;
    }
    snprintf(out, size, "%.*g", n, real);
    if (isfinite(real) && strpbrk(out, ".e") == NULL)
        append(out, size, ".0");
}

static bool put_real(struct jinja_run *run, const struct spec *spec, double real,
                     struct jinja_writer *out)
{
    size_t size = MAX_WIDTH + 400;
    char *text = malloc(size), format[16];
    if (text == NULL)
        return jinja_fail(run, "there is no memory to format a number");
    double shown = spec->kind == '%' ? real * 100 : real;
    bool is_negative = signbit(shown) && !isnan(shown);
    int precision = spec->precision < 0 ? 6 : spec->precision;
    char kind = spec->kind == '%' ? 'f' : spec->kind == 'n' ? 'g' : spec->kind;
    if (kind == '\0' && spec->precision < 0) {
        jinja_print_float(fabs(shown), text);
    } else if (kind == '\0') {
        print_general(fabs(shown), spec->precision, text, size - 2);
    } else {
        snprintf(format, sizeof format, "%%%s.*%c", spec->is_alternate ? "#" : "", kind);
        snprintf(text, size - 1, format, precision, fabs(shown));
    }
    if (spec->kind == '%')
        append(text, size, "%");
    bool is_good = put_digits(run, spec, sign_of(spec, is_negative), text, out);
    free(text);
    return is_good;
}

static bool put_number(struct jinja_run *run, const struct spec *spec, struct jinja_value value,
                       struct jinja_writer *out)
{
    bool is_whole = value.type != JINJA_FLOAT;
    if (spec->kind == 'c' && is_whole)
        return put_character(run, spec, jinja_integer(value), out);
    if (jinja_is_one_of(spec->kind, "eEfFgG%") ||
        (!is_whole && !jinja_is_one_of(spec->kind, "bcdosxX")))
        return put_real(run, spec, jinja_real(value), out);
    if (!is_whole || spec->kind == 's')
        return jinja_fail(run, "unknown format code '%c' for object of type '%s'", spec->kind,
                          jinja_type_name(value));
    return put_integer(run, spec, jinja_integer(value), out);
}

bool jinja_format_value(struct jinja_run *run, struct jinja_value value,
                        const struct jinja_string *text, struct jinja_writer *out)
{
    struct spec spec = {.text = text};
    struct jinja_value plain;
    if (text->len == 0) {
        if (!jinja_to_string(run, value, &plain))
            return false;
        jinja_write_string(out, plain.string);
        return !out->failed;
    }
    if (!read_spec(run, &spec))
        return false;
    if (jinja_is_number(value))
        return put_number(run, &spec, value, out);
    if (value.type != JINJA_STRING || (spec.kind != '\0' && spec.kind != 's'))
        return jinja_fail(run, "a format string cannot be applied to '%s'", jinja_type_name(value));
    return put_text(run, &spec, value.string, out);
}
