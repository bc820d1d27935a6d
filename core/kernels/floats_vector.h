/* floats_vector.h - products with float weights, in tiles of rows by tokens.
 *
 * Included after a simd_*.h. */
#ifndef CORE_KERNELS_FLOATS_VECTOR_H
#define CORE_KERNELS_FLOATS_VECTOR_H

#include <string.h>

#include "core/kernels/matmul_isa.h"
#include "core/kernels/prefetch.h"

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

enum {
    STRIP = 1024,      /* elements of a row that stay in the first-level cache with their tile */
    STRIP_TOKENS = 64, /* tokens whose strips stay in the second-level cache */
    FEW_TOKENS = 3,    /* that meet rows one at a time */
    TILE_TOKENS = SIMD_TILE_ROWS > FEW_TOKENS ? SIMD_TILE_ROWS : FEW_TOKENS,
};

/* Some elements of each row, some tokens. */
struct strip {
    const struct matmul_job *job;
    int begin;
    int end;
    int token_begin;
    int token_end;
};

/* y += the products of R rows and T tokens within the strip; the first strip sets y. Whole rows are
 * fetched ahead as they lie in memory, those of the next tile while this one takes turns among its
 * own. */
SIMD void float_tile(enum tensor_type type, int R, int T, const struct strip *strip, int row,
                     int token)
{
    const struct matmul_job *job = strip->job;
    const ptrdiff_t n = job->w->n_in, size = (ptrdiff_t)float_bytes(type);
    const uint8_t *w = (const uint8_t *)job->w->data + size * n * row;
    const float *x = job->in->x + n * token;
    struct f32x16 sums[SIMD_TILE_ROWS][TILE_TOKENS];
    const bool is_first = token == strip->token_begin && strip->end - strip->begin == n;
    const uint8_t *ahead = w + (R == 1 ? WEIGHTS_AHEAD : size * R * n);
#pragma GCC unroll 16
    for (int j = 0; j < R * T; j++)
        sums[j / T][j % T] = f32x16_set(0);

    int i = strip->begin;
    for (; i + 16 <= strip->end; i += 16) {
        struct f32x16 xs[TILE_TOKENS];
        if (is_first && size * R * i % 64 == 0)
            prefetch(ahead + size * R * i, (size_t)(size * R * 16));
#pragma GCC unroll 16
        for (int t = 0; t < T; t++)
            xs[t] = f32x16_load(x + t * n + i);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
            struct f32x16 ws = float_load(type, w + size * (r * n + i));
#pragma GCC unroll 16
            for (int t = 0; t < T; t++)
                sums[r][t] = f32x16_fma(ws, xs[t], sums[r][t]);
        }
    }
#pragma GCC unroll 16
    for (int j = 0; j < R * T; j++) {
        const int r = j / T, t = j % T, n_left = strip->end - i;
        if (n_left > 0)
            sums[r][t] = f32x16_fma(float_load_first(type, w + size * (r * n + i), n_left),
                                    f32x16_load_first(x + t * n + i, n_left), sums[r][t]);
        float *y = job->y + (size_t)(token + t) * job->y_stride + (size_t)(row + r);
        float before = job->bias != NULL ? job->bias[row + r] : 0;
        *y = (strip->begin > 0 ? *y : before) + f32x16_sum(sums[r][t]);
    }
}

SIMD void float_tokens(enum tensor_type type, int R, const struct strip *strip, int row)
{
    int token = strip->token_begin;
    for (; token + SIMD_TILE_ROWS <= strip->token_end; token += SIMD_TILE_ROWS)
        float_tile(type, R, SIMD_TILE_ROWS, strip, row, token);
    for (; token < strip->token_end; token++)
        float_tile(type, R, 1, strip, row, token);
}

SIMD void float_few(enum tensor_type type, const struct strip *strip, int row)
{
    const int token = strip->token_begin;
    switch (strip->token_end - token) {
    case 1:
        float_tile(type, 1, 1, strip, row, token);
        break;
    case 2:
        float_tile(type, 1, 2, strip, row, token);
        break;
    default:
        float_tile(type, 1, FEW_TOKENS, strip, row, token);
        break;
    }
}

/* Few tokens wait for memory, which is fastest when it is read from end to end. */
SIMD void float_strip(enum tensor_type type, const struct strip *strip)
{
    int row = strip->job->row_begin, end = strip->job->row_end;
    if (strip->token_end - strip->token_begin <= FEW_TOKENS) {
        for (; row < end; row++)
            float_few(type, strip, row);
        return;
    }
    for (; row + SIMD_TILE_ROWS <= end; row += SIMD_TILE_ROWS)
        float_tokens(type, SIMD_TILE_ROWS, strip, row);
    for (; row < end; row++)
        float_tokens(type, 1, strip, row);
}

SIMD int least(int a, int b)
{
    return a < b ? a : b;
}

/* Few tokens read each row from memory once, from end to end. */
SIMD void float_rows(enum tensor_type type, const struct matmul_job *job)
{
    int n_in = job->w->n_in, n_tokens = job->in->n_tokens;
    int length = n_tokens <= MATMUL_WHOLE_ROWS ? n_in : STRIP;
    for (int begin = 0; begin < n_in; begin += length) {
        for (int token = 0; token < n_tokens; token += STRIP_TOKENS) {
            struct strip strip = {job, begin, least(begin + length, n_in), token,
                                  least(token + STRIP_TOKENS, n_tokens)};
            float_strip(type, &strip);
        }
    }
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
