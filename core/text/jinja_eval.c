#include "core/text/jinja_eval.h"

#include <string.h>

#include "core/text/jinja_dict.h"
#include "core/text/jinja_names.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_scope.h"

/* Longer texts are joined one by one, as the first may grow in place. */
enum { MIN_GROWING = 256 };

bool jinja_fail_undefined(struct jinja_run *run, struct jinja_value value)
{
    return value.missing == NULL ? jinja_fail(run, "a value is undefined")
                                 : jinja_fail(run, "'%.60s' is undefined", value.missing);
}

static bool eval_variable(struct jinja_run *run, const struct jinja_node *node,
                          struct jinja_value *out)
{
    const struct jinja_value *value = jinja_scope_find(run->scope, node->name);
    const struct jinja_native *global =
        value == NULL ? jinja_global_find(node->name->text, node->name->len) : NULL;
    if (value != NULL)
        *out = *value;
    else if (global != NULL)
        *out = (struct jinja_value){.type = JINJA_NATIVE, .native = global};
    else
        *out = jinja_undefined(node->name->text);
    return true;
}

static bool eval_list(struct jinja_run *run, const struct jinja_node *node, struct jinja_value *out)
{
    enum jinja_type type = node->kind == JINJA_LIST_OF ? JINJA_LIST : JINJA_TUPLE;
    struct jinja_value list, item;
    if (!jinja_list_new(run, type, 2, &list))
        return false;
    for (const struct jinja_node *one = node->items; one != NULL; one = one->next) {
        if (!jinja_eval(run, one, &item) || !jinja_list_push(run, list.list, item))
            return false;
    }
    *out = list;
    return true;
}

static bool eval_dict(struct jinja_run *run, const struct jinja_node *node, struct jinja_value *out)
{
    struct jinja_value dict, key, value;
    if (!jinja_dict_new(run, JINJA_DICT, &dict))
        return false;
    for (const struct jinja_node *one = node->items; one != NULL; one = one->next->next) {
        if (!jinja_eval(run, one, &key) || !jinja_eval(run, one->next, &value) ||
            !jinja_dict_set(run, dict.dict, key, value))
            return false;
    }
    *out = dict;
    return true;
}

static bool eval_attribute(struct jinja_run *run, const struct jinja_node *node,
                           struct jinja_value *out)
{
    struct jinja_value object;
    return jinja_eval(run, node->left, &object) && jinja_attribute(run, object, node->value, out);
}

static bool eval_item(struct jinja_run *run, const struct jinja_node *node, struct jinja_value *out)
{
    struct jinja_value object, key;
    return jinja_eval(run, node->left, &object) && jinja_eval(run, node->right, &key) &&
           jinja_item(run, object, key, out);
}

static bool eval_optional(struct jinja_run *run, const struct jinja_node *node,
                          struct jinja_value *out)
{
    *out = jinja_none();
    return node == NULL || jinja_eval(run, node, out);
}

static bool eval_slice(struct jinja_run *run, const struct jinja_node *node,
                       struct jinja_value *out)
{
    struct jinja_value object, begin, end, step;
    return jinja_eval(run, node->left, &object) && eval_optional(run, node->right, &begin) &&
           eval_optional(run, node->third, &end) && eval_optional(run, node->fourth, &step) &&
           jinja_slice(run, object, begin, end, step, out);
}

/* How many arguments there may be in all; those behind stars are evaluated for it. */
static bool count_arguments(struct jinja_run *run, const struct jinja_argument *list,
                            struct jinja_value *stars, size_t *n, size_t *n_named)
{
    *n = *n_named = 0;
    for (const struct jinja_argument *one = list; one != NULL; one = one->next) {
        if (one->n_stars == 0) {
            *(one->name == NULL ? n : n_named) += 1;
            continue;
        }
        if (!jinja_eval(run, one->value, stars))
            return false;
        if (one->n_stars == 1 ? stars->type != JINJA_LIST && stars->type != JINJA_TUPLE
                              : stars->type != JINJA_DICT)
            return jinja_fail(run, "an argument behind stars is no list or dict");
        *(one->n_stars == 1 ? n : n_named) += one->n_stars == 1 ? stars->list->n : stars->dict->n;
        stars++;
    }
    return true;
}

