/* attention_q8_vector.h - attention over a cache of 8-bit keys and values, in integers.
 *
 * Queries and weights are rounded as kernels.h says; its blocks of weights are those of
 * attention_vector.h. Sums of products fit 32 bits: 256 * 127 * 32767 < 2^31. */
#ifndef CORE_KERNELS_ATTENTION_Q8_VECTOR_H
#define CORE_KERNELS_ATTENTION_Q8_VECTOR_H

#include "core/kernels/attention_vector.h"

enum { CHUNK = 64, CROSSED_MAX = INT16_MAX };

/* Numbers of each head in 15 bits and what one step of them is; of each four in the order 0, 2, 1,
 * 3: that of i16x32_even and i16x32_odd. */
struct crossed {
    int16_t of[BLOCK_HEADS][WIDENED_DIM];
    float step[BLOCK_HEADS];
};

struct q8_block {
    struct attention_block block;
    struct crossed ring, sink; /* queries */
    struct crossed weights;    /* [BLOCK_ROWS] of each head */
    /* Results so far, as u8x64_interleave4 leaves their order. */
    float sums[BLOCK_HEADS][WIDENED_DIM];
    int8_t padded[BLOCK_ROWS * WIDENED_DIM];
    int16_t pairs[BLOCK_ROWS * WIDENED_DIM]; /* keys, then values */
};

SIMD int count_chunks(int n)
{
    return (n + CHUNK - 1) / CHUNK;
}

/* Elements n .. are 0 up to a whole vector. */
SIMD void cross_head(struct crossed *to, int head, const float *x, int n)
{
    struct f32x16 size = f32x16_set(0);
    for (int i = 0; i < n; i += 16)
        size = f32x16_max(f32x16_abs(load_lanes(x, n, i)), size);
    float max = f32x16_largest(size);
    max = max < KV_Q8_LEAST ? 0 : max;
    float inverse = max > 0 ? CROSSED_MAX / max : 0;
    to->step[head] = max / CROSSED_MAX;
    for (int i = 0; i < n; i += 16)
        f32x16_to_crossed_i16(to->of[head] + i,
                              f32x16_mul(load_lanes(x, n, i), f32x16_set(inverse)));
}

/* The block's rows, whole chunks wide: where they lie, or a copy filled up with zeros. */
SIMD struct lines q8_lines(struct q8_block *q8, const void *rows, int n)
{
    const struct attention_block *block = &q8->block;
    const int8_t *from = (const int8_t *)rows + (size_t)block->first_row * (size_t)n;
    if (block->n_rows == BLOCK_ROWS && n % CHUNK == 0)
        return (struct lines){(const uint8_t *)from, (size_t)n, n};
    int width = count_chunks(n) * CHUNK;
    memset(q8->padded, 0, (size_t)(BLOCK_ROWS * width));
    for (int row = 0; row < block->n_rows; row++)
        memcpy(q8->padded + row * width, from + row * n, (size_t)n);
    return (struct lines){(const uint8_t *)q8->padded, (size_t)width, width};
}

SIMD void store_pairs(int16_t *to, struct u8x64 fours)
{
    u8x64_store(to, i16x32_even(fours));
    u8x64_store(to + 32, i16x32_odd(fours));
}

/* ---- scores ---- */

/* A key to a lane: [BLOCK_ROWS / 16, n / 4, even and odd, 16 keys, 2]. */
SIMD void pair_keys(struct q8_block *q8, struct lines keys)
{
    int16_t *to = q8->pairs;
    for (int row = 0; row < BLOCK_ROWS; row += 16)
        for (int i = 0; i < keys.n; i += CHUNK) {
            uint8_t columns[16 * CHUNK];
            u8x64_transpose(columns, keys.p + (size_t)row * keys.stride + i, keys.stride);
            for (int k = 0; k < CHUNK / 4; k++, to += CHUNK)
                store_pairs(to, u8x64_load(columns + CHUNK * k));
        }
}

