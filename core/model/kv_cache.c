/* Of layers that are not short, rows 0 .. S-1 are the sinks, rows S .. S+C-1 the ring, C = R +
 * slack. One block of memory holds layer after layer: its keys, its values, then the scales of both
 * when the type has them; in each, head by head, row by row. Behind them is what layers without
 * rows carry. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/err.h"
#include "core/base/layout.h"
#include "core/base/min_max.h"
#include "core/model/kv_cache_inside.h"

bool kv_is_short(const struct kv_layer *layer)
{
    return layer->v_bytes == 0;
}

struct kv_heads kv_shape_heads(const struct kv_shape *shape, int layer)
{
    if (shape->layers != NULL)
        return shape->layers[layer];
    return (struct kv_heads){shape->n_kv_heads, shape->head_dim_k, shape->head_dim_v};
}

int64_t kv_short_ring(const struct kv_shape *shape)
{
    return (int64_t)shape->n_slack + 1 + shape->n_before;
}

/* Behind the ring of short layers are n_before rows at each mark: of as many as a rewind may reach.
 */
static int64_t n_marks(const struct kv_shape *shape)
{
    return ((int64_t)shape->n_window + shape->n_slack) / KV_MARK_SPACING + 2;
}

struct kv_short_rows kv_short_rows(const struct kv_shape *shape, int64_t n)
{
    return (struct kv_short_rows){
        .in_ring = min_i64(n, kv_short_ring(shape)),
        .at_marks = min_i64(n / KV_MARK_SPACING + (n > 0), n_marks(shape)) * shape->n_before,
    };
}

static struct kv_layer layer_of(const struct kv_shape *shape, int layer)
{
    struct kv_heads heads = kv_shape_heads(shape, layer);
    struct kv_short_rows all = kv_short_rows(shape, INT64_MAX);
    int64_t n_rows = (int64_t)shape->n_window + shape->n_slack;
    return (struct kv_layer){
        .n_heads = (size_t)heads.n,
        .n_rows = (size_t)(heads.dim_v == 0 ? all.in_ring + all.at_marks : n_rows),
        .k_bytes = (size_t)heads.dim_k * kv_type_bytes(shape->type),
        .v_bytes = (size_t)heads.dim_v * kv_type_bytes(shape->type),
    };
}

static struct kv_layer lay_out_layer(const struct kv_shape *shape, int i, struct layout *layout)
{
    struct kv_layer layer = layer_of(shape, i);
    size_t n = 0;
    layout->overflowed |= layer.n_rows > INT_MAX || /* rows are counted in int everywhere else */
                          __builtin_mul_overflow(layer.n_heads, layer.n_rows, &n);
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
    struct recurrent_state recurrent;
    for (int i = 0; i < shape->n_layers && !layout.overflowed; i++)
        lay_out_layer(shape, i, &layout);
    recurrent_state_lay_out(&recurrent, shape->n_state, &layout);
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
    if (!has_heads(shape) || shape->n_slack < 0 || shape->n_before < 0 ||
        shape->n_before >= KV_MARK_SPACING)
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
        .ring_from = shape->n_sinks,
        .block = block,
        .n_bytes = n_bytes,
    };
    struct layout layout = {.block = block};
    for (int i = 0; i < shape->n_layers; i++)
        cache->layers[i] = lay_out_layer(shape, i, &layout);
    recurrent_state_lay_out(&cache->recurrent, shape->n_state, &layout);
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

int64_t kv_first_visible(const struct kv_cache *cache, int64_t t)
{
    int64_t n_recent = cache->shape.n_window - cache->shape.n_sinks;
    return max_i64(cache->shape.n_sinks, t - n_recent + 1);
}

int64_t kv_cache_evicted(const struct kv_cache *cache)
{
    return max_i64(0, kv_first_visible(cache, cache->position) - cache->shape.n_sinks);
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
    int64_t from = kv_first_visible(cache, t);
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
    if (cache->shape.n_before > 0)
        cache->short_from =
            max_i64(cache->short_from, cache->position - kv_short_ring(&cache->shape));
}

int kv_cache_short_row(const struct kv_cache *cache, int64_t position)
{
    return (int)(position % kv_short_ring(&cache->shape));
}

int kv_cache_mark_row(const struct kv_cache *cache, int64_t position)
{
    int64_t n_before = cache->shape.n_before, mark = position / KV_MARK_SPACING;
    int64_t distance = (mark + 1) * KV_MARK_SPACING - position; /* to the next mark */
    int64_t n_staying = cache->shape.n_sinks / KV_MARK_SPACING; /* marks among sinks, as these do */
    if (distance > n_before)
        return -1;
    if (mark >= n_staying)
        mark = n_staying + (mark - n_staying) % (n_marks(&cache->shape) - n_staying);
    return (int)(kv_short_ring(&cache->shape) + (mark + 1) * n_before - distance);
}

uint64_t kv_row_bytes(const struct kv_layer *layer, enum kv_type type)
{
    uint64_t n_scales = type == KV_Q8 ? 2 * sizeof(float) : 0;
    return layer->n_heads * (layer->k_bytes + layer->v_bytes + n_scales);
}

uint64_t kv_shape_touched_bytes(const struct kv_shape *shape, int64_t n)
{
    enum { PAGE = 4096 };
    size_t most = kv_shape_bytes(shape);
    if (most == SIZE_MAX)
        return UINT64_MAX;
    if (n >= (int64_t)shape->n_window + shape->n_slack)
        return most;
    struct kv_short_rows few = kv_short_rows(shape, n);
    uint64_t n_bytes = 0;
    for (int i = 0; i < shape->n_layers && n > 0; i++) {
        struct kv_layer layer = layer_of(shape, i);
        int64_t n_rows = kv_is_short(&layer) ? few.in_ring + few.at_marks : n;
        n_bytes += (uint64_t)n_rows * kv_row_bytes(&layer, shape->type);
        n_bytes += 2 * PAGE * layer.n_heads; /* a head's rows begin and end inside a page */
    }
    n_bytes += n > 0 ? (1 + KV_N_MARKS) * shape->n_state * sizeof(float) : 0;
    return n_bytes < most ? n_bytes : most;
}

uint64_t kv_cache_touched_bytes(const struct kv_cache *cache)
{
    return kv_shape_touched_bytes(&cache->shape, cache->furthest);
}

float *kv_cache_numbers(struct kv_cache *cache)
{
    return cache->recurrent.now;
}

static size_t row_index(const struct kv_layer *layer, int head, int row)
{
    return (size_t)head * layer->n_rows + (size_t)row;
}

void *kv_cache_k(struct kv_cache *cache, int layer, int head, int row)
{
    const struct kv_layer *of = &cache->layers[layer];
    return of->k + row_index(of, head, row) * of->k_bytes;
}

void *kv_cache_v(struct kv_cache *cache, int layer, int head, int row)
{
    const struct kv_layer *of = &cache->layers[layer];
    return of->v + row_index(of, head, row) * of->v_bytes;
}

float *kv_cache_k_scale(struct kv_cache *cache, int layer, int head, int row)
{
    const struct kv_layer *of = &cache->layers[layer];
    return of->k_scale == NULL ? NULL : of->k_scale + row_index(of, head, row);
}

float *kv_cache_v_scale(struct kv_cache *cache, int layer, int head, int row)
{
    const struct kv_layer *of = &cache->layers[layer];
    return of->v_scale == NULL ? NULL : of->v_scale + row_index(of, head, row);
}
