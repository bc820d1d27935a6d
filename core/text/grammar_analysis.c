#include "core/text/grammar_analysis.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"

/* Lists of nodes by what they lead to: of[begin[i] .. begin[i + 1]). */
struct index {
    uint32_t *begin; /* [n + 1] */
    uint32_t *of;
};

struct analysis {
    struct grammar *grammar;
    struct index before;   /* by node: nodes with an arrow to it */
    struct index calls;    /* by rule: nodes that call it */
    struct index enters;   /* by node: the rules that begin there */
    uint32_t *list;        /* [n_nodes] work to do */
    bool *is_rule_empty;   /* [n_rules] */
    bool *is_rule_live;    /* [n_rules] */
    uint32_t *visited_for; /* [n_nodes] the last rule whose beginnings were looked for there */
};

static void index_done(struct index *index)
{
    free(index->begin);
    free(index->of);
}

/* Counts, then places: two passes of the caller over its pairs. */
static bool index_init(struct index *index, size_t n, size_t n_pairs)
{
    index->begin = calloc(n + 2, sizeof *index->begin);
    index->of = malloc((n_pairs + 1) * sizeof *index->of);
    return index->begin != NULL && index->of != NULL;
}

static void index_count(struct index *index, uint32_t key)
{
    index->begin[key + 2]++;
}

static void index_sum(struct index *index, size_t n)
{
    for (size_t i = 2; i < n + 2; i++)
        index->begin[i] += index->begin[i - 1];
}

static void index_place(struct index *index, uint32_t key, uint32_t value)
{
    index->of[index->begin[key + 1]++] = value;
}

static void count_or_place(struct analysis *analysis, bool is_placing)
{
    const struct grammar *grammar = analysis->grammar;
    for (uint32_t i = 0; i < grammar->n_nodes; i++) {
        const struct grammar_node *node = &grammar->nodes[i];
        uint32_t targets[2] = {node->next, node->op == GRAMMAR_SPLIT ? node->arg : GRAMMAR_NONE};
        for (int t = 0; t < 2; t++) {
            if (targets[t] == GRAMMAR_NONE)
                continue;
            if (is_placing)
                index_place(&analysis->before, targets[t], i);
            else
                index_count(&analysis->before, targets[t]);
        }
        if (node->op != GRAMMAR_CALL)
            continue;
        if (is_placing)
            index_place(&analysis->calls, node->arg, i);
        else
            index_count(&analysis->calls, node->arg);
    }
    for (uint32_t r = 0; r < grammar->n_rules; r++) {
        if (is_placing)
            index_place(&analysis->enters, grammar->rules[r].entry, r);
        else
            index_count(&analysis->enters, grammar->rules[r].entry);
    }
}

static bool open_analysis(struct analysis *analysis, struct grammar *grammar, struct err *err)
{
    size_t n_nodes = grammar->n_nodes;
    size_t n_rules = grammar->n_rules;
    analysis->grammar = grammar;
    analysis->list = malloc((n_nodes + 1) * sizeof *analysis->list);
    analysis->is_rule_empty = calloc(n_rules, sizeof *analysis->is_rule_empty);
    analysis->is_rule_live = calloc(n_rules, sizeof *analysis->is_rule_live);
    analysis->visited_for = malloc((n_nodes + 1) * sizeof *analysis->visited_for);
    if (!index_init(&analysis->before, n_nodes, 2 * n_nodes) ||
        !index_init(&analysis->calls, n_rules, n_nodes) ||
        !index_init(&analysis->enters, n_nodes, n_rules) || analysis->list == NULL ||
        analysis->is_rule_empty == NULL || analysis->is_rule_live == NULL ||
        analysis->visited_for == NULL)
        return err_no_memory(err, "a grammar");
    count_or_place(analysis, false);
    index_sum(&analysis->before, n_nodes);
    index_sum(&analysis->calls, n_rules);
    index_sum(&analysis->enters, n_nodes);
    count_or_place(analysis, true);
    return true;
}

static void close_analysis(struct analysis *analysis)
{
    index_done(&analysis->before);
    index_done(&analysis->calls);
    index_done(&analysis->enters);
    free(analysis->list);
    free(analysis->is_rule_empty);
    free(analysis->is_rule_live);
    free(analysis->visited_for);
}

/* ---- what can be empty, what can be completed ---- */

static bool is_marked(const struct grammar *grammar, uint32_t node, bool for_empty)
{
    if (node == GRAMMAR_NONE)
        return false;
    return for_empty ? grammar->nodes[node].is_empty : grammar->nodes[node].is_live;
}

static bool has_bytes(const struct grammar_set *set)
{
    return (set->bits[0] | set->bits[1] | set->bits[2] | set->bits[3]) != 0;
}

