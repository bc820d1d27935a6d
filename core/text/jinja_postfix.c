/* What follows a value: attributes, items, calls, filters, tests. */
#include "core/text/jinja_native.h"
#include "core/text/jinja_parser.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

static bool parse_argument(struct jinja_parser *parser, struct jinja_argument **out)
{
    bool has_star, has_stars;
    *out = jinja_alloc(parser->run, sizeof **out);
    if (*out == NULL || !jinja_parser_skip_sign(parser, "*", &has_star) ||
        !jinja_parser_skip_sign(parser, "**", &has_stars))
        return false;
    (*out)->n_stars = has_stars ? 2 : has_star;
    bool is_named = (*out)->n_stars == 0 && parser->token.type == JINJA_TOKEN_NAME &&
                    parser->after.type == JINJA_TOKEN_SIGN && parser->after.len == 1 &&
                    parser->after.text[0] == '=';
    if (is_named) {
        (*out)->name =
            jinja_name_add(parser->run, parser->names, parser->token.text, parser->token.len);
        if ((*out)->name == NULL || !jinja_parser_next(parser) || !jinja_parser_next(parser))
            return false;
    }
    return jinja_parse_expression(parser, &(*out)->value);
}

/* Behind the opening bracket of a call. */
static bool parse_arguments(struct jinja_parser *parser, struct jinja_argument **out)
{
    bool has_comma = true, has_named = false;
    while (!jinja_parser_is_sign(parser, ")")) {
        if (!has_comma)
            return jinja_parser_fail(parser, "a comma is missing");
        if (!parse_argument(parser, out))
            return false;
        if (has_named && (*out)->name == NULL && (*out)->n_stars == 0)
            return jinja_parser_fail(parser, "an argument without name follows one with");
        has_named |= (*out)->name != NULL || (*out)->n_stars == 2;
        out = &(*out)->next;
        if (!jinja_parser_skip_sign(parser, ",", &has_comma))
            return false;
    }
    return jinja_parser_next(parser);
}

static bool parse_call(struct jinja_parser *parser, struct jinja_node *left,
                       struct jinja_node **out)
{
    *out = jinja_parser_node(parser, JINJA_CALL);
    if (*out == NULL || !jinja_parser_next(parser))
        return false;
    (*out)->left = left;
    return parse_arguments(parser, &(*out)->args);
}

/* "a.b" and "a.0". */
bool jinja_parse_attribute(struct jinja_parser *parser, struct jinja_node *left,
                           struct jinja_node **out)
{
    if (!jinja_parser_next(parser))
        return false;
    bool is_item = parser->token.type == JINJA_TOKEN_INTEGER;
    if (!is_item && parser->token.type != JINJA_TOKEN_NAME)
        return jinja_parser_fail(parser, "a name is expected behind a dot");
    *out = jinja_parser_node(parser, is_item ? JINJA_ITEM : JINJA_ATTRIBUTE);
    if (*out == NULL)
        return false;
    (*out)->left = left;
    if (is_item)
        return jinja_parse_number(parser, &(*out)->right);
    (*out)->name =
        jinja_name_add(parser->run, parser->names, parser->token.text, parser->token.len);
    return (*out)->name != NULL &&
           jinja_string_borrow(parser->run, (*out)->name->text, (*out)->name->len, JINJA_CONTROL,
                               &(*out)->value) &&
           jinja_parser_next(parser);
}

static bool parse_slice_part(struct jinja_parser *parser, struct jinja_node **out)
{
    if (jinja_parser_is_sign(parser, ":") || jinja_parser_is_sign(parser, "]"))
        return true;
    return jinja_parse_expression(parser, out);
}

/* "a[b]", "a[b:c:d]" with any part left out. */
static bool parse_subscript(struct jinja_parser *parser, struct jinja_node *left,
                            struct jinja_node **out)
{
    struct jinja_node *node = jinja_parser_node(parser, JINJA_ITEM);
    bool is_slice;
    *out = node;
    if (node == NULL || !jinja_parser_next(parser))
        return false;
    node->left = left;
    if (!parse_slice_part(parser, &node->right) || !jinja_parser_skip_sign(parser, ":", &is_slice))
        return false;
    if (is_slice) {
        node->kind = JINJA_SLICE;
        if (!parse_slice_part(parser, &node->third) ||
            !jinja_parser_skip_sign(parser, ":", &is_slice) ||
            (is_slice && !parse_slice_part(parser, &node->fourth)))
            return false;
    } else if (node->right == NULL) {
        return jinja_parser_fail(parser, "an index is expected");
    }
    return jinja_parser_expect_sign(parser, "]");
}

