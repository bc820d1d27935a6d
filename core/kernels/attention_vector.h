/* attention_vector.h - attention of one token, for all heads that share keys and values.
 *
 * Rows are taken in blocks that stay in the first-level cache: scores of all heads, then the online
 * softmax (arXiv 2205.14135), then the weighted values. Included after kernels_vector.h. */
#ifndef CORE_KERNELS_ATTENTION_VECTOR_H
#define CORE_KERNELS_ATTENTION_VECTOR_H

#include "core/kernels/kernels_vector.h"

enum {
    BLOCK_ROWS = 32, /* a multiple of 16 */
    BLOCK_HEADS = 8, /* heads that are computed together; more heads read the rows again */
    WIDENED_DIM = 256,
};

/* Some heads and some rows of one segment. */
struct attention_block {
    const struct attention_query *query;
    const struct attention_rows *rows;
    int first_head;
    int n_heads;
    int first_row;
    int n_rows;
    _Alignas(64) float score[BLOCK_HEADS][BLOCK_ROWS]; /* then the weights */
    float sum[BLOCK_HEADS][16];                        /* of weights so far, a part to a lane */
    /* When so many heads read them that this pays: keys or values as floats, and 16 keys at a time
     * with their elements side by side, [BLOCK_ROWS / 16, head_dim, 16]. */
    _Alignas(64) float widened[BLOCK_ROWS * WIDENED_DIM];
    _Alignas(64) float turned[BLOCK_ROWS * WIDENED_DIM];
};

/* Where the block's keys or values lie, in a type that the compiler knows. */
struct lines {
    const uint8_t *p;
    size_t stride; /* bytes from row to row */
    int n;         /* elements that can be read; those beyond head_dim are 0 */
};

SIMD size_t kv_bytes(enum kv_type type)
{
    return type == KV_F32 ? 4 : type == KV_Q8 ? 1 : 2;
}

SIMD struct f32x16 kv_load(enum kv_type type, const uint8_t *p)
{
    if (type == KV_F16)
        return f32x16_from_f16((const uint16_t *)p);
    if (type == KV_BF16)
        return f32x16_from_bf16((const uint16_t *)p);
    if (type == KV_Q8)
        return f32x16_from_i8((const int8_t *)p);
    return f32x16_load((const float *)p);
}

/* Elements i .. i+15 of a row of n; when n ends before (is_part), zeros beyond its end. */
SIMD struct f32x16 kv_lanes(enum kv_type type, const uint8_t *row, int n, int i, bool is_part)
{
    const uint8_t *p = row + kv_bytes(type) * (size_t)i;
    if (!is_part || n - i >= 16)
        return kv_load(type, p);
    uint8_t last[16 * sizeof(float)] = {0};
    memcpy(last, p, kv_bytes(type) * (size_t)((n - i) & 15));
    return kv_load(type, last);
}

SIMD struct f32x16 lanes(const float *x, int n, int i, bool is_part)
{
    return is_part ? load_lanes(x, n, i) : f32x16_load(x + i);
}

SIMD struct lines lines_at(enum kv_type type, const struct attention_block *block, const void *rows,
                           int n)
{
    size_t stride = kv_bytes(type) * (size_t)n;
    return (struct lines){(const uint8_t *)rows + stride * (size_t)block->first_row, stride, n};
}

SIMD struct lines widen_lines(enum kv_type type, struct attention_block *block, const void *rows,
                              int n)
{
    struct lines from = lines_at(type, block, rows, n);
    int width = (n + 15) / 16 * 16;
    for (int row = 0; row < block->n_rows; row++, from.p += from.stride) {
        float *to = block->widened + row * width;
        int i = 0;
        for (; i + 16 <= n; i += 16)
            f32x16_store(to + i, kv_lanes(type, from.p, n, i, false));
        if (i < n)
            f32x16_store(to + i, kv_lanes(type, from.p, n, i, true));
    }
    memset(block->widened + block->n_rows * width, 0,
           sizeof(float) * (size_t)((BLOCK_ROWS - block->n_rows) * width));
    return (struct lines){(const uint8_t *)block->widened, sizeof(float) * (size_t)width, width};
}

