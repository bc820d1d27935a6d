#include "core/text/grammar_builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/grammar_analysis.h"

/* Up to here a counted repetition is written out; above it is made of powers of two. */
enum { MAX_UNROLLED = 256 };

static const struct grammar_part NOTHING = {0, 0};

void grammar_builder_init(struct grammar_builder *builder, struct err *err)
{
    *builder = (struct grammar_builder){.err = err};
}

void grammar_builder_done(struct grammar_builder *builder)
{
    free(builder->nodes);
    free(builder->entries);
    free(builder->sets);
    free(builder->set_table);
    *builder = (struct grammar_builder){.failed = true};
}

bool grammar_builder_fail(struct grammar_builder *builder, const char *format, ...)
{
    char text[sizeof builder->err->text];
    if (builder->failed)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    builder->failed = true;
    return err_set(builder->err, ERR_INVALID, "%s", text);
}

static void no_memory(struct grammar_builder *builder)
{
    if (!builder->failed)
        err_no_memory(builder->err, "a grammar");
    builder->failed = true;
}

/* Room for one more element of `size` bytes. */
static bool grow(struct grammar_builder *builder, void *array_ptr, size_t size, uint32_t n,
                 uint32_t *max)
{
    void **array = array_ptr;
    if (n < *max)
        return true;
    uint32_t wanted = *max == 0 ? 64 : *max * 2;
    void *grown = realloc(*array, wanted * size);
    if (grown == NULL) {
        no_memory(builder);
        return false;
    }
    *array = grown;
    *max = wanted;
    return true;
}

static uint32_t add_node(struct grammar_builder *builder, enum grammar_op op, uint32_t next,
                         uint32_t arg)
{
    if (builder->failed)
        return 0;
    if (builder->n_nodes == GRAMMAR_MAX_NODES) {
        grammar_builder_fail(builder, "the grammar is too large: it has more than %d parts",
                             (int)GRAMMAR_MAX_NODES);
        return 0;
    }
    if (!grow(builder, &builder->nodes, sizeof *builder->nodes, builder->n_nodes,
              &builder->max_nodes))
        return 0;
    builder->nodes[builder->n_nodes] =
        (struct grammar_node){.next = next, .arg = arg, .op = (uint8_t)op};
    return builder->n_nodes++;
}

static uint32_t add_end(struct grammar_builder *builder)
{
    return add_node(builder, GRAMMAR_SPLIT, GRAMMAR_NONE, GRAMMAR_NONE);
}

static void set_next(struct grammar_builder *builder, uint32_t node, uint32_t next)
{
    if (!builder->failed)
        builder->nodes[node].next = next;
}

static struct grammar_part part_of(const struct grammar_builder *builder, uint32_t begin,
                                   uint32_t end)
{
    return builder->failed ? NOTHING : (struct grammar_part){begin, end};
}

struct grammar_part grammar_builder_empty(struct grammar_builder *builder)
{
    uint32_t end = add_end(builder);
    return part_of(builder, end, end);
}

static bool open_set_table(struct grammar_builder *builder)
{
    if (builder->set_table != NULL)
        return true;
    size_t size = GRAMMAR_SET_SLOTS * sizeof *builder->set_table;
    builder->set_table = malloc(size);
    if (builder->set_table == NULL) {
        no_memory(builder);
        return false;
    }
    memset(builder->set_table, 0xFF, size);
    return true;
}

/* The slot of a set: where it is, or may go. */
static uint32_t *find_set(const struct grammar_builder *builder, const struct grammar_set *set)
{
    uint64_t hash = 0;
    for (int i = 0; i < 4; i++)
        hash = (hash ^ set->bits[i]) * 0x9E3779B97F4A7C15u;
    uint32_t slot = (uint32_t)(hash >> 32) % GRAMMAR_SET_SLOTS;
    while (builder->set_table[slot] != GRAMMAR_NONE &&
           memcmp(&builder->sets[builder->set_table[slot]], set, sizeof *set) != 0)
        slot = (slot + 1) % GRAMMAR_SET_SLOTS;
    return &builder->set_table[slot];
}

static uint32_t add_set(struct grammar_builder *builder, const struct grammar_set *set)
{
    if (builder->failed || !open_set_table(builder))
        return 0;
    uint32_t *known = find_set(builder, set);
    if (*known != GRAMMAR_NONE)
        return *known;
    if (builder->n_sets == GRAMMAR_MAX_SETS) {
        grammar_builder_fail(builder, "the grammar has more than %d character classes",
                             (int)GRAMMAR_MAX_SETS);
        return 0;
    }
    if (!grow(builder, &builder->sets, sizeof *builder->sets, builder->n_sets, &builder->max_sets))
        return 0;
    builder->sets[builder->n_sets] = *set;
    *known = builder->n_sets;
    return builder->n_sets++;
}

