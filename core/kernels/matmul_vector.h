/* matmul_vector.h - quantized products, and the quantizing of their inputs.
 *
 * Two ways. Few tokens: each row is unpacked in registers and multiplied with all of them; the
 * speed is that of memory. Many tokens: 16 rows are unpacked once into a panel in cache, four bytes
 * of each row side by side, and a tile of 16 rows by SIMD_TILE_TOKENS tokens stays in registers
 * while the whole panel passes.
 *
 * With w = scale_w u + base and x = scale_x q (both for a group), the sum over a group is
 *   scale_w scale_x (sum of u q) + base (scale_x sum of q):
 * the first in integers, the second prepared once for all rows.
 *
 * Included after a simd_*.h. */
#ifndef CORE_KERNELS_MATMUL_VECTOR_H
#define CORE_KERNELS_MATMUL_VECTOR_H

#include <string.h>

#include "core/kernels/matmul_isa.h"
#include "core/kernels/unpack_vector.h"

enum {
    GROUP = 32,         /* inputs with one scale */
    PANEL_ROWS = 16,    /* rows in a panel: lanes of a vector */
    DOT_MAX_TOKENS = 2, /* for more, panels are faster; measured */
    TILED_MIN_TOKENS = DOT_MAX_TOKENS + 1,
    PANELS_BYTES = 512 << 10, /* as many panels as stay in the second-level cache */
};

SIMD int group_count(int n)
{
    return (n + GROUP - 1) / GROUP;
}

/* Tokens of a tiled batch are cut into blocks of this width: full tiles, then 8, then what is left
 * in pieces of at most 4. */
SIMD int block_width(int n_tokens_left)
{
    int width = SIMD_TILE_TOKENS;
    while (width > 4 && width > n_tokens_left)
        width /= 2;
    return width < n_tokens_left ? width : n_tokens_left;
}

/* Where one block's inputs lie: groups in order, in a group the tokens in order. Untiled batches
 * are blocks of one token. */
struct block {
    const int8_t *q;    /* [n_groups, width, 32] */
    const float *scale; /* [n_groups, width] */
    const float *sum;   /* [n_groups, 2, width]: tiled: of all 32 elements, of the last 16;
                           untiled: of the first 16, of the last 16 */
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
    int is_tiled = in->n_tokens >= TILED_MIN_TOKENS;

    for (int i = 0; i < in->n_in; i += GROUP) {
        float last[GROUP] = {0}, sums[2];
        const float *from = x + i;
        if (in->n_in - i < GROUP)
            from = memcpy(last, from, (size_t)(in->n_in - i) * sizeof *from);
        quantize_group(from, q, scale, sums);
        sum[0] = is_tiled ? sums[0] + sums[1] : sums[0];
        sum[width] = sums[1];
        q += width * GROUP;
        scale += width;
        sum += 2 * width;
    }
}

static void quantize(struct activations *in, int token_begin, int token_end)
{
    if (in->n_tokens < TILED_MIN_TOKENS) {
        for (int token = token_begin; token < token_end; token++)
            quantize_token(in, token, token, 1);
        return;
    }
    for (int begin = 0, width; begin < token_end; begin += width) {
        width = block_width(in->n_tokens - begin);
        for (int token = begin; token < begin + width; token++)
            if (token >= token_begin && token < token_end)
                quantize_token(in, token, begin, width);
    }
}

/* ---- few tokens: see the head ---- */

SIMD struct i32x16 dot(int is_signed, struct i32x16 acc, struct u8x64 u, struct u8x64 q)
{
    return is_signed ? i32x16_dot_signed(acc, u, q) : i32x16_dot(acc, u, q);
}

/* Adds one unit's products with one token to two partial sums. */
SIMD void add_unit(struct f32x16 sums[2], int is_signed, const struct unit *unit,
                   const struct block *x)
{
    struct f32x16 scale = f32x16_mul(unit->scale, f32x16_load_twice(x->scale));
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        struct i32x16 products =
            dot(is_signed, i32x16_zero(), unit->u[i], u8x64_load(x->q + 64 * i));
        sums[i % 2] = f32x16_fma(i32x16_to_f32(products), f32x16_spread(scale, i), sums[i % 2]);
    }
    sums[0] = f32x16_fma(unit->base, f32x16_load(x->sum), sums[0]);
}

