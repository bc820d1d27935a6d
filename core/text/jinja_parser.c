/* Statements. */
#include "core/text/jinja_parser.h"

#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/jinja_native.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

/* ---- tokens, names, nodes ---- */

bool jinja_parser_fail(struct jinja_parser *parser, const char *what)
{
    return err_set(parser->run->err, ERR_FORMAT, "line %d, at \"%.*s\": %s", parser->token.line,
                   (int)(parser->token.len < 40 ? parser->token.len : 40), parser->token.text,
                   what);
}

bool jinja_parser_next(struct jinja_parser *parser)
{
    parser->token = parser->after;
    return jinja_spend(parser->run, 1) &&
           jinja_lexer_next(&parser->lexer, &parser->after, parser->run->err);
}

static bool is_token(const struct jinja_token *token, enum jinja_token_type type, const char *text)
{
    size_t len = strlen(text);
    return token->type == type && token->len == len && memcmp(token->text, text, len) == 0;
}

bool jinja_parser_is_name(const struct jinja_parser *parser, const char *name)
{
    return is_token(&parser->token, JINJA_TOKEN_NAME, name);
}

bool jinja_parser_is_sign(const struct jinja_parser *parser, const char *sign)
{
    return is_token(&parser->token, JINJA_TOKEN_SIGN, sign);
}

bool jinja_parser_skip_name(struct jinja_parser *parser, const char *name, bool *out_was)
{
    *out_was = jinja_parser_is_name(parser, name);
    return !*out_was || jinja_parser_next(parser);
}

bool jinja_parser_skip_sign(struct jinja_parser *parser, const char *sign, bool *out_was)
{
    *out_was = jinja_parser_is_sign(parser, sign);
    return !*out_was || jinja_parser_next(parser);
}

bool jinja_parser_expect_sign(struct jinja_parser *parser, const char *sign)
{
    char what[32];
    if (jinja_parser_is_sign(parser, sign))
        return jinja_parser_next(parser);
    snprintf(what, sizeof what, "\"%s\" is expected", sign);
    return jinja_parser_fail(parser, what);
}

struct jinja_node *jinja_parser_node(struct jinja_parser *parser, enum jinja_kind kind)
{
    struct jinja_node *node = jinja_alloc(parser->run, sizeof *node);
    if (node != NULL) {
        node->kind = kind;
        node->line = parser->token.line;
    }
    return node;
}

void jinja_parser_link(struct jinja_node ***tail, struct jinja_node *node)
{
    **tail = node;
    *tail = &node->next;
}

/* ---- statements ---- */

/* The names of tags that may end a body, a space between. */
static bool parse_body(struct jinja_parser *parser, const char *ends, struct jinja_node **out);

static bool is_one_of(const struct jinja_token *token, const char *words)
{
    while (token->type == JINJA_TOKEN_NAME && *words != '\0') {
        size_t len = strcspn(words, " ");
        if (token->len == len && memcmp(token->text, words, len) == 0)
            return true;
        words += len + (words[len] == ' ');
    }
    return false;
}

static bool expect_end(struct jinja_parser *parser)
{
    return parser->token.type == JINJA_TOKEN_BLOCK_END
               ? jinja_parser_next(parser)
               : jinja_parser_fail(parser, "the end of the tag is expected");
}

/* The rest of a tag, a body, and the tag that ends it. */
static bool parse_block(struct jinja_parser *parser, const char *end, struct jinja_node **out)
{
    return expect_end(parser) && parse_body(parser, end, out) && jinja_parser_next(parser) &&
           expect_end(parser);
}

static bool parse_if(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_IF;
    if (!jinja_parse_tuple(parser, false, &node->left) || !expect_end(parser) ||
        !parse_body(parser, "elif else endif", &node->body))
        return false;
    if (jinja_parser_is_name(parser, "elif")) {
        node->other = jinja_parser_node(parser, JINJA_IF);
        if (node->other == NULL || !jinja_parser_next(parser) || !jinja_enter(parser->run))
            return false;
        bool is_good = parse_if(parser, node->other);
        jinja_leave(parser->run);
        return is_good;
    }
    bool has_else;
    if (!jinja_parser_skip_name(parser, "else", &has_else))
        return false;
    if (has_else)
        return parse_block(parser, "endif", &node->other);
    return jinja_parser_next(parser) && expect_end(parser);
}

