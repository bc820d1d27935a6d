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
};

/* Some heads and some rows of one segment. */
struct attention_block {
    const struct attention_query *query;
    const struct attention_rows *rows;
    int first_head;
    int n_heads;
    int first_row;
    int n_rows;
    float score[BLOCK_HEADS][BLOCK_ROWS]; /* then the weights */
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

/* Elements i .. i+15 of a row of n; zeros beyond its end. */
SIMD struct f32x16 kv_lanes(enum kv_type type, const uint8_t *row, int n, int i)
{
    uint8_t last[16 * sizeof(float)] = {0};
    const uint8_t *p = row + kv_bytes(type) * (size_t)i;
    if (n - i < 16)
        p = memcpy(last, p, kv_bytes(type) * (size_t)(n - i));
    return kv_load(type, p);
}

/* q.k of H heads and 4 rows. */
SIMD void score_tile(enum kv_type type, int H, struct attention_block *block, int head, int row)
{
    const struct attention_query *query = block->query;
    const int n = query->head_dim;
    const float *q =
        (block->rows->is_sink ? query->q_sink : query->q_ring) + (block->first_head + head) * n;
    size_t row_bytes = kv_bytes(type) * (size_t)n;
    const uint8_t *k = (const uint8_t *)block->rows->k + row_bytes * (size_t)block->first_row;
    const uint8_t *rows[4];
    for (int r = 0; r < 4; r++) /* the last row stands in for those beyond the end */
        rows[r] = k + row_bytes * (size_t)(row + r < block->n_rows ? row + r : block->n_rows - 1);

    struct f32x16 sums[SIMD_TILE_HEADS][4];
    for (int h = 0; h < H; h++)
        for (int r = 0; r < 4; r++)
            sums[h][r] = f32x16_set(0);
    for (int i = 0; i < n; i += 16) {
        struct f32x16 ks[4];
        for (int r = 0; r < 4; r++)
            ks[r] = kv_lanes(type, rows[r], n, i);
        for (int h = 0; h < H; h++) {
            struct f32x16 qs = load_lanes(q + h * n, n, i);
            for (int r = 0; r < 4; r++)
                sums[h][r] = f32x16_fma(qs, ks[r], sums[h][r]);
        }
    }
    for (int h = 0; h < H; h++)
        f32x16_sum_each(block->score[head + h] + row, sums[h][0], sums[h][1], sums[h][2],
                        sums[h][3]);
}

SIMD void score_block(enum kv_type type, struct attention_block *block)
{
    for (int row = 0; row < block->n_rows; row += 4) {
        int head = 0;
        for (; head + SIMD_TILE_HEADS <= block->n_heads; head += SIMD_TILE_HEADS)
            score_tile(type, SIMD_TILE_HEADS, block, head, row);
        for (; head < block->n_heads; head++)
            score_tile(type, 1, block, head, row);
    }
}

/* cap * tanh(x / cap) */
SIMD struct f32x16 soft_cap(struct f32x16 x, float cap)
{
    struct f32x16 e = vector_exp(f32x16_mul(x, f32x16_set(2 / cap)));
    struct f32x16 rest = f32x16_div(f32x16_set(2 * cap), f32x16_add(e, f32x16_set(1)));
    return f32x16_sub(f32x16_set(cap), rest);
}

/* From q.k to scores; lanes beyond n_rows become -infinity. */
SIMD void finish_scores(struct attention_block *block, int head)
{
    static const float lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const struct attention_query *query = block->query;
    const struct attention_rows *rows = block->rows;
    float *score = block->score[head];
    for (int i = 0; i < block->n_rows; i += 16) {
        struct f32x16 s = f32x16_mul(f32x16_load(score + i), f32x16_set(query->scale));
        if (rows->k_scale != NULL)
            s = f32x16_mul(s, load_lanes(rows->k_scale + block->first_row, block->n_rows, i));
        if (query->soft_cap > 0)
            s = soft_cap(s, query->soft_cap);
        if (query->slopes != NULL) {
            float nearest = (float)(rows->first_distance - block->first_row - i);
            struct f32x16 distance = f32x16_sub(f32x16_set(nearest), f32x16_load(lane_numbers));
            s = f32x16_fnma(f32x16_set(query->slopes[block->first_head + head]), distance, s);
        }
        f32x16_store(score + i, s);
    }
    for (int i = block->n_rows; i % 16 != 0; i++)
        score[i] = -INFINITY;
}

/* The largest score so far and the sum of exp(score - max). */
struct softmax_state {
    float max;
    float sum;
};

/* Turns scores into weights relative to the new maximum; returns what older weights shrink to. */
SIMD float weigh_scores(struct attention_block *block, int head, struct softmax_state *state)
{
    const struct attention_rows *rows = block->rows;
    float *score = block->score[head];
    struct f32x16 largest = f32x16_set(state->max), sum = f32x16_set(0);
    for (int i = 0; i < block->n_rows; i += 16)
        largest = f32x16_max(f32x16_load(score + i), largest);
    float max = f32x16_largest(largest);
    float keep = state->sum > 0 ? expf(state->max - max) : 0;
    for (int i = 0; i < block->n_rows; i += 16) {
        struct f32x16 weight = vector_exp(f32x16_sub(f32x16_load(score + i), f32x16_set(max)));
        if (block->n_rows - i < 16) {
            f32x16_store(score + i, weight);
            weight = f32x16_load_first(score + i, block->n_rows - i);
        }
        sum = f32x16_add(sum, weight);
        if (rows->v_scale != NULL)
            weight =
                f32x16_mul(weight, load_lanes(rows->v_scale + block->first_row, block->n_rows, i));
        f32x16_store(score + i, weight);
    }
    state->max = max;
    state->sum = state->sum * keep + f32x16_sum(sum);
    return keep;
}

/* out = out * keep + weights * values, for H heads and 32 columns at a time. */
SIMD void add_values(enum kv_type type, int H, const struct attention_block *block, int head,
                     const float *keep, float *out)
{
    const int n = block->query->head_dim_v;
    size_t row_bytes = kv_bytes(type) * (size_t)n;
    const uint8_t *v = (const uint8_t *)block->rows->v + row_bytes * (size_t)block->first_row;
    float *y = out + (block->first_head + head) * n;
    for (int i = 0; i < n; i += 32) {
        struct f32x16 sums[SIMD_TILE_HEADS][2];
        int has_second = n - i > 16;
        for (int h = 0; h < H; h++) {
            struct f32x16 k = f32x16_set(keep[head + h]);
            sums[h][0] = f32x16_mul(load_lanes(y + h * n, n, i), k);
            sums[h][1] =
                has_second ? f32x16_mul(load_lanes(y + h * n, n, i + 16), k) : f32x16_set(0);
        }
        for (int row = 0; row < block->n_rows; row++) {
            const uint8_t *p = v + row_bytes * (size_t)row;
            struct f32x16 v0 = kv_lanes(type, p, n, i);
            struct f32x16 v1 = has_second ? kv_lanes(type, p, n, i + 16) : f32x16_set(0);
            for (int h = 0; h < H; h++) {
                struct f32x16 weight = f32x16_set(block->score[head + h][row]);
                sums[h][0] = f32x16_fma(weight, v0, sums[h][0]);
                sums[h][1] = f32x16_fma(weight, v1, sums[h][1]);
            }
        }
        for (int h = 0; h < H; h++) {
            store_lanes(y + h * n, sums[h][0], n, i);
            if (has_second)
                store_lanes(y + h * n, sums[h][1], n, i + 16);
        }
    }
}

SIMD void attend_block(enum kv_type type, struct attention_block *block,
                       struct softmax_state *states, float *out)
{
    float keep[BLOCK_HEADS];
    score_block(type, block);
    for (int head = 0; head < block->n_heads; head++) {
        finish_scores(block, head);
        keep[head] = weigh_scores(block, head, &states[head]);
    }
    int head = 0;
    for (; head + SIMD_TILE_HEADS <= block->n_heads; head += SIMD_TILE_HEADS)
        add_values(type, SIMD_TILE_HEADS, block, head, keep, out);
    for (; head < block->n_heads; head++)
        add_values(type, 1, block, head, keep, out);
}

SIMD void attend_heads(enum kv_type type, struct attention_block *block,
                       const struct attention_rows *segments, int n_segments, float *out)
{
    struct softmax_state states[BLOCK_HEADS];
    for (int head = 0; head < block->n_heads; head++)
        states[head] = (struct softmax_state){-INFINITY, 0};
    for (int s = 0; s < n_segments; s++) {
        block->rows = &segments[s];
        for (int row = 0; row < segments[s].n_rows; row += BLOCK_ROWS) {
            int n_left = segments[s].n_rows - row;
            block->first_row = row;
            block->n_rows = n_left < BLOCK_ROWS ? n_left : BLOCK_ROWS;
            attend_block(type, block, states, out);
        }
    }
    int n = block->query->head_dim_v;
    for (int head = 0; head < block->n_heads; head++) {
        float *y = out + (block->first_head + head) * n;
        struct f32x16 scale = f32x16_set(states[head].sum > 0 ? 1 / states[head].sum : 1);
        for (int i = 0; i < n; i += 16)
            store_lanes(y, f32x16_mul(load_lanes(y, n, i), scale), n, i);
    }
}

SIMD void attend(enum kv_type type, float *out, const struct attention_query *query,
                 const struct attention_rows *segments, int n_segments)
{
    memset(out, 0, (size_t)query->n_heads * (size_t)query->head_dim_v * sizeof *out);
    for (int head = 0; head < query->n_heads; head += BLOCK_HEADS) {
        int n_left = query->n_heads - head;
        struct attention_block block = {.query = query, .first_head = head};
        block.n_heads = n_left < BLOCK_HEADS ? n_left : BLOCK_HEADS;
        attend_heads(type, &block, segments, n_segments, out);
    }
}

static void attention(float *out, const struct attention_query *query, enum kv_type type,
                      const struct attention_rows *segments, int n_segments)
{
    switch (type) {
    case KV_F32:
        attend(KV_F32, out, query, segments, n_segments);
        break;
    case KV_F16:
        attend(KV_F16, out, query, segments, n_segments);
        break;
    case KV_BF16:
        attend(KV_BF16, out, query, segments, n_segments);
        break;
    case KV_Q8:
        attend(KV_Q8, out, query, segments, n_segments);
        break;
    }
}

#endif
