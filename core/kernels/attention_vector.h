/* attention_vector.h - attention of some tokens, for all heads that share keys and values, in
 * floats: scores of all queries, weights, weighted values. */
#ifndef CORE_KERNELS_ATTENTION_VECTOR_H
#define CORE_KERNELS_ATTENTION_VECTOR_H

#include "core/kernels/attention_block_vector.h"

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
        fetch_some(block);
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
        (block->rows->is_sink ? query->q_sink : query->q_ring) + (block->first_query + head) * n;
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
        for (int i = 0; i < 2 * SIMD_TILE_KEYS; i++)
            fetch_some(block);
        for (; head + SIMD_TILE_HEADS <= block->n_queries; head += SIMD_TILE_HEADS)
            score_tile(type, SIMD_TILE_HEADS, block, &keys, head, row);
        for (; head < block->n_queries; head++)
            score_tile(type, 1, block, &keys, head, row);
    }
}

/* y = y * keep + weights * values, for H heads and two vectors of columns. */
SIMD void add_columns(enum kv_type type, int H, bool is_part, struct attention_block *block,
                      const struct lines *values, int head, float *y, int i)
{
    const int n = block->query->head_dim_v;
    struct f32x16 sums[SIMD_TILE_PAIRS][2];
    const bool has_second = !is_part || n - i > 16;
#pragma GCC unroll 16
    for (int h = 0; h < H; h++) {
        struct f32x16 k = f32x16_set(block->keep[head + h]);
        sums[h][0] = f32x16_mul(lanes(y + h * n, n, i, is_part), k);
        sums[h][1] =
            has_second ? f32x16_mul(lanes(y + h * n, n, i + 16, is_part), k) : f32x16_set(0);
    }
    const uint8_t *p = values->p;
    for (int row = 0; row < block->n_rows; row++, p += values->stride) {
        struct f32x16 v0 = kv_lanes(type, p, values->n, i, is_part);
        struct f32x16 v1 =
            has_second ? kv_lanes(type, p, values->n, i + 16, is_part) : f32x16_set(0);
        fetch_some(block);
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

SIMD void add_values(enum kv_type type, int H, struct attention_block *block,
                     const struct lines *values, int head, float *out)
{
    const int n = block->query->head_dim_v;
    float *y = out + (block->first_query + head) * n;
    int i = 0;
    for (; i + 32 <= n; i += 32)
        add_columns(type, H, false, block, values, head, y, i);
    if (i < n)
        add_columns(type, H, true, block, values, head, y, i);
}

SIMD void add_block_values(enum kv_type type, struct attention_block *block, struct lines values,
                           float *out)
{
    int head = 0;
    for (; head + SIMD_TILE_PAIRS <= block->n_queries; head += SIMD_TILE_PAIRS)
        add_values(type, SIMD_TILE_PAIRS, block, &values, head, out);
    for (; head < block->n_queries; head++)
        add_values(type, 1, block, &values, head, out);
}

static void turn_keys(struct attention_block *block, struct lines keys)
{
    for (int row = 0; row < BLOCK_ROWS; row += 16)
        for (int i = 0; i < keys.n; i += 16)
            u8x64_transpose((uint8_t *)(block->turned + row * keys.n + i * 16),
                            (const uint8_t *)(block->widened + row * keys.n + i), keys.stride);
}

/* q.k of H heads and 32 turned keys, a key to a lane. */
SIMD void score_turned_tile(int H, struct attention_block *block, int n_lines, int head, int row)
{
    const struct attention_query *query = block->query;
    const int n = query->head_dim;
    const float *q =
        (block->rows->is_sink ? query->q_sink : query->q_ring) + (block->first_query + head) * n;
    const float *first = block->turned + row * n_lines, *second = first + 16 * n_lines;
    struct f32x16 sums[SIMD_TILE_PAIRS][2];
#pragma GCC unroll 16
    for (int h = 0; h < H; h++)
        sums[h][0] = sums[h][1] = f32x16_set(0);
    for (int i = 0; i < n; i++) {
        struct f32x16 k0 = f32x16_load(first + 16 * i), k1 = f32x16_load(second + 16 * i);
        fetch_some(block);
#pragma GCC unroll 16
        for (int h = 0; h < H; h++) {
            struct f32x16 qs = f32x16_set(q[h * n + i]);
            sums[h][0] = f32x16_fma(qs, k0, sums[h][0]);
            sums[h][1] = f32x16_fma(qs, k1, sums[h][1]);
        }
    }
#pragma GCC unroll 16
    for (int h = 0; h < H; h++) {
        f32x16_store(block->score[head + h] + row, sums[h][0]);
        f32x16_store(block->score[head + h] + row + 16, sums[h][1]);
    }
}

/* Once for all types. */
static __attribute__((noinline)) void score_widened(struct attention_block *block,
                                                    struct lines keys)
{
    for (int row = 0; row < block->n_rows; row += 32) {
        int head = 0;
        for (; head + SIMD_TILE_PAIRS <= block->n_queries; head += SIMD_TILE_PAIRS)
            score_turned_tile(SIMD_TILE_PAIRS, block, keys.n, head, row);
        for (; head < block->n_queries; head++)
            score_turned_tile(1, block, keys.n, head, row);
    }
}

static __attribute__((noinline)) void add_widened(struct attention_block *block,
                                                  struct lines values, float *out)
{
    add_block_values(KV_F32, block, values, out);
}

SIMD bool pays_to_widen(const struct attention_block *block, int n, int n_at_once)
{
    return block->n_of_pass > n_at_once && n <= WIDENED_DIM;
}

/* y / sum, where there were weights. */
SIMD void divide(float *y, int n, float sum)
{
    struct f32x16 scale = f32x16_set(sum > 0 ? 1 / sum : 1);
    for (int i = 0; i < n; i += 16)
        store_lanes(y, f32x16_mul(load_lanes(y, n, i), scale), n, i);
}

/* All queries of the pass meet the block's rows. */
SIMD void attend_rows(enum kv_type type, struct attention_block *block, float *out)
{
    const struct attention_rows *rows = block->rows;
    const int n_k = block->query->head_dim, n_v = block->query->head_dim_v;
    const bool is_turned = pays_to_widen(block, n_k, SIMD_TILE_HEADS);
    const bool is_widened = type != KV_F32 && pays_to_widen(block, n_v, SIMD_TILE_PAIRS);
    plan_fetches(type, block);
    struct lines keys = lines_at(type, block, rows->k, n_k);
    struct lines values = lines_at(type, block, rows->v, n_v);
    if (is_turned) {
        keys = widen_lines(type, block, rows->k, n_k);
        turn_keys(block, keys);
    }
    if (is_widened)
        values = widen_lines(type, block, rows->v, n_v);
    for (int i = 0; i < block->n_of_pass; i += BLOCK_QUERIES) {
        take_queries(block, i);
        if (is_turned)
            score_widened(block, keys);
        else
            score_block(type, block, keys);
        weigh_block(block);
        if (is_widened)
            add_widened(block, values, out);
        else
            add_block_values(type, block, values, out);
    }
}

SIMD void attend(enum kv_type type, float *out, struct attention_state *out_states,
                 const struct attention_query *query, const struct attention_rows *segments,
                 int n_segments)
{
    struct attention_block block;
    const int n_queries = count_queries(query), n = query->head_dim_v;
    block.query = query;
    memset(out, 0, (size_t)n_queries * (size_t)n * sizeof *out);
    for (int first = 0; first < n_queries; first += PASS_QUERIES) {
        begin_pass(&block, first);
        for (int s = 0; s < n_segments; s++) {
            block.rows = &segments[s];
            for (int row = 0; row < segments[s].n_rows; row += BLOCK_ROWS) {
                take_rows(&block, row);
                attend_rows(type, &block, out);
            }
        }
        end_pass(&block, out_states);
        for (int i = 0; i < block.n_of_pass; i++)
            divide(out + (first + i) * n, n, block.states[i].sum);
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