/* Adds 16 elements of q.k of H heads and SIMD_TILE_KEYS rows. */
SIMD void score_step(enum kv_type type, int H, bool is_part, const float *q, int n,
                     const uint8_t *const *rows, int n_lines, int i, struct f32x16 *sums)
{
    enum { R = SIMD_TILE_KEYS };
    struct f32x16 ks[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
        ks[r] = kv_lanes(type, rows[r], n_lines, i, is_part);
#pragma GCC unroll 16
    for (int h = 0; h < H; h++) {
        struct f32x16 qs = lanes(q + h * n, n, i, is_part);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++)
            sums[h * R + r] = f32x16_fma(qs, ks[r], sums[h * R + r]);
    }
}

/* q.k of H heads and SIMD_TILE_KEYS rows. */
SIMD void score_tile(enum kv_type type, int H, struct attention_block *block,
                     const struct lines *keys, int head, int row)
{
    enum { R = SIMD_TILE_KEYS };
    const struct attention_query *query = block->query;
    const int n = query->head_dim;
    const float *q =
        (block->rows->is_sink ? query->q_sink : query->q_ring) + (block->first_head + head) * n;
    const uint8_t *rows[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) /* the last row stands in for those beyond the end */
        rows[r] = keys->p +
                  keys->stride * (size_t)(row + r < block->n_rows ? row + r : block->n_rows - 1);

    struct f32x16 sums[SIMD_TILE_HEADS * R + 3];
#pragma GCC unroll 32
    for (int i = 0; i < H * R + 3; i++)
        sums[i] = f32x16_set(0);
    int i = 0;
    for (; i + 16 <= n; i += 16)
        score_step(type, H, false, q, n, rows, keys->n, i, sums);
    if (i < n)
        score_step(type, H, true, q, n, rows, keys->n, i, sums);

    float scores[SIMD_TILE_HEADS * R + 3];
#pragma GCC unroll 16
    for (i = 0; i < H * R; i += 4)
        f32x16_sum_each(scores + i, sums[i], sums[i + 1], sums[i + 2], sums[i + 3]);
#pragma GCC unroll 16
    for (int h = 0; h < H; h++)
        memcpy(block->score[head + h] + row, scores + h * R, R * sizeof scores[0]);
}

SIMD void score_block(enum kv_type type, struct attention_block *block, struct lines keys)
{
    for (int row = 0; row < block->n_rows; row += SIMD_TILE_KEYS) {
        int head = 0;
        for (; head + SIMD_TILE_HEADS <= block->n_heads; head += SIMD_TILE_HEADS)
            score_tile(type, SIMD_TILE_HEADS, block, &keys, head, row);
        for (; head < block->n_heads; head++)
            score_tile(type, 1, block, &keys, head, row);
    }
}

/* cap * tanh(x / cap) */
SIMD struct f32x16 soft_cap(struct f32x16 x, float cap)
{
    struct f32x16 e = vector_exp(f32x16_mul(x, f32x16_set(2 / cap)));
    struct f32x16 rest = f32x16_div(f32x16_set(2 * cap), f32x16_add(e, f32x16_set(1)));
    return f32x16_sub(f32x16_set(cap), rest);
}

/* From q.k to scores of rows i .. i+15. */
SIMD struct f32x16 finish_scores(const struct attention_block *block, int head, int i)
{
    static const float lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const struct attention_query *query = block->query;
    const struct attention_rows *rows = block->rows;
    struct f32x16 s = f32x16_mul(f32x16_load(block->score[head] + i), f32x16_set(query->scale));
    if (rows->k_scale != NULL)
        s = f32x16_mul(s, load_lanes(rows->k_scale + block->first_row, block->n_rows, i));
    if (query->soft_cap > 0)
        s = soft_cap(s, query->soft_cap);
    if (query->slopes != NULL) {
        float nearest = (float)(rows->first_distance - block->first_row - i);
        struct f32x16 distance = f32x16_sub(f32x16_set(nearest), f32x16_load(lane_numbers));
        s = f32x16_fnma(f32x16_set(query->slopes[block->first_head + head]), distance, s);
    }
    return s;
}

