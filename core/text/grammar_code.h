/* grammar_code.h - what a grammar is compiled to: a pushdown automaton over bytes.
 *
 * Nodes as in Thompson's construction (1968), one small graph per rule: a SET node reads one byte,
 * CALL runs another rule and comes back, RETURN ends the rule. Inside core/text/grammar_*.c only.
 * Owner: the grammar. Thread: any once it is built (immutable). */
#ifndef CORE_TEXT_GRAMMAR_CODE_H
#define CORE_TEXT_GRAMMAR_CODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GRAMMAR_MAX_NODES = 1 << 18,
    GRAMMAR_MAX_RULES = 1 << 16,
    GRAMMAR_MAX_SETS = 1 << 12,
};
#define GRAMMAR_NONE UINT32_MAX

enum grammar_op {
    GRAMMAR_SET,    /* a byte of set `arg`, then `next` */
    GRAMMAR_SPLIT,  /* `next`, or `arg` unless that is NONE */
    GRAMMAR_CALL,   /* rule `arg`, then `next` */
    GRAMMAR_RETURN, /* the rule is complete */
};

struct grammar_node {
    uint32_t next;
    uint32_t arg;
    uint8_t op;        /* enum grammar_op */
    bool is_live;      /* some text leads from here to the end of the rule */
    bool is_empty;     /* the empty text does */
    bool is_tail_call; /* a CALL after which nothing but RETURN comes */
};

struct grammar_rule {
    uint32_t entry;
    uint32_t order; /* a rule comes before those that it can begin with: no cycle, see the .c */
};

/* A set of bytes; once the grammar is built, of classes of bytes. */
struct grammar_set {
    uint64_t bits[4];
};

struct grammar {
    atomic_int n_owners;
    struct grammar_node *nodes;
    uint32_t n_nodes;
    struct grammar_rule *rules; /* rules[0] is the root */
    uint32_t n_rules;
    uint32_t *rule_at;        /* [n_rules] by order */
    struct grammar_set *sets; /* of classes */
    uint32_t n_sets;
    uint8_t class_of[256]; /* bytes that no set tells apart are one class */
    int n_classes;
};

static inline bool grammar_set_has(const struct grammar_set *set, unsigned member)
{
    return (set->bits[member >> 6] >> (member & 63) & 1) != 0;
}

static inline void grammar_set_add(struct grammar_set *set, unsigned member)
{
    set->bits[member >> 6] |= (uint64_t)1 << (member & 63);
}

#endif
