/* jinja_parser.h - a template's text as a tree. For the files of the parser alone.
 *
 * Follows Jinja2's grammar. Memory, nesting and errors are those of a jinja_run.
 * Owner: the run. Thread: the run's. */
#ifndef CORE_TEXT_JINJA_PARSER_H
#define CORE_TEXT_JINJA_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_ast.h"
#include "core/text/jinja_lexer.h"
#include "core/text/jinja_names.h"

struct jinja_run;

struct jinja_parser {
    struct jinja_run *run;
    struct jinja_lexer lexer;
    struct jinja_token token; /* looked at */
    struct jinja_token after; /* the one behind it */
    struct jinja_name **names;
};

/* Parses the whole template; `names` is a table of JINJA_N_NAMES chains, NULL at first, that gets
 * all names of variables. */
bool jinja_parse_template(struct jinja_run *run, const char *text, size_t len,
                          struct jinja_name **names, struct jinja_node **out);

/* ---- shared by statements and expressions ---- */

bool jinja_parser_fail(struct jinja_parser *parser, const char *what);
bool jinja_parser_next(struct jinja_parser *parser);
bool jinja_parser_is_name(const struct jinja_parser *parser, const char *name);
bool jinja_parser_is_sign(const struct jinja_parser *parser, const char *sign);
/* Moves past the name or sign when it is there: *out_was. */
bool jinja_parser_skip_name(struct jinja_parser *parser, const char *name, bool *out_was);
bool jinja_parser_skip_sign(struct jinja_parser *parser, const char *sign, bool *out_was);
bool jinja_parser_expect_sign(struct jinja_parser *parser, const char *sign);
struct jinja_node *jinja_parser_node(struct jinja_parser *parser, enum jinja_kind kind);

/* Appends to a list of nodes whose last pointer is **tail. */
void jinja_parser_link(struct jinja_node ***tail, struct jinja_node *node);

/* A constant, name, list, tuple or dict. */
bool jinja_parse_primary(struct jinja_parser *parser, struct jinja_node **out);
bool jinja_parse_number(struct jinja_parser *parser, struct jinja_node **out);
bool jinja_parse_name(struct jinja_parser *parser, struct jinja_node **out);
/* Attributes, items and calls behind `left`. */
bool jinja_parse_postfix(struct jinja_parser *parser, struct jinja_node *left,
                         struct jinja_node **out);
bool jinja_parse_attribute(struct jinja_parser *parser, struct jinja_node *left,
                           struct jinja_node **out);
bool jinja_parse_filters_and_tests(struct jinja_parser *parser, struct jinja_node **node);
bool jinja_parse_expression(struct jinja_parser *parser, struct jinja_node **out);
/* The same without "a if b else c". */
bool jinja_parse_plain_expression(struct jinja_parser *parser, struct jinja_node **out);
/* One expression, or several with commas as a tuple. */
bool jinja_parse_tuple(struct jinja_parser *parser, bool has_conditions, struct jinja_node **out);
/* What a value can be given to: names, and with `with_attributes` namespaces' attributes. */
bool jinja_parse_target(struct jinja_parser *parser, bool with_attributes, struct jinja_node **out);
/* "| a | b(c)" behind `left`; with `is_inline` the first has no bar. */
bool jinja_parse_filters(struct jinja_parser *parser, struct jinja_node *left, bool is_inline,
                         struct jinja_node **out);

#endif
