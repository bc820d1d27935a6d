/* attention_q8_vector.h - attention over a cache of 8-bit keys and values, in integers.
 *
 * Queries and weights are rounded as kernels.h says; its blocks of weights are those of
 * attention_vector.h. Sums of products fit 32 bits: FINE_DIM * 127 * FINE_MAX < 2^31. */
#ifndef CORE_KERNELS_ATTENTION_Q8_VECTOR_H
#define CORE_KERNELS_ATTENTION_Q8_VECTOR_H

#include "core/kernels/attention_vector.h"

/* Queries of more elements are half as fine. */
enum { CHUNK = 64, FINE_DIM = 512 };

/* Fine numbers of some vectors, what one step of them is, and their sum. */
struct fine_vectors {
    uint8_t of[PASS_QUERIES][2 * WIDENED_DIM];
    float step[PASS_QUERIES];
    int sum[PASS_QUERIES];
};

enum { WORDS_BYTES = FINE_ROWS * WIDENED_DIM / 64 * FINE_WORD_BYTES };

struct q8_block {
    struct attention_block block;
    /* The next block's, fetched along the way: a tile has as many steps as 128 bytes of them. */
    const uint8_t *next_keys, *next_values;
    struct fine_vectors ring, sink; /* the pass's queries */
    struct fine_vectors weights;    /* [FINE_ROWS] of each of the block's queries; none below 0 */
    /* The pass's results so far, as u8x64_interleave4 leaves their order. */
    _Alignas(64) float sums[PASS_QUERIES][WIDENED_DIM];
    _Alignas(64) int8_t padded[FINE_ROWS * WIDENED_DIM];
    _Alignas(64) uint8_t keys[WORDS_BYTES];
    _Alignas(64) uint8_t values[WORDS_BYTES];
};

SIMD int count_chunks(int n)
{
    return (n + CHUNK - 1) / CHUNK;
}

/* What one step is, so that numbers up to `size` become up to `most`. */
SIMD float fine_step(struct f32x16 size, int most)
{
    float max = f32x16_largest(size);
    return max < KV_Q8_LEAST ? 0 : max / (float)most;
}

/* Elements n .. are 0 up to a whole vector. */
SIMD void refine_query(struct fine_vectors *to, int i_vector, const float *x, int n)
{
    struct f32x16 size = f32x16_set(0), sum = f32x16_set(0);
    for (int i = 0; i < n; i += 16)
        size = f32x16_max(f32x16_abs(load_lanes(x, n, i)), size);
    float step = fine_step(size, n > FINE_DIM ? FINE_MAX / 2 : FINE_MAX);
    struct f32x16 inverse = f32x16_set(step > 0 ? 1 / step : 0);
    for (int i = 0; i < n; i += 16) {
        struct f32x16 steps = f32x16_mul(load_lanes(x, n, i), inverse);
        sum = f32x16_add(sum,
                         i32x16_to_f32(f32x16_to_fine(FINE_ANY, to->of[i_vector] + 2 * i, steps)));
    }
    to->step[i_vector] = step;
    to->sum[i_vector] = (int)f32x16_sum(sum); /* exact: up to FINE_DIM * FINE_MAX < 2^24 */
}

/* Those that only fill the last tile up are 0. */
SIMD void refine_queries(const struct attention_block *block, struct fine_vectors *to,
                         const float *q)
{
    const int n = block->query->head_dim;
    for (int i = 0; i < block->n_of_pass; i++)
        refine_query(to, i, q + (block->first_of_pass + i) * n, n);
    for (int i = block->n_of_pass; i < count_padded(block->n_of_pass); i++) {
        memset(to->of[i], 0, 2 * (size_t)n);
        to->step[i] = 0;
        to->sum[i] = 0;
    }
}

