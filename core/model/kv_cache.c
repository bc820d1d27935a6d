/* Rows 0 .. S-1 are the sinks, rows S .. S+C-1 the ring, C = R + slack. One block of memory holds
 * all keys, all values, then the scales of both when the type has them; in each, layer by layer,
 * head by head, row by row. */
#include "core/model/kv_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/err.h"

struct kv_cache {
    struct kv_shape shape;
    int n_ring;        /* C */
    size_t n_rows;     /* S + C, of one layer and head */
    size_t k_bytes;    /* of one row */
    size_t v_bytes;    /* of one row */
    int64_t position;  /* tokens fed */
    int64_t ring_from; /* the ring holds tokens ring_from .. position-1 and no older ones, even
                          after a rewind */
    int64_t furthest;  /* the most tokens that it ever held: memory is touched up to there */
    size_t n_bytes;
    char *k;        /* [n_layers, n_kv_heads, n_rows] of k_bytes; start of the mapping */
    char *v;        /* [n_layers, n_kv_heads, n_rows] of v_bytes */
    float *k_scale; /* [n_layers, n_kv_heads, n_rows]; KV_Q8 only */
    float *v_scale;
};

/* Offsets of the parts inside the block; false when a size does not fit. */
struct kv_layout {
    size_t n_rows, k_bytes, v_bytes, n_rows_total;
    size_t v_offset, k_scale_offset, v_scale_offset, n_bytes;
};

enum { PART_ALIGNMENT = 64 };

/* *offset += n * each, rounded up so that the next part is aligned. */
static bool append(size_t *offset, size_t n, size_t each)
{
    size_t n_bytes;
    if (__builtin_mul_overflow(n, each, &n_bytes) ||
        __builtin_add_overflow(*offset, n_bytes, offset) ||
        __builtin_add_overflow(*offset, PART_ALIGNMENT - 1, offset))
        return false;
    *offset = *offset / PART_ALIGNMENT * PART_ALIGNMENT;
    return true;
}

static bool lay_out(const struct kv_shape *shape, struct kv_layout *out)
{
    struct kv_layout layout = {0};
    size_t n_scales;
    /* Rows are counted in int everywhere else. */
    int64_t n_rows = (int64_t)shape->n_window + shape->n_slack;
    if (n_rows > INT32_MAX)
        return false;
    layout.n_rows = (size_t)n_rows;
    layout.k_bytes = (size_t)shape->head_dim_k * kv_type_bytes(shape->type);
    layout.v_bytes = (size_t)shape->head_dim_v * kv_type_bytes(shape->type);
    if (__builtin_mul_overflow((size_t)shape->n_layers, (size_t)shape->n_kv_heads,
                               &layout.n_rows_total) ||
        __builtin_mul_overflow(layout.n_rows_total, layout.n_rows, &layout.n_rows_total))
        return false;
    n_scales = shape->type == KV_Q8 ? layout.n_rows_total : 0;
    if (!append(&layout.n_bytes, layout.n_rows_total, layout.k_bytes))
        return false;
    layout.v_offset = layout.n_bytes;
    if (!append(&layout.n_bytes, layout.n_rows_total, layout.v_bytes))
        return false;
    layout.k_scale_offset = layout.n_bytes;
    if (!append(&layout.n_bytes, n_scales, sizeof(float)))
        return false;
    layout.v_scale_offset = layout.n_bytes;
    if (!append(&layout.n_bytes, n_scales, sizeof(float)))
        return false;
    *out = layout;
    return true;
}

size_t kv_shape_bytes(const struct kv_shape *shape)
{
    struct kv_layout layout;
    return lay_out(shape, &layout) ? layout.n_bytes : SIZE_MAX;
}

static bool check_shape(const struct kv_shape *shape, struct err *err)
{
    if (shape->n_layers < 1 || shape->n_kv_heads < 1 || shape->head_dim_k < 1 ||
        shape->head_dim_v < 1 || shape->n_slack < 0)
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
    struct kv_layout layout;
    if (!check_shape(shape, err))
        return false;
    if (!lay_out(shape, &layout))
        return err_set(err, ERR_LIMIT,
                       "a window of %d tokens is more than this machine can address",
                       shape->n_window);
    struct kv_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return err_no_memory(err, "a conversation");
    /* NORESERVE: a conversation pays for the rows that it has written, not for its window. */
    char *block = mmap(NULL, layout.n_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) {
        free(cache);
        return err_set(err, ERR_MEMORY, "cannot reserve %zu bytes for a conversation: %s",
                       layout.n_bytes, strerror(errno));
    }
    *cache = (struct kv_cache){
        .shape = *shape,
        .n_ring = shape->n_window - shape->n_sinks + shape->n_slack,
        .n_rows = layout.n_rows,
        .k_bytes = layout.k_bytes,
        .v_bytes = layout.v_bytes,
        .ring_from = shape->n_sinks,
        .n_bytes = layout.n_bytes,
        .k = block,
        .v = block + layout.v_offset,
    };
    if (shape->type == KV_Q8) {
        cache->k_scale = (float *)(void *)(block + layout.k_scale_offset);
        cache->v_scale = (float *)(void *)(block + layout.v_scale_offset);
    }
    *out = cache;
    return true;
}