static bool parse_for(struct jinja_parser *parser, struct jinja_node *node)
{
    bool is_there, has_else;
    node->kind = JINJA_FOR;
    if (!jinja_parse_target(parser, false, &node->target) ||
        !jinja_parser_skip_name(parser, "in", &is_there))
        return false;
    if (!is_there)
        return jinja_parser_fail(parser, "\"in\" is expected");
    if (!jinja_parse_tuple(parser, false, &node->left) ||
        !jinja_parser_skip_name(parser, "if", &is_there) ||
        (is_there && !jinja_parse_expression(parser, &node->right)))
        return false;
    if (!jinja_parser_skip_name(parser, "recursive", &node->is_recursive) || !expect_end(parser) ||
        !parse_body(parser, "else endfor", &node->body) ||
        !jinja_parser_skip_name(parser, "else", &has_else))
        return false;
    if (has_else)
        return parse_block(parser, "endfor", &node->other);
    return jinja_parser_next(parser) && expect_end(parser);
}

static bool parse_set(struct jinja_parser *parser, struct jinja_node *node)
{
    bool has_value;
    node->kind = JINJA_SET;
    if (!jinja_parse_target(parser, true, &node->target) ||
        !jinja_parser_skip_sign(parser, "=", &has_value))
        return false;
    if (has_value)
        return jinja_parse_tuple(parser, true, &node->left) && expect_end(parser);
    node->kind = JINJA_SET_BLOCK;
    return jinja_parse_filters(parser, NULL, false, &node->left) &&
           parse_block(parser, "endset", &node->body);
}

static bool parse_parameters(struct jinja_parser *parser, struct jinja_parameter **out)
{
    bool has_comma = true, has_value;
    while (!jinja_parser_is_sign(parser, ")")) {
        if (!has_comma || parser->token.type != JINJA_TOKEN_NAME)
            return jinja_parser_fail(parser, "a parameter is expected");
        *out = jinja_alloc(parser->run, sizeof **out);
        if (*out == NULL)
            return false;
        (*out)->name =
            jinja_name_add(parser->run, parser->names, parser->token.text, parser->token.len);
        if ((*out)->name == NULL || !jinja_parser_next(parser) ||
            !jinja_parser_skip_sign(parser, "=", &has_value) ||
            (has_value && !jinja_parse_expression(parser, &(*out)->fallback)) ||
            !jinja_parser_skip_sign(parser, ",", &has_comma))
            return false;
        out = &(*out)->next;
    }
    return jinja_parser_next(parser);
}

static bool parse_macro(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_MACRO_DEF;
    if (parser->token.type != JINJA_TOKEN_NAME)
        return jinja_parser_fail(parser, "the name of a macro is expected");
    node->name = jinja_name_add(parser->run, parser->names, parser->token.text, parser->token.len);
    return node->name != NULL && jinja_parser_next(parser) &&
           jinja_parser_expect_sign(parser, "(") && parse_parameters(parser, &node->params) &&
           parse_block(parser, "endmacro", &node->body);
}

static bool parse_call_block(struct jinja_parser *parser, struct jinja_node *node)
{
    bool has_params;
    node->kind = JINJA_CALL_BLOCK;
    if (!jinja_parser_skip_sign(parser, "(", &has_params) ||
        (has_params && !parse_parameters(parser, &node->params)) ||
        !jinja_parse_expression(parser, &node->left))
        return false;
    if (node->left->kind != JINJA_CALL)
        return jinja_parser_fail(parser, "a call is expected");
    return parse_block(parser, "endcall", &node->body);
}

static bool parse_filter_block(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_FILTER_BLOCK;
    return jinja_parse_filters(parser, NULL, true, &node->left) &&
           parse_block(parser, "endfilter", &node->body);
}

static bool parse_with(struct jinja_parser *parser, struct jinja_node *node)
{
    bool has_comma = true;
    node->kind = JINJA_WITH;
    struct jinja_parameter **out = &node->params;
    while (parser->token.type != JINJA_TOKEN_BLOCK_END) {
        if (!has_comma || parser->token.type != JINJA_TOKEN_NAME)
            return jinja_parser_fail(parser, "a name is expected");
        *out = jinja_alloc(parser->run, sizeof **out);
        if (*out == NULL)
            return false;
        (*out)->name =
            jinja_name_add(parser->run, parser->names, parser->token.text, parser->token.len);
        if ((*out)->name == NULL || !jinja_parser_next(parser) ||
            !jinja_parser_expect_sign(parser, "=") ||
            !jinja_parse_expression(parser, &(*out)->fallback) ||
            !jinja_parser_skip_sign(parser, ",", &has_comma))
            return false;
        out = &(*out)->next;
    }
    return parse_block(parser, "endwith", &node->body);
}

