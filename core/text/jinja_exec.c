/* Statements. */
#include <string.h>

#include "core/base/err.h"
#include "core/text/jinja_dict.h"
#include "core/text/jinja_eval.h"
#include "core/text/jinja_names.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_scope.h"
#include "core/text/prompt.h"

/* ---- output ---- */

static void write_to_prompt(void *arg, const char *text, size_t len, enum jinja_mark mark)
{
    struct jinja_output *output = arg;
    if (mark == JINJA_CONTROL)
        prompt_append_control(output->prompt, text, len);
    else
        prompt_append_plain(output->prompt, text, len);
    if (mark == JINJA_TRACKED)
        output->tracked_end = output->prompt->text.len;
}

static bool put_string(struct jinja_run *run, const struct jinja_string *string)
{
    struct jinja_output *output = run->output;
    if (output->prompt == NULL) {
        jinja_write_string(&output->writer, string);
        return !output->writer.failed;
    }
    if (string->len > output->max_bytes)
        return err_set(run->err, ERR_LIMIT, "the chat template writes too much");
    output->max_bytes -= string->len;
    jinja_string_visit(string, write_to_prompt, output);
    return jinja_spend_bytes(run, string->len) &&
           (!prompt_failed(output->prompt) || err_no_memory(run->err, "a prompt"));
}

static bool put(struct jinja_run *run, struct jinja_value value)
{
    struct jinja_value text;
    return jinja_to_string(run, value, &text) && put_string(run, text.string);
}

/* What stands outside of statements whose output is wanted as a string. */
struct capture {
    struct jinja_output *outer;
    struct jinja_scope *outer_scope;
    struct jinja_output output;
};

static bool capture_begin(struct jinja_run *run, struct jinja_scope *parent,
                          struct capture *capture)
{
    struct jinja_scope *scope = jinja_scope_new(run, parent);
    *capture = (struct capture){.outer = run->output, .outer_scope = run->scope};
    if (scope == NULL)
        return false;
    jinja_writer_init(&capture->output.writer, run, 64);
    run->output = &capture->output;
    run->scope = scope;
    return true;
}

static bool capture_end(struct jinja_run *run, struct capture *capture, bool is_good,
                        struct jinja_value *out)
{
    run->output = capture->outer;
    run->scope = capture->outer_scope;
    return is_good && jinja_writer_end(&capture->output.writer, out);
}

bool jinja_capture(struct jinja_run *run, const struct jinja_node *nodes, struct jinja_value *out)
{
    struct capture capture;
    enum jinja_flow flow;
    if (!capture_begin(run, run->scope, &capture))
        return false;
    bool is_good = !capture.output.writer.failed && jinja_exec(run, nodes, &flow);
    return capture_end(run, &capture, is_good, out);
}

/* ---- assignment ---- */

static bool assign(struct jinja_run *run, const struct jinja_node *target,
                   struct jinja_value value);

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
        if (!assign(run, one, *item++))
            return false;
    }
    return true;
}

static bool assign(struct jinja_run *run, const struct jinja_node *target, struct jinja_value value)
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
    return jinja_eval(run, node->left, &value) && assign(run, node->target, value);
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
    return filtered_body(run, node, &value) && assign(run, node->target, value);
}

static bool exec_filter_block(struct jinja_run *run, const struct jinja_node *node,
                              enum jinja_flow *flow)
{
    struct jinja_value value;
    (void)flow;
    return filtered_body(run, node, &value) && put(run, value);
}

/* ---- conditions and loops ---- */

static bool exec_if(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    struct jinja_value condition;
    return jinja_eval(run, node->left, &condition) &&
           jinja_exec(run, jinja_is_true(condition) ? node->body : node->other, flow);
}

/* The items for which the loop's condition holds. */
static bool choose_items(struct jinja_run *run, const struct jinja_node *node,
                         const struct jinja_list **list)
{
    struct jinja_value chosen, condition;
    const struct jinja_value *items = (*list)->items;
    size_t n = (*list)->n;
    if (!jinja_list_new(run, JINJA_LIST, 0, &chosen))
        return false;
    for (size_t i = 0; i < n; i++) {
        run->scope->n = 0;
        if (!assign(run, node->target, items[i]) || !jinja_eval(run, node->right, &condition) ||
            (jinja_is_true(condition) && !jinja_list_push(run, chosen.list, items[i])))
            return false;
    }
    *list = chosen.list;
    return true;
}

/* True when an expression gives the same in each iteration of the loop in which nothing is done:
 * no call, and none of the loop's own variables. */
