/* attention_q8_vector.h - attention over a cache of 8-bit keys and values, in integers.
 *
 * Queries and weights are rounded as kernels.h says; its blocks of weights are those of
 * attention_vector.h. Sums of products fit 32 bits: 256 * 127 * FINE_MAX < 2^31. */
#ifndef CORE_KERNELS_ATTENTION_Q8_VECTOR_H
#define CORE_KERNELS_ATTENTION_Q8_VECTOR_H

#include "core/kernels/attention_vector.h"

enum { CHUNK = 64 };

/* Fine numbers of each head, what one step of them is, and their sum. */
struct fine_heads {
    uint8_t of[BLOCK_HEADS][2 * WIDENED_DIM];
    float step[BLOCK_HEADS];
    float sum[BLOCK_HEADS];
};

struct q8_block {
    struct attention_block block;
    struct fine_heads ring, sink; /* queries */
    struct fine_heads weights;    /* [BLOCK_ROWS] of each head */
    /* Results so far, as u8x64_interleave4 leaves their order. */
    _Alignas(64) float sums[BLOCK_HEADS][WIDENED_DIM];
    _Alignas(64) int8_t padded[BLOCK_ROWS * WIDENED_DIM];
    _Alignas(
        64) uint8_t words[BLOCK_ROWS * WIDENED_DIM / 64 * FINE_WORD_BYTES]; /* keys, then values */
};

SIMD int count_chunks(int n)
{
    return (n + CHUNK - 1) / CHUNK;
}

/* Elements n .. are 0 up to a whole vector. */
SIMD void refine_head(struct fine_heads *to, int head, const float *x, int n)
{
    struct f32x16 size = f32x16_set(0), sum = f32x16_set(0);
    for (int i = 0; i < n; i += 16)
        size = f32x16_max(f32x16_abs(load_lanes(x, n, i)), size);
    float max = f32x16_largest(size);
    max = max < KV_Q8_LEAST ? 0 : max;
    float inverse = max > 0 ? FINE_MAX / max : 0;
    for (int i = 0; i < n; i += 16) {
        struct f32x16 steps = f32x16_mul(load_lanes(x, n, i), f32x16_set(inverse));
        sum = f32x16_add(sum, i32x16_to_f32(f32x16_to_fine(to->of[head] + 2 * i, steps)));
    }
    to->step[head] = max / FINE_MAX;
    to->sum[head] = f32x16_sum(sum); /* exact: whole numbers below 256 * FINE_MAX < 2^24 */
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

/* ---- scores ---- */

/* A key to a lane: [BLOCK_ROWS / 16, n / 4]. */
SIMD void lay_keys(struct q8_block *q8, struct lines keys)
{
    uint8_t *to = q8->words;
    for (int row = 0; row < BLOCK_ROWS; row += 16)
        for (int i = 0; i < keys.n; i += CHUNK) {
            _Alignas(64) uint8_t columns[16 * CHUNK];
            u8x64_transpose(columns, keys.p + (size_t)row * keys.stride + i, keys.stride);
            for (int k = 0; k < CHUNK / 4; k++, to += FINE_WORD_BYTES)
                fine_store(to, u8x64_load(columns + CHUNK * k));
        }
}

SIMD void score_fine_tile(int H, struct q8_block *q8, const struct fine_heads *q, int head)
{
    const int n = q8->block.query->head_dim;
    const uint8_t *first = q8->words, *second = first + count_chunks(n) * 16 * FINE_WORD_BYTES;
    struct fine_sum sums[SIMD_TILE_HEADS][2];
#pragma GCC unroll 16
    for (int h = 0; h < H; h++)
        sums[h][0] = sums[h][1] = fine_sum_start((int)q->sum[head + h]);
    for (int i = 0; i < n; i += 4, first += FINE_WORD_BYTES, second += FINE_WORD_BYTES)
        fine_dots(H, first, second, q->of[head] + 2 * i, sizeof q->of[0], sums);
#pragma GCC unroll 16
    for (int h = 0; h < H; h++) {
        float *score = q8->block.score[head + h];
        struct f32x16 step = f32x16_set(q->step[head + h]);
        f32x16_store(score, f32x16_mul(fine_sum_to_f32(sums[h][0]), step));
        f32x16_store(score + 16, f32x16_mul(fine_sum_to_f32(sums[h][1]), step));
    }
}

SIMD void score_fine(struct q8_block *q8)
{
    const struct fine_heads *q = q8->block.rows->is_sink ? &q8->sink : &q8->ring;
    int head = 0;
    for (; head + SIMD_TILE_HEADS <= q8->block.n_heads; head += SIMD_TILE_HEADS)
        score_fine_tile(SIMD_TILE_HEADS, q8, q, head);
    for (; head < q8->block.n_heads; head++)
        score_fine_tile(1, q8, q, head);
}

/* ---- values ---- */

/* An element to a lane: [BLOCK_ROWS / 4, chunks, 4]. */
SIMD void lay_values(struct q8_block *q8, struct lines values)
{
    uint8_t *to = q8->words;
    for (int row = 0; row < BLOCK_ROWS; row += 4)
        for (int i = 0; i < values.n; i += CHUNK) {
            struct u8x64 rows[4], fours[4];
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++)
                rows[r] = u8x64_load(values.p + (size_t)(row + r) * values.stride + i);
            u8x64_interleave4(fours, rows);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++, to += FINE_WORD_BYTES)
                fine_store(to, fours[j]);
        }
}

