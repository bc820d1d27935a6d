#include "core/text/json_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/hex.h"
#include "core/text/jinja_dict.h"
#include "core/text/jinja_run.h"
#include "core/text/utf8.h"

struct reader {
    struct jinja_run *run;
    const char *what;
    const char *text;
    size_t len;
    size_t at;
    enum jinja_mark mark;
};

static bool read_value(struct reader *reader, struct jinja_value *out);

static bool fail(const struct reader *reader, const char *why)
{
    return err_set(reader->run->err, ERR_INVALID, "%s: %s at byte %zu", reader->what, why,
                   reader->at);
}

static char peek(const struct reader *reader)
{
    return reader->at < reader->len ? reader->text[reader->at] : '\0';
}

static char skip_space(struct reader *reader)
{
    char c;
    while ((c = peek(reader)) != '\0' && strchr(" \t\n\r", c) != NULL)
        reader->at++;
    return c;
}

static bool is_word(struct reader *reader, const char *word)
{
    size_t len = strlen(word);
    if (len > reader->len - reader->at || memcmp(reader->text + reader->at, word, len) != 0)
        return false;
    reader->at += len;
    return true;
}

/* ---- strings ---- */

/* Four hexadecimal digits; false when there are fewer. */
static bool read_unit(struct reader *reader, uint32_t *out)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        int digit = hex_value(peek(reader));
        if (digit < 0)
            return false;
        unit = unit << 4 | (uint32_t)digit;
    }
    *out = unit;
    return true;
}

/* Behind "\u"; a half of a pair that stands alone becomes U+FFFD. */
static bool read_point(struct reader *reader, uint32_t *out)
{
    uint32_t low;
    if (!read_unit(reader, out))
        return false;
    if (*out < 0xD800 || *out > 0xDFFF)
        return true;
    size_t after = reader->at;
    if (*out < 0xDC00 && is_word(reader, "\\u")) {
        if (!read_unit(reader, &low))
            return false;
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *out = 0x10000 + ((*out - 0xD800) << 10) + (low - 0xDC00);
            return true;
        }
        reader->at = after;
    }
    *out = 0xFFFD;
    return true;
}

static bool read_escape(struct reader *reader, struct jinja_writer *writer)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = peek(reader), bytes[4];
    const char *simple = c == '\0' ? NULL : strchr(from, c);
    uint32_t point;
    if (simple != NULL) {
        reader->at++;
        jinja_write(writer, &to[simple - from], 1, reader->mark);
        return true;
    }
    if (c != 'u')
        return fail(reader, "a damaged escape");
    reader->at++;
    if (!read_point(reader, &point))
        return fail(reader, "a damaged escape");
    jinja_write(writer, bytes, utf8_encode(point, bytes), reader->mark);
    return true;
}

/* Moves to the next quote or backslash. */
static bool skip_plain(struct reader *reader)
{
    uint32_t point;
    while (reader->at < reader->len) {
        unsigned char c = (unsigned char)reader->text[reader->at];
        if (c == '"' || c == '\\')
            return true;
        size_t n =
            c < 0x20 ? 0 : utf8_decode(reader->text + reader->at, reader->len - reader->at, &point);
        if (n == 0)
            return fail(reader, "a byte that no string may hold");
        reader->at += n;
    }
    return fail(reader, "a string without end");
}

/* Behind the opening quote. A string without escapes is borrowed. */
static bool read_string(struct reader *reader, struct jinja_value *out)
{
    size_t begin = reader->at;
    if (!skip_plain(reader) || !jinja_spend_bytes(reader->run, reader->at - begin))
        return false;
    if (peek(reader) == '"') {
        reader->at++;
        return jinja_string_borrow(reader->run, reader->text + begin, reader->at - 1 - begin,
                                   reader->mark, out);
    }
    struct jinja_writer writer;
    jinja_writer_init(&writer, reader->run, reader->at - begin + 16);
    while (!writer.failed) {
        jinja_write(&writer, reader->text + begin, reader->at - begin, reader->mark);
        if (reader->text[reader->at++] == '"')
            return jinja_writer_end(&writer, out);
        if (!read_escape(reader, &writer))
            return false;
        begin = reader->at;
        if (!skip_plain(reader))
            return false;
    }
    return false;
}

/* ---- numbers ---- */

static size_t skip_digits(struct reader *reader)
{
    size_t begin = reader->at;
    while (peek(reader) >= '0' && peek(reader) <= '9')
        reader->at++;
    return reader->at - begin;
}

