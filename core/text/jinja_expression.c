/* Operators, from those that bind tightest to those that bind loosest, as Jinja2's grammar has
 * them. */
#include <string.h>

#include "core/text/jinja_parser.h"
#include "core/text/jinja_run.h"

static bool parse_unary(struct jinja_parser *parser, bool with_filters, struct jinja_node **out);

static bool parse_signed(struct jinja_parser *parser, struct jinja_node **out)
{
    bool is_negative = parser->token.text[0] == '-';
    *out = jinja_parser_node(parser, is_negative ? JINJA_NEGATIVE : JINJA_POSITIVE);
    if (*out == NULL || !jinja_enter(parser->run))
        return false;
    bool is_good = jinja_parser_next(parser) && parse_unary(parser, false, &(*out)->left);
    jinja_leave(parser->run);
    return is_good;
}

static bool parse_unary(struct jinja_parser *parser, bool with_filters, struct jinja_node **out)
{
    bool is_signed = jinja_parser_is_sign(parser, "-") || jinja_parser_is_sign(parser, "+");
    struct jinja_node *node;
    if (!(is_signed ? parse_signed : jinja_parse_primary)(parser, &node) ||
        !jinja_parse_postfix(parser, node, out))
        return false;
    return !with_filters || jinja_parse_filters_and_tests(parser, out);
}

struct level {
    struct {
        const char *sign;
        enum jinja_operator op;
    } ops[4];
    bool (*parse)(struct jinja_parser *parser, struct jinja_node **out);
};

/* Operators of one level, which group to the left. */
static bool parse_level(struct jinja_parser *parser, const struct level *level,
                        struct jinja_node **out)
{
    if (!level->parse(parser, out))
        return false;
    for (size_t i = 0; i < 4 && level->ops[i].sign != NULL; i++) {
        if (!jinja_parser_is_sign(parser, level->ops[i].sign))
            continue;
        struct jinja_node *node = jinja_parser_node(parser, JINJA_BINARY);
        if (node == NULL || !jinja_parser_next(parser) || !level->parse(parser, &node->right))
            return false;
        node->op = level->ops[i].op;
        node->left = *out;
        *out = node;
        i = SIZE_MAX; /* look for all of them again */
    }
    return true;
}

static bool parse_operand(struct jinja_parser *parser, struct jinja_node **out)
{
    return parse_unary(parser, true, out);
}

static bool parse_power(struct jinja_parser *parser, struct jinja_node **out)
{
    static const struct level level = {{{"**", JINJA_POW}}, parse_operand};
    return parse_level(parser, &level, out);
}

static bool parse_product(struct jinja_parser *parser, struct jinja_node **out)
{
    static const struct level level = {
        {{"*", JINJA_MUL}, {"/", JINJA_DIV}, {"//", JINJA_FLOOR_DIV}, {"%", JINJA_MOD}},
        parse_power};
    return parse_level(parser, &level, out);
}

static bool parse_concat(struct jinja_parser *parser, struct jinja_node **out)
{
    struct jinja_node *first;
    if (!parse_product(parser, &first))
        return false;
    *out = first;
    if (!jinja_parser_is_sign(parser, "~"))
        return true;
    *out = jinja_parser_node(parser, JINJA_CONCAT);
    if (*out == NULL)
        return false;
    struct jinja_node **tail = &(*out)->items;
    jinja_parser_link(&tail, first);
    while (jinja_parser_is_sign(parser, "~")) {
        struct jinja_node *item;
        if (!jinja_parser_next(parser) || !parse_product(parser, &item))
            return false;
        jinja_parser_link(&tail, item);
    }
    return true;
}

static bool parse_sum(struct jinja_parser *parser, struct jinja_node **out)
{
    static const struct level level = {{{"+", JINJA_ADD}, {"-", JINJA_SUB}}, parse_concat};
    return parse_level(parser, &level, out);
}

/* True when a comparison stands here: its operator and how many tokens it has. */
static bool looks_like_comparison(const struct jinja_parser *parser, enum jinja_operator *out,
                                  int *out_n_tokens)
{
    static const struct {
        const char *sign;
        enum jinja_operator op;
    } signs[] = {{"==", JINJA_EQ}, {"!=", JINJA_NE}, {"<", JINJA_LT},
                 {"<=", JINJA_LE}, {">", JINJA_GT},  {">=", JINJA_GE}};
    *out_n_tokens = 1;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        *out = signs[i].op;
        if (jinja_parser_is_sign(parser, signs[i].sign))
            return true;
    }
    *out = JINJA_IN;
    if (jinja_parser_is_name(parser, "in"))
        return true;
    *out = JINJA_NOT_IN;
    *out_n_tokens = 2;
    return jinja_parser_is_name(parser, "not") && parser->after.type == JINJA_TOKEN_NAME &&
           parser->after.len == 2 && memcmp(parser->after.text, "in", 2) == 0;
}

static bool parse_comparison(struct jinja_parser *parser, struct jinja_node **out)
{
    enum jinja_operator op;
    int n_tokens;
    if (!parse_sum(parser, out))
        return false;
    struct jinja_node *compare = NULL, **tail = NULL;
    while (looks_like_comparison(parser, &op, &n_tokens)) {
        if (compare == NULL) {
            compare = jinja_parser_node(parser, JINJA_COMPARE);
            if (compare == NULL)
                return false;
            compare->left = *out;
            *out = compare;
            tail = &compare->items;
        }
        struct jinja_node *operand = jinja_parser_node(parser, JINJA_OPERAND);
        if (operand == NULL || !jinja_parser_next(parser) ||
            (n_tokens == 2 && !jinja_parser_next(parser)) || !parse_sum(parser, &operand->left))
            return false;
        operand->op = op;
        jinja_parser_link(&tail, operand);
    }
    return true;
}

