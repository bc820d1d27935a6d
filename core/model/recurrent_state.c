#include "core/model/recurrent_state.h"

#include <string.h>

#include "core/base/layout.h"

void recurrent_state_lay_out(struct recurrent_state *state, size_t n, struct layout *layout)
{
    *state = (struct recurrent_state){.n = n};
    state->now = layout_take(layout, n, sizeof(float));
    for (int i = 0; i < KV_N_MARKS; i++)
        state->marked[i] = layout_take(layout, n, sizeof(float));
}

static void copy_numbers(const struct recurrent_state *state, float *to, const float *from)
{
    memcpy(to, from, state->n * sizeof *to);
}

void recurrent_state_mark(struct recurrent_state *state, enum kv_mark which, int64_t position)
{
    if (state->n == 0 || state->at[which] == position)
        return;
    copy_numbers(state, state->marked[which], state->now);
    state->at[which] = position;
}

/* KV_N_MARKS: none. */
static int find_mark(const struct recurrent_state *state, int64_t position)
{
    int i = 0;
    while (i < KV_N_MARKS && state->at[i] != position)
        i++;
    return i;
}

bool recurrent_state_has(const struct recurrent_state *state, int64_t position)
{
    return state->n == 0 || position == 0 || find_mark(state, position) < KV_N_MARKS;
}

void recurrent_state_return(struct recurrent_state *state, int64_t position)
{
    if (state->n == 0)
        return;
    if (position == 0)
        memset(state->now, 0, state->n * sizeof *state->now);
    else
        copy_numbers(state, state->now, state->marked[find_mark(state, position)]);
    for (int i = 0; i < KV_N_MARKS; i++)
        state->at[i] = state->at[i] > position ? 0 : state->at[i];
}

void recurrent_state_copy(struct recurrent_state *to, const struct recurrent_state *from,
                          int64_t from_position, int64_t position)
{
    if (from->n == 0)
        return;
    for (int i = 0; i < KV_N_MARKS; i++) {
        to->at[i] = from->at[i] > position ? 0 : from->at[i];
        if (to->at[i] > 0)
            copy_numbers(to, to->marked[i], from->marked[i]);
    }
    if (position == from_position)
        copy_numbers(to, to->now, from->now);
    else
        recurrent_state_return(to, position);
}

bool recurrent_state_walk(struct recurrent_state *state, kv_cache_bytes_fn *fn, void *arg)
{
    size_t n_bytes = state->n * sizeof *state->now;
    bool is_marked[KV_N_MARKS], goes_on = true;
    for (int i = 0; i < KV_N_MARKS; i++) /* fn may write */
        is_marked[i] = state->at[i] > 0;
    if (n_bytes > 0)
        goes_on = fn(arg, state->at, sizeof state->at) && fn(arg, state->now, n_bytes);
    for (int i = 0; i < KV_N_MARKS && goes_on; i++)
        goes_on = !is_marked[i] || fn(arg, state->marked[i], n_bytes);
    return goes_on;
}

uint64_t recurrent_state_bytes(const struct recurrent_state *state)
{
    uint64_t n_places = 1;
    for (int i = 0; i < KV_N_MARKS; i++)
        n_places += state->at[i] > 0;
    return state->n == 0 ? 0 : sizeof state->at + n_places * state->n * sizeof *state->now;
}
