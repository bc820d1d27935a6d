/* attention_block_vector.h - some queries, a block of rows, and what scores become: weights.
 *
 * A query is one head of one token. Rows are taken in blocks that stay in the first-level cache,
 * and the softmax goes along with them (arXiv 2205.14135). Included after kernels_vector.h. */
#ifndef CORE_KERNELS_ATTENTION_BLOCK_VECTOR_H
#define CORE_KERNELS_ATTENTION_BLOCK_VECTOR_H

#include "core/kernels/kernels_vector.h"
#include "core/kernels/prefetch.h"

enum {
    FLOAT_ROWS = 32,   /* of a block of keys and values in floats; a multiple of 32, as .. */
    FINE_ROWS = 64,    /* .. of one in integers */
    BLOCK_QUERIES = 8, /* computed together */
    PASS_QUERIES = ATTENTION_PASS_QUERIES, /* more queries read the rows again */
    WIDENED_DIM = 576, /* DeepSeek's latent vectors of keys and values, with what is rotated */
};

/* Some queries and some rows of one segment. */
struct attention_block {
    const struct attention_query *query;
    const struct attention_rows *rows;
    int first_query;
    int n_queries;
    int first_of_pass;
    int n_of_pass;
    int first_row;
    int n_rows;
    _Alignas(64) float row_scale[FINE_ROWS];            /* from q.k to a score */
    _Alignas(64) float score[BLOCK_QUERIES][FINE_ROWS]; /* q.k, then the weights */
    float sum[PASS_QUERIES][16];                        /* of weights so far, a part to a lane */
    struct attention_state states[PASS_QUERIES];
    float keep[BLOCK_QUERIES]; /* what older weights shrink to */
    /* Of a pass of so few queries these, as lay_queries leaves them. */
    _Alignas(64) float ring[BLOCK_QUERIES * WIDENED_DIM], sink[BLOCK_QUERIES * WIDENED_DIM];
    /* When so many heads read them that this pays: keys or values as floats, and 16 keys at a time
     * with their elements side by side, [FLOAT_ROWS / 16, head_dim, 16]. */
    _Alignas(64) float widened[FLOAT_ROWS * WIDENED_DIM];
    _Alignas(64) float turned[FLOAT_ROWS * WIDENED_DIM];
};

/* Where the block's keys or values lie, in a type that the compiler knows. */
struct lines {
    const uint8_t *p;
    size_t stride; /* bytes from row to row */
    int n;         /* elements that can be read; those beyond head_dim are 0 */
    size_t ahead;  /* bytes from a row to what is to come from memory meanwhile */
};

SIMD const uint8_t *line_of(const struct lines *lines, int row)
{
    return lines->p + lines->stride * (size_t)row;
}

SIMD const uint8_t *next_line(struct lines lines)
{
    return lines.p + lines.ahead;
}

SIMD int whole_block(enum kv_type type)
{
    return type == KV_Q8 ? FINE_ROWS : FLOAT_ROWS;
}

SIMD size_t kv_bytes(enum kv_type type)
{
    return type == KV_F32 ? 4 : type == KV_Q8 ? 1 : 2;
}

/* cap * tanh(x / cap) */
SIMD struct f32x16 soft_cap(struct f32x16 x, float cap)
{
    struct f32x16 e = vector_exp(f32x16_mul(x, f32x16_set(2 / cap)));
    struct f32x16 rest = f32x16_div(f32x16_set(2 * cap), f32x16_add(e, f32x16_set(1)));
    return f32x16_sub(f32x16_set(cap), rest);
}

/* Tiles are of four queries at a time and more: those beyond the end weigh nothing. */
SIMD int count_padded(int n_queries)
{
    return (n_queries + 3) / 4 * 4;
}

/* Where query `head` of the block stands in the pass. */
SIMD int in_pass(const struct attention_block *block, int head)
{
    return block->first_query - block->first_of_pass + head;
}

/* What query `head` of the block sees of the segment. */
SIMD struct attention_sight sight_of(const struct attention_block *block, int head)
{
    const struct attention_rows *rows = block->rows;
    if (rows->sights == NULL)
        return (struct attention_sight){0, rows->n_rows, rows->first_distance};
    return rows->sights[(block->first_query + head) / block->query->n_heads];
}

/* From q.k of the block's first n rows to scores. */
SIMD void finish_scores(const struct attention_block *block, int n, int head,
                        struct attention_sight sight, struct f32x16 *s)
{
    static const float lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const struct attention_query *query = block->query;
#pragma GCC unroll 4
    for (int i = 0; i < n; i += 16)
        s[i / 16] =
            f32x16_mul(f32x16_load(block->score[head] + i), f32x16_load(block->row_scale + i));
    if (query->soft_cap > 0)
        for (int i = 0; i < n; i += 16)
            s[i / 16] = soft_cap(s[i / 16], query->soft_cap);
    if (query->slopes != NULL) {
        float slope = query->slopes[(block->first_query + head) % query->n_heads];
        int distance = sight.first_distance - block->first_row;
        for (int i = 0; i < n; i += 16) {
            struct f32x16 distances =
                f32x16_sub(f32x16_set((float)(distance - i)), f32x16_load(lane_numbers));
            s[i / 16] = f32x16_fnma(f32x16_set(slope), distances, s[i / 16]);
        }
    }
}

/* e^x for x of at most 88, within 2e-7 + |x| / 1e7 relative: 2^n by the exponent, 2^f for |f| <=
 * 1/2 by a polynomial (minimax, 9.2e-8). Below 2^-126 it stays there. */