static bool spread_names(struct jinja_run *run, const struct jinja_dict *dict,
                         struct jinja_named **named)
{
    for (size_t i = 0; i < dict->n; i++) {
        const struct jinja_value key = dict->items[i].key;
        if (key.type != JINJA_STRING)
            return jinja_fail(run, "keywords must be strings");
        char *name = jinja_alloc(run, key.string->len + 1);
        if (name == NULL)
            return false;
        memcpy(name, key.string->data, key.string->len);
        *(*named)++ = (struct jinja_named){name, dict->items[i].value};
    }
    return true;
}

bool jinja_eval_arguments(struct jinja_run *run, const struct jinja_argument *list,
                          struct jinja_args *out)
{
    enum { MAX_STARS = 4 };
    struct jinja_value stars[MAX_STARS], *star = stars;
    size_t n, n_named, n_stars = 0;
    for (const struct jinja_argument *one = list; one != NULL; one = one->next)
        n_stars += one->n_stars > 0;
    if (n_stars > MAX_STARS)
        return jinja_fail(run, "too many arguments have stars");
    if (!count_arguments(run, list, stars, &n, &n_named))
        return false;
    struct jinja_value *items = jinja_alloc_array(run, n, sizeof *items);
    struct jinja_named *named = jinja_alloc_array(run, n_named, sizeof *named);
    if (items == NULL || named == NULL)
        return false;
    *out = (struct jinja_args){.items = items, .n = n, .named = named, .n_named = n_named};
    for (const struct jinja_argument *one = list; one != NULL; one = one->next) {
        bool is_good = true;
        if (one->n_stars == 2) {
            is_good = spread_names(run, (star++)->dict, &named);
        } else if (one->n_stars == 1) {
            for (size_t i = 0; i < star->list->n; i++)
                *items++ = star->list->items[i];
            star++;
        } else if (one->name == NULL) {
            is_good = jinja_eval(run, one->value, items++);
        } else {
            named->name = one->name->text;
            is_good = jinja_eval(run, one->value, &named++->value);
        }
        if (!is_good)
            return false;
    }
    return true;
}

/* A method that is called at once needs no value of its own. */
static bool eval_method(struct jinja_run *run, const struct jinja_node *node,
                        struct jinja_value object, struct jinja_value *out)
{
    const struct jinja_node *callee = node->left;
    const struct jinja_native *method =
        jinja_method_find(object.type, callee->name->text, callee->name->len);
    struct jinja_value function;
    struct jinja_args args;
    if (method != NULL)
        return jinja_eval_arguments(run, node->args, &args) &&
               jinja_native_call(run, method, object, &args, out);
    return jinja_attribute(run, object, callee->value, &function) &&
           jinja_eval_arguments(run, node->args, &args) && jinja_invoke(run, function, &args, out);
}

static bool eval_call(struct jinja_run *run, const struct jinja_node *node, struct jinja_value *out)
{
    struct jinja_value callee;
    struct jinja_args args;
    if (node->left->kind == JINJA_ATTRIBUTE)
        return jinja_eval(run, node->left->left, &callee) && eval_method(run, node, callee, out);
    return jinja_eval(run, node->left, &callee) && jinja_eval_arguments(run, node->args, &args) &&
           jinja_invoke(run, callee, &args, out);
}

static bool eval_filter(struct jinja_run *run, const struct jinja_node *node,
                        struct jinja_value *out)
{
    struct jinja_value self = run->block_text;
    struct jinja_args args;
    if (node->native == NULL)
        return jinja_fail(run, "there is no filter '%.60s'", node->name->text);
    return (node->left == NULL || jinja_eval(run, node->left, &self)) &&
           jinja_eval_arguments(run, node->args, &args) &&
           jinja_native_call(run, node->native, self, &args, out);
}

static bool eval_test(struct jinja_run *run, const struct jinja_node *node, struct jinja_value *out)
{
    struct jinja_value self;
    struct jinja_args args;
    if (node->native == NULL)
        return jinja_fail(run, "there is no test '%.60s'", node->name->text);
    if (!jinja_eval(run, node->left, &self) || !jinja_eval_arguments(run, node->args, &args) ||
        !jinja_native_call(run, node->native, self, &args, out))
        return false;
    *out = jinja_bool(jinja_is_true(*out) != node->is_negated);
    return true;
}