static bool parse_generation(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_GROUP;
    return parse_block(parser, "endgeneration", &node->body);
}

static bool parse_named_block(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_GROUP;
    while (parser->token.type == JINJA_TOKEN_NAME) { /* its name, "scoped", "required" */
        if (!jinja_parser_next(parser))
            return false;
    }
    if (!expect_end(parser) || !parse_body(parser, "endblock", &node->body) ||
        !jinja_parser_next(parser))
        return false;
    if (parser->token.type == JINJA_TOKEN_NAME && !jinja_parser_next(parser))
        return false;
    return expect_end(parser);
}

static bool parse_autoescape(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_GROUP;
    return jinja_parse_expression(parser, &node->left) &&
           parse_block(parser, "endautoescape", &node->body);
}

static bool parse_do(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_DO;
    return jinja_parse_tuple(parser, true, &node->left) && expect_end(parser);
}

static bool parse_break(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_BREAK;
    return expect_end(parser);
}

static bool parse_continue(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_CONTINUE;
    return expect_end(parser);
}

/* A statement whose name is looked at. */
static bool parse_statement(struct jinja_parser *parser, struct jinja_node *node)
{
    static const struct {
        const char *name;
        bool (*parse)(struct jinja_parser *, struct jinja_node *);
    } statements[] = {
        {"if", parse_if},
        {"for", parse_for},
        {"set", parse_set},
        {"macro", parse_macro},
        {"call", parse_call_block},
        {"filter", parse_filter_block},
        {"with", parse_with},
        {"generation", parse_generation},
        {"block", parse_named_block},
        {"autoescape", parse_autoescape},
        {"do", parse_do},
        {"break", parse_break},
        {"continue", parse_continue},
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (jinja_parser_is_name(parser, statements[i].name))
            return jinja_parser_next(parser) && statements[i].parse(parser, node);
    }
    return jinja_parser_fail(parser, "this tag is not known");
}

static bool parse_output(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_OUTPUT;
    if (!jinja_parse_tuple(parser, true, &node->left))
        return false;
    return parser->token.type == JINJA_TOKEN_PRINT_END
               ? jinja_parser_next(parser)
               : jinja_parser_fail(parser, "the end of the tag is expected");
}

static bool parse_text(struct jinja_parser *parser, struct jinja_node *node)
{
    node->kind = JINJA_TEXT;
    return jinja_string_borrow(parser->run, parser->token.text, parser->token.len, JINJA_CONTROL,
                               &node->value) &&
           jinja_parser_next(parser);
}

static bool parse_nodes(struct jinja_parser *parser, const char *ends, struct jinja_node **tail)
{
    for (;;) {
        if (parser->token.type == JINJA_TOKEN_END)
            return *ends == '\0' || jinja_parser_fail(parser, "the end of a block is missing");
        bool is_text = parser->token.type == JINJA_TOKEN_TEXT;
        bool is_print = parser->token.type == JINJA_TOKEN_PRINT_BEGIN;
        if (is_text && parser->token.len == 0) {
            if (!jinja_parser_next(parser))
                return false;
            continue;
        }
        if (!is_text && !jinja_parser_next(parser))
            return false;
        if (!is_text && !is_print && is_one_of(&parser->token, ends))
            return true;
        struct jinja_node *node = jinja_parser_node(parser, JINJA_TEXT);
        if (node == NULL || !(is_text    ? parse_text
                              : is_print ? parse_output
                                         : parse_statement)(parser, node))
            return false;
        jinja_parser_link(&tail, node);
    }
}

/* Up to a tag of one of the names, which is then looked at; with none, to the end. */
static bool parse_body(struct jinja_parser *parser, const char *ends, struct jinja_node **out)
{
    if (!jinja_enter(parser->run))
        return false;
    bool is_good = parse_nodes(parser, ends, out);
    jinja_leave(parser->run);
    return is_good;
}

bool jinja_parse_template(struct jinja_run *run, const char *text, size_t len,
                          struct jinja_name **names, struct jinja_node **out)
{
    struct jinja_parser parser = {.run = run, .names = names};
    jinja_lexer_init(&parser.lexer, text, len);
    if (!jinja_parser_next(&parser)) /* the first token waits behind the one looked at */
        return false;
    return jinja_parser_next(&parser) && parse_body(&parser, "", out);
}