/* Turns scores into weights relative to state->max; returns what older weights shrink to. That
 * maximum follows only scores that are HEADROOM above it, so that most blocks find none. */
SIMD float weigh_scores(bool is_part, struct attention_block *block, int head,
                        struct attention_state *state)
{
    enum { HEADROOM = 8 };
    const struct attention_rows *rows = block->rows;
    float *score = block->score[head], keep = 1;
    struct f32x16 s[BLOCK_ROWS / 16], largest = f32x16_set(-INFINITY);
    const int n_rows = is_part ? block->n_rows : BLOCK_ROWS;
#pragma GCC unroll 4
    for (int i = 0; i < n_rows; i += 16) {
        s[i / 16] = finish_scores(block, head, i);
        if (is_part && n_rows - i < 16)
            s[i / 16] = f32x16_first(s[i / 16], n_rows - i, -INFINITY);
        largest = f32x16_max(s[i / 16], largest);
    }
    if (f32x16_any_above(largest, f32x16_set(state->max + HEADROOM))) {
        float max = f32x16_largest(largest);
        keep = expf(state->max - max);
        state->max = max;
    }
    struct f32x16 sum = f32x16_mul(f32x16_load(block->sum[head]), f32x16_set(keep));
#pragma GCC unroll 4
    for (int i = 0; i < n_rows; i += 16) {
        struct f32x16 weight = vector_exp(f32x16_sub(s[i / 16], f32x16_set(state->max)));
        if (is_part && n_rows - i < 16)
            weight = f32x16_first(weight, n_rows - i, 0);
        sum = f32x16_add(sum, weight);
        if (rows->v_scale != NULL)
            weight =
                f32x16_mul(weight, load_lanes(rows->v_scale + block->first_row, block->n_rows, i));
        f32x16_store(score + i, weight);
    }
    f32x16_store(block->sum[head], sum);
    return keep;
}

SIMD void weigh_block(struct attention_block *block, struct attention_state *states, float *keep)
{
    for (int head = 0; head < block->n_heads; head++)
        keep[head] = block->n_rows == BLOCK_ROWS ? weigh_scores(false, block, head, &states[head])
                                                 : weigh_scores(true, block, head, &states[head]);
}

/* Before the first block, and after the last. */
SIMD void begin_states(struct attention_block *block, struct attention_state *states)
{
    for (int head = 0; head < block->n_heads; head++) {
        states[head].max = -INFINITY;
        f32x16_store(block->sum[head], f32x16_set(0));
    }
}

SIMD void end_states(const struct attention_block *block, struct attention_state *states)
{
    for (int head = 0; head < block->n_heads; head++)
        states[head].sum = f32x16_sum(f32x16_load(block->sum[head]));
}

/* y = y * keep + weights * values, for H heads and two vectors of columns. */
SIMD void add_columns(enum kv_type type, int H, bool is_part, const struct attention_block *block,
                      const struct lines *values, int head, const float *keep, float *y, int i)
{
    const int n = block->query->head_dim_v;
    struct f32x16 sums[SIMD_TILE_PAIRS][2];
    const bool has_second = !is_part || n - i > 16;
#pragma GCC unroll 16
    for (int h = 0; h < H; h++) {
        struct f32x16 k = f32x16_set(keep[head + h]);
        sums[h][0] = f32x16_mul(lanes(y + h * n, n, i, is_part), k);
        sums[h][1] =
            has_second ? f32x16_mul(lanes(y + h * n, n, i + 16, is_part), k) : f32x16_set(0);
    }
    const uint8_t *p = values->p;
    for (int row = 0; row < block->n_rows; row++, p += values->stride) {
        struct f32x16 v0 = kv_lanes(type, p, values->n, i, is_part);
        struct f32x16 v1 =
            has_second ? kv_lanes(type, p, values->n, i + 16, is_part) : f32x16_set(0);
#pragma GCC unroll 16
        for (int h = 0; h < H; h++) {
            struct f32x16 weight = f32x16_set(block->score[head + h][row]);
            sums[h][0] = f32x16_fma(weight, v0, sums[h][0]);
            sums[h][1] = f32x16_fma(weight, v1, sums[h][1]);
        }
    }
#pragma GCC unroll 16
    for (int h = 0; h < H; h++) {
        store_lanes(y + h * n, sums[h][0], n, i);
        if (has_second)
            store_lanes(y + h * n, sums[h][1], n, i + 16);
    }
}

