/* attention_vector.h - attention of some tokens, for all heads that share keys and values, in
 * floats: scores of all queries, weights, weighted values. Rows are of WIDENED_DIM elements at
 * most. */
#ifndef CORE_KERNELS_ATTENTION_VECTOR_H
#define CORE_KERNELS_ATTENTION_VECTOR_H

#include "core/kernels/attention_block_vector.h"

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

/* The block's rows where they lie. While they are read, as many that follow are fetched. */
SIMD struct lines lines_at(enum kv_type type, const struct attention_block *block, const void *rows,
                           int n)
{
    size_t stride = kv_bytes(type) * (size_t)n;
    bool is_last = block->first_row + block->n_rows >= block->rows->n_rows;
    return (struct lines){(const uint8_t *)rows + stride * (size_t)block->first_row, stride, n,
                          is_last ? 0 : (size_t)whole_block(type) * stride};
}

SIMD struct lines widen_lines(enum kv_type type, struct attention_block *block, const void *rows,
                              int n)
{
    struct lines from = lines_at(type, block, rows, n);
    int width = (n + 15) / 16 * 16;
    for (int row = 0; row < block->n_rows; row++) {
        const uint8_t *p = line_of(&from, row);
        prefetch(p + from.ahead, from.stride);
        float *to = block->widened + row * width;
        int i = 0;
        for (; i + 16 <= n; i += 16)
            f32x16_store(to + i, kv_lanes(type, p, n, i, false));
        if (i < n)
            f32x16_store(to + i, kv_lanes(type, p, n, i, true));
    }
    memset(block->widened + block->n_rows * width, 0,
           sizeof(float) * (size_t)((FLOAT_ROWS - block->n_rows) * width));
    return (struct lines){(const uint8_t *)block->widened, sizeof(float) * (size_t)width, width, 0};
}

/* ---- scores of few queries: four of them in the lanes of a vector, or one alone ---- */

/* Floats of a row, in whole vectors. */
SIMD int padded_dim(const struct attention_block *block)
{
    return (block->query->head_dim + 15) / 16 * 16;
}

/* 16 elements of four queries (of which n_left are left) at a time: vector j has elements j, 4 + j,
 * 8 + j, 12 + j of each, a query to a lane of each four. */
SIMD void lay_four_queries(const float *q, int n, int n_left, float *to)
{
    for (int i = 0; i < n; i += 16, to += 64) {
        struct f32x16 queries[4], elements[4];
        for (int h = 0; h < 4; h++)
            queries[h] = h < n_left ? load_lanes(q + h * n, n, i) : f32x16_set(0);
        f32x16_transpose_fours(elements, queries);
        for (int j = 0; j < 4; j++)
            f32x16_store(to + 16 * j, elements[j]);
    }
}

/* A pass of one query keeps it as it is. */
SIMD void lay_queries(const struct attention_block *block, const float *q, float *to)
{
    const int n = block->query->head_dim;
    q += block->first_of_pass * n;
    for (int i = 0; i < n && block->n_of_pass == 1; i += 16)
        f32x16_store(to + i, load_lanes(q, n, i));
    for (int i = 0; i < block->n_of_pass && block->n_of_pass > 1; i += 4)
        lay_four_queries(q + i * n, n, block->n_of_pass - i, to + i * padded_dim(block));
}

/* Adds 16 elements of q.k of H queries (8, 4 or 1) and R rows. As many bytes of other rows are
 * fetched from `next` on, a few at a time: all at once would fill the buffers in which lines are
 * awaited, and the step's own loads would wait behind them. */