static bool may_be_marked(const struct analysis *analysis, const struct grammar_node *node,
                          bool for_empty)
{
    const struct grammar *grammar = analysis->grammar;
    const bool *rules = for_empty ? analysis->is_rule_empty : analysis->is_rule_live;
    switch ((enum grammar_op)node->op) {
    case GRAMMAR_RETURN:
        return true;
    case GRAMMAR_SPLIT:
        return is_marked(grammar, node->next, for_empty) ||
               is_marked(grammar, node->arg, for_empty);
    case GRAMMAR_CALL:
        return rules[node->arg] && is_marked(grammar, node->next, for_empty);
    case GRAMMAR_SET:
        return !for_empty && has_bytes(&grammar->sets[node->arg]) &&
               is_marked(grammar, node->next, false);
    }
    return false;
}

static void try_mark(struct analysis *analysis, uint32_t id, bool for_empty, uint32_t *n_list)
{
    struct grammar_node *node = &analysis->grammar->nodes[id];
    bool *mark = for_empty ? &node->is_empty : &node->is_live;
    if (*mark || !may_be_marked(analysis, node, for_empty))
        return;
    *mark = true;
    analysis->list[(*n_list)++] = id;
}

/* Spreads a mark backwards from the RETURN nodes until nothing changes. Each node is listed once.
 */
static void spread(struct analysis *analysis, bool for_empty)
{
    const struct grammar *grammar = analysis->grammar;
    bool *rules = for_empty ? analysis->is_rule_empty : analysis->is_rule_live;
    uint32_t n_list = 0;
    for (uint32_t i = 0; i < grammar->n_nodes; i++) {
        if (grammar->nodes[i].op == GRAMMAR_RETURN)
            try_mark(analysis, i, for_empty, &n_list);
    }
    for (uint32_t done = 0; done < n_list; done++) {
        uint32_t id = analysis->list[done];
        for (uint32_t i = analysis->before.begin[id]; i < analysis->before.begin[id + 1]; i++)
            try_mark(analysis, analysis->before.of[i], for_empty, &n_list);
        for (uint32_t e = analysis->enters.begin[id]; e < analysis->enters.begin[id + 1]; e++) {
            uint32_t rule = analysis->enters.of[e];
            rules[rule] = true;
            for (uint32_t i = analysis->calls.begin[rule]; i < analysis->calls.begin[rule + 1]; i++)
                try_mark(analysis, analysis->calls.of[i], for_empty, &n_list);
        }
    }
}

/* ---- what can begin with what ---- */

/* A walk through the rules that a rule can begin with, depth first, without recursion: the order in
 * which rules are left, turned round, puts each before those that it can begin with. */
struct walk {
    struct analysis *analysis;
    uint32_t *path; /* [n_rules] rules that are being visited */
    uint32_t n_path;
    uint32_t *places; /* [n_path] where the nodes of each begin in `nodes` */
    uint32_t *nodes;  /* [n_nodes] still to be looked at, of all rules in the path */
    uint32_t n_nodes; /* of `nodes` */
    uint8_t *state;   /* [n_rules] 0: not seen, 1: in the path, 2: left */
    uint32_t n_left;
};

static void push_node(struct walk *walk, uint32_t id, uint32_t rule)
{
    struct analysis *analysis = walk->analysis;
    if (id == GRAMMAR_NONE || !analysis->grammar->nodes[id].is_live ||
        analysis->visited_for[id] == rule)
        return;
    analysis->visited_for[id] = rule;
    walk->nodes[walk->n_nodes++] = id;
}

static void enter_rule(struct walk *walk, uint32_t rule)
{
    walk->state[rule] = 1;
    walk->places[walk->n_path] = walk->n_nodes;
    walk->path[walk->n_path++] = rule;
    push_node(walk, walk->analysis->grammar->rules[rule].entry, rule);
}

static void leave_rule(struct walk *walk, uint32_t rule)
{
    struct grammar *grammar = walk->analysis->grammar;
    walk->state[rule] = 2;
    walk->n_path--;
    uint32_t order = grammar->n_rules - 1 - walk->n_left++;
    grammar->rules[rule].order = order;
    grammar->rule_at[order] = rule;
}

/* Looks at one node of the rule at the end of the path. False at a rule that is in the path. */
static bool look(struct walk *walk, uint32_t rule)
{
    struct analysis *analysis = walk->analysis;
    const struct grammar_node *node = &analysis->grammar->nodes[walk->nodes[--walk->n_nodes]];
    if (node->op == GRAMMAR_SPLIT) {
        push_node(walk, node->next, rule);
        push_node(walk, node->arg, rule);
    }
    if (node->op != GRAMMAR_CALL)
        return true;
    if (analysis->is_rule_empty[node->arg])
        push_node(walk, node->next, rule);
    if (walk->state[node->arg] == 1)
        return false;
    if (walk->state[node->arg] == 0)
        enter_rule(walk, node->arg);
    return true;
}

