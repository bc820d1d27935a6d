/* Statements. */
#include <string.h>

#include "core/text/jinja_dict.h"
#include "core/text/jinja_eval.h"
#include "core/text/jinja_names.h"
#include "core/text/jinja_output.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_scope.h"

bool jinja_capture(struct jinja_run *run, const struct jinja_node *nodes, struct jinja_value *out)
{
    struct jinja_capture capture;
    enum jinja_flow flow;
    if (!jinja_capture_begin(run, run->scope, &capture))
        return false;
    bool is_good = !capture.output.writer.failed && jinja_exec(run, nodes, &flow);
    return jinja_capture_end(run, &capture, is_good, out);
}

/* ---- assignment ---- */

static bool assign_attribute(struct jinja_run *run, const struct jinja_node *target,
                             struct jinja_value value)
{
    struct jinja_value object;
    if (!jinja_eval(run, target->left, &object))
        return false;
    if (object.type != JINJA_NAMESPACE)
        return jinja_fail(run, "cannot assign attribute on non-namespace object");
    return jinja_dict_set(run, object.dict, target->value, value);
}

static bool assign_items(struct jinja_run *run, const struct jinja_node *target,
                         struct jinja_value value)
{
    const struct jinja_list *list;
    size_t n = 0;
    if (!jinja_iterate(run, value, &list))
        return false;
    for (const struct jinja_node *one = target->items; one != NULL; one = one->next)
        n++;
    if (n != list->n)
        return jinja_fail(run, "%zu values cannot be unpacked into %zu names", list->n, n);
    const struct jinja_value *item = list->items;
    for (const struct jinja_node *one = target->items; one != NULL; one = one->next) {
        if (!jinja_assign(run, one, *item++))
            return false;
    }
    return true;
}

bool jinja_assign(struct jinja_run *run, const struct jinja_node *target, struct jinja_value value)
{
    if (target->kind == JINJA_VARIABLE)
        return jinja_scope_set(run, run->scope, target->name, value);
    if (target->kind == JINJA_ATTRIBUTE)
        return assign_attribute(run, target, value);
    if (!jinja_enter(run))
        return false;
    bool is_good = assign_items(run, target, value);
    jinja_leave(run);
    return is_good;
}

static bool exec_set(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    struct jinja_value value;
    (void)flow;
    return jinja_eval(run, node->left, &value) && jinja_assign(run, node->target, value);
}

/* The text of node->body behind the filters in node->left. */
static bool filtered_body(struct jinja_run *run, const struct jinja_node *node,
                          struct jinja_value *out)
{
    if (!jinja_capture(run, node->body, out))
        return false;
    if (node->left == NULL)
        return true;
    struct jinja_value outer = run->block_text;
    run->block_text = *out;
    bool is_good = jinja_eval(run, node->left, out);
    run->block_text = outer;
    return is_good;
}

static bool exec_set_block(struct jinja_run *run, const struct jinja_node *node,
                           enum jinja_flow *flow)
{
    struct jinja_value value;
    (void)flow;
    return filtered_body(run, node, &value) && jinja_assign(run, node->target, value);
}

static bool exec_filter_block(struct jinja_run *run, const struct jinja_node *node,
                              enum jinja_flow *flow)
{
    struct jinja_value value;
    (void)flow;
    return filtered_body(run, node, &value) && jinja_output_value(run, value);
}

/* ---- conditions ---- */

static bool exec_if(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    struct jinja_value condition;
    return jinja_eval(run, node->left, &condition) &&
           jinja_exec(run, jinja_is_true(condition) ? node->body : node->other, flow);
}

/* ---- macros and blocks ---- */

static struct jinja_macro_value *macro_new(struct jinja_run *run, const struct jinja_node *node,
                                           const char *name)
{
    struct jinja_macro_value *macro = jinja_alloc(run, sizeof *macro);
    if (macro != NULL)
        *macro = (struct jinja_macro_value){name, node->params, node->body, run->scope};
    return macro;
}