SIMD void add_values(enum kv_type type, int H, const struct attention_block *block,
                     const struct lines *values, int head, const float *keep, float *out)
{
    const int n = block->query->head_dim_v;
    float *y = out + (block->first_head + head) * n;
    int i = 0;
    for (; i + 32 <= n; i += 32)
        add_columns(type, H, false, block, values, head, keep, y, i);
    if (i < n)
        add_columns(type, H, true, block, values, head, keep, y, i);
}

SIMD void add_block_values(enum kv_type type, const struct attention_block *block,
                           struct lines values, const float *keep, float *out)
{
    int head = 0;
    for (; head + SIMD_TILE_PAIRS <= block->n_heads; head += SIMD_TILE_PAIRS)
        add_values(type, SIMD_TILE_PAIRS, block, &values, head, keep, out);
    for (; head < block->n_heads; head++)
        add_values(type, 1, block, &values, head, keep, out);
}

static void turn_keys(struct attention_block *block, struct lines keys)
{
    for (int row = 0; row < BLOCK_ROWS; row += 16)
        for (int i = 0; i < keys.n; i += 16)
            u8x64_transpose((uint8_t *)(block->turned + row * keys.n + i * 16),
                            (const uint8_t *)(block->widened + row * keys.n + i), keys.stride);
}

/* q.k of H heads and 32 turned keys, a key to a lane. */
SIMD void score_turned_tile(int H, struct attention_block *block, int n_lines, int head)
{
    const struct attention_query *query = block->query;
    const int n = query->head_dim;
    const float *q =
        (block->rows->is_sink ? query->q_sink : query->q_ring) + (block->first_head + head) * n;
    const float *first = block->turned, *second = block->turned + 16 * n_lines;
    struct f32x16 sums[SIMD_TILE_PAIRS][2];
#pragma GCC unroll 16
    for (int h = 0; h < H; h++)
        sums[h][0] = sums[h][1] = f32x16_set(0);
    for (int i = 0; i < n; i++) {
        struct f32x16 k0 = f32x16_load(first + 16 * i), k1 = f32x16_load(second + 16 * i);
#pragma GCC unroll 16
        for (int h = 0; h < H; h++) {
            struct f32x16 qs = f32x16_set(q[h * n + i]);
            sums[h][0] = f32x16_fma(qs, k0, sums[h][0]);
            sums[h][1] = f32x16_fma(qs, k1, sums[h][1]);
        }
    }
#pragma GCC unroll 16
    for (int h = 0; h < H; h++) {
        f32x16_store(block->score[head + h], sums[h][0]);
        f32x16_store(block->score[head + h] + 16, sums[h][1]);
    }
}

/* Once for all types. */
static __attribute__((noinline)) void score_widened(struct attention_block *block,
                                                    struct lines keys)
{
    turn_keys(block, keys);
    int head = 0;
    for (; head + SIMD_TILE_PAIRS <= block->n_heads; head += SIMD_TILE_PAIRS)
        score_turned_tile(SIMD_TILE_PAIRS, block, keys.n, head);
    for (; head < block->n_heads; head++)
        score_turned_tile(1, block, keys.n, head);
}

static __attribute__((noinline)) void
add_widened(const struct attention_block *block, struct lines values, const float *keep, float *out)
{
    add_block_values(KV_F32, block, values, keep, out);
}

SIMD bool pays_to_widen(const struct attention_block *block, int n, int n_at_once)
{
    return block->n_heads > n_at_once && n <= WIDENED_DIM;
}

