/* Rows 0 .. S-1 are the sinks, rows S .. S+C-1 the ring, C = R + slack. One block of memory holds
 * layer after layer: its keys, its values, then the scales of both when the type has them; in each,
 * head by head, row by row. */
#include "core/model/kv_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/err.h"
#include "core/base/layout.h"
#include "core/base/min_max.h"

/* Where a layer's rows lie. */
struct kv_layer {
    size_t n_heads;
    size_t k_bytes, v_bytes;  /* of one row */
    char *k, *v;              /* [n_heads, n_rows] of k_bytes, of v_bytes */
    float *k_scale, *v_scale; /* [n_heads, n_rows]; KV_Q8 only */
};

struct kv_cache {
    struct kv_shape shape;
    int n_ring;        /* C */
    size_t n_rows;     /* S + C, of one layer and head */
    int64_t position;  /* tokens fed */
    int64_t ring_from; /* the ring holds tokens ring_from .. position-1 and no older ones, even
                          after a rewind */
    int64_t furthest;  /* the most tokens that it ever held: memory is touched up to there */
    char *block;       /* the mapping of n_bytes */
    size_t n_bytes;
    struct kv_layer layers[]; /* [n_layers] */
};

struct kv_heads kv_shape_heads(const struct kv_shape *shape, int layer)
{
    if (shape->layers != NULL)
        return shape->layers[layer];
    return (struct kv_heads){shape->n_kv_heads, shape->head_dim_k, shape->head_dim_v};
}

static struct kv_layer layer_of(const struct kv_shape *shape, int layer)
{
    struct kv_heads heads = kv_shape_heads(shape, layer);
    return (struct kv_layer){
        .n_heads = (size_t)heads.n,
        .k_bytes = (size_t)heads.dim_k * kv_type_bytes(shape->type),
        .v_bytes = (size_t)heads.dim_v * kv_type_bytes(shape->type),
    };
}

static struct kv_layer lay_out_layer(const struct kv_shape *shape, int i, struct layout *layout)
{
    struct kv_layer layer = layer_of(shape, i);
    size_t n = 0; /* rows are counted in int everywhere else */
    int n_rows = 0;
    layout->overflowed |= __builtin_add_overflow(shape->n_window, shape->n_slack, &n_rows) ||
                          __builtin_mul_overflow(layer.n_heads, (size_t)n_rows, &n);
    layer.k = layout_take(layout, n, layer.k_bytes);
    layer.v = layout_take(layout, n, layer.v_bytes);
    if (shape->type == KV_Q8) {
        layer.k_scale = layout_take(layout, n, sizeof(float));
        layer.v_scale = layout_take(layout, n, sizeof(float));
    }
    return layer;
}

size_t kv_shape_bytes(const struct kv_shape *shape)
{
    struct layout layout = {0};
    for (int i = 0; i < shape->n_layers && !layout.overflowed; i++)
        lay_out_layer(shape, i, &layout);
    return layout.overflowed ? SIZE_MAX : layout.n_used;
}

static bool has_heads(const struct kv_shape *shape)
{
    bool has = shape->n_layers >= 1;
    for (int i = 0; i < shape->n_layers && has; i++) {
        struct kv_heads heads = kv_shape_heads(shape, i);
        has = heads.n >= 1 && heads.dim_k >= 1 && heads.dim_v >= 0;
    }
    return has;
}

static bool check_shape(const struct kv_shape *shape, struct err *err)
{
    if (!has_heads(shape) || shape->n_slack < 0)
        return err_set(err, ERR_INTERNAL, "the cache was asked for without layers, heads or rows");
    if (shape->n_sinks < 0 || shape->n_window <= shape->n_sinks)
        return err_set(err, ERR_INVALID,
                       "the window of %d tokens must be larger than its %d sinks, which must not "
                       "be negative",
                       shape->n_window, shape->n_sinks);
    return true;
}

bool kv_cache_open(struct kv_cache **out, const struct kv_shape *shape, struct err *err)
{
    if (!check_shape(shape, err))
        return false;
    size_t n_bytes = kv_shape_bytes(shape), n_layers = (size_t)shape->n_layers;
    if (n_bytes == SIZE_MAX)
        return err_set(err, ERR_LIMIT,
                       "a window of %d tokens is more than this machine can address",
                       shape->n_window);
    struct kv_cache *cache = calloc(1, sizeof *cache + n_layers * sizeof cache->layers[0]);
    if (cache == NULL)
        return err_no_memory(err, "a conversation");
    /* NORESERVE: a conversation pays for the rows that it has written, not for its window. */
    char *block = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) {
        free(cache);
        return err_set(err, ERR_MEMORY, "cannot reserve %zu bytes for a conversation: %s", n_bytes,
                       strerror(errno));
    }
    *cache = (struct kv_cache){
        .shape = *shape,
        .n_ring = shape->n_window - shape->n_sinks + shape->n_slack,
        .n_rows = (size_t)shape->n_window + (size_t)shape->n_slack,
        .ring_from = shape->n_sinks,
        .block = block,
        .n_bytes = n_bytes,
    };
    struct layout layout = {.block = block};
    for (int i = 0; i < shape->n_layers; i++)
        cache->layers[i] = lay_out_layer(shape, i, &layout);
    *out = cache;
    return true;
}

