/* Constants, names, lists, tuples and dicts: what an expression begins with. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hex.h"
#include "core/text/jinja_parser.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"
#include "core/text/utf8.h"

/* A code point in hex or octal digits, at most max of them; how many there were. */
static size_t read_point(const char *text, size_t len, size_t max, int base, uint32_t *out)
{
    size_t n = 0;
    *out = 0;
    while (n < max && n < len && hex_value(text[n]) >= 0 && hex_value(text[n]) < base)
        *out = *out * (uint32_t)base + (uint32_t)hex_value(text[n++]);
    return n;
}

/* One escape behind a backslash: bytes read, *n_out bytes written. 0 for one that is damaged. */
static size_t unescape(const char *text, size_t len, char *out, size_t *n_out)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *simple = text[0] == '\0' ? NULL : strchr(from, text[0]);
    uint32_t point;
    *n_out = 1;
    if (simple != NULL) {
        out[0] = to[simple - from];
        return 1;
    }
    if (text[0] == '\n') {
        *n_out = 0;
        return 1;
    }
    if (text[0] >= '0' && text[0] <= '7') {
        size_t n = read_point(text, len, 3, 8, &point);
        *n_out = utf8_encode(point, out);
        return n;
    }
    size_t digits = text[0] == 'x' ? 2 : text[0] == 'u' ? 4 : text[0] == 'U' ? 8 : 0;
    if (digits == 0) { /* unknown: the backslash stays */
        out[0] = '\\';
        out[1] = text[0];
        *n_out = 2;
        return 1;
    }
    if (read_point(text + 1, len - 1, digits, 16, &point) < digits || point > 0x10FFFF ||
        (point >= 0xD800 && point <= 0xDFFF))
        return 0;
    *n_out = utf8_encode(point, out);
    return 1 + digits;
}

/* Appends the string of the token looked at. */
static bool read_string(struct jinja_parser *parser, struct jinja_writer *writer)
{
    const char *text = parser->token.text;
    size_t len = parser->token.len;
    char bytes[8];
    for (size_t at = 0; at < len;) {
        const char *slash = memchr(text + at, '\\', len - at);
        size_t end = slash == NULL ? len : (size_t)(slash - text);
        jinja_write(writer, text + at, end - at, JINJA_CONTROL);
        if (end == len)
            break;
        size_t n_out, n = unescape(text + end + 1, len - end - 1, bytes, &n_out);
        if (n == 0)
            return jinja_parser_fail(parser, "a string has a damaged escape");
        jinja_write(writer, bytes, n_out, JINJA_CONTROL);
        at = end + 1 + n;
    }
    return true;
}

/* Neighbouring strings are one. */
static bool parse_string(struct jinja_parser *parser, struct jinja_node **out)
{
    struct jinja_writer writer;
    *out = jinja_parser_node(parser, JINJA_LITERAL);
    jinja_writer_init(&writer, parser->run, parser->token.len);
    while (parser->token.type == JINJA_TOKEN_STRING) {
        if (!read_string(parser, &writer) || !jinja_parser_next(parser))
            return false;
    }
    return *out != NULL && jinja_writer_end(&writer, &(*out)->value);
}

bool jinja_parse_number(struct jinja_parser *parser, struct jinja_node **out)
{
    char digits[64];
    size_t n = 0;
    for (size_t i = 0; i < parser->token.len && n < sizeof digits - 1; i++) {
        if (parser->token.text[i] != '_')
            digits[n++] = parser->token.text[i];
    }
    digits[n] = '\0';
    *out = jinja_parser_node(parser, JINJA_LITERAL);
    if (*out == NULL)
        return false;
    char *end;
    errno = 0;
    if (parser->token.type == JINJA_TOKEN_FLOAT) {
        (*out)->value = jinja_float(strtod(digits, &end));
    } else {
        char radix = n > 1 ? (char)(digits[1] | 0x20) : '\0';
        int base = radix == 'x' ? 16 : radix == 'o' ? 8 : radix == 'b' ? 2 : 10;
        (*out)->value = jinja_int(strtoll(digits + (base == 10 ? 0 : 2), &end, base));
        if (errno != 0)
            return jinja_parser_fail(parser, "a number is too large");
    }
    if (*end != '\0' || n == sizeof digits - 1)
        return jinja_parser_fail(parser, "a number is not well formed");
    return jinja_parser_next(parser);
}

