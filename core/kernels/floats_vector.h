/* floats_vector.h - products with float weights, in tiles of rows by tokens.
 *
 * Included after a simd_*.h. */
#ifndef CORE_KERNELS_FLOATS_VECTOR_H
#define CORE_KERNELS_FLOATS_VECTOR_H

#include <string.h>

#include "core/kernels/matmul_isa.h"

SIMD size_t float_bytes(enum tensor_type type)
{
    return type == TENSOR_F32 ? sizeof(float) : sizeof(uint16_t);
}

SIMD struct f32x16 float_load(enum tensor_type type, const uint8_t *p)
{
    if (type == TENSOR_F16)
        return f32x16_from_f16((const uint16_t *)p);
    if (type == TENSOR_BF16)
        return f32x16_from_bf16((const uint16_t *)p);
    return f32x16_load((const float *)p);
}

SIMD struct f32x16 float_load_first(enum tensor_type type, const uint8_t *p, int n)
{
    uint8_t last[16 * sizeof(float)] = {0};
    memcpy(last, p, (size_t)n * float_bytes(type));
    return float_load(type, last);
}

/* R rows by T tokens. */
SIMD void float_tile(enum tensor_type type, int R, int T, const struct matmul_job *job, int row,
                     int token)
{
    const int n = job->w->n_in;
    size_t size = float_bytes(type);
    const uint8_t *w = (const uint8_t *)job->w->data + size * (size_t)n * (size_t)row;
    const float *x = job->in->x + (size_t)n * (size_t)token;
    struct f32x16 sums[SIMD_TILE_ROWS][SIMD_TILE_ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < R * T; i++)
        sums[i / T][i % T] = f32x16_set(0);

    int i = 0;
    for (; i + 16 <= n; i += 16) {
        struct f32x16 xs[SIMD_TILE_ROWS];
#pragma GCC unroll 16
        for (int t = 0; t < T; t++)
            xs[t] = f32x16_load(x + t * (ptrdiff_t)n + i);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
            struct f32x16 ws = float_load(type, w + size * (size_t)(r * (ptrdiff_t)n + i));
#pragma GCC unroll 16
            for (int t = 0; t < T; t++)
                sums[r][t] = f32x16_fma(ws, xs[t], sums[r][t]);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 16
        for (int t = 0; t < T; t++) {
            const uint8_t *last = w + size * (size_t)(r * (ptrdiff_t)n + i);
            if (i < n)
                sums[r][t] =
                    f32x16_fma(float_load_first(type, last, n - i),
                               f32x16_load_first(x + t * (ptrdiff_t)n + i, n - i), sums[r][t]);
            job->y[(size_t)(token + t) * job->y_stride + (size_t)(row + r)] =
                f32x16_sum(sums[r][t]) + (job->bias != NULL ? job->bias[row + r] : 0);
        }
    }
}

SIMD void float_tokens(enum tensor_type type, int R, const struct matmul_job *job, int row)
{
    int token = 0, n_tokens = job->in->n_tokens;
    for (; token + SIMD_TILE_ROWS <= n_tokens; token += SIMD_TILE_ROWS)
        float_tile(type, R, SIMD_TILE_ROWS, job, row, token);
    for (; token < n_tokens; token++)
        float_tile(type, R, 1, job, row, token);
}

SIMD void float_rows(enum tensor_type type, const struct matmul_job *job)
{
    int row = job->row_begin;
    for (; row + SIMD_TILE_ROWS <= job->row_end; row += SIMD_TILE_ROWS)
        float_tokens(type, SIMD_TILE_ROWS, job, row);
    for (; row < job->row_end; row++)
        float_tokens(type, 1, job, row);
}

static void floats(const struct matmul_job *job)
{
    if (job->w->type == TENSOR_F32)
        float_rows(TENSOR_F32, job);
    else if (job->w->type == TENSOR_F16)
        float_rows(TENSOR_F16, job);
    else
        float_rows(TENSOR_BF16, job);
}

static void widen(float *y, const void *x, enum tensor_type type, size_t n)
{
    const uint8_t *p = x;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        f32x16_store(y + i, type == TENSOR_F16 ? f32x16_from_f16((const uint16_t *)(p + 2 * i))
                                               : f32x16_from_bf16((const uint16_t *)(p + 2 * i)));
    for (; i < n; i++)
        y[i] = type == TENSOR_F16 ? load_f16(p + 2 * i) : bf16_to_float(load_u16(p + 2 * i));
}

#endif