SIMD void score_pairs_tile(int H, struct q8_block *q8, const struct crossed *q, int head)
{
    const int n = q8->block.query->head_dim;
    const int16_t *first = q8->pairs, *second = first + count_chunks(n) * CHUNK * 16;
    struct i32x16 sums[SIMD_TILE_HEADS][2];
#pragma GCC unroll 16
    for (int h = 0; h < H; h++)
        sums[h][0] = sums[h][1] = i32x16_zero();
    for (int i = 0; i < (n + 3) / 4 * 4; i += 2, first += 32, second += 32) {
        struct u8x64 k0 = u8x64_load(first), k1 = u8x64_load(second);
#pragma GCC unroll 16
        for (int h = 0; h < H; h++) {
            struct u8x64 two = u8x64_repeat4(q->of[head + h] + i);
            sums[h][0] = i32x16_dot_pairs(sums[h][0], k0, two);
            sums[h][1] = i32x16_dot_pairs(sums[h][1], k1, two);
        }
    }
#pragma GCC unroll 16
    for (int h = 0; h < H; h++) {
        float *score = q8->block.score[head + h];
        struct f32x16 step = f32x16_set(q->step[head + h]);
        f32x16_store(score, f32x16_mul(i32x16_to_f32(sums[h][0]), step));
        f32x16_store(score + 16, f32x16_mul(i32x16_to_f32(sums[h][1]), step));
    }
}

SIMD void score_pairs(struct q8_block *q8)
{
    const struct crossed *q = q8->block.rows->is_sink ? &q8->sink : &q8->ring;
    int head = 0;
    for (; head + SIMD_TILE_HEADS <= q8->block.n_heads; head += SIMD_TILE_HEADS)
        score_pairs_tile(SIMD_TILE_HEADS, q8, q, head);
    for (; head < q8->block.n_heads; head++)
        score_pairs_tile(1, q8, q, head);
}

/* ---- values ---- */

/* An element to a lane: [BLOCK_ROWS / 4, chunks, 4, even and odd, 16 elements, 2 rows]. */
SIMD void pair_values(struct q8_block *q8, struct lines values)
{
    int16_t *to = q8->pairs;
    for (int row = 0; row < BLOCK_ROWS; row += 4)
        for (int i = 0; i < values.n; i += CHUNK) {
            struct u8x64 rows[4], fours[4];
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++)
                rows[r] = u8x64_load(values.p + (size_t)(row + r) * values.stride + i);
            u8x64_interleave4(fours, rows);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++, to += CHUNK)
                store_pairs(to, fours[j]);
        }
}

/* sums = sums * keep + weights * values, for H heads and some vectors of elements. */
SIMD void add_pairs_tile(int H, struct q8_block *q8, const float *keep, int head, int vector)
{
    enum { V = SIMD_TILE_KEYS };
    const int n_vectors = count_chunks(q8->block.query->head_dim_v) * 4;
    const int16_t *from = q8->pairs + vector * CHUNK;
    struct i32x16 sums[SIMD_TILE_HEADS][V];
#pragma GCC unroll 16
    for (int i = 0; i < H * V; i++)
        sums[i / V][i % V] = i32x16_zero();
    for (int row = 0; row < q8->block.n_rows; row += 4, from += n_vectors * CHUNK)
#pragma GCC unroll 2
        for (int odd = 0; odd < 2; odd++) {
            struct u8x64 v[V];
#pragma GCC unroll 16
            for (int i = 0; i < V; i++)
                v[i] = u8x64_load(from + i * CHUNK + odd * 32);
#pragma GCC unroll 16
            for (int h = 0; h < H; h++) {
                struct u8x64 two = u8x64_repeat4(q8->weights.of[head + h] + row + 2 * odd);
#pragma GCC unroll 16
                for (int i = 0; i < V; i++)
                    sums[h][i] = i32x16_dot_pairs(sums[h][i], v[i], two);
            }
        }
#pragma GCC unroll 16
    for (int i = 0; i < H * V; i++) {
        float *y = q8->sums[head + i / V] + (vector + i % V) * 16;
        struct f32x16 before = f32x16_mul(f32x16_load(y), f32x16_set(keep[head + i / V]));
        struct f32x16 step = f32x16_set(q8->weights.step[head + i / V]);
        f32x16_store(y, f32x16_fma(i32x16_to_f32(sums[i / V][i % V]), step, before));
    }
}