bool jinja_parse_postfix(struct jinja_parser *parser, struct jinja_node *left,
                         struct jinja_node **out)
{
    for (;;) {
        bool is_good = true;
        if (jinja_parser_is_sign(parser, "."))
            is_good = jinja_parse_attribute(parser, left, &left);
        else if (jinja_parser_is_sign(parser, "["))
            is_good = parse_subscript(parser, left, &left);
        else if (jinja_parser_is_sign(parser, "("))
            is_good = parse_call(parser, left, &left);
        else
            break;
        if (!is_good)
            return false;
    }
    *out = left;
    return true;
}

/* The name of a filter or test, resolved when it is known. */
static bool parse_native_name(struct jinja_parser *parser, struct jinja_node *node)
{
    if (parser->token.type != JINJA_TOKEN_NAME)
        return jinja_parser_fail(parser, "the name of a filter or test is expected");
    const char *text = parser->token.text;
    size_t len = parser->token.len;
    node->native =
        node->kind == JINJA_FILTER ? jinja_filter_find(text, len) : jinja_test_find(text, len);
    node->name = jinja_name_add(parser->run, parser->names, text, len);
    return node->name != NULL && jinja_parser_next(parser);
}

static bool parse_filter(struct jinja_parser *parser, struct jinja_node *left,
                         struct jinja_node **out)
{
    bool has_arguments;
    *out = jinja_parser_node(parser, JINJA_FILTER);
    if (*out == NULL || !parse_native_name(parser, *out) ||
        !jinja_parser_skip_sign(parser, "(", &has_arguments))
        return false;
    (*out)->left = left;
    return !has_arguments || parse_arguments(parser, &(*out)->args);
}

bool jinja_parse_filters(struct jinja_parser *parser, struct jinja_node *left, bool is_inline,
                         struct jinja_node **out)
{
    bool has_more = is_inline;
    *out = left;
    if (!is_inline && !jinja_parser_skip_sign(parser, "|", &has_more))
        return false;
    while (has_more) {
        if (!parse_filter(parser, *out, out) || !jinja_parser_skip_sign(parser, "|", &has_more))
            return false;
    }
    return true;
}

/* A test may take one argument without brackets: "x is divisibleby 3". */
static bool has_bare_argument(const struct jinja_parser *parser)
{
    switch (parser->token.type) {
    case JINJA_TOKEN_STRING:
    case JINJA_TOKEN_INTEGER:
    case JINJA_TOKEN_FLOAT:
        return true;
    case JINJA_TOKEN_NAME:
        return !jinja_parser_is_name(parser, "else") && !jinja_parser_is_name(parser, "or") &&
               !jinja_parser_is_name(parser, "and") && !jinja_parser_is_name(parser, "if") &&
               !jinja_parser_is_name(parser, "is") && !jinja_parser_is_name(parser, "not") &&
               !jinja_parser_is_name(parser, "in");
    case JINJA_TOKEN_SIGN:
        return jinja_parser_is_sign(parser, "[") || jinja_parser_is_sign(parser, "{");
    default:
        return false;
    }
}

static bool parse_test(struct jinja_parser *parser, struct jinja_node *left,
                       struct jinja_node **out)
{
    struct jinja_node *node = jinja_parser_node(parser, JINJA_TEST);
    bool has_brackets;
    if (node == NULL || !jinja_parser_skip_name(parser, "not", &node->is_negated) ||
        !parse_native_name(parser, node) || !jinja_parser_skip_sign(parser, "(", &has_brackets))
        return false;
    node->left = left;
    *out = node;
    if (has_brackets)
        return parse_arguments(parser, &node->args);
    if (!has_bare_argument(parser))
        return true;
    struct jinja_node *value;
    node->args = jinja_alloc(parser->run, sizeof *node->args);
    if (node->args == NULL || !jinja_parse_primary(parser, &value))
        return false;
    return jinja_parse_postfix(parser, value, &node->args->value);
}

/* Filters, tests and calls of what they give, in any order. */
bool jinja_parse_filters_and_tests(struct jinja_parser *parser, struct jinja_node **node)
{
    for (;;) {
        bool is_good, is_there;
        if (jinja_parser_is_sign(parser, "|"))
            is_good = jinja_parse_filters(parser, *node, false, node);
        else if (jinja_parser_is_name(parser, "is"))
            is_good =
                jinja_parser_skip_name(parser, "is", &is_there) && parse_test(parser, *node, node);
        else if (jinja_parser_is_sign(parser, "("))
            is_good = parse_call(parser, *node, node);
        else
            return true;
        if (!is_good)
            return false;
    }
}
