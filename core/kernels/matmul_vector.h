/* matmul_vector.h - products of quantized weights with quantized inputs.
 *
 * Two ways. Stripes: words are unpacked in registers as they pass, for a block of tokens at once,
 * the whole stripe being read from cache again for the next block. Grids (formats that look their
 * numbers up): one token meets each row as it lies; for more, 16 rows are unpacked once into a
 * panel in cache. Included after a simd_*.h. */
#ifndef CORE_KERNELS_MATMUL_VECTOR_H
#define CORE_KERNELS_MATMUL_VECTOR_H

#include "core/kernels/grid_vector.h"
#include "core/kernels/tile_vector.h"

/* Stripes or panels that take turns with one block of tokens: the second-level cache holds them. */
enum { CACHED_BYTES = 256 << 10 };

SIMD int count_cached(size_t bytes_of_one)
{
    size_t n = CACHED_BYTES / bytes_of_one;
    return n > 1 ? (int)n : 1;
}

/* ---- stripes ---- */

SIMD void stripe_block(enum tensor_type type, int T, const struct matmul_job *job,
                       const uint8_t *stripe, int row, int token)
{
    struct f32x16 acc[SIMD_TILE_TOKENS];
    int n_units = job->w->n_in / (int)tensor_format(type)->block_len;
#pragma GCC unroll 16
    for (int t = 0; t < T; t++)
        acc[t] = f32x16_set(0);
    tile_stripe(type, T, stripe, block_at(job->in, token), n_units, acc);
#pragma GCC unroll 16
    for (int t = 0; t < T; t++)
        store_rows(job, row, token + t, acc[t]);
}

typedef void stripe_fn(int width, const struct matmul_job *job, const uint8_t *stripe, int row,
                       int token);

SIMD void stripe_any_width(enum tensor_type type, int width, const struct matmul_job *job,
                           const uint8_t *stripe, int row, int token)
{
    switch (width) {
#if SIMD_TILE_TOKENS >= 16
    case 16:
        stripe_block(type, 16, job, stripe, row, token);
        break;
    case 8:
        stripe_block(type, 8, job, stripe, row, token);
        break;
#endif
    case 4:
        stripe_block(type, 4, job, stripe, row, token);
        break;
    case 2:
        stripe_block(type, 2, job, stripe, row, token);
        break;
    default:
        stripe_block(type, 1, job, stripe, row, token);
        break;
    }
}

#define STRIPE_FN(name, type)                                                                 \
    static void name(int width, const struct matmul_job *job, const uint8_t *stripe, int row, \
                     int token)                                                               \
    {                                                                                         \
        stripe_any_width(type, width, job, stripe, row, token);                               \
    }
STRIPE_FN(stripe_q4_0, TENSOR_Q4_0)
STRIPE_FN(stripe_q4_1, TENSOR_Q4_1)
STRIPE_FN(stripe_q5_0, TENSOR_Q5_0)
STRIPE_FN(stripe_q5_1, TENSOR_Q5_1)
STRIPE_FN(stripe_q8_0, TENSOR_Q8_0)
STRIPE_FN(stripe_q2_k, TENSOR_Q2_K)
STRIPE_FN(stripe_q3_k, TENSOR_Q3_K)
STRIPE_FN(stripe_q4_k, TENSOR_Q4_K)
STRIPE_FN(stripe_q5_k, TENSOR_Q5_K)
STRIPE_FN(stripe_q6_k, TENSOR_Q6_K)
STRIPE_FN(stripe_iq4_nl, TENSOR_IQ4_NL)
STRIPE_FN(stripe_iq4_xs, TENSOR_IQ4_XS)
#undef STRIPE_FN

static stripe_fn *const stripe_fns[] = {
    [TENSOR_Q4_0] = stripe_q4_0, [TENSOR_Q4_1] = stripe_q4_1,     [TENSOR_Q5_0] = stripe_q5_0,
    [TENSOR_Q5_1] = stripe_q5_1, [TENSOR_Q8_0] = stripe_q8_0,     [TENSOR_Q2_K] = stripe_q2_k,
    [TENSOR_Q3_K] = stripe_q3_k, [TENSOR_Q4_K] = stripe_q4_k,     [TENSOR_Q5_K] = stripe_q5_k,
    [TENSOR_Q6_K] = stripe_q6_k, [TENSOR_IQ4_NL] = stripe_iq4_nl, [TENSOR_IQ4_XS] = stripe_iq4_xs,
};