/* The block's rows, whole chunks wide: where they lie, or a copy filled up with zeros. */
SIMD struct lines q8_lines(struct q8_block *q8, const void *rows, int n)
{
    const struct attention_block *block = &q8->block;
    const int8_t *from = (const int8_t *)rows + (size_t)block->first_row * (size_t)n;
    if (block->n_rows == FINE_ROWS && n % CHUNK == 0)
        return lines_at(KV_Q8, block, rows, n);
    int width = count_chunks(n) * CHUNK;
    memset(q8->padded, 0, (size_t)(FINE_ROWS * width));
    for (int row = 0; row < block->n_rows; row++)
        memcpy(q8->padded + row * width, from + row * n, (size_t)n);
    return (struct lines){(const uint8_t *)q8->padded, (size_t)width, width, 0};
}

/* ---- scores ---- */

/* A key to a lane: [FINE_ROWS / 16, n / 4]. */
SIMD void lay_keys(struct q8_block *q8, struct lines keys)
{
    uint8_t *to = q8->keys;
    for (int row = 0; row < FINE_ROWS; row += 16)
        for (int i = 0; i < keys.n; i += CHUNK) {
            _Alignas(64) uint8_t columns[16 * CHUNK];
            u8x64_transpose(columns, keys.p + (size_t)row * keys.stride + i, keys.stride);
            for (int k = 0; k < CHUNK / 4; k++, to += FINE_WORD_BYTES)
                fine_store(FINE_ANY, to, u8x64_load(columns + CHUNK * k));
        }
}

/* q.k of H queries and 32 keys. */
SIMD void score_fine_tile(int H, struct q8_block *q8, const struct fine_vectors *q, int head,
                          int row)
{
    const int n = q8->block.query->head_dim;
    const int i_pass = in_pass(&q8->block, head);
    const int bytes = count_chunks(n) * 16 * FINE_WORD_BYTES; /* of 16 keys */
    const uint8_t *first = q8->keys + row / 16 * bytes, *second = first + bytes;
    struct fine_sum sums[SIMD_TILE_HEADS][2];
#pragma GCC unroll 16
    for (int i = 0; i < H * 2; i++)
        sums[i / 2][i % 2] = fine_sum_start(FINE_ANY, q->sum[i_pass + i / 2]);
    const uint8_t *next = q8->next_keys + row * n;
    for (int i = 0; i < n; i += 4, first += FINE_WORD_BYTES, second += FINE_WORD_BYTES) {
        prefetch(next + 32 * i, 128);
        fine_dots(FINE_ANY, H, first, second, q->of[i_pass] + 2 * i, sizeof q->of[0], sums);
    }
#pragma GCC unroll 16
    for (int h = 0; h < H; h++) {
        float *score = q8->block.score[head + h] + row;
        struct f32x16 step = f32x16_set(q->step[i_pass + h]);
        f32x16_store(score, f32x16_mul(fine_sum_to_f32(sums[h][0]), step));
        f32x16_store(score + 16, f32x16_mul(fine_sum_to_f32(sums[h][1]), step));
    }
}

SIMD void score_fine(struct q8_block *q8)
{
    const struct fine_vectors *q = q8->block.rows->is_sink ? &q8->sink : &q8->ring;
    for (int row = 0; row < q8->block.n_rows; row += 32)
        for (int head = 0; head < q8->block.n_queries; head += SIMD_TILE_HEADS) {
            if (head + 1 < q8->block.n_queries)
                score_fine_tile(SIMD_TILE_HEADS, q8, q, head, row);
            else
                score_fine_tile(1, q8, q, head, row);
        }
}

/* ---- values ---- */

/* An element to a lane: [FINE_ROWS / 4, chunks, 4]. */
SIMD void lay_values(struct q8_block *q8, struct lines values)
{
    uint8_t *to = q8->values;
    for (int row = 0; row < FINE_ROWS; row += 4)
        for (int i = 0; i < values.n; i += CHUNK) {
            struct u8x64 rows[4], fours[4];
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++)
                rows[r] = u8x64_load(values.p + (size_t)(row + r) * values.stride + i);
            u8x64_interleave4(fours, rows);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++, to += FINE_WORD_BYTES)
                fine_store(FINE_POSITIVE, to, fours[j]);
        }
}

