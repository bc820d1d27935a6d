#include "core/text/grammar_parser.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/hex.h"
#include "core/text/grammar.h"
#include "core/text/grammar_builder.h"
#include "core/text/text_map.h"
#include "core/text/utf8.h"

enum { MAX_DEPTH = 100, MAX_NAME_SHOWN = 64 };

struct rule_name {
    const char *text;
    size_t len;
    uint32_t rule;
    int line; /* where it was met first */
};

struct parser {
    struct grammar_builder builder;
    const char *at, *end;
    int line;
    int depth;           /* of parentheses */
    struct text_map map; /* name to its place in `names` */
    struct rule_name *names;
    size_t n_names, max_names;
};

static bool fail(struct parser *parser, const char *what)
{
    return grammar_builder_fail(&parser->builder, "line %d: %s", parser->line, what);
}

static bool fail_name(struct parser *parser, int line, const char *what,
                      const struct rule_name *name)
{
    int len = (int)(name->len < MAX_NAME_SHOWN ? name->len : MAX_NAME_SHOWN);
    return grammar_builder_fail(&parser->builder, "line %d: rule '%.*s' %s", line, len, name->text,
                                what);
}

/* ---- spaces and names ---- */

static bool is_at(const struct parser *parser, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(parser->end - parser->at) >= len && memcmp(parser->at, word, len) == 0;
}

static bool is_at_char(const struct parser *parser, char c)
{
    return parser->at < parser->end && *parser->at == c;
}

static bool take(struct parser *parser, const char *word)
{
    if (!is_at(parser, word))
        return false;
    parser->at += strlen(word);
    return true;
}