/* Stripes begin .. end-1 stay in cache while all tokens pass. */
static void multiply_stripes(const struct matmul_job *job, int begin, int end, size_t bytes)
{
    const uint8_t *stripes = job->w->stripes;
    stripe_fn *fn = stripe_fns[job->w->type];
    for (int token = 0, width; token < job->in->n_tokens; token += width) {
        width = block_width(job->in->n_tokens - token);
        for (int i = begin; i < end; i++)
            fn(width, job, stripes + bytes * (size_t)i, i * STRIPE_ROWS, token);
    }
}

static void multiply_striped(const struct matmul_job *job)
{
    const struct stripe_format *format = stripe_format(job->w->type);
    size_t n_units = (size_t)job->w->n_in / tensor_format(job->w->type)->block_len;
    size_t bytes = stripe_bytes(format, n_units);
    int step = count_cached(bytes);
    int end = (job->row_end + STRIPE_ROWS - 1) / STRIPE_ROWS;
    for (int i = job->row_begin / STRIPE_ROWS; i < end; i += step)
        multiply_stripes(job, i, i + step < end ? i + step : end, bytes);
}

/* ---- grids ---- */

static size_t scratch_bytes(int max_n_in)
{
    size_t one = panel_bytes(max_n_in);
    return one > CACHED_BYTES ? one : CACHED_BYTES;
}

SIMD void panel_block(int n_scales, int T, const struct matmul_job *job, const struct panel *panel,
                      int row, int token)
{
    struct f32x16 acc[SIMD_TILE_TOKENS];
#pragma GCC unroll 16
    for (int t = 0; t < T; t++)
        acc[t] = f32x16_set(0);
    tile_panel(n_scales, T, panel, block_at(job->in, token), group_count(job->w->n_in), acc);
#pragma GCC unroll 16
    for (int t = 0; t < T; t++)
        store_rows(job, row, token + t, acc[t]);
}

static void panel_any_width(int width, const struct matmul_job *job, const struct panel *panel,
                            int row, int token)
{
    switch (width) {
#if SIMD_TILE_TOKENS >= 16
    case 16:
        panel_block(2, 16, job, panel, row, token);
        break;
    case 8:
        panel_block(2, 8, job, panel, row, token);
        break;
#endif
    case 4:
        panel_block(2, 4, job, panel, row, token);
        break;
    case 2:
        panel_block(2, 2, job, panel, row, token);
        break;
    default:
        panel_block(2, 1, job, panel, row, token);
        break;
    }
}

/* Some panels at a time, so that a block of tokens is read from cache for all of them. */
SIMD void multiply_panels(enum tensor_type type, const struct matmul_job *job)
{
    int n_in = job->w->n_in, n_tokens = job->in->n_tokens;
    int n_panels = count_cached(panel_bytes(n_in));
    for (int begin = job->row_begin; begin < job->row_end; begin += n_panels * STRIPE_ROWS) {
        int end = begin + n_panels * STRIPE_ROWS;
        if (end > job->row_end)
            end = job->row_end;
        for (int row = begin, i = 0; row < end; row += STRIPE_ROWS, i++) {
            struct panel panel = panel_at(job->scratch, n_in, i);
            fill_panel(type, &panel, job->w, row,
                       end - row < STRIPE_ROWS ? end - row : STRIPE_ROWS);
        }
        for (int token = 0, width; token < n_tokens; token += width) {
            width = block_width(n_tokens - token);
            for (int row = begin, i = 0; row < end; row += STRIPE_ROWS, i++) {
                struct panel panel = panel_at(job->scratch, n_in, i);
                panel_any_width(width, job, &panel, row, token);
            }
        }
    }
}

SIMD void multiply_grid(enum tensor_type type, const struct matmul_job *job)
{
    if (job->in->n_tokens == 1)
        dot_rows(type, job);
    else
        multiply_panels(type, job);
}

static void quantized(const struct matmul_job *job)
{
    switch (job->w->type) {
    case TENSOR_IQ1_S:
        multiply_grid(TENSOR_IQ1_S, job);
        break;
    case TENSOR_IQ2_XXS:
        multiply_grid(TENSOR_IQ2_XXS, job);
        break;
    case TENSOR_IQ2_XS:
        multiply_grid(TENSOR_IQ2_XS, job);
        break;
    case TENSOR_IQ2_S:
        multiply_grid(TENSOR_IQ2_S, job);
        break;
    case TENSOR_IQ3_XXS:
        multiply_grid(TENSOR_IQ3_XXS, job);
        break;
    case TENSOR_IQ3_S:
        multiply_grid(TENSOR_IQ3_S, job);
        break;
    default:
        multiply_striped(job);
        break;
    }
}

#endif
