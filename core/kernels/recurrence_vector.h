/* recurrence_vector.h - what layers do that carry a state from token to token. */
#ifndef CORE_KERNELS_RECURRENCE_VECTOR_H
#define CORE_KERNELS_RECURRENCE_VECTOR_H

#include "core/kernels/kernels_vector.h"

static void conv_silu(float *y, const float *w, size_t stride, const float *const *x, int n_taps,
                      int n)
{
    for (int i = 0; i < n; i += 16) {
        struct f32x16 sum = f32x16_set(0);
        for (int j = 0; j < n_taps; j++)
            sum = f32x16_fma(load_lanes(w + (size_t)j * stride, n, i), load_lanes(x[j], n, i), sum);
        store_lanes(y, times_sigmoid(sum, sum), n, i);
    }
}

SIMD struct f32x16 column_lanes(const float *row, int n, int i, bool is_part)
{
    return is_part ? load_lanes(row, n, i) : f32x16_load(row + i);
}

/* Of C vectors of columns from i on. What the state has for the key is found first, because the
 * error changes every row. */
SIMD void delta_columns(int C, bool is_part, float *y, float *state, size_t stride,
                        const struct delta_token *token, int dim, int n, int i)
{
    struct f32x16 error[4], said[4];
    const struct f32x16 decay = f32x16_set(token->decay);
#pragma GCC unroll 4
    for (int c = 0; c < C; c++)
        error[c] = said[c] = f32x16_set(0);
    for (int r = 0; r < dim; r++) {
        const float *row = state + (size_t)r * stride;
        struct f32x16 k = f32x16_set(token->k[r]);
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            error[c] = f32x16_fma(k, column_lanes(row, n, i + 16 * c, is_part), error[c]);
    }
#pragma GCC unroll 4
    for (int c = 0; c < C; c++) {
        struct f32x16 v = column_lanes(token->v, n, i + 16 * c, is_part);
        error[c] = f32x16_mul(f32x16_fnma(decay, error[c], v), f32x16_set(token->beta));
    }
    for (int r = 0; r < dim; r++) {
        float *row = state + (size_t)r * stride;
        struct f32x16 k = f32x16_set(token->k[r]), q = f32x16_set(token->q[r]);
#pragma GCC unroll 4
        for (int c = 0; c < C; c++) {
            struct f32x16 s = column_lanes(row, n, i + 16 * c, is_part);
            s = f32x16_fma(k, error[c], f32x16_mul(decay, s));
            said[c] = f32x16_fma(q, s, said[c]);
            store_lanes(row, s, n, i + 16 * c);
        }
    }
#pragma GCC unroll 4
    for (int c = 0; c < C; c++)
        store_lanes(y, said[c], n, i + 16 * c);
}

static void delta_rule(float *y, float *state, size_t stride, const struct delta_token *token,
                       int dim, int n)
{
    enum { MOST = SIMD_TILE_PAIRS < 4 ? SIMD_TILE_PAIRS : 4 };
    int i = 0;
    for (; i + 16 * MOST <= n; i += 16 * MOST)
        delta_columns(MOST, false, y, state, stride, token, dim, n, i);
    for (; i < n; i += 16)
        delta_columns(1, true, y, state, stride, token, dim, n, i);
}

#endif