/* sums = sums * keep + weights * values, for H heads and two vectors of elements. */
SIMD void add_fine_tile(int H, struct q8_block *q8, const float *keep, int head, int vector)
{
    const int n_vectors = count_chunks(q8->block.query->head_dim_v) * 4;
    const uint8_t *from = q8->words + vector * FINE_WORD_BYTES;
    struct fine_sum sums[SIMD_TILE_HEADS][2];
#pragma GCC unroll 16
    for (int h = 0; h < H; h++)
        sums[h][0] = sums[h][1] = fine_sum_start((int)q8->weights.sum[head + h]);
    for (int row = 0; row < q8->block.n_rows; row += 4, from += n_vectors * FINE_WORD_BYTES)
        fine_dots(H, from, from + FINE_WORD_BYTES, q8->weights.of[head] + 2 * row,
                  sizeof q8->weights.of[0], sums);
#pragma GCC unroll 16
    for (int i = 0; i < H * 2; i++) {
        float *y = q8->sums[head + i / 2] + (vector + i % 2) * 16;
        struct f32x16 before = f32x16_mul(f32x16_load(y), f32x16_set(keep[head + i / 2]));
        struct f32x16 step = f32x16_set(q8->weights.step[head + i / 2]);
        f32x16_store(y, f32x16_fma(fine_sum_to_f32(sums[i / 2][i % 2]), step, before));
    }
}

SIMD void add_fine(struct q8_block *q8, const float *keep)
{
    const int n_vectors = count_chunks(q8->block.query->head_dim_v) * 4;
    int head = 0;
    for (; head + SIMD_TILE_HEADS <= q8->block.n_heads; head += SIMD_TILE_HEADS)
        for (int i = 0; i < n_vectors; i += 2)
            add_fine_tile(SIMD_TILE_HEADS, q8, keep, head, i);
    for (; head < q8->block.n_heads; head++)
        for (int i = 0; i < n_vectors; i += 2)
            add_fine_tile(1, q8, keep, head, i);
}

/* ---- all rows ---- */

SIMD void attend_q8_block(struct q8_block *q8, struct attention_state *states)
{
    float keep[BLOCK_HEADS];
    struct attention_block *block = &q8->block;
    int n_k = block->query->head_dim, n_v = block->query->head_dim_v;
    prefetch_next(KV_Q8, block, block->rows->k, n_k);
    prefetch_next(KV_Q8, block, block->rows->v, n_v);
    lay_keys(q8, q8_lines(q8, block->rows->k, n_k));
    score_fine(q8);
    weigh_block(block, states, keep);
    for (int head = 0; head < block->n_heads; head++) {
        float *weights = block->score[head];
        for (int i = (block->n_rows + 15) / 16 * 16; i < BLOCK_ROWS; i += 16)
            f32x16_store(weights + i, f32x16_set(0));
        refine_head(&q8->weights, head, weights, BLOCK_ROWS);
    }
    lay_values(q8, q8_lines(q8, block->rows->v, n_v));
    add_fine(q8, keep);
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
    begin_states(block, states);
    for (int head = 0; head < block->n_heads; head++) {
        int at = (block->first_head + head) * query->head_dim;
        refine_head(&q8->ring, head, query->q_ring + at, query->head_dim);
        refine_head(&q8->sink, head, query->q_sink + at, query->head_dim);
    }
    for (int s = 0; s < n_segments; s++) {
        block->rows = &segments[s];
        for (int row = 0; row < segments[s].n_rows; row += BLOCK_ROWS) {
            take_rows(block, row);
            attend_q8_block(q8, states);
        }
    }
    end_states(block, states);
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