static bool walk_rules(struct walk *walk, uint32_t *out_rule)
{
    for (uint32_t first = 0; first < walk->analysis->grammar->n_rules; first++) {
        if (walk->state[first] == 0)
            enter_rule(walk, first);
        while (walk->n_path > 0) {
            uint32_t rule = walk->path[walk->n_path - 1];
            if (walk->n_nodes == walk->places[walk->n_path - 1]) {
                leave_rule(walk, rule);
            } else if (!look(walk, rule)) {
                *out_rule = rule;
                return false;
            }
        }
    }
    return true;
}

static bool order_rules(struct analysis *analysis, uint32_t *out_rule, struct err *err)
{
    size_t n_rules = analysis->grammar->n_rules;
    size_t n_nodes = analysis->grammar->n_nodes;
    struct walk walk = {
        .analysis = analysis,
        .path = malloc(n_rules * sizeof *walk.path),
        .places = malloc(n_rules * sizeof *walk.places),
        .nodes = malloc((n_nodes + 1) * sizeof *walk.nodes),
        .state = calloc(n_rules, sizeof *walk.state),
    };
    bool is_good =
        walk.path != NULL && walk.places != NULL && walk.nodes != NULL && walk.state != NULL;
    if (!is_good) {
        err_no_memory(err, "a grammar");
    } else {
        memset(analysis->visited_for, 0xFF, n_nodes * sizeof *analysis->visited_for);
        is_good = walk_rules(&walk, out_rule);
        if (!is_good)
            err_set(err, ERR_INVALID,
                    "a rule can begin with itself (left recursion): write it "
                    "with a repetition, x ::= y (z y)*");
    }
    free(walk.path);
    free(walk.places);
    free(walk.nodes);
    free(walk.state);
    return is_good;
}

/* ---- classes of bytes ---- */

/* Splits the classes by one set after the other. */
static void make_classes(struct grammar *grammar)
{
    grammar->n_classes = 1;
    for (uint32_t s = 0; s < grammar->n_sets && grammar->n_classes < 256; s++) {
        int inside[256]; /* by class: the new class of its members in the set, -1 for none yet */
        bool has_outside[256] = {false};
        for (int c = 0; c < 256; c++)
            inside[c] = -1;
        for (unsigned b = 0; b < 256; b++)
            has_outside[grammar->class_of[b]] |= !grammar_set_has(&grammar->sets[s], b);
        for (unsigned b = 0; b < 256; b++) {
            int old = grammar->class_of[b];
            if (!has_outside[old] || !grammar_set_has(&grammar->sets[s], b))
                continue;
            if (inside[old] < 0)
                inside[old] = grammar->n_classes++;
            grammar->class_of[b] = (uint8_t)inside[old];
        }
    }
}

static void sets_to_classes(struct grammar *grammar)
{
    for (uint32_t s = 0; s < grammar->n_sets; s++) {
        struct grammar_set classes = {{0}};
        for (unsigned b = 0; b < 256; b++) {
            if (grammar_set_has(&grammar->sets[s], b))
                grammar_set_add(&classes, grammar->class_of[b]);
        }
        grammar->sets[s] = classes;
    }
}

static void mark_tail_calls(struct grammar *grammar)
{
    for (uint32_t i = 0; i < grammar->n_nodes; i++) {
        struct grammar_node *node = &grammar->nodes[i];
        node->is_tail_call =
            node->op == GRAMMAR_CALL && grammar->nodes[node->next].op == GRAMMAR_RETURN;
    }
}

static bool allocate_rules(struct grammar *grammar, const uint32_t *entries, struct err *err)
{
    grammar->rules = calloc(grammar->n_rules, sizeof *grammar->rules);
    grammar->rule_at = calloc(grammar->n_rules, sizeof *grammar->rule_at);
    if (grammar->rules == NULL || grammar->rule_at == NULL)
        return err_no_memory(err, "a grammar");
    for (uint32_t r = 0; r < grammar->n_rules; r++)
        grammar->rules[r].entry = entries[r];
    return true;
}

bool grammar_analyse(struct grammar *grammar, const uint32_t *entries, uint32_t *out_rule,
                     struct err *err)
{
    if (!allocate_rules(grammar, entries, err))
        return false;
    struct analysis analysis = {0};
    bool is_good = open_analysis(&analysis, grammar, err);
    if (is_good) {
        spread(&analysis, true);
        spread(&analysis, false);
        is_good = analysis.is_rule_live[0] ||
                  err_set(err, ERR_INVALID,
                          "there is no text that fits the grammar's root: every "
                          "way through it goes on for ever");
        is_good = is_good && order_rules(&analysis, out_rule, err);
    }
    close_analysis(&analysis);
    if (!is_good)
        return false;
    mark_tail_calls(grammar);
    make_classes(grammar);
    sets_to_classes(grammar);
    return true;
}
