/* What of a cache outlives it, in a copy or in a file: rows that can still be seen, recurrent
 * numbers, and the state that says which they are. */
#include <string.h>

#include "core/base/min_max.h"
#include "core/model/kv_cache_inside.h"

/* Rows that a cache holds in layers that are not short: the sinks, then the ring up to its wrap and
 * after it. */
struct kv_stretches {
    struct {
        size_t first, n;
    } of[3];
};

static struct kv_stretches live_rows(const struct kv_cache *cache)
{
    size_t n_sinks = (size_t)cache->shape.n_sinks;
    struct kv_stretches rows = {0};
    rows.of[0].n = (size_t)cache->position < n_sinks ? (size_t)cache->position : n_sinks;
    if (cache->position <= cache->ring_from)
        return rows;
    size_t n = (size_t)(cache->position - cache->ring_from);
    size_t slot = (size_t)(cache->ring_from - cache->shape.n_sinks) % (size_t)cache->n_ring;
    size_t n_before_wrap = (size_t)cache->n_ring - slot;
    rows.of[1].first = n_sinks + slot;
    rows.of[1].n = n < n_before_wrap ? n : n_before_wrap;
    rows.of[2].first = n_sinks;
    rows.of[2].n = n - rows.of[1].n;
    return rows;
}

/* The same of a short layer: all that were written, and may be needed again or not. */
static struct kv_stretches live_short_rows(const struct kv_cache *cache)
{
    struct kv_short_rows rows = kv_short_rows(&cache->shape, cache->position);
    return (struct kv_stretches){
        .of = {{0, (size_t)rows.in_ring},
               {(size_t)kv_short_ring(&cache->shape), (size_t)rows.at_marks}},
    };
}

static struct kv_stretches live_rows_of(const struct kv_cache *cache, const struct kv_layer *layer)
{
    return kv_is_short(layer) ? live_short_rows(cache) : live_rows(cache);
}

/* The same rows of each head. */
static void copy_rows(const struct kv_layer *to, const struct kv_layer *from, size_t first,
                      size_t n)
{
    for (size_t i = first; n > 0 && i < from->n_heads * from->n_rows; i += from->n_rows) {
        memcpy(to->k + i * to->k_bytes, from->k + i * from->k_bytes, n * from->k_bytes);
        memcpy(to->v + i * to->v_bytes, from->v + i * from->v_bytes, n * from->v_bytes);
        if (from->k_scale != NULL) {
            memcpy(to->k_scale + i, from->k_scale + i, n * sizeof(float));
            memcpy(to->v_scale + i, from->v_scale + i, n * sizeof(float));
        }
    }
}

/* The rows that `to` holds, of its short layers or of the others. */
static void copy_layers(struct kv_cache *to, const struct kv_cache *from, bool are_short)
{
    for (int layer = 0; layer < from->shape.n_layers; layer++) {
        struct kv_stretches rows = live_rows_of(to, &to->layers[layer]);
        for (int i = 0; i < 3 && kv_is_short(&to->layers[layer]) == are_short; i++)
            copy_rows(&to->layers[layer], &from->layers[layer], rows.of[i].first, rows.of[i].n);
    }
}

void kv_cache_copy(struct kv_cache *to, const struct kv_cache *from, int64_t position)
{
    struct kv_state state = kv_cache_state(from);
    kv_cache_set_state(to, &state);
    copy_layers(to, from, true); /* going back may need any of them */
    kv_rewind_rows(to, position);
    copy_layers(to, from, false); /* of which what comes later is not worth copying */
    recurrent_state_copy(&to->recurrent, &from->recurrent, from->position, position);
}

struct kv_state kv_cache_state(const struct kv_cache *cache)
{
    struct kv_state state = {
        .n_sinks = cache->shape.n_sinks,
        .position = cache->position,
        .ring_from = cache->ring_from,
        .n_recent = cache->shape.n_before == 0 ? 0 : (int)(cache->position - cache->short_from)};
    memcpy(state.marks, cache->recurrent.at, sizeof state.marks);
    return state;
}

/* A cache in that state has all that the next token meets in short layers, and no more than fits.
 */