/* The block after this one, while this one is computed. */
SIMD void prefetch_next(enum kv_type type, const struct attention_block *block, const void *rows,
                        int n)
{
    int begin = block->first_row + block->n_rows;
    int n_left = block->rows->n_rows - begin;
    size_t row_bytes = kv_bytes(type) * (size_t)n;
    const uint8_t *p = (const uint8_t *)rows + row_bytes * (size_t)begin;
    size_t n_bytes = row_bytes * (size_t)(n_left < BLOCK_ROWS ? n_left : BLOCK_ROWS);
    for (size_t i = 0; i < n_bytes; i += 64)
        _mm_prefetch((const void *)(p + i), _MM_HINT_T0);
}

SIMD void attend_block(enum kv_type type, struct attention_block *block,
                       struct attention_state *states, float *out)
{
    float keep[BLOCK_HEADS];
    const struct attention_rows *rows = block->rows;
    int n_k = block->query->head_dim, n_v = block->query->head_dim_v;
    prefetch_next(type, block, rows->k, n_k);
    prefetch_next(type, block, rows->v, n_v);
    if (pays_to_widen(block, n_k, SIMD_TILE_HEADS))
        score_widened(block, widen_lines(type, block, rows->k, n_k));
    else
        score_block(type, block, lines_at(type, block, rows->k, n_k));
    weigh_block(block, states, keep);
    if (type != KV_F32 && pays_to_widen(block, n_v, SIMD_TILE_PAIRS))
        add_widened(block, widen_lines(type, block, rows->v, n_v), keep, out);
    else
        add_block_values(type, block, lines_at(type, block, rows->v, n_v), keep, out);
}

/* Those from `first` on, as many as a block has. */
SIMD void take_heads(struct attention_block *block, int first)
{
    int n_left = block->query->n_heads - first;
    block->first_head = first;
    block->n_heads = n_left < BLOCK_HEADS ? n_left : BLOCK_HEADS;
}

SIMD void take_rows(struct attention_block *block, int first)
{
    int n_left = block->rows->n_rows - first;
    block->first_row = first;
    block->n_rows = n_left < BLOCK_ROWS ? n_left : BLOCK_ROWS;
}

SIMD void attend_heads(enum kv_type type, struct attention_block *block,
                       const struct attention_rows *segments, int n_segments,
                       struct attention_state *states, float *out)
{
    begin_states(block, states);
    for (int s = 0; s < n_segments; s++) {
        block->rows = &segments[s];
        for (int row = 0; row < segments[s].n_rows; row += BLOCK_ROWS) {
            take_rows(block, row);
            attend_block(type, block, states, out);
        }
    }
    end_states(block, states);
    int n = block->query->head_dim_v;
    for (int head = 0; head < block->n_heads; head++) {
        float *y = out + (block->first_head + head) * n;
        struct f32x16 scale = f32x16_set(states[head].sum > 0 ? 1 / states[head].sum : 1);
        for (int i = 0; i < n; i += 16)
            store_lanes(y, f32x16_mul(load_lanes(y, n, i), scale), n, i);
    }
}

SIMD void attend(enum kv_type type, float *out, struct attention_state *out_states,
                 const struct attention_query *query, const struct attention_rows *segments,
                 int n_segments)
{
    struct attention_block block;
    block.query = query;
    memset(out, 0, (size_t)query->n_heads * (size_t)query->head_dim_v * sizeof *out);
    for (int head = 0; head < query->n_heads; head += BLOCK_HEADS) {
        struct attention_state states[BLOCK_HEADS];
        take_heads(&block, head);
        attend_heads(type, &block, segments, n_segments, states, out);
        if (out_states != NULL)
            memcpy(out_states + head, states, (size_t)block.n_heads * sizeof states[0]);
    }
}

static void attention(float *out, struct attention_state *out_states,
                      const struct attention_query *query, enum kv_type type,
                      const struct attention_rows *segments, int n_segments)
{
    switch (type) {
    case KV_F32:
        attend(KV_F32, out, out_states, query, segments, n_segments);
        break;
    case KV_F16:
        attend(KV_F16, out, out_states, query, segments, n_segments);
        break;
    case KV_BF16:
        attend(KV_BF16, out, out_states, query, segments, n_segments);
        break;
    case KV_Q8:
        attend(KV_Q8, out, out_states, query, segments, n_segments);
        break;
    }
}

#endif
