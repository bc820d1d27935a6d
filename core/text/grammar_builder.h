/* grammar_builder.h - puts a grammar together out of parts: bytes, classes, sequences, choices,
 * repetitions, rules.
 *
 * A part is used once. Failure is sticky, as with struct buf: after the first one (a limit, no
 * memory) everything returns an empty part and `err` holds the reason. Owner: the reader of a
 * grammar's text. Thread: the owner's. */
#ifndef CORE_TEXT_GRAMMAR_BUILDER_H
#define CORE_TEXT_GRAMMAR_BUILDER_H

#include "core/text/grammar_code.h"

struct err;
struct grammar;

struct grammar_builder {
    struct grammar_node *nodes;
    uint32_t n_nodes, max_nodes;
    uint32_t *entries; /* of rules; NONE while a rule is not defined */
    uint32_t n_rules, max_rules;
    struct grammar_set *sets;
    uint32_t n_sets, max_sets;
    uint32_t *set_table; /* [GRAMMAR_SET_SLOTS] by hash: a set's number; NONE where empty */
    bool failed;
    struct err *err;
};

struct grammar_part {
    uint32_t begin;
    uint32_t end; /* a SPLIT with nowhere to go yet */
};

/* Code points first .. last. */
struct grammar_range {
    uint32_t first, last;
};

enum {
    GRAMMAR_MAX_RANGES = 512,
    GRAMMAR_MAX_REPEAT = 1000000,
    GRAMMAR_SET_SLOTS = 4 * GRAMMAR_MAX_SETS,
};

void grammar_builder_init(struct grammar_builder *builder, struct err *err);
void grammar_builder_done(struct grammar_builder *builder);
/* Sets the reason unless there is one already. Returns false. */
bool grammar_builder_fail(struct grammar_builder *builder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct grammar_part grammar_builder_empty(struct grammar_builder *builder);
struct grammar_part grammar_builder_bytes(struct grammar_builder *builder, const char *bytes,
                                          size_t len);
/* One character out of the ranges, or one that is in none of them; in UTF-8, so never a
 * surrogate. Sorts the ranges. */
struct grammar_part grammar_builder_class(struct grammar_builder *builder,
                                          struct grammar_range *ranges, size_t n, bool is_negated);
struct grammar_part grammar_builder_set(struct grammar_builder *builder,
                                        const struct grammar_set *bytes);
struct grammar_part grammar_builder_join(struct grammar_builder *builder, struct grammar_part a,
                                         struct grammar_part b);
struct grammar_part grammar_builder_either(struct grammar_builder *builder, struct grammar_part a,
                                           struct grammar_part b);
/* min to max times, max < 0 for no bound. */
struct grammar_part grammar_builder_repeat(struct grammar_builder *builder,
                                           struct grammar_part part, int min, int max);

/* A new rule, yet to be defined: its number. */
uint32_t grammar_builder_rule(struct grammar_builder *builder);
void grammar_builder_define(struct grammar_builder *builder, uint32_t rule,
                            struct grammar_part part);
bool grammar_builder_is_defined(const struct grammar_builder *builder, uint32_t rule);
struct grammar_part grammar_builder_call(struct grammar_builder *builder, uint32_t rule);

/* Takes the nodes out of the builder; rule 0 is the root and every rule is defined. Fails when the
 * root can say nothing, or a rule can begin with itself: its number is then in *out_rule. */
bool grammar_builder_finish(struct grammar_builder *builder, struct grammar **out,
                            uint32_t *out_rule);

#endif