static uint32_t set_of_byte(struct grammar_builder *builder, unsigned char byte)
{
    struct grammar_set set = {{0}};
    grammar_set_add(&set, byte);
    return add_set(builder, &set);
}

struct grammar_part grammar_builder_bytes(struct grammar_builder *builder, const char *bytes,
                                          size_t len)
{
    uint32_t end = add_end(builder);
    uint32_t begin = end;
    for (size_t i = len; i > 0 && !builder->failed; i--) {
        uint32_t set = set_of_byte(builder, (unsigned char)bytes[i - 1]);
        begin = add_node(builder, GRAMMAR_SET, begin, set);
    }
    return part_of(builder, begin, end);
}

struct grammar_part grammar_builder_set(struct grammar_builder *builder,
                                        const struct grammar_set *bytes)
{
    uint32_t end = add_end(builder);
    uint32_t begin = add_node(builder, GRAMMAR_SET, end, add_set(builder, bytes));
    return part_of(builder, begin, end);
}

struct grammar_part grammar_builder_join(struct grammar_builder *builder, struct grammar_part a,
                                         struct grammar_part b)
{
    set_next(builder, a.end, b.begin);
    return part_of(builder, a.begin, b.end);
}

struct grammar_part grammar_builder_either(struct grammar_builder *builder, struct grammar_part a,
                                           struct grammar_part b)
{
    uint32_t begin = add_node(builder, GRAMMAR_SPLIT, a.begin, b.begin);
    set_next(builder, a.end, b.end);
    return part_of(builder, begin, b.end);
}

uint32_t grammar_builder_rule(struct grammar_builder *builder)
{
    if (builder->failed)
        return 0;
    if (builder->n_rules == GRAMMAR_MAX_RULES) {
        grammar_builder_fail(builder, "the grammar has more than %d rules", (int)GRAMMAR_MAX_RULES);
        return 0;
    }
    if (!grow(builder, &builder->entries, sizeof *builder->entries, builder->n_rules,
              &builder->max_rules))
        return 0;
    builder->entries[builder->n_rules] = GRAMMAR_NONE;
    return builder->n_rules++;
}

void grammar_builder_define(struct grammar_builder *builder, uint32_t rule,
                            struct grammar_part part)
{
    uint32_t leave = add_node(builder, GRAMMAR_RETURN, GRAMMAR_NONE, GRAMMAR_NONE);
    set_next(builder, part.end, leave);
    if (!builder->failed)
        builder->entries[rule] = part.begin;
}

bool grammar_builder_is_defined(const struct grammar_builder *builder, uint32_t rule)
{
    return rule < builder->n_rules && builder->entries[rule] != GRAMMAR_NONE;
}

struct grammar_part grammar_builder_call(struct grammar_builder *builder, uint32_t rule)
{
    uint32_t end = add_end(builder);
    uint32_t begin = add_node(builder, GRAMMAR_CALL, end, rule);
    return part_of(builder, begin, end);
}

/* ---- repetition ---- */

static struct grammar_part optional(struct grammar_builder *builder, struct grammar_part part)
{
    uint32_t begin = add_node(builder, GRAMMAR_SPLIT, part.begin, part.end);
    return part_of(builder, begin, part.end);
}

static struct grammar_part one_or_more(struct grammar_builder *builder, struct grammar_part part)
{
    uint32_t end = add_end(builder);
    uint32_t again = add_node(builder, GRAMMAR_SPLIT, part.begin, end);
    set_next(builder, part.end, again);
    return part_of(builder, part.begin, end);
}

/* Rules powers[k] that say a rule 2^k times. */
struct powers {
    uint32_t rules[32];
    int n;
};

static uint32_t power(struct grammar_builder *builder, struct powers *powers, int k)
{
    while (powers->n <= k && !builder->failed) {
        uint32_t half = powers->rules[powers->n - 1];
        uint32_t rule = grammar_builder_rule(builder);
        struct grammar_part first = grammar_builder_call(builder, half);
        grammar_builder_define(
            builder, rule,
            grammar_builder_join(builder, first, grammar_builder_call(builder, half)));
        powers->rules[powers->n++] = rule;
    }
    return powers->rules[builder->failed ? 0 : k];
}

static int top_bit(int n)
{
    return 31 - __builtin_clz((unsigned)n);
}

static struct grammar_part exactly(struct grammar_builder *builder, struct powers *powers, int n)
{
    struct grammar_part part = grammar_builder_empty(builder);
    if (n <= MAX_UNROLLED) {
        for (int i = 0; i < n; i++)
            part = grammar_builder_join(builder, part,
                                        grammar_builder_call(builder, powers->rules[0]));
        return part;
    }
    for (int k = top_bit(n); k >= 0; k--) {
        if ((n >> k & 1) != 0)
            part = grammar_builder_join(builder, part,
                                        grammar_builder_call(builder, power(builder, powers, k)));
    }
    return part;
}