/* Items up to the closing bracket; a comma may stand behind the last. */
static bool parse_items(struct jinja_parser *parser, const char *close, bool has_pairs,
                        struct jinja_node **out)
{
    struct jinja_node **tail = out, *item;
    bool has_comma = true;
    while (!jinja_parser_is_sign(parser, close)) {
        if (!has_comma)
            return jinja_parser_fail(parser, "a comma is missing");
        if (!jinja_parse_expression(parser, &item))
            return false;
        jinja_parser_link(&tail, item);
        if (has_pairs) {
            if (!jinja_parser_expect_sign(parser, ":") || !jinja_parse_expression(parser, &item))
                return false;
            jinja_parser_link(&tail, item);
        }
        if (!jinja_parser_skip_sign(parser, ",", &has_comma))
            return false;
    }
    return jinja_parser_next(parser);
}

/* "()", "(a)", "(a,)", "(a, b)" behind the opening bracket. */
static bool parse_group(struct jinja_parser *parser, struct jinja_node **out)
{
    if (!jinja_parser_is_sign(parser, ")"))
        return jinja_parse_tuple(parser, true, out) && jinja_parser_expect_sign(parser, ")");
    *out = jinja_parser_node(parser, JINJA_TUPLE_OF);
    return *out != NULL && jinja_parser_next(parser);
}

static bool parse_bracket(struct jinja_parser *parser, struct jinja_node **out)
{
    char sign = parser->token.text[0];
    if (!jinja_parser_next(parser))
        return false;
    if (sign == '(')
        return parse_group(parser, out);
    *out = jinja_parser_node(parser, sign == '[' ? JINJA_LIST_OF : JINJA_DICT_OF);
    return *out != NULL &&
           parse_items(parser, sign == '[' ? "]" : "}", sign == '{', &(*out)->items);
}

bool jinja_parse_name(struct jinja_parser *parser, struct jinja_node **out)
{
    static const struct {
        const char *name;
        struct jinja_value value;
    } constants[] = {
        {"true", {.type = JINJA_BOOL, .boolean = true}},
        {"True", {.type = JINJA_BOOL, .boolean = true}},
        {"false", {.type = JINJA_BOOL}},
        {"False", {.type = JINJA_BOOL}},
        {"none", {.type = JINJA_NONE}},
        {"None", {.type = JINJA_NONE}},
    };
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        if (!jinja_parser_is_name(parser, constants[i].name))
            continue;
        *out = jinja_parser_node(parser, JINJA_LITERAL);
        if (*out == NULL)
            return false;
        (*out)->value = constants[i].value;
        return jinja_parser_next(parser);
    }
    *out = jinja_parser_node(parser, JINJA_VARIABLE);
    if (*out == NULL)
        return false;
    (*out)->name =
        jinja_name_add(parser->run, parser->names, parser->token.text, parser->token.len);
    return (*out)->name != NULL && jinja_parser_next(parser);
}

bool jinja_parse_primary(struct jinja_parser *parser, struct jinja_node **out)
{
    switch (parser->token.type) {
    case JINJA_TOKEN_NAME:
        return jinja_parse_name(parser, out);
    case JINJA_TOKEN_STRING:
        return parse_string(parser, out);
    case JINJA_TOKEN_INTEGER:
    case JINJA_TOKEN_FLOAT:
        return jinja_parse_number(parser, out);
    case JINJA_TOKEN_SIGN:
        if (strchr("([{", parser->token.text[0]) != NULL)
            return parse_bracket(parser, out);
        return jinja_parser_fail(parser, "an expression is expected");
    default:
        return jinja_parser_fail(parser, "an expression is expected");
    }
}
