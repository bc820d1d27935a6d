/* jinja_eval.h - walks the tree: expressions to values, statements to output. For the files of the
 * interpreter alone.
 *
 * All fail as jinja_run.h says. Thread: the run's. */
#ifndef CORE_TEXT_JINJA_EVAL_H
#define CORE_TEXT_JINJA_EVAL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_ast.h"
#include "core/text/jinja_native.h"
#include "core/text/jinja_string.h"

struct jinja_macro_value {
    const char *name;
    const struct jinja_parameter *params;
    const struct jinja_node *body;
    struct jinja_scope *scope; /* where it was defined */
};

struct jinja_bound_method {
    const struct jinja_native *native;
    struct jinja_value self;
};

struct jinja_loop {
    const struct jinja_value *items; /* [n], as they were when the loop began */
    size_t n;
    size_t at;
    int depth;                  /* of a loop that calls itself, from 1 */
    struct jinja_value changed; /* what loop.changed() was last given */
    const struct jinja_node *node;
    struct jinja_scope *scope; /* that the loop stands in */
};

struct jinja_cycler {
    const struct jinja_list *items; /* NULL: a joiner */
    size_t at;
    struct jinja_value separator;
};

/* What a list of statements ended by. */
enum jinja_flow { JINJA_GOES_ON, JINJA_BREAKS, JINJA_SKIPS };

bool jinja_eval(struct jinja_run *run, const struct jinja_node *node, struct jinja_value *out);
bool jinja_eval_arguments(struct jinja_run *run, const struct jinja_argument *list,
                          struct jinja_args *out);
bool jinja_exec(struct jinja_run *run, const struct jinja_node *nodes, enum jinja_flow *out);
bool jinja_exec_for(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *out);
/* Gives the value to a name, an attribute of a namespace, or item by item to several of these. */
bool jinja_assign(struct jinja_run *run, const struct jinja_node *target, struct jinja_value value);
/* The loop once more, with other items: what its output is. */
bool jinja_call_loop(struct jinja_run *run, const struct jinja_loop *loop, struct jinja_value items,
                     struct jinja_value *out);
/* Runs statements and gives their output as a string. */
bool jinja_capture(struct jinja_run *run, const struct jinja_node *nodes, struct jinja_value *out);

bool jinja_attribute(struct jinja_run *run, struct jinja_value object, struct jinja_value name,
                     struct jinja_value *out);
bool jinja_item(struct jinja_run *run, struct jinja_value object, struct jinja_value key,
                struct jinja_value *out);
/* begin, end and step may be JINJA_NONE. */
bool jinja_slice(struct jinja_run *run, struct jinja_value object, struct jinja_value begin,
                 struct jinja_value end, struct jinja_value step, struct jinja_value *out);

bool jinja_binary(struct jinja_run *run, enum jinja_operator op, struct jinja_value a,
                  struct jinja_value b, struct jinja_value *out);
bool jinja_comparison(struct jinja_run *run, enum jinja_operator op, struct jinja_value a,
                      struct jinja_value b, bool *out);
bool jinja_negate(struct jinja_run *run, struct jinja_value value, bool is_negative,
                  struct jinja_value *out);

/* Calls anything that can be called. */
bool jinja_invoke(struct jinja_run *run, struct jinja_value callee, const struct jinja_args *args,
                  struct jinja_value *out);

/* Fails, saying which name is not defined. */
bool jinja_fail_undefined(struct jinja_run *run, struct jinja_value value);

#endif