static bool exec_macro(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    (void)flow;
    const struct jinja_macro_value *macro = macro_new(run, node, node->name->text);
    return macro != NULL &&
           jinja_scope_set(run, run->scope, node->name,
                           (struct jinja_value){.type = JINJA_MACRO, .macro = macro});
}

/* {% call f(x) %} is f(x, caller=...). */
static bool exec_call_block(struct jinja_run *run, const struct jinja_node *node,
                            enum jinja_flow *flow)
{
    (void)flow;
    struct jinja_value callee, text;
    struct jinja_args args;
    const struct jinja_macro_value *caller = macro_new(run, node, "caller");
    if (caller == NULL || !jinja_eval(run, node->left->left, &callee) ||
        !jinja_eval_arguments(run, node->left->args, &args))
        return false;
    struct jinja_named *named = jinja_alloc_array(run, args.n_named + 1, sizeof *named);
    if (named == NULL)
        return false;
    if (args.n_named > 0)
        memcpy(named, args.named, args.n_named * sizeof *named);
    named[args.n_named++] = (struct jinja_named){"caller", {.type = JINJA_MACRO, .macro = caller}};
    args.named = named;
    return jinja_invoke(run, callee, &args, &text) && jinja_output_value(run, text);
}

static bool exec_with(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    struct jinja_scope *outer = run->scope, *scope = jinja_scope_new(run, outer);
    struct jinja_value value;
    if (scope == NULL)
        return false;
    for (const struct jinja_parameter *one = node->params; one != NULL; one = one->next) {
        if (!jinja_eval(run, one->fallback, &value) ||
            !jinja_scope_set(run, scope, one->name, value))
            return false;
    }
    run->scope = scope;
    bool is_good = jinja_exec(run, node->body, flow);
    run->scope = outer;
    return is_good;
}

/* ---- the rest ---- */

static bool exec_text(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    (void)flow;
    return jinja_output_string(run, node->value.string);
}

static bool exec_output(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    struct jinja_value value;
    (void)flow;
    return jinja_eval(run, node->left, &value) && jinja_output_value(run, value);
}

static bool exec_do(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    struct jinja_value value;
    (void)flow;
    return jinja_eval(run, node->left, &value);
}

static bool exec_break(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    (void)run;
    *flow = node->kind == JINJA_BREAK ? JINJA_BREAKS : JINJA_SKIPS;
    return true;
}

static bool exec_one(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    switch (node->kind) {
    case JINJA_TEXT:
        return exec_text(run, node, flow);
    case JINJA_OUTPUT:
        return exec_output(run, node, flow);
    case JINJA_IF:
        return exec_if(run, node, flow);
    case JINJA_FOR:
        return jinja_exec_for(run, node, flow);
    case JINJA_SET:
        return exec_set(run, node, flow);
    case JINJA_SET_BLOCK:
        return exec_set_block(run, node, flow);
    case JINJA_MACRO_DEF:
        return exec_macro(run, node, flow);
    case JINJA_CALL_BLOCK:
        return exec_call_block(run, node, flow);
    case JINJA_FILTER_BLOCK:
        return exec_filter_block(run, node, flow);
    case JINJA_WITH:
    case JINJA_GROUP:
        return exec_with(run, node, flow);
    case JINJA_DO:
        return exec_do(run, node, flow);
    default:
        return exec_break(run, node, flow);
    }
}

bool jinja_exec(struct jinja_run *run, const struct jinja_node *nodes, enum jinja_flow *out)
{
    *out = JINJA_GOES_ON;
    if (!jinja_enter(run))
        return false;
    bool is_good = true;
    for (; is_good && nodes != NULL && *out == JINJA_GOES_ON; nodes = nodes->next)
        is_good = jinja_spend(run, 1) && exec_one(run, nodes, out);
    jinja_leave(run);
    return is_good;
}
