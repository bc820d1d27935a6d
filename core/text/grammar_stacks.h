/* grammar_stacks.h - what nodes of a grammar's automaton stand on: sets of stacks, each set a
 * number.
 *
 * A set is a list of frames: a node to return to, and the number of what is below. Equal sets are
 * one number, and what is below has a smaller one. Inside core/text/grammar_*.c only. Owner: the
 * states. Thread: the owner's. */
#ifndef CORE_TEXT_GRAMMAR_STACKS_H
#define CORE_TEXT_GRAMMAR_STACKS_H

#include "core/text/grammar_words.h"
#include "core/text/interner.h"

struct grammar_stacks {
    struct interner sets; /* [node to return to << 32 | stacks below ..] */
    uint16_t *depths;     /* [sets.n] */
    uint32_t max_depths;
};

/* The stack that has nothing on it: its frame returns to GRAMMAR_NONE. */
enum { GRAMMAR_BOTTOM = 0 };

/* With the bottom. False without memory; to be done all the same. */
bool grammar_stacks_init(struct grammar_stacks *stacks);
void grammar_stacks_done(struct grammar_stacks *stacks);

/* The number of the stacks with these frames, sorted and unique. False without memory. */
bool grammar_stacks_add(struct grammar_stacks *stacks, const struct grammar_words *frames,
                        uint32_t *out);

/* Copies those that `is_needed` [sets.n] marks, and all below them, which it then marks too, into
 * an empty one; new_numbers [sets.n] are theirs there. False without memory. */
bool grammar_stacks_copy(const struct grammar_stacks *from, bool *is_needed,
                         struct grammar_stacks *to, uint32_t *new_numbers);

size_t grammar_stacks_bytes(const struct grammar_stacks *stacks);

/* [*out_n]; borrowed until something is added. */
static inline const uint64_t *grammar_stacks_frames(const struct grammar_stacks *stacks,
                                                    uint32_t number, uint32_t *out_n)
{
    return interner_words(&stacks->sets, number, out_n);
}

#endif
