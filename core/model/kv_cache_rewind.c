/* Going back in a cache: how far its rows, those of short layers and recurrent numbers allow it. */
#include <string.h>

#include "core/base/min_max.h"
#include "core/model/kv_cache_inside.h"

/* The first token that one at `position` meets in short layers. */
static int64_t first_met(const struct kv_cache *cache, int64_t position)
{
    return max_i64(0, position - cache->shape.n_before);
}

/* Marks stay as long as other layers' rows that a query there sees. */
static bool can_rewind_short(const struct kv_cache *cache, int64_t position)
{
    return cache->shape.n_before == 0 || position % KV_MARK_SPACING == 0 ||
           first_met(cache, position) >= cache->short_from;
}

bool kv_cache_can_rewind(const struct kv_cache *cache, int64_t position)
{
    if (position < 0 || position > cache->position)
        return false;
    if (position < cache->position && !recurrent_state_has(&cache->recurrent, position))
        return false;
    /* What a query there sees of earlier tokens: sinks, which always stay, and this much of the
     * ring; nothing of it when it would be the first there. */
    int64_t from = kv_first_visible(cache, position);
    return (from >= position || from >= cache->ring_from) && can_rewind_short(cache, position);
}

/* What is kept at a mark comes back to where the next tokens look for it. */
static void take_from_mark(struct kv_cache *cache, const struct kv_layer *layer, int64_t position)
{
    for (int64_t t = first_met(cache, position); t < position; t++) {
        size_t from = (size_t)kv_cache_mark_row(cache, t);
        size_t to = (size_t)kv_cache_short_row(cache, t);
        for (size_t i = 0; i < layer->n_heads * layer->n_rows; i += layer->n_rows) {
            memcpy(layer->k + (i + to) * layer->k_bytes, layer->k + (i + from) * layer->k_bytes,
                   layer->k_bytes);
            if (layer->k_scale != NULL)
                layer->k_scale[i + to] = layer->k_scale[i + from];
        }
    }
}

static void rewind_short(struct kv_cache *cache, int64_t position)
{
    int64_t first = first_met(cache, position);
    if (cache->shape.n_before == 0 || first >= cache->short_from)
        return;
    for (int i = 0; i < cache->shape.n_layers; i++) {
        if (kv_is_short(&cache->layers[i]))
            take_from_mark(cache, &cache->layers[i], position);
    }
    cache->short_from = first;
}

void kv_rewind_rows(struct kv_cache *cache, int64_t position)
{
    rewind_short(cache, position);
    cache->position = position;
    if (position < cache->ring_from)
        cache->ring_from = max_i64(cache->shape.n_sinks, position);
}

void kv_cache_rewind(struct kv_cache *cache, int64_t position)
{
    if (position < cache->position)
        recurrent_state_return(&cache->recurrent, position);
    kv_rewind_rows(cache, position);
}

void kv_cache_mark(struct kv_cache *cache, enum kv_mark which)
{
    recurrent_state_mark(&cache->recurrent, which, cache->position);
}

int64_t kv_cache_rewind_limit(const struct kv_cache *cache)
{
    int n_sinks = cache->shape.n_sinks;
    int64_t n_recent = cache->shape.n_window - n_sinks;
    if (cache->shape.n_state > 0)
        return cache->position;
    int64_t limit = cache->ring_from == n_sinks ? 0 : cache->ring_from + n_recent - 1;
    return cache->short_from == 0 ? limit
                                  : max_i64(limit, cache->short_from + cache->shape.n_before);
}

int64_t kv_cache_rewind_floor(const struct kv_cache *cache, int64_t position)
{
    int64_t among_sinks = min_i64(position, cache->shape.n_sinks); /* which always stay */
    const int64_t places[] = {position, position - position % KV_MARK_SPACING, among_sinks,
                              among_sinks - among_sinks % KV_MARK_SPACING};
    int64_t floor = 0;
    for (int i = 0; i < 4; i++) {
        if (kv_cache_can_rewind(cache, places[i]))
            floor = max_i64(floor, places[i]);
    }
    for (int i = 0; i < KV_N_MARKS; i++) {
        int64_t mark = cache->recurrent.at[i];
        if (mark <= position && kv_cache_can_rewind(cache, mark))
            floor = max_i64(floor, mark);
    }
    return floor;
}
