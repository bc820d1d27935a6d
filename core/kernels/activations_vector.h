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
};

SIMD struct block block_at(const struct activations *in, int token)
{
    size_t groups = (size_t)token * (size_t)group_count(in->n_in);
    return (struct block){in->q + groups * GROUP, in->scale + groups, in->sum + groups * 2};
}

/* Rounds 32 numbers; `sums` are those of the first and the last 16. */
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
    sums[0] = f32x16_sum(low) * *scale;
    sums[1] = f32x16_sum(high) * *scale;
}

static void quantize_token(struct activations *in, int token, int block_begin, int width)
{
    const float *x = in->x + (size_t)token * (size_t)in->n_in;
    struct block block = block_at(in, block_begin);
    int8_t *q = in->q + (block.q - in->q) + (token - block_begin) * GROUP;
    float *scale = in->scale + (block.scale - in->scale) + (token - block_begin);
    float *sum = in->sum + (block.sum - in->sum) + (token - block_begin);

    for (int i = 0; i < in->n_in; i += GROUP) {
        float last[GROUP] = {0}, sums[2];
        const float *from = x + i;
        if (in->n_in - i < GROUP)
            from = memcpy(last, from, (size_t)(in->n_in - i) * sizeof *from);
        quantize_group(from, q, scale, sums);
        sum[0] = sums[0] + sums[1];
        sum[width] = sums[1];
        q += width * GROUP;
        scale += width;
        sum += 2 * width;
    }
}

static inline void quantize(struct activations *in, int token_begin, int token_end)
{
    for (int begin = 0, width; begin < token_end; begin += width) {
        width = block_width(in->n_tokens - begin);
        for (int token = begin; token < begin + width; token++)
            if (token >= token_begin && token < token_end)
                quantize_token(in, token, begin, width);
    }
}

#endif