/* Spaces and comments; line ends too if they mean nothing here. */
static void skip_space(struct parser *parser, bool over_lines)
{
    for (; parser->at < parser->end; parser->at++) {
        char c = *parser->at;
        if (c == '#') {
            const char *line_end = memchr(parser->at, '\n', (size_t)(parser->end - parser->at));
            parser->at = (line_end != NULL ? line_end : parser->end) - 1;
        } else if (c == '\n' && over_lines) {
            parser->line++;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* The rule of the name that begins here; a new one when it is met first. */
static struct rule_name *take_name(struct parser *parser)
{
    const char *text = parser->at;
    while (parser->at < parser->end && is_name_char(*parser->at))
        parser->at++;
    size_t len = (size_t)(parser->at - text);
    int32_t known = text_map_get(&parser->map, text, len);
    if (known >= 0)
        return &parser->names[known];
    uint32_t rule = grammar_builder_rule(&parser->builder);
    if (parser->builder.failed || parser->n_names == parser->max_names) {
        fail(parser, "there are too many rules");
        return NULL;
    }
    struct rule_name *name = &parser->names[parser->n_names];
    *name = (struct rule_name){.text = text, .len = len, .rule = rule, .line = parser->line};
    text_map_add(&parser->map, text, len, (int32_t)parser->n_names++);
    return name;
}

/* ---- characters ---- */

static bool take_hex(struct parser *parser, int n_digits, uint32_t *out)
{
    uint32_t point = 0;
    for (int i = 0; i < n_digits; i++) {
        int digit = parser->at < parser->end ? hex_value(*parser->at) : -1;
        if (digit < 0)
            return fail(parser, "an escape needs 2 hexadecimal digits after \\x, 4 after \\u, 8 "
                                "after \\U");
        point = point << 4 | (uint32_t)digit;
        parser->at++;
    }
    if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
        return fail(parser, "an escape names no Unicode character");
    *out = point;
    return true;
}

static bool take_escape(struct parser *parser, uint32_t *out)
{
    static const char names[] = "nrt\\\"[]-^/";
    static const char values[] = "\n\r\t\\\"[]-^/";
    char c = parser->at < parser->end ? *parser->at : '\0';
    if (c == 'x' || c == 'u' || c == 'U') {
        parser->at++;
        return take_hex(parser, c == 'x' ? 2 : c == 'u' ? 4 : 8, out);
    }
    const char *found = c != '\0' ? strchr(names, c) : NULL;
    if (found == NULL)
        return fail(parser, "an escape is none of \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\xNN "
                            "\\uNNNN \\UNNNNNNNN");
    parser->at++;
    *out = (uint32_t)values[found - names];
    return true;
}

/* One character of a literal or a class. */
static bool take_char(struct parser *parser, uint32_t *out)
{
    if (take(parser, "\\"))
        return take_escape(parser, out);
    size_t len = utf8_decode(parser->at, (size_t)(parser->end - parser->at), out);
    if (len == 0)
        return fail(parser, "a character is missing, or is not UTF-8");
    if (*parser->at == '\n')
        return fail(parser, "a literal or class does not end on its line");
    parser->at += len;
    return true;
}

static struct grammar_part parse_literal(struct parser *parser)
{
    struct grammar_builder *builder = &parser->builder;
    struct grammar_part part = grammar_builder_empty(builder);
    char bytes[256];
    size_t len = 0;
    while (!builder->failed && !take(parser, "\"")) {
        uint32_t point;
        if (!take_char(parser, &point))
            break;
        len += utf8_encode(point, bytes + len);
        if (len + 4 <= sizeof bytes)
            continue;
        part = grammar_builder_join(builder, part, grammar_builder_bytes(builder, bytes, len));
        len = 0;
    }
    return grammar_builder_join(builder, part, grammar_builder_bytes(builder, bytes, len));
}

static struct grammar_part parse_class(struct parser *parser)
{
    struct grammar_range ranges[GRAMMAR_MAX_RANGES];
    size_t n = 0;
    bool is_negated = take(parser, "^");
    while (!parser->builder.failed && !take(parser, "]")) {
        if (n == GRAMMAR_MAX_RANGES) {
            fail(parser, "a character class has too many ranges");
            break;
        }
        struct grammar_range *range = &ranges[n];
        if (!take_char(parser, &range->first))
            break;
        range->last = range->first;
        bool is_range =
            is_at_char(parser, '-') && parser->end - parser->at > 1 && parser->at[1] != ']';
        if (is_range) {
            parser->at++;
            if (!take_char(parser, &range->last))
                break;
        }
        if (range->first > range->last)
            fail(parser, "a range of characters goes backwards");
        n++; /* whole */
    }
    return grammar_builder_class(&parser->builder, ranges, n, is_negated);
}

/* ---- repetition ---- */

static bool take_count(struct parser *parser, int *out)
{
    int count = 0;
    if (parser->at == parser->end || *parser->at < '0' || *parser->at > '9')
        return fail(parser, "a repetition is {n}, {n,} or {n,m}");
    for (; parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9'; parser->at++) {
        count = count * 10 + (*parser->at - '0');
        if (count > GRAMMAR_MAX_REPEAT)
            return fail(parser, "a repetition counts too far");
    }
    skip_space(parser, true);
    *out = count;
    return true;
}

static bool take_bounds(struct parser *parser, int *min, int *max)
{
    skip_space(parser, true);
    *min = 0;
    if (!is_at_char(parser, ',') && !take_count(parser, min))
        return false;
    *max = *min;
    if (take(parser, ",")) {
        skip_space(parser, true);
        *max = -1;
        if (!is_at_char(parser, '}') && !take_count(parser, max))
            return false;
    }
    return take(parser, "}") || fail(parser, "a repetition does not end with '}'");
}

static struct grammar_part parse_repeats(struct parser *parser, struct grammar_part part)
{
    int n_stacked = 0;
    for (;;) {
        int min = 0, max = -1;
        const char *before = parser->at;
        int line = parser->line;
        skip_space(parser, parser->depth > 0);
        if (take(parser, "?")) {
            max = 1;
        } else if (take(parser, "+")) {
            min = 1;
        } else if (take(parser, "{")) {
            if (!take_bounds(parser, &min, &max))
                return part;
        } else if (!take(parser, "*")) {
            parser->at = before;
            parser->line = line;
            return part;
        }
        if (++n_stacked > MAX_DEPTH) {
            fail(parser, "too many repetitions of one thing");
            return part;
        }
        part = grammar_builder_repeat(&parser->builder, part, min, max);
    }
}

/* ---- rules ---- */

static struct grammar_part parse_choice(struct parser *parser);

static struct grammar_part parse_group(struct parser *parser)
{
    if (++parser->depth > MAX_DEPTH)
        fail(parser, "parentheses are nested too deep");
    struct grammar_part part = parse_choice(parser);
    skip_space(parser, true);
    if (!parser->builder.failed && !take(parser, ")"))
        fail(parser, "')' is missing, or something that is not GBNF stands before it");
    parser->depth--;
    return part;
}

/* False where no element begins. */
static bool parse_element(struct parser *parser, struct grammar_part *out)
{
    if (take(parser, "\"")) {
        *out = parse_literal(parser);
    } else if (take(parser, "[")) {
        *out = parse_class(parser);
    } else if (take(parser, "(")) {
        *out = parse_group(parser);
    } else if (take(parser, ".")) {
        *out = grammar_builder_class(&parser->builder, NULL, 0, true);
    } else if (parser->at < parser->end && is_name_char(*parser->at)) {
        struct rule_name *name = take_name(parser);
        if (name != NULL)
            *out = grammar_builder_call(&parser->builder, name->rule);
    } else {
        return false;
    }
    return true;
}

static struct grammar_part parse_sequence(struct parser *parser)
{
    struct grammar_builder *builder = &parser->builder;
    struct grammar_part sequence = grammar_builder_empty(builder);
    struct grammar_part element = sequence;
    while (!builder->failed) {
        skip_space(parser, parser->depth > 0);
        if (!parse_element(parser, &element))
            break;
        element = parse_repeats(parser, element);
        sequence = grammar_builder_join(builder, sequence, element);
    }
    return sequence;
}

/* A '|' may also begin the next line. */
static bool take_bar(struct parser *parser)
{
    const char *before = parser->at;
    int line = parser->line;
    skip_space(parser, true);
    if (take(parser, "|")) {
        skip_space(parser, true);
        return true;
    }
    parser->at = before;
    parser->line = line;
    return false;
}

static struct grammar_part parse_choice(struct parser *parser)
{
    struct grammar_part choice = parse_sequence(parser);
    while (!parser->builder.failed && take_bar(parser))
        choice = grammar_builder_either(&parser->builder, choice, parse_sequence(parser));
    return choice;
}

static void parse_rule(struct parser *parser)
{
    struct grammar_builder *builder = &parser->builder;
    if (!is_name_char(*parser->at)) {
        fail(parser, "a rule is expected here: name ::= ...");
        return;
    }
    int line = parser->line;
    struct rule_name *name = take_name(parser);
    if (name == NULL)
        return;
    skip_space(parser, false);
    if (!take(parser, "::=")) {
        fail_name(parser, line, "is not followed by '::='", name);
        return;
    }
    if (grammar_builder_is_defined(builder, name->rule)) {
        fail_name(parser, line, "is defined twice", name);
        return;
    }
    skip_space(parser, true);
    grammar_builder_define(builder, name->rule, parse_choice(parser));
    skip_space(parser, false);
    if (!builder->failed && parser->at < parser->end && *parser->at != '\n')
        fail(parser, "this is not GBNF: expected a string, a class, a name, '(', '|' or the end "
                     "of the line");
}

static void check_names(struct parser *parser)
{
    for (size_t i = 0; i < parser->n_names && !parser->builder.failed; i++) {
        const struct rule_name *name = &parser->names[i];
        if (grammar_builder_is_defined(&parser->builder, name->rule))
            continue;
        if (i == 0)
            grammar_builder_fail(&parser->builder,
                                 "a grammar needs a rule 'root': that is where it begins");
        else
            fail_name(parser, name->line, "is not defined", name);
    }
}

static bool finish(struct parser *parser, struct grammar **out)
{
    uint32_t rule;
    if (grammar_builder_finish(&parser->builder, out, &rule))
        return true;
    for (size_t i = 0; rule != GRAMMAR_NONE && i < parser->n_names; i++) {
        if (parser->names[i].rule == rule)
            err_prefix(parser->builder.err, "rule '%.*s'",
                       (int)(parser->names[i].len < MAX_NAME_SHOWN ? parser->names[i].len
                                                                   : MAX_NAME_SHOWN),
                       parser->names[i].text);
    }
    return false;
}

static bool open_parser(struct parser *parser, const char *text, size_t len, struct err *err)
{
    static const char root[] = "root";
    *parser = (struct parser){.at = text, .end = text + len, .line = 1};
    grammar_builder_init(&parser->builder, err);
    size_t max_names = len / 2 + 2; /* each takes a character, and one more that ends it */
    parser->max_names = max_names < GRAMMAR_MAX_RULES ? max_names : GRAMMAR_MAX_RULES;
    parser->names = malloc(parser->max_names * sizeof *parser->names);
    if (parser->names == NULL)
        return err_no_memory(err, "a grammar");
    if (!text_map_init(&parser->map, parser->max_names, err))
        return false;
    uint32_t rule = grammar_builder_rule(&parser->builder);
    parser->names[0] = (struct rule_name){.text = root, .len = strlen(root), .rule = rule};
    text_map_add(&parser->map, root, strlen(root), 0);
    parser->n_names = 1;
    return !parser->builder.failed;
}

bool grammar_parse(struct grammar **out, const char *text, size_t len, struct err *err)
{
    struct parser parser;
    bool is_good = open_parser(&parser, text, len, err);
    if (is_good) {
        skip_space(&parser, true);
        while (!parser.builder.failed && parser.at < parser.end) {
            parse_rule(&parser);
            skip_space(&parser, true);
        }
        check_names(&parser);
        is_good = !parser.builder.failed && finish(&parser, out);
    }
    grammar_builder_done(&parser.builder);
    text_map_done(&parser.map);
    free(parser.names);
    return is_good;
}
