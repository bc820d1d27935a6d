#include "core/text/jinja_print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "core/text/jinja_dict.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

static void put(struct jinja_writer *out, const char *text)
{
    jinja_write(out, text, strlen(text), JINJA_DATA);
}

/* The shortest digits that read back as the same number. */
static int shortest(double real, char *out, size_t size)
{
    int precision = 1;
    do
        snprintf(out, size, "%.*e", precision - 1, real);
    while (strtod(out, NULL) != real && ++precision <= 17);
    return precision;
}

size_t jinja_print_float(double real, char out[JINJA_FLOAT_SIZE])
{
    if (isnan(real) || isinf(real))
        return (size_t)snprintf(out, JINJA_FLOAT_SIZE, "%s",
                                isnan(real) ? "nan"
                                : real > 0  ? "inf"
                                            : "-inf");
    char digits[JINJA_FLOAT_SIZE];
    int precision = shortest(real, digits, sizeof digits);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent < -4 || exponent >= 16) /* 1e+16 has no point, as in Python */
        return (size_t)snprintf(out, JINJA_FLOAT_SIZE, "%s", digits);
    int n_decimals = precision - 1 - exponent;
    return (size_t)snprintf(out, JINJA_FLOAT_SIZE, "%.*f", n_decimals < 1 ? 1 : n_decimals, real);
}

static void put_float(struct jinja_writer *out, double real)
{
    char text[JINJA_FLOAT_SIZE];
    jinja_print_float(real, text);
    put(out, text);
}

static void put_integer(struct jinja_writer *out, int64_t integer)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, integer);
    put(out, text);
}

/* ---- repr ---- */

/* What Python's repr() writes as an escape. */
static bool is_printable(uint32_t point)
{
    if (point < 0x7F)
        return point >= 0x20;
    if (point > 0x10FFFF)
        return false;
    switch (utf8proc_category((utf8proc_int32_t)point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

static void put_escape(struct jinja_writer *out, const struct jinja_string *string, size_t at,
                       size_t n, uint32_t point)
{
    char text[16];
    const char *format = point < 0x100 ? "\\x%02x" : point < 0x10000 ? "\\u%04x" : "\\U%08x";
    if (point > 0x10FFFF) /* not UTF-8: the byte itself */
        point = (unsigned char)string->data[at];
    if (point == '\n' || point == '\r' || point == '\t')
        snprintf(text, sizeof text, "\\%c", point == '\n' ? 'n' : point == '\r' ? 'r' : 't');
    else
        snprintf(text, sizeof text, format, point);
    jinja_write_instead(out, string, at, at + n, text, strlen(text));
}

static void repr_string(const struct jinja_string *string, struct jinja_writer *out)
{
    bool has_single = memchr(string->data, '\'', string->len) != NULL;
    bool has_double = memchr(string->data, '"', string->len) != NULL;
    uint32_t quote = has_single && !has_double ? '"' : '\'';
    const char *mark = quote == '"' ? "\"" : "'";
    uint32_t point;
    size_t begin = 0;
    put(out, mark);
    for (size_t at = 0, n; at < string->len && !out->failed; at += n) {
        n = jinja_string_point(string, at, &point);
        bool is_slashed = point == '\\' || point == quote;
        if (!is_slashed && is_printable(point))
            continue;
        jinja_write_part(out, string, begin, at);
        begin = at + n;
        if (is_slashed) {
            put(out, "\\");
            jinja_write_part(out, string, at, at + n);
        } else {
            put_escape(out, string, at, n, point);
        }
    }
    jinja_write_part(out, string, begin, string->len);
    put(out, mark);
}

static bool repr_list(struct jinja_run *run, struct jinja_value value, struct jinja_writer *out)
{
    const struct jinja_list *list = value.list;
    bool is_tuple = value.type == JINJA_TUPLE;
    put(out, is_tuple ? "(" : "[");
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0)
            put(out, ", ");
        if (!jinja_write_repr(run, list->items[i], out))
            return false;
    }
    put(out, is_tuple ? list->n == 1 ? ",)" : ")" : "]");
    return !out->failed;
}

static bool repr_dict(struct jinja_run *run, const struct jinja_dict *dict,
                      struct jinja_writer *out)
{
    put(out, "{");
    for (size_t i = 0; i < dict->n; i++) {
        if (i > 0)
            put(out, ", ");
        if (!jinja_write_repr(run, dict->items[i].key, out))
            return false;
        put(out, ": ");
        if (!jinja_write_repr(run, dict->items[i].value, out))
            return false;
    }
    put(out, "}");
    return !out->failed;
}

static bool repr_inside(struct jinja_run *run, struct jinja_value value, struct jinja_writer *out)
{
    switch (value.type) {
    case JINJA_UNDEFINED:
        put(out, "Undefined");
        break;
    case JINJA_NONE:
        put(out, "None");
        break;
    case JINJA_BOOL:
        put(out, value.boolean ? "True" : "False");
        break;
    case JINJA_INT:
        put_integer(out, value.integer);
        break;
    case JINJA_FLOAT:
        put_float(out, value.real);
        break;
    case JINJA_STRING:
        repr_string(value.string, out);
        break;
    case JINJA_LIST:
    case JINJA_TUPLE:
        return repr_list(run, value, out);
    case JINJA_DICT:
        return repr_dict(run, value.dict, out);
    default:
        put(out, "<");
        put(out, jinja_type_name(value));
        put(out, ">");
        break;
    }
    return !out->failed;
}

bool jinja_write_repr(struct jinja_run *run, struct jinja_value value, struct jinja_writer *out)
{
    if (!jinja_enter(run))
        return false;
    bool is_good = repr_inside(run, value, out);
    jinja_leave(run);
    return is_good;
}

bool jinja_to_string(struct jinja_run *run, struct jinja_value value, struct jinja_value *out)
{
    if (value.type == JINJA_STRING) {
        *out = value;
        return true;
    }
    if (value.type == JINJA_UNDEFINED || value.type == JINJA_ABSENT)
        return jinja_string_borrow(run, "", 0, JINJA_CONTROL, out);
    struct jinja_writer writer;
    jinja_writer_init(&writer, run, 16);
    return jinja_write_repr(run, value, &writer) && jinja_writer_end(&writer, out);
}