/* 0 to 2^n - 1 times: each power once or not at all. The powers fall, so after any number of
 * repetitions there are few ways in which they may have been counted. */
static struct grammar_part up_to_all_ones(struct grammar_builder *builder, struct powers *powers,
                                          int n)
{
    struct grammar_part part = grammar_builder_empty(builder);
    for (int k = n - 1; k >= 0; k--) {
        struct grammar_part call = grammar_builder_call(builder, power(builder, powers, k));
        part = grammar_builder_join(builder, part, optional(builder, call));
    }
    return part;
}

/* 0 to n times. Unrolled: (x (x (x)?)?)?. */
static struct grammar_part up_to(struct grammar_builder *builder, struct powers *powers, int n)
{
    if (n <= MAX_UNROLLED) {
        struct grammar_part part = grammar_builder_empty(builder);
        for (int i = 0; i < n; i++)
            part = optional(builder,
                            grammar_builder_join(
                                builder, grammar_builder_call(builder, powers->rules[0]), part));
        return part;
    }
    int k = top_bit(n);
    struct grammar_part many = grammar_builder_call(builder, power(builder, powers, k));
    many = grammar_builder_join(builder, many, up_to(builder, powers, n - (1 << k)));
    return grammar_builder_either(builder, many, up_to_all_ones(builder, powers, k));
}

static struct grammar_part counted(struct grammar_builder *builder, struct grammar_part part,
                                   int min, int max)
{
    uint32_t rule = grammar_builder_rule(builder);
    grammar_builder_define(builder, rule, part);
    struct powers powers = {.rules = {rule}, .n = 1};
    struct grammar_part must = exactly(builder, &powers, min);
    struct grammar_part may;
    if (max < 0)
        may = optional(builder, one_or_more(builder, grammar_builder_call(builder, rule)));
    else
        may = up_to(builder, &powers, max - min);
    return grammar_builder_join(builder, must, may);
}

struct grammar_part grammar_builder_repeat(struct grammar_builder *builder,
                                           struct grammar_part part, int min, int max)
{
    if (min > GRAMMAR_MAX_REPEAT || max > GRAMMAR_MAX_REPEAT)
        grammar_builder_fail(builder, "a repetition counts to %d at most", (int)GRAMMAR_MAX_REPEAT);
    else if (max >= 0 && max < min)
        grammar_builder_fail(builder, "a repetition from %d to %d times is not possible", min, max);
    if (builder->failed)
        return NOTHING;
    if (min == 0 && max == 1)
        return optional(builder, part);
    if (min == 1 && max == 1)
        return part;
    if (min == 1 && max < 0)
        return one_or_more(builder, part);
    if (min == 0 && max < 0)
        return optional(builder, one_or_more(builder, part));
    return counted(builder, part, min, max);
}

/* ---- the end ---- */

/* Ends of parts are mere passages: what leads to one may lead to where it leads. */
static bool is_passage(const struct grammar_builder *builder, uint32_t node)
{
    return node != GRAMMAR_NONE && builder->nodes[node].op == GRAMMAR_SPLIT &&
           builder->nodes[node].arg == GRAMMAR_NONE;
}

static uint32_t skip_passages(struct grammar_builder *builder, uint32_t node)
{
    uint32_t target = node;
    while (is_passage(builder, target))
        target = builder->nodes[target].next;
    while (is_passage(builder, node)) { /* so that no chain is walked twice */
        uint32_t next = builder->nodes[node].next;
        builder->nodes[node].next = target;
        node = next;
    }
    return target;
}

static void shorten_ways(struct grammar_builder *builder)
{
    for (uint32_t i = 0; i < builder->n_nodes; i++) {
        struct grammar_node *node = &builder->nodes[i];
        node->next = skip_passages(builder, node->next);
        if (node->op == GRAMMAR_SPLIT)
            node->arg = skip_passages(builder, node->arg);
    }
    for (uint32_t i = 0; i < builder->n_rules; i++)
        builder->entries[i] = skip_passages(builder, builder->entries[i]);
}

bool grammar_builder_finish(struct grammar_builder *builder, struct grammar **out,
                            uint32_t *out_rule)
{
    *out_rule = GRAMMAR_NONE;
    if (builder->failed)
        return false;
    shorten_ways(builder);
    struct grammar *grammar = calloc(1, sizeof *grammar);
    if (grammar == NULL) {
        no_memory(builder);
        return false;
    }
    atomic_init(&grammar->n_owners, 1);
    grammar->nodes = builder->nodes;
    grammar->n_nodes = builder->n_nodes;
    grammar->sets = builder->sets;
    grammar->n_sets = builder->n_sets;
    grammar->n_rules = builder->n_rules;
    builder->nodes = NULL;
    builder->sets = NULL;
    if (!grammar_analyse(grammar, builder->entries, out_rule, builder->err)) {
        builder->failed = true;
        grammar_free(&grammar);
        return false;
    }
    *out = grammar;
    return true;
}
