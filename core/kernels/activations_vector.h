/* activations_vector.h - inputs in 8 bits, and the order in which they lie.
 *
 * Included after a simd_*.h. */
#ifndef CORE_KERNELS_ACTIVATIONS_VECTOR_H
#define CORE_KERNELS_ACTIVATIONS_VECTOR_H

#include <string.h>

#include "core/kernels/matmul_isa.h"

enum { GROUP = 32 }; /* inputs with one scale */

SIMD int group_count(int n)
{
    return (n + GROUP - 1) / GROUP;
}

/* A batch is cut into blocks of tokens of this width: full tiles, then halves of them. */
SIMD int block_width(int n_tokens_left)
{
    int width = SIMD_TILE_TOKENS;
    while (width > n_tokens_left)
        width /= 2;
    return width;
}

/* Where one block's inputs lie: groups in order, in a group the tokens in order. */
struct block {
    const int8_t *q;    /* [n_groups, width, 32] */
    const float *scale; /* [n_groups, width] */
    const float *sum;   /* [n_groups, 2, width]: of all 32 elements, of the last 16 */
    /* [n_groups, 3, width]: what offsets of weights take away, -SIGNED_OFFSET times the sum of q of
     * all 32 elements, of the first 16, of the last 16; unused where that is 0. */
    const int32_t *start;
};

SIMD struct block block_at(const struct activations *in, int token)
{
    size_t groups = (size_t)token * (size_t)group_count(in->n_in);
    return (struct block){in->q + groups * GROUP, in->scale + groups, in->sum + groups * 2,
                          in->start + groups * 3};
}

/* Rounds 32 numbers; `sums` are those of q, of the first and the last 16. */
SIMD void quantize_group(const float *x, int8_t *q, float *scale, float sums[2])
{
    struct f32x16 low = f32x16_finite(f32x16_load(x));
    struct f32x16 high = f32x16_finite(f32x16_load(x + 16));
    float max = f32x16_largest(f32x16_max(f32x16_abs(low), f32x16_abs(high)));
    if (max < 0x1p-100f) /* its inverse may not be a number */
        max = 0;
    float inverse = max > 0 ? 127 / max : 0;
    *scale = max / 127;
    low = f32x16_round(f32x16_mul(low, f32x16_set(inverse)));
    high = f32x16_round(f32x16_mul(high, f32x16_set(inverse)));
    f32x16_to_i8(q, low);
    f32x16_to_i8(q + 16, high);
    sums[0] = f32x16_sum(low);
    sums[1] = f32x16_sum(high);
}

/* One group of one token of a block. */
SIMD void quantize_place(struct activations *in, int block_begin, int width, int token, int group)
{
    const struct block block = block_at(in, block_begin);
    const size_t t = (size_t)(token - block_begin), w = (size_t)width, g = (size_t)group;
    const float *from = in->x + (size_t)token * (size_t)in->n_in + g * GROUP;
    float last[GROUP] = {0}, sums[2];
    const int n_left = in->n_in - group * GROUP;
    if (n_left < GROUP)
        from = memcpy(last, from, (size_t)n_left * sizeof *from);

    int8_t *q = in->q + (block.q - in->q) + (g * w + t) * GROUP;
    float *scale = in->scale + (block.scale - in->scale) + g * w + t;
    float *sum = in->sum + (block.sum - in->sum) + 2 * g * w + t;
    int32_t *start = in->start + (block.start - in->start) + 3 * g * w + t;
    quantize_group(from, q, scale, sums);
    sum[0] = (sums[0] + sums[1]) * *scale;
    sum[w] = sums[1] * *scale;
    start[0] = -SIGNED_OFFSET * (int)(sums[0] + sums[1]);
    start[w] = -SIGNED_OFFSET * (int)sums[0];
    start[2 * w] = -SIGNED_OFFSET * (int)sums[1];
}

static inline void quantize(struct activations *in, int begin, int end)
{
    for (int block = 0, width; block < in->n_tokens; block += width) {
        width = block_width(in->n_tokens - block);
        for (int token = block; token < block + width; token++)
            for (int i = begin; i < end; i += GROUP)
                quantize_place(in, block, width, token, i / GROUP);
    }
}

/* Where the block begins that a token is in. */
SIMD int begin_of_block(int n_tokens, int token, int *out_width)
{
    int begin = token / SIMD_TILE_TOKENS * SIMD_TILE_TOKENS;
    while (token >= begin + block_width(n_tokens - begin))
        begin += block_width(n_tokens - begin);
    *out_width = block_width(n_tokens - begin);
    return begin;
}

/* One token of a block, from another batch. */
SIMD void gather_token(const struct activations *to, int begin, int width, int token,
                       const struct activations *from, int source)
{
    int from_width, from_begin = begin_of_block(from->n_tokens, source, &from_width);
    const struct block block = block_at(from, from_begin);
    const size_t n_groups = (size_t)group_count(to->n_in), at = (size_t)begin * n_groups;
    const size_t t = (size_t)(token - begin), w = (size_t)width;
    const size_t s = (size_t)(source - from_begin), v = (size_t)from_width;
    for (size_t g = 0; g < n_groups; g++) {
        memcpy(to->q + (at + g * w + t) * GROUP, block.q + (g * v + s) * GROUP, GROUP);
        to->scale[at + g * w + t] = block.scale[g * v + s];
        for (size_t i = 0; i < 2; i++)
            to->sum[2 * at + (2 * g + i) * w + t] = block.sum[(2 * g + i) * v + s];
        for (size_t i = 0; i < 3; i++)
            to->start[3 * at + (3 * g + i) * w + t] = block.start[(3 * g + i) * v + s];
    }
}

static inline void gather(const struct activations *to, const struct activations *from,
                          const int *tokens)
{
    for (int begin = 0, width; begin < to->n_tokens; begin += width) {
        width = block_width(to->n_tokens - begin);
        for (int token = begin; token < begin + width; token++)
            gather_token(to, begin, width, token, from, tokens[token]);
    }
}

/* Each block of tokens takes the weights' time again; a block of 4 takes less than blocks of 2 and
 * 1, one of 8 no more than those of 4 and 1. Measured, as is that 8 and 1 are better than 16. */
static inline int pad_tokens(int n)
{
    for (int width = 4; width <= 8 && width <= SIMD_TILE_TOKENS; width *= 2) {
        if (n % width > width / 2)
            n += width - n % width;
    }
    return n;
}

#endif