/* True when the number is well formed; *out_is_real: it has a fraction or an exponent. */
static bool skip_number(struct reader *reader, bool *out_is_real)
{
    reader->at += peek(reader) == '-';
    bool has_zero = peek(reader) == '0';
    size_t n = skip_digits(reader);
    if (n == 0 || (has_zero && n > 1))
        return false;
    *out_is_real = false;
    if (peek(reader) == '.') {
        reader->at++;
        *out_is_real = true;
        if (skip_digits(reader) == 0)
            return false;
    }
    if (peek(reader) == 'e' || peek(reader) == 'E') {
        reader->at++;
        reader->at += peek(reader) == '-' || peek(reader) == '+';
        *out_is_real = true;
        return skip_digits(reader) > 0;
    }
    return true;
}

static bool read_number(struct reader *reader, struct jinja_value *out)
{
    char digits[64];
    size_t begin = reader->at;
    bool is_real;
    if (!skip_number(reader, &is_real))
        return fail(reader, "something that is no value");
    size_t len = reader->at - begin;
    if (len >= sizeof digits)
        return fail(reader, "a number with too many digits");
    memcpy(digits, reader->text + begin, len);
    digits[len] = '\0';
    errno = 0;
    *out = jinja_int(is_real ? 0 : strtoll(digits, NULL, 10));
    if (is_real || errno == ERANGE)
        *out = jinja_float(strtod(digits, NULL));
    return true;
}

/* ---- lists and objects ---- */

/* After an item: *out_more tells whether a comma promises another. */
static bool read_comma(struct reader *reader, char close, bool *out_more)
{
    char c = skip_space(reader);
    *out_more = c == ',';
    if (c != ',' && c != close)
        return fail(reader, "a comma or the end is missing");
    reader->at++;
    return true;
}

static bool read_list(struct reader *reader, struct jinja_value *out)
{
    struct jinja_value item;
    if (!jinja_list_new(reader->run, JINJA_LIST, 0, out))
        return false;
    reader->at++;
    bool has_more = skip_space(reader) != ']';
    reader->at += !has_more;
    while (has_more) {
        if (!read_value(reader, &item) || !jinja_list_push(reader->run, out->list, item) ||
            !read_comma(reader, ']', &has_more))
            return false;
    }
    return true;
}

static bool read_object(struct reader *reader, struct jinja_value *out)
{
    struct jinja_value key, value;
    if (!jinja_dict_new(reader->run, JINJA_DICT, out))
        return false;
    reader->at++;
    bool has_more = skip_space(reader) != '}';
    reader->at += !has_more;
    while (has_more) {
        if (skip_space(reader) != '"')
            return fail(reader, "a key is missing");
        reader->at++;
        if (!read_string(reader, &key))
            return false;
        if (skip_space(reader) != ':')
            return fail(reader, "a colon is missing");
        reader->at++;
        if (!read_value(reader, &value) || !jinja_dict_set(reader->run, out->dict, key, value) ||
            !read_comma(reader, '}', &has_more))
            return false;
    }
    return true;
}

static bool read_inside(struct reader *reader, struct jinja_value *out)
{
    switch (skip_space(reader)) {
    case '{':
        return read_object(reader, out);
    case '[':
        return read_list(reader, out);
    case '"':
        reader->at++;
        return read_string(reader, out);
    case 't':
    case 'f':
        *out = jinja_bool(peek(reader) == 't');
        return is_word(reader, out->boolean ? "true" : "false") ||
               fail(reader, "something that is no value");
    case 'n':
        *out = jinja_none();
        return is_word(reader, "null") || fail(reader, "something that is no value");
    default:
        return read_number(reader, out);
    }
}

static bool read_value(struct reader *reader, struct jinja_value *out)
{
    if (reader->run->depth == JINJA_MAX_DEPTH)
        return fail(reader, "nested too deep");
    if (!jinja_enter(reader->run))
        return false;
    bool is_good = read_inside(reader, out);
    jinja_leave(reader->run);
    return is_good;
}

bool json_read(struct jinja_run *run, const char *what, const char *text, size_t len,
               enum jinja_mark mark, struct jinja_value *out)
{
    struct reader reader = {run, what, text, len, 0, mark};
    if (!read_value(&reader, out))
        return false;
    skip_space(&reader);
    return reader.at == len || fail(&reader, "more than one value");
}