static bool parse_not(struct jinja_parser *parser, struct jinja_node **out)
{
    if (!jinja_parser_is_name(parser, "not"))
        return parse_comparison(parser, out);
    *out = jinja_parser_node(parser, JINJA_NOT);
    if (*out == NULL || !jinja_enter(parser->run))
        return false;
    bool is_good = jinja_parser_next(parser) && parse_not(parser, &(*out)->left);
    jinja_leave(parser->run);
    return is_good;
}

static bool parse_logic(struct jinja_parser *parser, const char *word, enum jinja_kind kind,
                        bool (*parse)(struct jinja_parser *, struct jinja_node **),
                        struct jinja_node **out)
{
    bool is_there;
    if (!parse(parser, out))
        return false;
    for (;;) {
        if (!jinja_parser_skip_name(parser, word, &is_there))
            return false;
        if (!is_there)
            return true;
        struct jinja_node *node = jinja_parser_node(parser, kind);
        if (node == NULL || !parse(parser, &node->right))
            return false;
        node->left = *out;
        *out = node;
    }
}

static bool parse_and(struct jinja_parser *parser, struct jinja_node **out)
{
    return parse_logic(parser, "and", JINJA_AND, parse_not, out);
}

static bool parse_or(struct jinja_parser *parser, struct jinja_node **out)
{
    return parse_logic(parser, "or", JINJA_OR, parse_and, out);
}

static bool parse_condition(struct jinja_parser *parser, struct jinja_node **out)
{
    bool is_there;
    if (!parse_or(parser, out))
        return false;
    for (;;) {
        if (!jinja_parser_skip_name(parser, "if", &is_there))
            return false;
        if (!is_there)
            return true;
        struct jinja_node *node = jinja_parser_node(parser, JINJA_CONDITION);
        if (node == NULL || !parse_or(parser, &node->right) ||
            !jinja_parser_skip_name(parser, "else", &is_there) ||
            (is_there && !jinja_parse_expression(parser, &node->third)))
            return false;
        node->left = *out;
        *out = node;
    }
}

bool jinja_parse_expression(struct jinja_parser *parser, struct jinja_node **out)
{
    if (!jinja_enter(parser->run))
        return false;
    bool is_good = parse_condition(parser, out);
    jinja_leave(parser->run);
    return is_good;
}

bool jinja_parse_plain_expression(struct jinja_parser *parser, struct jinja_node **out)
{
    return parse_or(parser, out);
}

static bool ends_tuple(const struct jinja_parser *parser)
{
    return parser->token.type == JINJA_TOKEN_BLOCK_END ||
           parser->token.type == JINJA_TOKEN_PRINT_END || jinja_parser_is_sign(parser, ")") ||
           jinja_parser_is_sign(parser, "=") || jinja_parser_is_name(parser, "in") ||
           jinja_parser_is_name(parser, "recursive");
}

/* Items with commas between them; one alone is no tuple. */
static bool parse_sequence(struct jinja_parser *parser,
                           bool (*parse)(struct jinja_parser *, struct jinja_node **),
                           struct jinja_node **out)
{
    bool has_comma;
    struct jinja_node *first;
    if (!parse(parser, &first) || !jinja_parser_skip_sign(parser, ",", &has_comma))
        return false;
    *out = first;
    if (!has_comma)
        return true;
    *out = jinja_parser_node(parser, JINJA_TUPLE_OF);
    if (*out == NULL)
        return false;
    struct jinja_node **tail = &(*out)->items, *item;
    jinja_parser_link(&tail, first);
    while (has_comma && !ends_tuple(parser)) {
        if (!parse(parser, &item) || !jinja_parser_skip_sign(parser, ",", &has_comma))
            return false;
        jinja_parser_link(&tail, item);
    }
    return true;
}

bool jinja_parse_tuple(struct jinja_parser *parser, bool has_conditions, struct jinja_node **out)
{
    return parse_sequence(
        parser, has_conditions ? jinja_parse_expression : jinja_parse_plain_expression, out);
}

static bool parse_target_item(struct jinja_parser *parser, struct jinja_node **out)
{
    if (jinja_parser_is_sign(parser, "(")) {
        if (!jinja_enter(parser->run))
            return false;
        bool is_good = jinja_parser_next(parser) && jinja_parse_target(parser, false, out) &&
                       jinja_parser_expect_sign(parser, ")");
        jinja_leave(parser->run);
        return is_good;
    }
    if (parser->token.type != JINJA_TOKEN_NAME)
        return jinja_parser_fail(parser, "a name is expected");
    return jinja_parse_name(parser, out) &&
           ((*out)->kind == JINJA_VARIABLE ||
            jinja_parser_fail(parser, "a constant cannot be given a value"));
}

static bool parse_target_with_attribute(struct jinja_parser *parser, struct jinja_node **out)
{
    return parse_target_item(parser, out) &&
           (!jinja_parser_is_sign(parser, ".") || jinja_parse_attribute(parser, *out, out)) &&
           ((*out)->kind != JINJA_ITEM ||
            jinja_parser_fail(parser, "an item cannot be given a value"));
}

bool jinja_parse_target(struct jinja_parser *parser, bool with_attributes, struct jinja_node **out)
{
    return parse_sequence(parser, with_attributes ? parse_target_with_attribute : parse_target_item,
                          out);
}