SIMD struct f32x16 weight_of(struct f32x16 x)
{
    x = f32x16_max(f32x16_set(-126), f32x16_mul(x, f32x16_set(1.44269504f)));
    struct f32x16 n = f32x16_round(x), f = f32x16_sub(x, n);
    struct f32x16 p = f32x16_set(1.326472557e-3f);
    p = f32x16_fma(p, f, f32x16_set(9.671512918e-3f));
    p = f32x16_fma(p, f, f32x16_set(5.550733748e-2f));
    p = f32x16_fma(p, f, f32x16_set(2.402224208e-1f));
    p = f32x16_fma(p, f, f32x16_set(6.931469776e-1f));
    p = f32x16_fma(p, f, f32x16_set(1));
    return f32x16_scale_by_power(p, n);
}

/* Turns scores into weights relative to the state's maximum. That follows only scores that are
 * HEADROOM above it, so that most blocks find none. */
SIMD void weigh_scores(enum kv_type type, bool is_part, struct attention_block *block, int head,
                       struct attention_sight sight)
{
    enum { HEADROOM = 8 };
    const float *v_scale = block->rows->v_scale;
    const int i_pass = in_pass(block, head);
    const int begin = sight.begin - block->first_row, end = sight.end - block->first_row;
    const int n_rows = is_part ? block->n_rows : whole_block(type);
    struct attention_state *state = &block->states[i_pass];
    float *score = block->score[head], keep = 1;
    struct f32x16 s[FINE_ROWS / 16], largest = f32x16_set(-INFINITY);
    finish_scores(block, n_rows, head, sight, s);
#pragma GCC unroll 4
    for (int i = 0; i < n_rows; i += 16) {
        if (is_part)
            s[i / 16] = f32x16_range(s[i / 16], begin - i, end - i, -INFINITY);
        largest = f32x16_max(s[i / 16], largest);
    }
    if (f32x16_any_above(largest, f32x16_set(state->max + HEADROOM))) {
        float max = f32x16_largest(largest);
        keep = expf(state->max - max);
        state->max = max;
    }
    const struct f32x16 max = f32x16_set(state->max);
    struct f32x16 sum = f32x16_mul(f32x16_load(block->sum[i_pass]), f32x16_set(keep));
#pragma GCC unroll 4
    for (int i = 0; i < n_rows; i += 16) {
        s[i / 16] = weight_of(f32x16_sub(s[i / 16], max));
        if (is_part)
            s[i / 16] = f32x16_range(s[i / 16], begin - i, end - i, 0);
        sum = f32x16_add(sum, s[i / 16]);
    }
    if (v_scale != NULL)
#pragma GCC unroll 4
        for (int i = 0; i < n_rows; i += 16)
            s[i / 16] = f32x16_mul(s[i / 16], load_lanes(v_scale + block->first_row, n_rows, i));
#pragma GCC unroll 4
    for (int i = 0; i < n_rows; i += 16)
        f32x16_store(score + i, s[i / 16]);
    f32x16_store(block->sum[i_pass], sum);
    block->keep[head] = keep;
}

SIMD void weigh_block(enum kv_type type, struct attention_block *block)
{
    const int n_whole = whole_block(type);
    for (int head = 0; head < block->n_queries; head++) {
        struct attention_sight sight = sight_of(block, head);
        bool sees_all = block->n_rows == n_whole && sight.begin <= block->first_row &&
                        sight.end >= block->first_row + n_whole;
        if (sees_all)
            weigh_scores(type, false, block, head, sight);
        else
            weigh_scores(type, true, block, head, sight);
    }
    for (int head = block->n_queries; head < count_padded(block->n_queries); head++) {
        memset(block->score[head], 0, sizeof block->score[0]);
        block->keep[head] = 0;
    }
}

/* ---- passes: some queries over all rows ---- */

SIMD int count_queries(const struct attention_query *query)
{
    return query->n_tokens * query->n_heads;
}

SIMD void begin_pass(struct attention_block *block, int first_query)
{
    int n_left = count_queries(block->query) - first_query;
    block->first_of_pass = first_query;
    block->n_of_pass = n_left < PASS_QUERIES ? n_left : PASS_QUERIES;
    for (int i = 0; i < block->n_of_pass; i++) {
        block->states[i].max = -INFINITY;
        f32x16_store(block->sum[i], f32x16_set(0));
    }
}

/* Sums of weights are whole only now. */
SIMD void end_pass(struct attention_block *block, struct attention_state *out_states)
{
    for (int i = 0; i < block->n_of_pass; i++)
        block->states[i].sum = f32x16_sum(f32x16_load(block->sum[i]));
    if (out_states != NULL)
        memcpy(out_states + block->first_of_pass, block->states,
               (size_t)block->n_of_pass * sizeof block->states[0]);
}

/* Of the pass, those from its i-th on, as many as are computed together. */
SIMD void take_queries(struct attention_block *block, int i)
{
    int n_left = block->n_of_pass - i;
    block->first_query = block->first_of_pass + i;
    block->n_queries = n_left < BLOCK_QUERIES ? n_left : BLOCK_QUERIES;
}

SIMD void take_rows(enum kv_type type, struct attention_block *block, int first)
{
    int n_left = block->rows->n_rows - first, n_whole = whole_block(type);
    block->first_row = first;
    block->n_rows = n_left < n_whole ? n_left : n_whole;
    const float *k_scale = block->rows->k_scale;
    for (int i = 0; i < block->n_rows; i += 16) {
        struct f32x16 scale = f32x16_set(block->query->scale);
        if (k_scale != NULL)
            scale = f32x16_mul(load_lanes(k_scale + first, block->n_rows, i), scale);
        f32x16_store(block->row_scale + i, scale);
    }
}

#endif
