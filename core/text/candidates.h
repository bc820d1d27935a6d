/* candidates.h - the tokens of a vocabulary that are still in the running.
 *
 * A sampler keeps a few dozen of a hundred thousand tokens: what is done for each logit here is one
 * comparison, and only what passes it is looked at. Better means a larger weight, and of equals the
 * smaller id: a total order, so that two runs cannot differ. NaN and infinite logits are no
 * candidates. Nothing is allocated. Any thread. */
#ifndef CORE_TEXT_CANDIDATES_H
#define CORE_TEXT_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>

struct candidate {
    float weight; /* its logit, or what the owner makes of it */
    int32_t id;
};

/* The id of the best of logits [n]; -1 when none is finite. */
int32_t candidates_best(const float *logits, int n);

/* Room that candidates_collect needs for the k best; n of n will do, too. */
#define CANDIDATES_ROOM(k) (4 * ((size_t)(k) + 1) + CANDIDATES_BLOCK)
enum { CANDIDATES_BLOCK = 64 }; /* logits that are compared at once */

/* Fills c, from its beginning, with the k best of logits [n], in no order; k is 1 or more.
 * Returns how many: less than k only when there are no more. */
int candidates_collect(struct candidate *c, const float *logits, int n, int k);

/* Moves the k best of c [n] to the front, in no order; k is 1 .. n. */
void candidates_keep_count(struct candidate *c, int n, int k);

/* Moves the shortest run of best candidates whose weights (>= 0) add up to `need` to the front, in
 * no order, and returns its length; `total` is what all of them add up to. */
int candidates_keep_mass(struct candidate *c, int n, double need, double total);

#endif
