/* attention_block_vector.h - some queries, a block of rows, and what scores become: weights.
 *
 * A query is one head of one token. Rows are taken in blocks that stay in the first-level cache,
 * and the softmax goes along with them (arXiv 2205.14135). Included after kernels_vector.h. */
#ifndef CORE_KERNELS_ATTENTION_BLOCK_VECTOR_H
#define CORE_KERNELS_ATTENTION_BLOCK_VECTOR_H

#include "core/kernels/kernels_vector.h"

enum {
    BLOCK_ROWS = 64,                       /* a multiple of 32 */
    BLOCK_QUERIES = 8,                     /* computed together */
    PASS_QUERIES = ATTENTION_PASS_QUERIES, /* more queries read the rows again */
    WIDENED_DIM = 256,
};

/* What is still to be fetched of some memory. */
struct attention_fetch {
    const uint8_t *p, *end;
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
    struct attention_fetch next, after_next;             /* keys and values of the next block */
    int n_fetched_at_once;                               /* lines of 64 bytes */
    _Alignas(64) float score[BLOCK_QUERIES][BLOCK_ROWS]; /* then the weights */
    float sum[PASS_QUERIES][16];                         /* of weights so far, a part to a lane */
    struct attention_state states[PASS_QUERIES];
    float keep[BLOCK_QUERIES]; /* what older weights shrink to */
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

/* cap * tanh(x / cap) */
SIMD struct f32x16 soft_cap(struct f32x16 x, float cap)
{
    struct f32x16 e = vector_exp(f32x16_mul(x, f32x16_set(2 / cap)));
    struct f32x16 rest = f32x16_div(f32x16_set(2 * cap), f32x16_add(e, f32x16_set(1)));
    return f32x16_sub(f32x16_set(cap), rest);
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

/* From q.k to scores of rows i .. i+15 of the block's n; `distance` is that of its first row. */
SIMD struct f32x16 finish_scores(const struct attention_block *block, int n, int head, int i,
                                 int distance)
{
    static const float lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const struct attention_query *query = block->query;
    const struct attention_rows *rows = block->rows;
    struct f32x16 s = f32x16_mul(f32x16_load(block->score[head] + i), f32x16_set(query->scale));
    if (rows->k_scale != NULL)
        s = f32x16_mul(s, load_lanes(rows->k_scale + block->first_row, n, i));
    if (query->soft_cap > 0)
        s = soft_cap(s, query->soft_cap);
    if (query->slopes != NULL) {
        float slope = query->slopes[(block->first_query + head) % query->n_heads];
        struct f32x16 distances =
            f32x16_sub(f32x16_set((float)(distance - i)), f32x16_load(lane_numbers));
        s = f32x16_fnma(f32x16_set(slope), distances, s);
    }
    return s;
}

/* Turns scores into weights relative to the state's maximum. That follows only scores that are
 * HEADROOM above it, so that most blocks find none. */
SIMD void weigh_scores(bool is_part, struct attention_block *block, int head,
                       struct attention_sight sight)
{
    enum { HEADROOM = 8 };
    const struct attention_rows *rows = block->rows;
    const int i_pass = in_pass(block, head);
    const int begin = sight.begin - block->first_row, end = sight.end - block->first_row;
    const int n_rows = is_part ? block->n_rows : BLOCK_ROWS;
    struct attention_state *state = &block->states[i_pass];
    float *score = block->score[head], keep = 1;
    struct f32x16 s[BLOCK_ROWS / 16], largest = f32x16_set(-INFINITY);
#pragma GCC unroll 4
    for (int i = 0; i < n_rows; i += 16) {
        s[i / 16] = finish_scores(block, n_rows, head, i, sight.first_distance - block->first_row);
        if (is_part)
            s[i / 16] = f32x16_range(s[i / 16], begin - i, end - i, -INFINITY);
        largest = f32x16_max(s[i / 16], largest);
    }
    if (f32x16_any_above(largest, f32x16_set(state->max + HEADROOM))) {
        float max = f32x16_largest(largest);
        keep = expf(state->max - max);
        state->max = max;
    }
    struct f32x16 sum = f32x16_mul(f32x16_load(block->sum[i_pass]), f32x16_set(keep));
#pragma GCC unroll 4
    for (int i = 0; i < n_rows; i += 16) {
        struct f32x16 weight = vector_exp(f32x16_sub(s[i / 16], f32x16_set(state->max)));
        if (is_part)
            weight = f32x16_range(weight, begin - i, end - i, 0);
        sum = f32x16_add(sum, weight);
        if (rows->v_scale != NULL)
            weight = f32x16_mul(weight, load_lanes(rows->v_scale + block->first_row, n_rows, i));
        f32x16_store(score + i, weight);
    }
    f32x16_store(block->sum[i_pass], sum);
    block->keep[head] = keep;
}

SIMD void weigh_block(struct attention_block *block)
{
    for (int head = 0; head < block->n_queries; head++) {
        struct attention_sight sight = sight_of(block, head);
        bool sees_all = block->n_rows == BLOCK_ROWS && sight.begin <= block->first_row &&
                        sight.end >= block->first_row + BLOCK_ROWS;
        if (sees_all)
            weigh_scores(false, block, head, sight);
        else
            weigh_scores(true, block, head, sight);
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

SIMD void take_rows(struct attention_block *block, int first)
{
    int n_left = block->rows->n_rows - first;
    block->first_row = first;
    block->n_rows = n_left < BLOCK_ROWS ? n_left : BLOCK_ROWS;
}

/* ---- the block after this one, which comes from memory while this one is computed ---- */

SIMD struct attention_fetch fetch_of(const struct attention_block *block, const void *rows,
                                     size_t row_bytes)
{
    int begin = block->first_row + block->n_rows;
    int n_left = block->rows->n_rows - begin;
    const uint8_t *p = (const uint8_t *)rows + row_bytes * (size_t)begin;
    return (struct attention_fetch){p, p + row_bytes *
                                               (size_t)(n_left < BLOCK_ROWS ? n_left : BLOCK_ROWS)};
}

SIMD void plan_fetches(enum kv_type type, struct attention_block *block)
{
    size_t k_bytes = kv_bytes(type) * (size_t)block->query->head_dim;
    size_t v_bytes = kv_bytes(type) * (size_t)block->query->head_dim_v;
    block->next = fetch_of(block, block->rows->k, k_bytes);
    block->after_next = fetch_of(block, block->rows->v, v_bytes);
    block->n_fetched_at_once = (int)((k_bytes + v_bytes + 255) / 256);
}

/* Called about four times for each row. All at once would fill the buffers in which lines are
 * awaited, and the block's own loads would wait behind them. */
SIMD void fetch_some(struct attention_block *block)
{
    for (int i = 0; i < block->n_fetched_at_once; i++, block->next.p += 64) {
        if (block->next.p >= block->next.end) {
            block->next = block->after_next;
            block->after_next = (struct attention_fetch){NULL, NULL};
        }
        if (block->next.p >= block->next.end)
            return;
        _mm_prefetch((const void *)block->next.p, _MM_HINT_T0);
    }
}

#endif