void kv_cache_close(struct kv_cache **cache_ptr)
{
    struct kv_cache *cache = *cache_ptr;
    if (cache == NULL)
        return;
    munmap(cache->k, cache->n_bytes);
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

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
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

/* The same rows of each layer and head. */
static void copy_rows(struct kv_cache *to, const struct kv_cache *from, size_t first, size_t n)
{
    size_t n_heads = (size_t)from->shape.n_layers * (size_t)from->shape.n_kv_heads;
    for (size_t i = first; n > 0 && i < n_heads * from->n_rows; i += from->n_rows) {
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
    for (int i = 0; i < 3; i++)
        copy_rows(to, from, rows.of[i].first, rows.of[i].n);
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

bool kv_cache_walk(struct kv_cache *cache, kv_cache_bytes_fn *fn, void *arg)
{
    struct kv_stretches rows = live_rows(cache);
    size_t n_heads = (size_t)cache->shape.n_layers * (size_t)cache->shape.n_kv_heads;
    for (size_t i = 0; i < n_heads * cache->n_rows; i += cache->n_rows) {
        if (!walk_part(cache->k + i * cache->k_bytes, cache->k_bytes, &rows, fn, arg) ||
            !walk_part(cache->v + i * cache->v_bytes, cache->v_bytes, &rows, fn, arg))
            return false;
        if (cache->k_scale != NULL &&
            (!walk_part((char *)(cache->k_scale + i), sizeof(float), &rows, fn, arg) ||
             !walk_part((char *)(cache->v_scale + i), sizeof(float), &rows, fn, arg)))
            return false;
    }
    return true;
}

uint64_t kv_cache_live_bytes(const struct kv_cache *cache)
{
    struct kv_stretches rows = live_rows(cache);
    uint64_t n_rows = rows.of[0].n + rows.of[1].n + rows.of[2].n;
    uint64_t n_heads = (uint64_t)cache->shape.n_layers * (uint64_t)cache->shape.n_kv_heads;
    size_t n_scales = cache->k_scale == NULL ? 0 : 2 * sizeof(float);
    return n_rows * n_heads * (cache->k_bytes + cache->v_bytes + n_scales);
}

uint64_t kv_shape_touched_bytes(const struct kv_shape *shape, int64_t n)
{
    enum { PAGE = 4096 };
    struct kv_layout layout;
    if (!lay_out(shape, &layout))
        return UINT64_MAX;
    if (n >= (int64_t)layout.n_rows)
        return layout.n_bytes;
    /* Each head's rows begin and end inside a page. */
    uint64_t n_heads = (uint64_t)shape->n_layers * (uint64_t)shape->n_kv_heads;
    uint64_t of_head = (uint64_t)n * (layout.k_bytes + layout.v_bytes) + (n > 0 ? 2 * PAGE : 0);
    if (shape->type == KV_Q8)
        of_head += (uint64_t)n * 2 * sizeof(float);
    return n_heads * of_head < layout.n_bytes ? n_heads * of_head : layout.n_bytes;
}

uint64_t kv_cache_touched_bytes(const struct kv_cache *cache)
{
    return kv_shape_touched_bytes(&cache->shape, cache->furthest);
}

static size_t row_index(const struct kv_cache *cache, int layer, int head, int row)
{
    size_t head_index = (size_t)layer * (size_t)cache->shape.n_kv_heads + (size_t)head;
    return head_index * cache->n_rows + (size_t)row;
}

void *kv_cache_k(struct kv_cache *cache, int layer, int head, int row)
{
    return cache->k + row_index(cache, layer, head, row) * cache->k_bytes;
}

void *kv_cache_v(struct kv_cache *cache, int layer, int head, int row)
{
    return cache->v + row_index(cache, layer, head, row) * cache->v_bytes;
}

float *kv_cache_k_scale(struct kv_cache *cache, int layer, int head, int row)
{
    return cache->k_scale == NULL ? NULL : cache->k_scale + row_index(cache, layer, head, row);
}

float *kv_cache_v_scale(struct kv_cache *cache, int layer, int head, int row)
{
    return cache->v_scale == NULL ? NULL : cache->v_scale + row_index(cache, layer, head, row);
}
