/* The statement "for". */
#include "core/text/jinja_eval.h"
#include "core/text/jinja_names.h"
#include "core/text/jinja_output.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_scope.h"

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
        if (!jinja_assign(run, node->target, items[i]) ||
            !jinja_eval(run, node->right, &condition) ||
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
            !jinja_assign(run, node->target, loop->items[loop->at]) ||
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

bool jinja_exec_for(struct jinja_run *run, const struct jinja_node *node, enum jinja_flow *flow)
{
    struct jinja_value iterable;
    return jinja_eval(run, node->left, &iterable) && loop_over(run, node, iterable, 1, flow);
}

bool jinja_call_loop(struct jinja_run *run, const struct jinja_loop *loop, struct jinja_value items,
                     struct jinja_value *out)
{
    struct jinja_capture capture;
    enum jinja_flow flow = JINJA_GOES_ON;
    if (!loop->node->is_recursive)
        return jinja_fail(run, "only a loop that is marked \"recursive\" can be called");
    if (!jinja_enter(run))
        return false;
    bool is_good = jinja_capture_begin(run, loop->scope, &capture);
    if (is_good)
        is_good = loop_over(run, loop->node, items, loop->depth + 1, &flow);
    is_good = jinja_capture_end(run, &capture, is_good, out);
    jinja_leave(run);
    return is_good;
}
