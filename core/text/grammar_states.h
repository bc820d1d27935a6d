/* grammar_states.h - a grammar's automaton as it runs: sets of (node, stacks), made deterministic
 * on the way.
 *
 * A state is all that the text so far may mean. Stacks that share a node are merged (a
 * graph-structured stack, Tomita 1985), and equal sets of stacks are one number, so a state never
 * has more entries than the grammar has nodes, however ambiguous it is, and equal situations are
 * equal states: each byte's way out of a state is found once. Memory, depth and work are bounded.
 * Inside core/text/grammar_*.c only. Owner: the matcher. Thread: the owner's. */
#ifndef CORE_TEXT_GRAMMAR_STATES_H
#define CORE_TEXT_GRAMMAR_STATES_H

#include "core/text/grammar_code.h"
#include "core/text/grammar_stacks.h"
#include "core/text/grammar_word_set.h"
#include "core/text/grammar_words.h"
#include "core/text/interner.h"

enum { GRAMMAR_MAX_DEPTH = 512 }; /* rules inside of rules; what would go deeper is forbidden */

enum grammar_status {
    GRAMMAR_OK,
    GRAMMAR_FULL,     /* too many states: grammar_states_forget makes room */
    GRAMMAR_TOO_HARD, /* max_work is used up */
    GRAMMAR_NO_MEMORY,
};

struct grammar_states {
    const struct grammar *grammar;
    struct interner states;  /* [accepts, then node << 32 | stacks ..], nodes being SETs */
    struct interner kernels; /* [node << 32 | stacks ..] right after a byte */
    struct grammar_stacks stacks;
    uint32_t *rows; /* [states] where a state's ways out are; NONE until one is taken */
    uint32_t max_rows;
    uint32_t *ways; /* by class of bytes, per row: a state, or NONE where not known yet */
    uint32_t n_ways, max_ways;
    uint32_t *kernel_states; /* [kernels] */
    uint32_t max_kernel_states;

    enum grammar_status status; /* of the last step; sticky until it is set to OK */
    size_t max_bytes;
    uint64_t work, max_work; /* small steps since the owner set it to 0 */

    /* Of one closure. */
    struct grammar_words todo, found, calls, frames, kernel;
    uint32_t *call_heads; /* [n_rules] the last entry of `calls` for a rule, NONE */
    uint64_t *pending;    /* [n_rules / 64 + 1] rules with calls, by order */
    struct grammar_word_set met;
};

/* State 0 is the dead one: nothing fits any more. */
enum { GRAMMAR_DEAD = 0 };

bool grammar_states_init(struct grammar_states *states, const struct grammar *grammar);
void grammar_states_done(struct grammar_states *states);

/* The state before any text; DEAD with a status. */
uint32_t grammar_states_start(struct grammar_states *states);
/* Takes the slow way of grammar_states_step. */
uint32_t grammar_states_find(struct grammar_states *states, uint32_t state, unsigned char_class);
/* The text may end here. */
bool grammar_states_accepts(const struct grammar_states *states, uint32_t state);
/* More text may follow. */
bool grammar_states_goes_on(const struct grammar_states *states, uint32_t state);
/* Drops all states but one; returns its new number, or DEAD with a status. */
uint32_t grammar_states_forget(struct grammar_states *states, uint32_t keep);

/* The state after one more byte; DEAD when none fits, or when status is not OK. */
static inline uint32_t grammar_states_step(struct grammar_states *states, uint32_t state,
                                           unsigned char byte)
{
    unsigned char_class = states->grammar->class_of[byte];
    uint32_t row = states->rows[state];
    if (row != GRAMMAR_NONE && states->ways[row + char_class] != GRAMMAR_NONE)
        return states->ways[row + char_class];
    return grammar_states_find(states, state, char_class);
}

#endif