/* sums = sums * keep + weights * values, for H queries and two vectors of elements. */
SIMD void add_fine_tile(int H, struct q8_block *q8, int head, int vector)
{
    const struct attention_block *block = &q8->block;
    const int n_vectors = count_chunks(block->query->head_dim_v) * 4;
    const int i_pass = in_pass(block, head);
    const uint8_t *from = q8->values + vector * FINE_WORD_BYTES;
    struct fine_sum sums[SIMD_TILE_HEADS][2];
#pragma GCC unroll 16
    for (int i = 0; i < H * 2; i++)
        sums[i / 2][i % 2] = fine_sum_start(FINE_POSITIVE, 0);
    const uint8_t *next = q8->next_values + vector * 16 * FINE_ROWS;
    for (int row = 0; row < block->n_rows; row += 4, from += n_vectors * FINE_WORD_BYTES) {
        prefetch(next + 32 * row, 128);
        fine_dots(FINE_POSITIVE, H, from, from + FINE_WORD_BYTES, q8->weights.of[head] + 2 * row,
                  sizeof q8->weights.of[0], sums);
    }
#pragma GCC unroll 16
    for (int i = 0; i < H * 2; i++) {
        float *y = q8->sums[i_pass + i / 2] + (vector + i % 2) * 16;
        struct f32x16 before = f32x16_mul(f32x16_load(y), f32x16_set(block->keep[head + i / 2]));
        struct f32x16 step = f32x16_set(q8->weights.step[head + i / 2]);
        f32x16_store(y, f32x16_fma(fine_sum_to_f32(sums[i / 2][i % 2]), step, before));
    }
}

SIMD void add_fine(struct q8_block *q8)
{
    const int n_vectors = count_chunks(q8->block.query->head_dim_v) * 4;
    for (int i = 0; i < n_vectors; i += 2)
        for (int head = 0; head < q8->block.n_queries; head += SIMD_TILE_HEADS) {
            if (head + 1 < q8->block.n_queries)
                add_fine_tile(SIMD_TILE_HEADS, q8, head, i);
            else
                add_fine_tile(1, q8, head, i);
        }
}

/* Of four heads, so that their largest weights are found and divided by together. */
SIMD void refine_weights(struct q8_block *q8, int head)
{
    struct f32x16 sizes[4];
    float(*weights)[FINE_ROWS] = q8->block.score + head;
    _Alignas(64) float step[16], inverse[16];
#pragma GCC unroll 4
    for (int h = 0; h < 4; h++) {
        sizes[h] = f32x16_set(KV_Q8_LEAST);
        for (int i = (q8->block.n_rows + 15) / 16 * 16; i < FINE_ROWS; i += 16)
            f32x16_store(weights[h] + i, f32x16_set(0));
#pragma GCC unroll 4
        for (int i = 0; i < FINE_ROWS; i += 16)
            sizes[h] = f32x16_max(f32x16_load(weights[h] + i), sizes[h]);
    }
    struct f32x16 largest = f32x16_largest_of_fours(sizes);
    f32x16_store(step, f32x16_mul(largest, f32x16_set(1.0f / FINE_MAX)));
    f32x16_store(inverse, f32x16_div(f32x16_set(FINE_MAX), largest));
#pragma GCC unroll 4
    for (int h = 0; h < 4; h++) {
#pragma GCC unroll 4
        for (int i = 0; i < FINE_ROWS; i += 16)
            f32x16_to_fine(FINE_POSITIVE, q8->weights.of[head + h] + 2 * i,
                           f32x16_mul(f32x16_load(weights[h] + i), f32x16_set(inverse[h])));
        q8->weights.step[head + h] = step[h];
    }
}

/* ---- all rows ---- */

