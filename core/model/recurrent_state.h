/* recurrent_state.h - what layers without rows carry from token to token: numbers that every token
 * changes in place.
 *
 * They cannot be taken back token by token, as rows can. So copies of them are kept at some places,
 * the marks; these can be gone back to, and the beginning, where all numbers are 0.
 * Owner: a kv_cache, in whose memory they lie. Thread: engine. */
#ifndef CORE_MODEL_RECURRENT_STATE_H
#define CORE_MODEL_RECURRENT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/model/kv_cache.h"

struct layout;

struct recurrent_state {
    size_t n; /* 0: no layer has any, and marks are none */
    float *now;
    float *marked[KV_N_MARKS];
    int64_t at[KV_N_MARKS]; /* tokens fed at the mark; 0: none, for the beginning needs none */
};

/* Takes room for n numbers at each place; they are 0 there. */
void recurrent_state_lay_out(struct recurrent_state *state, size_t n, struct layout *layout);

void recurrent_state_mark(struct recurrent_state *state, enum kv_mark which, int64_t position);
/* Whether it can go back to `position`, of which it is not sure to be there already. */
bool recurrent_state_has(const struct recurrent_state *state, int64_t position);
/* Goes back there; marks of later places are no more. */
void recurrent_state_return(struct recurrent_state *state, int64_t position);
/* Makes `to` what `from`, now at from_position, was at `position`. */
void recurrent_state_copy(struct recurrent_state *to, const struct recurrent_state *from,
                          int64_t from_position, int64_t position);

/* As kv_cache_walk, with the places of marks first: which of them are set must not change. */
bool recurrent_state_walk(struct recurrent_state *state, kv_cache_bytes_fn *fn, void *arg);
uint64_t recurrent_state_bytes(const struct recurrent_state *state); /* of that */

#endif