void kv_cache_close(struct kv_cache **cache_ptr)
{
    struct kv_cache *cache = *cache_ptr;
    if (cache == NULL)
        return;
    munmap(cache->block, cache->n_bytes);
    free(cache);
    *cache_ptr = NULL;
}

const struct kv_shape *kv_cache_shape(const struct kv_cache *cache)
{
    return &cache->shape;
}

int64_t kv_cache_position(const struct kv_cache *cache)
{
    return cache->position;
}

/* The oldest ring token that a query at t sees: R tokens including its own, none of them a sink. */
static int64_t first_visible(const struct kv_cache *cache, int64_t t)
{
    int64_t n_recent = cache->shape.n_window - cache->shape.n_sinks;
    return max_i64(cache->shape.n_sinks, t - n_recent + 1);
}

int64_t kv_cache_evicted(const struct kv_cache *cache)
{
    return max_i64(0, first_visible(cache, cache->position) - cache->shape.n_sinks);
}

static void add_segment(struct kv_view *view, struct kv_segment segment)
{
    if (segment.n_rows > 0)
        view->segments[view->n_segments++] = segment;
}

/* The stretch of ring that a query at t sees, cut where the ring wraps. */
static void add_ring(const struct kv_cache *cache, struct kv_view *view, int64_t t)
{
    int n_sinks = cache->shape.n_sinks;
    int64_t from = first_visible(cache, t);
    int distance = (int)(t - from); /* below n_window */
    int slot = (int)((from - n_sinks) % cache->n_ring);
    int n_seen = distance + 1;
    int n_before_wrap = n_seen < cache->n_ring - slot ? n_seen : cache->n_ring - slot;
    add_segment(view, (struct kv_segment){.first_row = n_sinks + slot,
                                          .n_rows = n_before_wrap,
                                          .first_distance = distance});
    add_segment(view, (struct kv_segment){.first_row = n_sinks,
                                          .n_rows = n_seen - n_before_wrap,
                                          .first_distance = distance - n_before_wrap});
}

struct kv_view kv_cache_view(const struct kv_cache *cache, int ahead)
{
    int n_sinks = cache->shape.n_sinks;
    int64_t t = cache->position + ahead;
    int64_t last_index = cache->shape.n_window - 1;
    bool is_sink = t < n_sinks;
    struct kv_view view = {
        .row = is_sink ? (int)t : n_sinks + (int)((t - n_sinks) % cache->n_ring),
        .position = t,
        .in_cache = t < last_index ? t : last_index,
    };
    add_segment(&view, (struct kv_segment){.first_row = 0,
                                           .n_rows = is_sink ? (int)t + 1 : n_sinks,
                                           .first_distance = (int)view.in_cache,
                                           .is_sink = true});
    if (!is_sink)
        add_ring(cache, &view, t);
    return view;
}

void kv_cache_advance(struct kv_cache *cache, int n_tokens)
{
    cache->position += n_tokens;
    cache->furthest = max_i64(cache->furthest, cache->position);
    cache->ring_from = max_i64(cache->ring_from, cache->position - cache->n_ring);
}

bool kv_cache_can_rewind(const struct kv_cache *cache, int64_t position)
{
    if (position < 0 || position > cache->position)
        return false;
    /* What a query there sees of earlier tokens: sinks, which always stay, and this much of the
     * ring; nothing of it when it would be the first there. */
    int64_t from = first_visible(cache, position);
    return from >= position || from >= cache->ring_from;
}

void kv_cache_rewind(struct kv_cache *cache, int64_t position)
{
    cache->position = position;
    if (position < cache->ring_from)
        cache->ring_from = max_i64(cache->shape.n_sinks, position);
}

int64_t kv_cache_rewind_limit(const struct kv_cache *cache)
{
    int n_sinks = cache->shape.n_sinks;
    int64_t n_recent = cache->shape.n_window - n_sinks;
    return cache->ring_from == n_sinks ? 0 : cache->ring_from + n_recent - 1;
}

/* Rows that a cache holds: the sinks, then the ring up to its wrap and after it. */
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

/* The same rows of each head. */
static void copy_rows(const struct kv_layer *to, const struct kv_layer *from, size_t n_rows,
                      size_t first, size_t n)
{
    for (size_t i = first; n > 0 && i < from->n_heads * n_rows; i += n_rows) {
        memcpy(to->k + i * to->k_bytes, from->k + i * from->k_bytes, n * from->k_bytes);
        memcpy(to->v + i * to->v_bytes, from->v + i * from->v_bytes, n * from->v_bytes);
        if (from->k_scale != NULL) {
            memcpy(to->k_scale + i, from->k_scale + i, n * sizeof(float));
            memcpy(to->v_scale + i, from->v_scale + i, n * sizeof(float));
        }
    }
}

