/* Of layers that are not short, rows 0 .. S-1 are the sinks, rows S .. S+C-1 the ring, C = R +
 * slack. One block of memory holds layer after layer: its keys, its values, then the scales of both
 * when the type has them; in each, head by head, row by row. Behind them is what layers without
 * rows carry. */
#include "core/model/kv_cache.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/err.h"
#include "core/base/layout.h"
#include "core/base/min_max.h"
#include "core/model/recurrent_state.h"

/* Where a layer's rows lie. */
struct kv_layer {
    size_t n_heads;
    size_t n_rows;            /* of each head */
    size_t k_bytes, v_bytes;  /* of one row */
    char *k, *v;              /* [n_heads, n_rows] of k_bytes, of v_bytes */
    float *k_scale, *v_scale; /* [n_heads, n_rows]; KV_Q8 only */
};

static bool is_short(const struct kv_layer *layer)
{
    return layer->v_bytes == 0;
}

struct kv_cache {
    struct kv_shape shape;
    int n_ring;         /* C */
    int64_t position;   /* tokens fed */
    int64_t ring_from;  /* the ring holds tokens ring_from .. position-1 and no older ones, even
                           after a rewind */
    int64_t short_from; /* the same of short layers; 0 where there are none */
    int64_t furthest;   /* the most tokens that it ever held: memory is touched up to there */
    char *block;        /* the mapping of n_bytes */
    size_t n_bytes;
    struct recurrent_state recurrent;
    struct kv_layer layers[]; /* [n_layers] */
};

struct kv_heads kv_shape_heads(const struct kv_shape *shape, int layer)
{
    if (shape->layers != NULL)
        return shape->layers[layer];
    return (struct kv_heads){shape->n_kv_heads, shape->head_dim_k, shape->head_dim_v};
}

/* Of short layers: the ring of all their last tokens, and behind it, ... */
static int64_t short_ring(const struct kv_shape *shape)
{
    return (int64_t)shape->n_slack + 1 + shape->n_before;
}

/* ... at each mark, n_before rows: of as many marks as a rewind may reach. */
static int64_t n_marks(const struct kv_shape *shape)
{
    return ((int64_t)shape->n_window + shape->n_slack) / KV_MARK_SPACING + 2;
}

/* Rows of a head that are written when n tokens were fed, the next mark's among them. */
struct written_rows {
    int64_t in_ring;
    int64_t at_marks;
};
static struct written_rows short_rows(const struct kv_shape *shape, int64_t n)
{
    return (struct written_rows){
        .in_ring = min_i64(n, short_ring(shape)),
        .at_marks = min_i64(n / KV_MARK_SPACING + (n > 0), n_marks(shape)) * shape->n_before,
    };
}

static struct kv_layer layer_of(const struct kv_shape *shape, int layer)
{
    struct kv_heads heads = kv_shape_heads(shape, layer);
    struct written_rows all = short_rows(shape, INT64_MAX);
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
    if (cache->shape.n_before > 0)
        cache->short_from = max_i64(cache->short_from, cache->position - short_ring(&cache->shape));
}

int kv_cache_short_row(const struct kv_cache *cache, int64_t position)
{
    return (int)(position % short_ring(&cache->shape));
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
    return (int)(short_ring(&cache->shape) + (mark + 1) * n_before - distance);
}

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
    int64_t from = first_visible(cache, position);
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
        if (is_short(&cache->layers[i]))
            take_from_mark(cache, &cache->layers[i], position);
    }
    cache->short_from = first;
}

static void rewind_rows(struct kv_cache *cache, int64_t position)
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
    rewind_rows(cache, position);
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
    struct written_rows rows = short_rows(&cache->shape, cache->position);
    return (struct kv_stretches){
        .of = {{0, (size_t)rows.in_ring},
               {(size_t)short_ring(&cache->shape), (size_t)rows.at_marks}},
    };
}

static struct kv_stretches live_rows_of(const struct kv_cache *cache, const struct kv_layer *layer)
{
    return is_short(layer) ? live_short_rows(cache) : live_rows(cache);
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
        for (int i = 0; i < 3 && is_short(&to->layers[layer]) == are_short; i++)
            copy_rows(&to->layers[layer], &from->layers[layer], rows.of[i].first, rows.of[i].n);
    }
}

void kv_cache_copy(struct kv_cache *to, const struct kv_cache *from, int64_t position)
{
    struct kv_state state = kv_cache_state(from);
    kv_cache_set_state(to, &state);
    copy_layers(to, from, true); /* going back may need any of them */
    rewind_rows(to, position);
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
    int64_t most = cache->shape.n_before == 0 ? 0 : short_ring(&cache->shape);
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

/* What one row of a layer takes in all heads. */
static uint64_t row_bytes(const struct kv_layer *layer, enum kv_type type)
{
    uint64_t n_scales = type == KV_Q8 ? 2 * sizeof(float) : 0;
    return layer->n_heads * (layer->k_bytes + layer->v_bytes + n_scales);
}

uint64_t kv_cache_live_bytes(const struct kv_cache *cache)
{
    uint64_t n_bytes = recurrent_state_bytes(&cache->recurrent);
    for (int i = 0; i < cache->shape.n_layers; i++) {
        struct kv_stretches rows = live_rows_of(cache, &cache->layers[i]);
        n_bytes += (rows.of[0].n + rows.of[1].n + rows.of[2].n) *
                   row_bytes(&cache->layers[i], cache->shape.type);
    }
    return n_bytes;
}

uint64_t kv_shape_touched_bytes(const struct kv_shape *shape, int64_t n)
{
    enum { PAGE = 4096 };
    size_t most = kv_shape_bytes(shape);
    if (most == SIZE_MAX)
        return UINT64_MAX;
    if (n >= (int64_t)shape->n_window + shape->n_slack)
        return most;
    struct written_rows few = short_rows(shape, n);
    uint64_t n_bytes = 0;
    for (int i = 0; i < shape->n_layers && n > 0; i++) {
        struct kv_layer layer = layer_of(shape, i);
        int64_t n_rows = is_short(&layer) ? few.in_ring + few.at_marks : n;
        n_bytes += (uint64_t)n_rows * row_bytes(&layer, shape->type);
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
