/* jinja_ast.h - a parsed template: statements and expressions as a tree.
 *
 * Owner: the template's arena. Thread: any once it is parsed (immutable). */
#ifndef CORE_TEXT_JINJA_AST_H
#define CORE_TEXT_JINJA_AST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_value.h"

struct jinja_name;
struct jinja_native;

enum jinja_operator {
    JINJA_ADD,
    JINJA_SUB,
    JINJA_MUL,
    JINJA_DIV,
    JINJA_FLOOR_DIV,
    JINJA_MOD,
    JINJA_POW,
    JINJA_EQ,
    JINJA_NE,
    JINJA_LT,
    JINJA_LE,
    JINJA_GT,
    JINJA_GE,
    JINJA_IN,
    JINJA_NOT_IN,
};

enum jinja_kind {
    /* Expressions */
    JINJA_LITERAL,   /* value */
    JINJA_VARIABLE,  /* name */
    JINJA_LIST_OF,   /* items */
    JINJA_TUPLE_OF,  /* items */
    JINJA_DICT_OF,   /* items: key, value, key, value ... */
    JINJA_ATTRIBUTE, /* a.b: left; value is the name as a string */
    JINJA_ITEM,      /* a[b]: left, right */
    JINJA_SLICE,     /* a[b:c:d]: left; right, third, fourth or NULL */
    JINJA_CALL,      /* left is called with args */
    JINJA_FILTER,    /* left | native(args); left is NULL at the head of a filter block */
    JINJA_TEST,      /* left is native(args) */
    JINJA_NOT,       /* left */
    JINJA_NEGATIVE,  /* left */
    JINJA_POSITIVE,  /* left */
    JINJA_AND,       /* left, right */
    JINJA_OR,        /* left, right */
    JINJA_CONCAT,    /* a ~ b ~ c: items */
    JINJA_BINARY,    /* left op right */
    JINJA_COMPARE,   /* left, then items: comparands, each a JINJA_OPERAND */
    JINJA_OPERAND,   /* op left, in a JINJA_COMPARE */
    JINJA_CONDITION, /* left if right else third (or NULL) */
    /* Statements */
    JINJA_TEXT,         /* value */
    JINJA_OUTPUT,       /* {{ left }} */
    JINJA_IF,           /* left: condition; body; other: what else, or NULL */
    JINJA_FOR,          /* target in left, filtered by right or NULL; body; other */
    JINJA_SET,          /* target = left */
    JINJA_SET_BLOCK,    /* target = body, filtered by left or NULL */
    JINJA_MACRO_DEF,    /* name, params, body */
    JINJA_CALL_BLOCK,   /* left is a JINJA_CALL; params and body are its caller */
    JINJA_FILTER_BLOCK, /* left: filters; body */
    JINJA_WITH,         /* params: names and values; body */
    JINJA_GROUP,        /* body in place: {% generation %}, {% block %} ... */
    JINJA_DO,           /* left, for its effect */
    JINJA_BREAK,
    JINJA_CONTINUE,
};

/* Arguments of a call, in order: those without a name first. */
struct jinja_argument {
    struct jinja_argument *next;
    const struct jinja_name *name; /* NULL: by position */
    struct jinja_node *value;
    int n_stars; /* 1: a list of arguments by position, 2: a dict of named ones */
};

/* Parameters of a macro. */
struct jinja_parameter {
    struct jinja_parameter *next;
    const struct jinja_name *name;
    struct jinja_node *fallback; /* NULL: none */
};

struct jinja_node {
    enum jinja_kind kind;
    int line;
    enum jinja_operator op;
    bool is_negated;         /* a test: is not */
    bool is_recursive;       /* a loop that its body may call */
    struct jinja_node *next; /* of the same list of statements or items */
    struct jinja_node *left, *right, *third, *fourth;
    struct jinja_node *items;  /* first of a list */
    struct jinja_node *target; /* a JINJA_VARIABLE, JINJA_ATTRIBUTE or JINJA_TUPLE_OF these */
    struct jinja_node *body, *other;
    struct jinja_argument *args;
    struct jinja_parameter *params;
    const struct jinja_name *name;
    const struct jinja_native *native; /* NULL: there is no filter or test of this name */
    struct jinja_value value;
};

#endif