void kv_cache_copy(struct kv_cache *to, const struct kv_cache *from, int64_t position)
{
    struct kv_state state = kv_cache_state(from);
    kv_cache_set_state(to, &state);
    kv_cache_rewind(to, position); /* what comes later is not worth copying */
    struct kv_stretches rows = live_rows(to);
    for (int layer = 0; layer < from->shape.n_layers; layer++) {
        for (int i = 0; i < 3; i++)
            copy_rows(&to->layers[layer], &from->layers[layer], from->n_rows, rows.of[i].first,
                      rows.of[i].n);
    }
}

struct kv_state kv_cache_state(const struct kv_cache *cache)
{
    return (struct kv_state){.n_sinks = cache->shape.n_sinks,
                             .position = cache->position,
                             .ring_from = cache->ring_from};
}

static void set_sinks(struct kv_cache *cache, int n_sinks)
{
    cache->shape.n_sinks = n_sinks;
    cache->n_ring = cache->shape.n_window - n_sinks + cache->shape.n_slack;
}

bool kv_cache_set_state(struct kv_cache *cache, const struct kv_state *state)
{
    const int64_t max_position = (int64_t)1 << 52;
    if (state->n_sinks < 0 || state->n_sinks >= cache->shape.n_window || state->position < 0 ||
        state->position > max_position || state->ring_from < state->n_sinks ||
        state->ring_from > max_i64(state->n_sinks, state->position))
        return false;
    struct kv_cache after = *cache;
    set_sinks(&after, state->n_sinks);
    after.position = state->position;
    after.ring_from = state->ring_from;
    after.furthest = max_i64(cache->furthest, state->position);
    if (state->position - state->ring_from > after.n_ring ||
        !kv_cache_can_rewind(&after, state->position))
        return false;
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

static bool walk_layer(const struct kv_layer *layer, size_t n_rows, const struct kv_stretches *rows,
                       kv_cache_bytes_fn *fn, void *arg)
{
    for (size_t i = 0; i < layer->n_heads * n_rows; i += n_rows) {
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
    struct kv_stretches rows = live_rows(cache);
    for (int i = 0; i < cache->shape.n_layers; i++) {
        if (!walk_layer(&cache->layers[i], cache->n_rows, &rows, fn, arg))
            return false;
    }
    return true;
}

/* What one row takes in all layers and heads. */
static uint64_t row_bytes(const struct kv_shape *shape)
{
    uint64_t n_bytes = 0, n_scales = shape->type == KV_Q8 ? 2 * sizeof(float) : 0;
    for (int i = 0; i < shape->n_layers; i++) {
        struct kv_layer layer = layer_of(shape, i);
        n_bytes += layer.n_heads * (layer.k_bytes + layer.v_bytes + n_scales);
    }
    return n_bytes;
}

uint64_t kv_cache_live_bytes(const struct kv_cache *cache)
{
    struct kv_stretches rows = live_rows(cache);
    return (rows.of[0].n + rows.of[1].n + rows.of[2].n) * row_bytes(&cache->shape);
}

uint64_t kv_shape_touched_bytes(const struct kv_shape *shape, int64_t n)
{
    enum { PAGE = 4096 };
    size_t most = kv_shape_bytes(shape);
    if (most == SIZE_MAX)
        return UINT64_MAX;
    if (n >= (int64_t)shape->n_window + shape->n_slack)
        return most;
    uint64_t n_heads = 0; /* of all layers: each head's rows begin and end inside a page */
    for (int i = 0; i < shape->n_layers; i++)
        n_heads += (uint64_t)kv_shape_heads(shape, i).n;
    uint64_t n_bytes = (uint64_t)n * row_bytes(shape) + (n > 0 ? 2 * PAGE * n_heads : 0);
    return n_bytes < most ? n_bytes : most;
}

uint64_t kv_cache_touched_bytes(const struct kv_cache *cache)
{
    return kv_shape_touched_bytes(&cache->shape, cache->furthest);
}

static size_t row_index(const struct kv_cache *cache, int head, int row)
{
    return (size_t)head * cache->n_rows + (size_t)row;
}

void *kv_cache_k(struct kv_cache *cache, int layer, int head, int row)
{
    const struct kv_layer *of = &cache->layers[layer];
    return of->k + row_index(cache, head, row) * of->k_bytes;
}

void *kv_cache_v(struct kv_cache *cache, int layer, int head, int row)
{
    const struct kv_layer *of = &cache->layers[layer];
    return of->v + row_index(cache, head, row) * of->v_bytes;
}

float *kv_cache_k_scale(struct kv_cache *cache, int layer, int head, int row)
{
    float *scales = cache->layers[layer].k_scale;
    return scales == NULL ? NULL : scales + row_index(cache, head, row);
}

float *kv_cache_v_scale(struct kv_cache *cache, int layer, int head, int row)
{
    float *scales = cache->layers[layer].v_scale;
    return scales == NULL ? NULL : scales + row_index(cache, head, row);
}