static bool is_constant(struct jinja_run *run, const struct jinja_node *node)
{
    if (node == NULL)
        return true;
    switch (node->kind) {
    case JINJA_LITERAL:
        return true;
    case JINJA_VARIABLE:
        for (size_t i = 0; i < run->scope->n; i++) {
            if (run->scope->items[i].name == node->name)
                return false;
        }
        return true;
    case JINJA_ATTRIBUTE:
    case JINJA_NOT:
        return is_constant(run, node->left);
    case JINJA_AND:
    case JINJA_OR:
        return is_constant(run, node->left) && is_constant(run, node->right);
    default:
        return false;
    }
}

/* A search that goes on after it has found: "for ... if not found ..." without a break. When an
 * iteration does nothing, and by conditions that stay as they are, so do all that follow; leaving
 * then makes templates linear that search from each message. */
static bool is_idle(struct jinja_run *run, const struct jinja_node *body, bool *out)
{
    struct jinja_value condition;
    *out = false;
    while (body != NULL && body->next == NULL && body->kind == JINJA_IF &&
           is_constant(run, body->left)) {
        if (!jinja_eval(run, body->left, &condition))
            return false;
        const struct jinja_node *branch = jinja_is_true(condition) ? body->body : body->other;
        if (branch == NULL) {
            *out = true;
            return true;
        }
        if (jinja_is_true(condition))
            return true;
        body = branch;
    }
    return true;
}

/* *out_is_done: one of them has come to its end, which none does that is left early. */
static bool exec_iterations(struct jinja_run *run, const struct jinja_node *node,
                            struct jinja_loop *loop, bool *out_is_done)
{
    const struct jinja_value self = {.type = JINJA_LOOP, .loop = loop};
    const struct jinja_name *name = jinja_name_find(run->names, "loop", 4);
    for (loop->at = 0; loop->at < loop->n; loop->at++) {
        enum jinja_flow flow = JINJA_GOES_ON;
        bool is_over;
        run->scope->n = 0; /* what an iteration sets is gone with it */
        if ((name != NULL && !jinja_scope_set(run, run->scope, name, self)) ||
            !assign(run, node->target, loop->items[loop->at]) ||
            !is_idle(run, node->body, &is_over))
            return false;
        *out_is_done |= is_over;
        if (is_over)
            break;
        if (!jinja_exec(run, node->body, &flow))
            return false;
        *out_is_done |= flow == JINJA_GOES_ON;
        if (flow == JINJA_BREAKS)
            break;
    }
    return true;
}

static bool exec_loop(struct jinja_run *run, const struct jinja_node *node,
                      const struct jinja_list *list, int depth, bool *out_is_done)
{
    if (node->right != NULL && !choose_items(run, node, &list))
        return false;
    struct jinja_loop *loop = jinja_alloc(run, sizeof *loop);
    if (loop == NULL)
        return false;
    *loop = (struct jinja_loop){.items = list->items,
                                .n = list->n,
                                .depth = depth,
                                .node = node,
                                .scope = run->scope->parent};
    return exec_iterations(run, node, loop, out_is_done);
}

static bool enter_scope(struct jinja_run *run, struct jinja_scope *parent)
{
    struct jinja_scope *scope = jinja_scope_new(run, parent);
    if (scope == NULL)
        return false;
    run->scope = scope;
    return true;
}

/* What stands behind "else" is for a loop of which no iteration came to its end. */
static bool loop_over(struct jinja_run *run, const struct jinja_node *node,
                      struct jinja_value iterable, int depth, enum jinja_flow *flow)
{
    const struct jinja_list *list;
    struct jinja_scope *outer = run->scope;
    bool is_done = false;
    if (!jinja_iterate(run, iterable, &list) || !enter_scope(run, outer))
        return false;
    bool is_good = exec_loop(run, node, list, depth, &is_done);
    run->scope = outer;
    return is_good && (is_done || jinja_exec(run, node->other, flow));
}

static bool exec_for(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    struct jinja_value iterable;
    return jinja_eval(run, node->left, &iterable) && loop_over(run, node, iterable, 1, flow);
}

bool jinja_call_loop(struct jinja_run *run, const struct jinja_loop *loop, struct jinja_value items,
                     struct jinja_value *out)
{
    struct capture capture;
    enum jinja_flow flow = JINJA_GOES_ON;
    if (!loop->node->is_recursive)
        return jinja_fail(run, "only a loop that is marked \"recursive\" can be called");
    if (!jinja_enter(run))
        return false;
    bool is_good = capture_begin(run, loop->scope, &capture);
    if (is_good)
        is_good = loop_over(run, loop->node, items, loop->depth + 1, &flow);
    is_good = capture_end(run, &capture, is_good, out);
    jinja_leave(run);
    return is_good;
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
    return jinja_invoke(run, callee, &args, &text) && put(run, text);
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
    return put_string(run, node->value.string);
}

static bool exec_output(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    struct jinja_value value;
    (void)flow;
    return jinja_eval(run, node->left, &value) && put(run, value);
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
        return exec_for(run, node, flow);
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