SIMD void score_step(enum kv_type type, int H, int R, bool is_part, const float *q, int q_stride,
                     const uint8_t *const *rows, const uint8_t *next, int n, int i,
                     struct f32x16 *sums)
{
    const size_t column_bytes = kv_bytes(type) * (size_t)R;
    struct f32x16 ks[SIMD_TILE_SUMS];
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
        ks[r] = kv_lanes(type, rows[r], n, i, is_part);
#pragma GCC unroll 16
    for (int r = 0; r < R && H == 1; r++)
        sums[r] = f32x16_fma(f32x16_load(q + i), ks[r], sums[r]);
    if (H == 1)
        prefetch(next + column_bytes * (size_t)i, 16 * column_bytes);
#pragma GCC unroll 4
    for (int j = 0; j < 4 && H > 1; j++) {
        prefetch(next + column_bytes * (size_t)(i + 4 * j), 4 * column_bytes);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
            struct f32x16 k = f32x16_repeat_of_fours(ks[r], j);
#pragma GCC unroll 2
            for (int f = 0; f < H / 4; f++) {
                const float *four = q + 4 * (f * q_stride + i) + 16 * j;
                sums[f * R + r] = f32x16_fma(f32x16_load(four), k, sums[f * R + r]);
            }
        }
    }
}

/* Of 16 rows. Four r of a vector k is of row k + 4 r, with a query to a lane, or with parts of one
 * query's score. */
SIMD void store_scores(int H, struct attention_block *block, int head, int row,
                       struct f32x16 (*scores)[4])
{
    struct f32x16 in_order[4];
#pragma GCC unroll 2
    for (int h = 0; h < H; h += 4) {
        f32x16_transpose_fours(in_order, scores[h / 4]);
        if (H == 1)
            in_order[0] = f32x16_add(f32x16_add(in_order[0], in_order[1]),
                                     f32x16_add(in_order[2], in_order[3]));
        for (int i = 0; i < (H < 4 ? H : 4); i++)
            f32x16_store(block->score[head + h + i] + row, in_order[i]);
    }
}

/* q.k of H queries and 16 rows. Rows four apart are added up together, because that leaves sums
 * where a transposition within each four brings them in order. */
SIMD void score_tile(enum kv_type type, int H, struct attention_block *block,
                     const struct lines *keys, const float *q, int head, int row)
{
    const int n = block->query->head_dim, q_stride = padded_dim(block);
    const int R = H == 8 ? SIMD_TILE_SUMS / 2 : SIMD_TILE_SUMS;
    struct f32x16 scores[2][4];
    for (int k = 0; k < 4; k += R / 4) {
        const uint8_t *rows[SIMD_TILE_SUMS];
        struct f32x16 sums[SIMD_TILE_SUMS];
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) { /* the last row stands in for those beyond the end */
            int at = row + k + r / 4 + r % 4 * 4;
            rows[r] = line_of(keys, at < block->n_rows ? at : block->n_rows - 1);
        }
        const uint8_t *next = line_of(keys, row + 4 * k) + keys->ahead;
#pragma GCC unroll 16
        for (int i = 0; i < SIMD_TILE_SUMS; i++)
            sums[i] = f32x16_set(0);
        int i = 0;
        for (; i + 16 <= n; i += 16)
            score_step(type, H, R, false, q, q_stride, rows, next, n, i, sums);
        if (i < n)
            score_step(type, H, R, true, q, q_stride, rows, next, n, i, sums);
#pragma GCC unroll 16
        for (int r = 0; r < SIMD_TILE_SUMS; r += 4)
            scores[r / R][k + r % R / 4] = f32x16_sum_fours(sums + r);
    }
    store_scores(H, block, head, row, scores);
}

SIMD void score_block(enum kv_type type, struct attention_block *block, struct lines keys)
{
    enum { MOST = SIMD_TILE_SUMS < 8 ? 4 : 8 };
    const float *queries = block->rows->is_sink ? block->sink : block->ring;
    for (int row = 0; row < block->n_rows; row += 16)
        for (int head = 0; head < block->n_queries; head += MOST) {
            const float *q = queries + head * padded_dim(block);
            if (block->n_queries == 1)
                score_tile(type, 1, block, &keys, q, head, row);
            else if (block->n_queries - head <= 4)
                score_tile(type, 4, block, &keys, q, head, row);
            else
                score_tile(type, MOST, block, &keys, q, head, row);
        }
}

/* ---- values ---- */