static bool fits_short(const struct kv_cache *cache, const struct kv_state *state)
{
    int64_t least = min_i64(state->position, cache->shape.n_before);
    int64_t most = cache->shape.n_before == 0 ? 0 : kv_short_ring(&cache->shape);
    return state->n_recent >= least && state->n_recent <= min_i64(most, state->position);
}

static void set_sinks(struct kv_cache *cache, int n_sinks)
{
    cache->shape.n_sinks = n_sinks;
    cache->n_ring = cache->shape.n_window - n_sinks + cache->shape.n_slack;
}

static bool can_have_marks(const struct kv_cache *cache, const struct kv_state *state)
{
    int64_t most = cache->shape.n_state > 0 ? state->position : 0;
    bool can = true;
    for (int i = 0; i < KV_N_MARKS; i++)
        can &= state->marks[i] >= 0 && state->marks[i] <= most;
    return can;
}

bool kv_cache_set_state(struct kv_cache *cache, const struct kv_state *state)
{
    const int64_t max_position = (int64_t)1 << 52;
    if (state->n_sinks < 0 || state->n_sinks >= cache->shape.n_window || state->position < 0 ||
        state->position > max_position || state->ring_from < state->n_sinks ||
        state->ring_from > max_i64(state->n_sinks, state->position) || !fits_short(cache, state))
        return false;
    struct kv_cache after = *cache;
    set_sinks(&after, state->n_sinks);
    after.position = state->position;
    after.ring_from = state->ring_from;
    after.short_from = cache->shape.n_before == 0 ? 0 : state->position - state->n_recent;
    after.furthest = max_i64(cache->furthest, state->position);
    if (state->position - state->ring_from > after.n_ring ||
        !kv_cache_can_rewind(&after, state->position) || !can_have_marks(cache, state))
        return false;
    memcpy(after.recurrent.at, state->marks, sizeof state->marks);
    if (state->position == 0 && cache->position > 0)
        recurrent_state_return(&after.recurrent, 0);
    *cache = after;
    return true;
}

static bool walk_part(char *part, size_t row_bytes, const struct kv_stretches *rows,
                      kv_cache_bytes_fn *fn, void *arg)
{
    for (int i = 0; i < 3; i++) {
        if (rows->of[i].n > 0 &&
            !fn(arg, part + rows->of[i].first * row_bytes, rows->of[i].n * row_bytes))
            return false;
    }
    return true;
}

static bool walk_layer(const struct kv_layer *layer, const struct kv_stretches *rows,
                       kv_cache_bytes_fn *fn, void *arg)
{
    for (size_t i = 0; i < layer->n_heads * layer->n_rows; i += layer->n_rows) {
        if (!walk_part(layer->k + i * layer->k_bytes, layer->k_bytes, rows, fn, arg) ||
            !walk_part(layer->v + i * layer->v_bytes, layer->v_bytes, rows, fn, arg))
            return false;
        if (layer->k_scale != NULL &&
            (!walk_part((char *)(layer->k_scale + i), sizeof(float), rows, fn, arg) ||
             !walk_part((char *)(layer->v_scale + i), sizeof(float), rows, fn, arg)))
            return false;
    }
    return true;
}

bool kv_cache_walk(struct kv_cache *cache, kv_cache_bytes_fn *fn, void *arg)
{
    for (int i = 0; i < cache->shape.n_layers; i++) {
        struct kv_stretches rows = live_rows_of(cache, &cache->layers[i]);
        if (!walk_layer(&cache->layers[i], &rows, fn, arg))
            return false;
    }
    return recurrent_state_walk(&cache->recurrent, fn, arg);
}

uint64_t kv_cache_live_bytes(const struct kv_cache *cache)
{
    uint64_t n_bytes = recurrent_state_bytes(&cache->recurrent);
    for (int i = 0; i < cache->shape.n_layers; i++) {
        struct kv_stretches rows = live_rows_of(cache, &cache->layers[i]);
        n_bytes += (rows.of[0].n + rows.of[1].n + rows.of[2].n) *
                   kv_row_bytes(&cache->layers[i], cache->shape.type);
    }
    return n_bytes;
}
