/* matmul_vector.h - products of quantized weights with quantized inputs.
 *
 * Two ways. Few tokens: words of a stripe are unpacked in registers as they pass, for a block of
 * tokens at once. Many: a stripe is unpacked once, into a panel in cache that all full blocks of
 * tokens read. Included after a simd_*.h. */
#ifndef CORE_KERNELS_MATMUL_VECTOR_H
#define CORE_KERNELS_MATMUL_VECTOR_H

#include "core/kernels/panel_fill_vector.h"

/* Stripes or panels that take turns with one block of tokens: the second-level cache holds them. */
enum { CACHED_BYTES = 256 << 10 };

/* ---- stripes ---- */

SIMD int count_cached(size_t bytes_of_one)
{
    size_t n = CACHED_BYTES / bytes_of_one;
    return n > 1 ? (int)n : 1;
}

FOR_STRIPE_TYPES(STRIPE_FN)

#define STRIPE_ENTRY(upper, lower) [TENSOR_##upper] = stripe_##lower,
static stripe_fn *const stripe_fns[] = {[TENSOR_IQ2_S] = stripe_iq2_xs,
#ifdef SIMD_MAY_HAVE_GRIDS
                                        [TENSOR_IQ2_XXS_INDICES] = grid_stripe_iq2_xxs,
#endif
                                        FOR_STRIPE_TYPES(STRIPE_ENTRY)};

/* Tokens token .. of stripes begin .. end-1, which stay in cache while they pass. */
static void multiply_stripes(const struct matmul_job *job, int begin, int end, size_t bytes,
                             int token)
{
    const uint8_t *stripes = job->w->stripes;
    stripe_fn *fn = stripe_fns[stripe_type(job->w->type)];
    for (int width; token < job->in->n_tokens; token += width) {
        width = block_width(job->in->n_tokens - token);
        for (int i = begin; i < end; i++)
            fn(width, job, stripes + bytes * (size_t)i, i * STRIPE_ROWS, token);
    }
}

/* ---- panels ---- */

static size_t scratch_bytes(int max_n_in)
{
    size_t one = panel_bytes(max_n_in);
    return one > CACHED_BYTES ? one : CACHED_BYTES;
}

SIMD void panel_block(struct traits traits, const struct matmul_job *job,
                      const struct panel_task *task)
{
    enum { T = SIMD_TILE_TOKENS };
    struct f32x16 acc[T];
#pragma GCC unroll 16
    for (int t = 0; t < T; t++)
        acc[t] = f32x16_set(0);
    tile_panel(traits, T, &task->panel, block_at(job->in, task->token), group_count(job->w->n_in),
               task->ahead, acc);
#pragma GCC unroll 16
    for (int t = 0; t < T; t++)
        store_rows(job, task->row, task->token + t, acc[t]);
}

/* One function for each way in which words are added up. */
static void panel_any_type(const struct matmul_job *job, const struct panel_task *task)
{
    switch (panel_kind(job->w->type)) {
    case PANEL_FOUR_BITS:
        panel_block((struct traits){15, 0, 1, 8, 1, 1}, job, task);
        break;
    case PANEL_FOUR_BITS_HALVES:
        panel_block((struct traits){15, 0, 2, 8, 1, 1}, job, task);
        break;
    case PANEL_FIVE_BITS:
        panel_block((struct traits){31, 0, 1, 8, 1, 1}, job, task);
        break;
    case PANEL_SIX_BITS_HALVES:
        panel_block((struct traits){63, 0, 2, 8, 1, 1}, job, task);
        break;
    case PANEL_SEVEN_BITS:
        panel_block((struct traits){127, 0, 1, 8, 1, 1}, job, task);
        break;
    case PANEL_SEVEN_BITS_HALVES:
        panel_block((struct traits){127, 0, 2, 8, 1, 1}, job, task);
        break;
    case PANEL_SIGNED:
        panel_block((struct traits){0, SIGNED_OFFSET, 1, 8, 1, 1}, job, task);
        break;
    case PANEL_SIGNED_HALVES:
        panel_block((struct traits){0, SIGNED_OFFSET, 2, 8, 1, 1}, job, task);
        break;
    }
}

/* All full blocks of tokens with stripes begin .. end-1; returns the first token left over. The
 * stripes after those come from memory meanwhile: unpacking would wait for it, products do not. */
static int multiply_panels(const struct matmul_job *job, const struct panel_way *way, int begin,
                           int end, size_t bytes)
{
    int n_in = job->w->n_in, token = 0;
    const uint8_t *stripes = job->w->stripes;
    size_t n_groups = (size_t)group_count(n_in);
    size_t n_blocks = (size_t)(job->in->n_tokens / SIMD_TILE_TOKENS);
    size_t lines = (bytes / 64 + n_groups * n_blocks - 1) / (n_groups * n_blocks);
    struct ahead ahead = {stripes + bytes * (size_t)end, 64 * lines};
    const uint8_t *to = ahead.p + bytes * (size_t)(end - begin);
    for (int i = begin; i < end; i++) {
        struct panel panel = panel_at(job->scratch, n_in, i - begin);
        panel.flip = stripe_traits(job->w->type).max == 0 ? way->flip : 0;
        panel_fns[stripe_type(job->w->type)](&panel, stripes + bytes * (size_t)i, n_in);
    }
    for (; token + SIMD_TILE_TOKENS <= job->in->n_tokens; token += SIMD_TILE_TOKENS)
        for (int i = begin; i < end; i++) {
            struct panel_task task = {panel_at(job->scratch, n_in, i - begin), i * STRIPE_ROWS,
                                      token, ahead};
            way->fn(job, &task);
            ahead.p += ahead.each * n_groups;
            if (ahead.p >= to)
                ahead.each = 0;
        }
    return token;
}

static void multiply_quantized(const struct matmul_job *job, const struct panel_way *way)
{
    const struct stripe_format *format = stripe_format(stripe_type(job->w->type));
    size_t n_units = (size_t)job->w->n_in / tensor_format(job->w->type)->block_len;
    size_t bytes = stripe_bytes(format, n_units);
    bool has_panels = job->in->n_tokens >= way->least_tokens;
    int step = count_cached(has_panels ? panel_bytes(job->w->n_in) : bytes);
    int end = (job->row_end + STRIPE_ROWS - 1) / STRIPE_ROWS;
    for (int i = job->row_begin / STRIPE_ROWS; i < end; i += step) {
        int to = i + step < end ? i + step : end;
        int token = has_panels ? multiply_panels(job, way, i, to, bytes) : 0;
        multiply_stripes(job, i, to, bytes, token);
    }
}

static void quantized(const struct matmul_job *job)
{
    const struct panel_way way = {panel_any_type, SIMD_PANEL_TOKENS, 0};
    multiply_quantized(job, &way);
}

#endif