/* Of the rows after the block: so few lines for each block that the CPU does not fetch them. */
SIMD void fetch_scales(const struct attention_block *block)
{
    const int next = block->first_row + FINE_ROWS;
    const size_t n_bytes = FINE_ROWS * sizeof(float);
    prefetch((const uint8_t *)(block->rows->k_scale + next), n_bytes);
    prefetch((const uint8_t *)(block->rows->v_scale + next), n_bytes);
}

/* All queries of the pass meet the block's rows. */
SIMD void attend_q8_rows(struct q8_block *q8)
{
    struct attention_block *block = &q8->block;
    int n_k = block->query->head_dim, n_v = block->query->head_dim_v;
    q8->next_keys = next_line(lines_at(KV_Q8, block, block->rows->k, n_k));
    q8->next_values = next_line(lines_at(KV_Q8, block, block->rows->v, n_v));
    fetch_scales(block);
    lay_keys(q8, q8_lines(q8, block->rows->k, n_k));
    lay_values(q8, q8_lines(q8, block->rows->v, n_v));
    for (int i = 0; i < block->n_of_pass; i += BLOCK_QUERIES) {
        take_queries(block, i);
        score_fine(q8);
        weigh_block(KV_Q8, block);
        for (int head = 0; head < block->n_queries; head += 4)
            refine_weights(q8, head);
        add_fine(q8);
    }
}

/* Brings one query's elements into their order: four at a time, from where their quarter lies. */
SIMD void finish_q8(const float *sums, float scale, float *y, int n)
{
    for (int i = 0; i < n; i += 4) {
        const float *four = sums + i / CHUNK * CHUNK + i % 16 / 4 * 16 + i % CHUNK / 16 * 4;
        for (int j = 0; j < 4 && i + j < n; j++)
            y[i + j] = four[j] * scale;
    }
}

static void attend_q8_pass(struct q8_block *q8, const struct attention_rows *segments,
                           int n_segments, struct attention_state *out_states, float *out)
{
    struct attention_block *block = &q8->block;
    const struct attention_query *query = block->query;
    const int first = block->first_of_pass, n = query->head_dim_v;
    memset(q8->sums, 0, sizeof q8->sums[0] * (size_t)count_padded(block->n_of_pass));
    refine_queries(block, &q8->ring, query->q_ring);
    refine_queries(block, &q8->sink, query->q_sink);
    for (int s = 0; s < n_segments; s++) {
        block->rows = &segments[s];
        for (int row = 0; row < segments[s].n_rows; row += FINE_ROWS) {
            take_rows(KV_Q8, block, row);
            attend_q8_rows(q8);
        }
    }
    end_pass(block, out_states);
    for (int i = 0; i < block->n_of_pass; i++) {
        float sum = block->states[i].sum;
        finish_q8(q8->sums[i], sum > 0 ? 1 / sum : 1, out + (first + i) * n, n);
    }
}

static void attention_q8(float *out, struct attention_state *out_states,
                         const struct attention_query *query, const struct attention_rows *segments,
                         int n_segments)
{
    struct q8_block q8;
    q8.block.query = query;
    for (int first = 0; first < count_queries(query); first += PASS_QUERIES) {
        begin_pass(&q8.block, first);
        attend_q8_pass(&q8, segments, n_segments, out_states, out);
    }
}

/* As kernels.h has it. No family that is known has wider heads than the arrays have room for. */
static void attention_of_any(float *out, struct attention_state *out_states,
                             const struct attention_query *query, enum kv_type type,
                             const struct attention_rows *segments, int n_segments)
{
    if (query->head_dim > WIDENED_DIM || query->head_dim_v > WIDENED_DIM)
        kernels_scalar.attention(out, out_states, query, type, segments, n_segments);
    else if (type == KV_Q8)
        attention_q8(out, out_states, query, segments, n_segments);
    else
        attention(out, out_states, query, type, segments, n_segments);
}

#endif