SIMD struct block block_unit(struct block x, int i)
{
    return (struct block){x.q + i * UNIT, x.scale + i * (UNIT / GROUP),
                          x.sum + i * (UNIT / GROUP * 2)};
}

/* The last unit of a row that has not all its blocks. */
SIMD void add_part_unit(struct f32x16 sums[2], enum tensor_type type, const uint8_t *p,
                        const struct block *x, int n)
{
    enum { MAX_BLOCK_BYTES = 34 };
    const struct tensor_format *format = tensor_format(type);
    uint8_t blocks[UNIT / GROUP * MAX_BLOCK_BYTES] = {0};
    int8_t q[UNIT] = {0};
    float scale[UNIT / GROUP] = {0}, sum[UNIT / GROUP * 2] = {0};
    size_t n_groups = (size_t)n / GROUP;
    memcpy(blocks, p, n_groups * format->block_bytes);
    memcpy(q, x->q, n_groups * GROUP);
    memcpy(scale, x->scale, n_groups * sizeof *scale);
    memcpy(sum, x->sum, n_groups * 2 * sizeof *sum);

    struct unit unit = unpack(type, blocks);
    add_unit(sums, unit_is_signed(type), &unit, &(struct block){q, scale, sum});
}

/* One row with all T tokens. */
SIMD void dot_row(enum tensor_type type, int T, const struct matmul_job *job, int row)
{
    const struct tensor_format *format = tensor_format(type);
    size_t unit_bytes = UNIT / format->block_len * format->block_bytes;
    const uint8_t *p = (const uint8_t *)job->w->data + matrix_row_bytes(job->w) * (size_t)row;
    int n_units = job->w->n_in / UNIT, n_rest = job->w->n_in % UNIT;
    struct block x[DOT_MAX_TOKENS];
    struct f32x16 sums[DOT_MAX_TOKENS][2];
#pragma GCC unroll 16
    for (int t = 0; t < T; t++) {
        x[t] = block_at(job->in, t);
        sums[t][0] = sums[t][1] = f32x16_set(0);
    }

    for (int i = 0; i < n_units; i++, p += unit_bytes) {
        struct unit unit = unpack(type, p);
#pragma GCC unroll 16
        for (int t = 0; t < T; t++) {
            struct block here = block_unit(x[t], i);
            add_unit(sums[t], unit_is_signed(type), &unit, &here);
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < T; t++) {
        if (n_rest > 0) {
            struct block here = block_unit(x[t], n_units);
            add_part_unit(sums[t], type, p, &here, n_rest);
        }
        job->y[(size_t)t * job->y_stride + (size_t)row] =
            f32x16_sum(f32x16_add(sums[t][0], sums[t][1])) +
            (job->bias != NULL ? job->bias[row] : 0);
    }
}

/* All tokens in one pass, so that memory is read in one stream. */
SIMD void dot_rows(enum tensor_type type, const struct matmul_job *job)
{
    for (int row = job->row_begin; row < job->row_end; row++) {
        if (job->in->n_tokens == 1)
            dot_row(type, 1, job, row);
        else
            dot_row(type, DOT_MAX_TOKENS, job, row);
    }
}

/* ---- many tokens ---- */

/* 16 rows, unpacked. n_scales is 1 or 2 for a group; with two, the second base is the difference
 * to the first, so that it goes with the sum of the last 16 elements. */
struct panel {
    uint8_t *u;   /* [n_groups, 8, 16 rows, 4] */
    float *scale; /* [n_groups, n_scales, 16 rows] */
    float *base;  /* the same */
};

/* Whole units. */
SIMD size_t panel_groups(int n_in)
{
    return (size_t)(n_in + UNIT - 1) / UNIT * (UNIT / GROUP);
}

SIMD size_t panel_bytes(int n_in)
{
    return panel_groups(n_in) * PANEL_ROWS * (GROUP + 4 * sizeof(float));
}

SIMD int panel_count(int n_in)
{
    size_t n = PANELS_BYTES / panel_bytes(n_in);
    return n > 1 ? (int)n : 1;
}

static size_t scratch_bytes(int max_n_in)
{
    size_t one = panel_bytes(max_n_in);
    return one > PANELS_BYTES ? one : PANELS_BYTES;
}

SIMD struct panel panel_at(void *scratch, int n_in, int i)
{
    uint8_t *u = (uint8_t *)scratch + (size_t)i * panel_bytes(n_in);
    float *scale = (float *)(u + panel_groups(n_in) * PANEL_ROWS * GROUP);
    return (struct panel){u, scale, scale + panel_groups(n_in) * PANEL_ROWS * 2};
}

/* The same unit of 16 rows, each in order, before they are woven together. */
struct unit_rows {
    uint8_t u[PANEL_ROWS][UNIT];
    float scale[PANEL_ROWS][UNIT / 16];
    float base[PANEL_ROWS][UNIT / 16];
};

SIMD void weave_unit(enum tensor_type type, const struct panel *panel, int i,
                     const struct unit_rows *rows)
{
    enum { HALVES = UNIT / 16 };
    float scale[HALVES][PANEL_ROWS], base[HALVES][PANEL_ROWS];
    for (int j = 0; j < UNIT / 64; j++)
        u8x64_transpose(panel->u + (i * UNIT + j * 64) * PANEL_ROWS, rows->u[0] + j * 64, UNIT);
    u8x64_transpose((uint8_t *)scale, (const uint8_t *)rows->scale, sizeof rows->scale[0]);
    u8x64_transpose((uint8_t *)base, (const uint8_t *)rows->base, sizeof rows->base[0]);

    int step = unit_has_16(type) ? 1 : 2;
    float *to = panel->scale + i * (HALVES / step) * PANEL_ROWS;
    float *to_base = panel->base + i * (HALVES / step) * PANEL_ROWS;
    for (int j = 0; j < HALVES; j += step, to += PANEL_ROWS, to_base += PANEL_ROWS) {
        struct f32x16 offset = f32x16_load(base[j]);
        if (j % 2 == 1)
            offset = f32x16_sub(offset, f32x16_load(base[j - 1]));
        f32x16_store(to, f32x16_load(scale[j]));
        f32x16_store(to_base, offset);
    }
}

SIMD void fill_row(enum tensor_type type, struct unit_rows *rows, int r, const uint8_t *p)
{
    struct unit unit = unpack(type, p);
    for (int j = 0; j < 4; j++)
        u8x64_store(rows->u[r] + 64 * j, unit.u[j]);
    f32x16_store(rows->scale[r], unit.scale);
    f32x16_store(rows->base[r], unit.base);
}

/* Every row gives one unit and then it is the next one's turn: the hardware foresees nothing. */
SIMD void prefetch(const uint8_t *p, size_t bytes)
{
    enum { AHEAD = 1024, LINE = 64 };
    for (size_t i = 0; i < bytes; i += LINE)
        _mm_prefetch((const void *)((uintptr_t)p + AHEAD + i), _MM_HINT_T0);
}

SIMD void fill_panel(enum tensor_type type, const struct panel *panel, const struct matrix *w,
                     int row, int n_rows)
{
    enum { MAX_BLOCK_BYTES = 34 };
    const struct tensor_format *format = tensor_format(type);
    size_t row_bytes = matrix_row_bytes(w);
    size_t unit_bytes = UNIT / format->block_len * format->block_bytes;
    size_t rest_bytes = row_bytes % unit_bytes;
    const uint8_t *data = (const uint8_t *)w->data + row_bytes * (size_t)row;
    uint8_t last[UNIT / GROUP * MAX_BLOCK_BYTES] = {0};
    struct unit_rows rows;
    memset(&rows, 0, sizeof rows);

    int n_units = w->n_in / UNIT;
    for (int i = 0; i < n_units; i++) {
        for (int r = 0; r < n_rows; r++) {
            const uint8_t *p = data + (size_t)r * row_bytes + (size_t)i * unit_bytes;
            prefetch(p, unit_bytes);
            fill_row(type, &rows, r, p);
        }
        weave_unit(type, panel, i, &rows);
    }
    if (rest_bytes == 0)
        return;
    for (int r = 0; r < n_rows; r++) {
        memcpy(last, data + (size_t)(r + 1) * row_bytes - rest_bytes, rest_bytes);
        fill_row(type, &rows, r, last);
    }
    weave_unit(type, panel, n_units, &rows);
}

/* What the inner loop needs to know of a format. */
struct format_traits {
    int is_signed;
    int n_scales; /* for each group: 1 or 2 */
};

SIMD struct format_traits traits_of(enum tensor_type type)
{
    return (struct format_traits){unit_is_signed(type), unit_has_16(type) ? 2 : 1};
}

/* Adds one group (or half a group, where that has a scale of its own) of 16 rows to T tokens. Four
 * tokens take turns, so that no product waits for the one before. */
SIMD void tile_step(struct format_traits traits, int T, const uint8_t *u, struct f32x16 scale,
                    struct f32x16 base, const struct block *x, struct f32x16 *acc)
{
    enum { TURNS = 4 };
    const int n_words = 8 / traits.n_scales;
    struct u8x64 w[8];
#pragma GCC unroll 16
    for (int k = 0; k < n_words; k++)
        w[k] = u8x64_load(u + 64 * k);
#pragma GCC unroll 16
    for (int begin = 0; begin < T; begin += TURNS) {
        const int end = begin + TURNS < T ? begin + TURNS : T;
        struct i32x16 sums[TURNS];
#pragma GCC unroll 16
        for (int t = begin; t < end; t++)
            sums[t - begin] = i32x16_zero();
#pragma GCC unroll 16
        for (int k = 0; k < n_words; k++)
#pragma GCC unroll 16
            for (int t = begin; t < end; t++)
                sums[t - begin] = dot(traits.is_signed, sums[t - begin], w[k],
                                      u8x64_repeat4(x->q + t * GROUP + 4 * k));
#pragma GCC unroll 16
        for (int t = begin; t < end; t++) {
            struct f32x16 scaled = f32x16_mul(i32x16_to_f32(sums[t - begin]), scale);
            acc[t] = f32x16_fma(scaled, f32x16_set(x->scale[t]), acc[t]);
            acc[t] = f32x16_fma(base, f32x16_set(x->sum[t]), acc[t]);
        }
    }
}

/* y of 16 rows and T tokens: the accumulators stay in registers. */
SIMD void tile(struct format_traits traits, int T, const struct panel *panel, struct block x,
               int n_groups, struct f32x16 *acc)
{
    const uint8_t *u = panel->u;
    const float *scale = panel->scale, *base = panel->base;
#pragma GCC unroll 16
    for (int t = 0; t < T; t++)
        acc[t] = f32x16_set(0);
    for (int group = 0; group < n_groups; group++) {
#pragma GCC unroll 16
        for (int half = 0; half < traits.n_scales; half++) {
            struct block here = {x.q + half * 16, x.scale, x.sum + half * T};
            tile_step(traits, T, u, f32x16_load(scale), f32x16_load(base), &here, acc);
            u += 64 * 8 / traits.n_scales;
            scale += PANEL_ROWS;
            base += PANEL_ROWS;
        }
        x.q += T * GROUP;
        x.scale += T;
        x.sum += 2 * T;
    }
}

SIMD void tile_to(struct format_traits traits, int T, const struct matmul_job *job,
                  const struct panel *panel, int row, int token)
{
    int n_rows = job->row_end - row < PANEL_ROWS ? job->row_end - row : PANEL_ROWS;
    struct f32x16 acc[SIMD_TILE_TOKENS], bias = f32x16_set(0);
    if (job->bias != NULL)
        bias = f32x16_load_first(job->bias + row, n_rows);
    tile(traits, T, panel, block_at(job->in, token), group_count(job->w->n_in), acc);
#pragma GCC unroll 16
    for (int t = 0; t < T; t++)
        f32x16_store_first(job->y + (size_t)(token + t) * job->y_stride + row,
                           f32x16_add(acc[t], bias), n_rows);
}

SIMD void tile_any_width(struct format_traits traits, int width, const struct matmul_job *job,
                         const struct panel *panel, int row, int token)
{
    switch (width) {
#if SIMD_TILE_TOKENS >= 16
    case 16:
        tile_to(traits, 16, job, panel, row, token);
        break;
    case 8:
        tile_to(traits, 8, job, panel, row, token);
        break;
#endif
    case 4:
        tile_to(traits, 4, job, panel, row, token);
        break;
    case 3:
        tile_to(traits, 3, job, panel, row, token);
        break;
    case 2:
        tile_to(traits, 2, job, panel, row, token);
        break;
    default:
        tile_to(traits, 1, job, panel, row, token);
        break;
    }
}

typedef void tile_fn(int width, const struct matmul_job *job, const struct panel *panel, int row,
                     int token);

static void tile_signed(int width, const struct matmul_job *job, const struct panel *panel, int row,
                        int token)
{
    tile_any_width((struct format_traits){1, 1}, width, job, panel, row, token);
}

static void tile_one_scale(int width, const struct matmul_job *job, const struct panel *panel,
                           int row, int token)
{
    tile_any_width((struct format_traits){0, 1}, width, job, panel, row, token);
}

static void tile_two_scales(int width, const struct matmul_job *job, const struct panel *panel,
                            int row, int token)
{
    tile_any_width((struct format_traits){0, 2}, width, job, panel, row, token);
}

SIMD tile_fn *tile_for(struct format_traits traits)
{
    if (traits.is_signed)
        return tile_signed;
    return traits.n_scales == 2 ? tile_two_scales : tile_one_scale;
}

/* Some panels at a time, so that a block of tokens is read from cache for all of them. */
SIMD void tile_rows(enum tensor_type type, const struct matmul_job *job)
{
    int n_in = job->w->n_in, n_panels = panel_count(n_in), n_tokens = job->in->n_tokens;
    tile_fn *fn = tile_for(traits_of(type));
    for (int begin = job->row_begin; begin < job->row_end; begin += n_panels * PANEL_ROWS) {
        int end = begin + n_panels * PANEL_ROWS;
        if (end > job->row_end)
            end = job->row_end;
        for (int row = begin, i = 0; row < end; row += PANEL_ROWS, i++) {
            struct panel panel = panel_at(job->scratch, n_in, i);
            int n_rows = end - row < PANEL_ROWS ? end - row : PANEL_ROWS;
            fill_panel(type, &panel, job->w, row, n_rows);
        }
        for (int token = 0, width; token < n_tokens; token += width) {
            width = block_width(n_tokens - token);
            for (int row = begin, i = 0; row < end; row += PANEL_ROWS, i++) {
                struct panel panel = panel_at(job->scratch, n_in, i);
                fn(width, job, &panel, row, token);
            }
        }
    }
}

SIMD void quantized_rows(enum tensor_type type, const struct matmul_job *job)
{
    if (job->in->n_tokens < TILED_MIN_TOKENS)
        dot_rows(type, job);
    else
        tile_rows(type, job);
}

static void quantized(const struct matmul_job *job)
{
    switch (job->w->type) {
    case TENSOR_Q4_0:
        quantized_rows(TENSOR_Q4_0, job);
        break;
    case TENSOR_Q4_1:
        quantized_rows(TENSOR_Q4_1, job);
        break;
    case TENSOR_Q5_0:
        quantized_rows(TENSOR_Q5_0, job);
        break;
    case TENSOR_Q5_1:
        quantized_rows(TENSOR_Q5_1, job);
        break;
    case TENSOR_Q8_0:
        quantized_rows(TENSOR_Q8_0, job);
        break;
    case TENSOR_Q2_K:
        quantized_rows(TENSOR_Q2_K, job);
        break;
    case TENSOR_Q3_K:
        quantized_rows(TENSOR_Q3_K, job);
        break;
    case TENSOR_Q4_K:
        quantized_rows(TENSOR_Q4_K, job);
        break;
    case TENSOR_Q5_K:
        quantized_rows(TENSOR_Q5_K, job);
        break;
    case TENSOR_Q6_K:
        quantized_rows(TENSOR_Q6_K, job);
        break;
    case TENSOR_IQ2_XXS:
        quantized_rows(TENSOR_IQ2_XXS, job);
        break;
    case TENSOR_F32:
    case TENSOR_F16:
    case TENSOR_BF16:
        break;
    }
}

#endif