SIMD void add_pairs(struct q8_block *q8, const float *keep)
{
    const int n_vectors = count_chunks(q8->block.query->head_dim_v) * 4;
    int head = 0;
    for (; head + SIMD_TILE_HEADS <= q8->block.n_heads; head += SIMD_TILE_HEADS)
        for (int i = 0; i < n_vectors; i += SIMD_TILE_KEYS)
            add_pairs_tile(SIMD_TILE_HEADS, q8, keep, head, i);
    for (; head < q8->block.n_heads; head++)
        for (int i = 0; i < n_vectors; i += SIMD_TILE_KEYS)
            add_pairs_tile(1, q8, keep, head, i);
}

/* ---- all rows ---- */

SIMD void attend_q8_block(struct q8_block *q8, struct attention_state *states)
{
    float keep[BLOCK_HEADS];
    struct attention_block *block = &q8->block;
    int n_k = block->query->head_dim, n_v = block->query->head_dim_v;
    prefetch_next(KV_Q8, block, block->rows->k, n_k);
    prefetch_next(KV_Q8, block, block->rows->v, n_v);
    pair_keys(q8, q8_lines(q8, block->rows->k, n_k));
    score_pairs(q8);
    for (int head = 0; head < block->n_heads; head++) {
        float *weights = block->score[head];
        finish_scores(block, head);
        keep[head] = weigh_scores(block, head, &states[head]);
        for (int i = (block->n_rows + 15) / 16 * 16; i < BLOCK_ROWS; i += 16)
            f32x16_store(weights + i, f32x16_set(0));
        cross_head(&q8->weights, head, weights, BLOCK_ROWS);
    }
    pair_values(q8, q8_lines(q8, block->rows->v, n_v));
    add_pairs(q8, keep);
}

/* Brings one head's elements into their order: four at a time, from where their quarter lies. */
SIMD void finish_q8_head(const float *sums, float scale, float *y, int n)
{
    for (int i = 0; i < n; i += 4) {
        const float *four = sums + i / CHUNK * CHUNK + i % 16 / 4 * 16 + i % CHUNK / 16 * 4;
        for (int j = 0; j < 4 && i + j < n; j++)
            y[i + j] = four[j] * scale;
    }
}

static void attend_q8_heads(struct q8_block *q8, const struct attention_rows *segments,
                            int n_segments, struct attention_state *states, float *out)
{
    struct attention_block *block = &q8->block;
    const struct attention_query *query = block->query;
    memset(q8->sums, 0, sizeof q8->sums);
    for (int head = 0; head < block->n_heads; head++) {
        int at = (block->first_head + head) * query->head_dim;
        states[head] = (struct attention_state){-INFINITY, 0};
        cross_head(&q8->ring, head, query->q_ring + at, query->head_dim);
        cross_head(&q8->sink, head, query->q_sink + at, query->head_dim);
    }
    for (int s = 0; s < n_segments; s++) {
        block->rows = &segments[s];
        for (int row = 0; row < segments[s].n_rows; row += BLOCK_ROWS) {
            take_rows(block, row);
            attend_q8_block(q8, states);
        }
    }
    int n = query->head_dim_v;
    for (int head = 0; head < block->n_heads; head++)
        finish_q8_head(q8->sums[head], states[head].sum > 0 ? 1 / states[head].sum : 1,
                       out + (block->first_head + head) * n, n);
}

/* As kernels.h has it, for every type; of 8 bits those heads that the arrays above have room for.
 */
static void attention_or_q8(float *out, struct attention_state *out_states,
                            const struct attention_query *query, enum kv_type type,
                            const struct attention_rows *segments, int n_segments)
{
    struct q8_block q8;
    struct attention_block *block = &q8.block;
    if (type != KV_Q8 || query->head_dim > WIDENED_DIM || query->head_dim_v > WIDENED_DIM) {
        attention(out, out_states, query, type, segments, n_segments);
        return;
    }
    block->query = query;
    for (int head = 0; head < query->n_heads; head += BLOCK_HEADS) {
        struct attention_state states[BLOCK_HEADS];
        take_heads(block, head);
        attend_q8_heads(&q8, segments, n_segments, states, out);
        if (out_states != NULL)
            memcpy(out_states + head, states, (size_t)block->n_heads * sizeof states[0]);
    }
}

#endif