static bool eval_concat(struct jinja_run *run, const struct jinja_node *node,
                        struct jinja_value *out)
{
    struct jinja_value joined, value, text;
    if (!jinja_eval(run, node->items, &value) || !jinja_to_string(run, value, &joined))
        return false;
    bool grows = joined.string->len >= MIN_GROWING;
    struct jinja_writer writer;
    if (!grows) {
        jinja_writer_init(&writer, run, MIN_GROWING / 2);
        jinja_write_string(&writer, joined.string);
    }
    for (const struct jinja_node *one = node->items->next; one != NULL; one = one->next) {
        if (!jinja_eval(run, one, &value) || !jinja_to_string(run, value, &text) ||
            (grows && !jinja_string_concat(run, joined.string, text.string, &joined)))
            return false;
        if (!grows)
            jinja_write_string(&writer, text.string);
    }
    *out = joined;
    return grows || jinja_writer_end(&writer, out);
}

static bool eval_binary(struct jinja_run *run, const struct jinja_node *node,
                        struct jinja_value *out)
{
    struct jinja_value a, b;
    return jinja_eval(run, node->left, &a) && jinja_eval(run, node->right, &b) &&
           jinja_binary(run, node->op, a, b, out);
}

/* a < b < c is a < b and b < c. */
static bool eval_compare(struct jinja_run *run, const struct jinja_node *node,
                         struct jinja_value *out)
{
    struct jinja_value a, b;
    bool holds = true;
    if (!jinja_eval(run, node->left, &a))
        return false;
    for (const struct jinja_node *one = node->items; holds && one != NULL; one = one->next) {
        if (!jinja_eval(run, one->left, &b) || !jinja_comparison(run, one->op, a, b, &holds))
            return false;
        a = b;
    }
    *out = jinja_bool(holds);
    return true;
}

static bool eval_logic(struct jinja_run *run, const struct jinja_node *node,
                       struct jinja_value *out)
{
    if (!jinja_eval(run, node->left, out))
        return false;
    bool is_decided = jinja_is_true(*out) == (node->kind == JINJA_OR);
    return is_decided || jinja_eval(run, node->right, out);
}

static bool eval_condition(struct jinja_run *run, const struct jinja_node *node,
                           struct jinja_value *out)
{
    struct jinja_value condition;
    if (!jinja_eval(run, node->right, &condition))
        return false;
    if (jinja_is_true(condition))
        return jinja_eval(run, node->left, out);
    *out = jinja_undefined(NULL);
    return node->third == NULL || jinja_eval(run, node->third, out);
}

static bool eval_unary(struct jinja_run *run, const struct jinja_node *node,
                       struct jinja_value *out)
{
    struct jinja_value value;
    if (!jinja_eval(run, node->left, &value))
        return false;
    if (node->kind != JINJA_NOT)
        return jinja_negate(run, value, node->kind == JINJA_NEGATIVE, out);
    *out = jinja_bool(!jinja_is_true(value));
    return true;
}

static bool eval_literal(struct jinja_run *run, const struct jinja_node *node,
                         struct jinja_value *out)
{
    (void)run;
    *out = node->value;
    return true;
}

typedef bool evaluator(struct jinja_run *run, const struct jinja_node *node,
                       struct jinja_value *out);

static evaluator *const EVALUATORS[] = {
    [JINJA_LITERAL] = eval_literal, [JINJA_VARIABLE] = eval_variable,
    [JINJA_LIST_OF] = eval_list,    [JINJA_TUPLE_OF] = eval_list,
    [JINJA_DICT_OF] = eval_dict,    [JINJA_ATTRIBUTE] = eval_attribute,
    [JINJA_ITEM] = eval_item,       [JINJA_SLICE] = eval_slice,
    [JINJA_CALL] = eval_call,       [JINJA_FILTER] = eval_filter,
    [JINJA_TEST] = eval_test,       [JINJA_NOT] = eval_unary,
    [JINJA_NEGATIVE] = eval_unary,  [JINJA_POSITIVE] = eval_unary,
    [JINJA_AND] = eval_logic,       [JINJA_OR] = eval_logic,
    [JINJA_CONCAT] = eval_concat,   [JINJA_BINARY] = eval_binary,
    [JINJA_COMPARE] = eval_compare, [JINJA_CONDITION] = eval_condition,
};

bool jinja_eval(struct jinja_run *run, const struct jinja_node *node, struct jinja_value *out)
{
    if (!jinja_enter(run))
        return false;
    bool is_good = EVALUATORS[node->kind](run, node, out);
    jinja_leave(run);
    return is_good;
}