/* y = y * keep + weights * values, for H heads and C vectors of columns. */
SIMD void add_columns(enum kv_type type, int H, int C, bool is_part, struct attention_block *block,
                      const struct lines *values, int head, float *y, int i)
{
    const int n = block->query->head_dim_v, n_heads = block->n_queries - head;
    struct f32x16 sums[2 * SIMD_TILE_PAIRS];
#pragma GCC unroll 16
    for (int k = 0; k < H * C; k++) {
        int h = k / C, at = i + 16 * (k % C);
        sums[k] = f32x16_set(0);
        if (h < n_heads)
            sums[k] =
                f32x16_mul(lanes(y + h * n, n, at, is_part), f32x16_set(block->keep[head + h]));
    }
    const uint8_t *p = values->p;
    const float *weight = block->score[head];
    for (int row = 0; row < block->n_rows; row++, p += values->stride, weight++) {
        struct f32x16 v[4];
        /* GCC 12 would keep an address for each head, more than there are registers. */
        __asm__("" : "+r"(weight));
        prefetch(p + values->ahead + kv_bytes(type) * (size_t)i, kv_bytes(type) * 16 * (size_t)C);
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            v[c] = kv_lanes(type, p, values->n, i + 16 * c, is_part);
#pragma GCC unroll 16
        for (int h = 0; h < H; h++) {
            struct f32x16 w = f32x16_set(weight[h * FINE_ROWS]);
#pragma GCC unroll 4
            for (int c = 0; c < C; c++)
                sums[h * C + c] = f32x16_fma(w, v[c], sums[h * C + c]);
        }
    }
#pragma GCC unroll 16
    for (int k = 0; k < H * C; k++) {
        if (k / C < n_heads)
            store_lanes(y + k / C * n, sums[k], n, i + 16 * (k % C));
    }
}

SIMD void add_values(enum kv_type type, int H, int C, struct attention_block *block,
                     const struct lines *values, int head, float *out)
{
    const int n = block->query->head_dim_v;
    float *y = out + (block->first_query + head) * n;
    int i = 0;
    for (; i + 16 * C <= n; i += 16 * C)
        add_columns(type, H, C, false, block, values, head, y, i);
    for (; i + 16 <= n; i += 16)
        add_columns(type, H, 1, false, block, values, head, y, i);
    if (i < n)
        add_columns(type, H, 1, true, block, values, head, y, i);
}

SIMD void add_block_values(enum kv_type type, struct attention_block *block, struct lines values,
                           float *out)
{
    enum { MANY = SIMD_TILE_PAIRS, FEW = MANY / 2 };
    for (int head = 0; head < block->n_queries;) {
        int n_left = block->n_queries - head;
        if (n_left > FEW)
            add_values(type, MANY, 2, block, &values, head, out);
        else if (n_left > 1)
            add_values(type, FEW, 4, block, &values, head, out);
        else
            add_values(type, 1, 4, block, &values, head, out);
        head += n_left > FEW ? MANY : FEW;
    }
}

/* ---- scores of many queries: keys are turned, which pays then ---- */

static void turn_keys(struct attention_block *block, struct lines keys)
{
    for (int row = 0; row < FLOAT_ROWS; row += 16)
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
    const bool is_turned = block->n_of_pass > BLOCK_QUERIES;
    const bool is_widened = type != KV_F32 && block->n_of_pass > SIMD_TILE_PAIRS;
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
        weigh_block(type, block);
        if (is_widened)
            add_widened(block, values, out);
        else
            add_block_values(type, block, values, out);
    }
}

SIMD void begin_scores(struct attention_block *block)
{
    if (block->n_of_pass > BLOCK_QUERIES)
        return;
    lay_queries(block, block->query->q_ring, block->ring);
    lay_queries(block, block->query->q_sink, block->sink);
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
        begin_scores(&block);
        for (int s = 0; s < n_segments; s++) {
            block.rows = &segments[s];
            for (int row = 0; row < segments[s].n_rows; row += FLOAT_ROWS) {
                take_rows(type, &block, row);
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
    case KV_Q8: /* attention_q8_vector.h */
        break;
    }
}

#endif
