/* grid_vector.h - products of formats that look their numbers up in a grid (grid.h).
 *
 * One token meets each row as it lies; for more, 16 rows are unpacked once into a panel in cache.
 * Included after a simd_*.h. */
#ifndef CORE_KERNELS_GRID_VECTOR_H
#define CORE_KERNELS_GRID_VECTOR_H

#include "core/kernels/grid.h"
#include "core/kernels/tile_vector.h"

enum { GRID_OFFSET = 64 };

/* A block, in order: element i is scale[i / 16] * (u[i] - GRID_OFFSET); u is 1 .. 127. */
struct grid_block {
    struct u8x64 u[4];
    struct f32x16 scale;
};

SIMD struct grid_block grid_unpack(enum tensor_type type, const uint8_t *p)
{
    struct grid_block block;
    float scale[GRID_LEN / 16];
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        struct grid_group a, b;
        grid_read(type, p, 2 * i, &a);
        grid_read(type, p, 2 * i + 1, &b);
        struct u8x64 sizes = u8x64_from_words(a.sizes, b.sizes);
        struct u8x64 negative = u8x64_and(sizes, u8x64_from_words(a.masks, b.masks));
        struct u8x64 sum = u8x64_add(sizes, u8x64_set(GRID_OFFSET));
        block.u[i] = u8x64_sub(sum, u8x64_add(negative, negative));
        scale[4 * i] = a.scale[0];
        scale[4 * i + 1] = a.scale[1];
        scale[4 * i + 2] = b.scale[0];
        scale[4 * i + 3] = b.scale[1];
    }
    block.scale = f32x16_mul(f32x16_load(scale), f32x16_set(_cvtsh_ss(load_u16(p))));
    return block;
}

/* ---- one token ---- */

/* base of even lanes, and how much more that of odd lanes is: as the sums of inputs lie. */
SIMD struct f32x16 grid_bases(struct f32x16 scale)
{
    struct f32x16 steps = f32x16_sub(scale, f32x16_even_to_odd(scale));
    return f32x16_mul(steps, f32x16_set(-GRID_OFFSET));
}

SIMD float dot_row(enum tensor_type type, const struct matmul_job *job, int row)
{
    const uint8_t *p = (const uint8_t *)job->w->data + matrix_row_bytes(job->w) * (size_t)row;
    struct block x = block_at(job->in, 0);
    struct f32x16 sums[2] = {f32x16_set(0), f32x16_set(0)};
    for (int i = 0; i < job->w->n_in; i += GRID_LEN, p += tensor_format(type)->block_bytes) {
        struct grid_block block = grid_unpack(type, p);
        struct f32x16 scale = f32x16_mul(block.scale, f32x16_load_twice(x.scale));
#pragma GCC unroll 16
        for (int j = 0; j < 4; j++) {
            struct i32x16 products =
                i32x16_dot(i32x16_zero(), block.u[j], u8x64_load(x.q + 64 * j));
            sums[j % 2] = f32x16_fma(i32x16_to_f32(products), f32x16_spread(scale, j), sums[j % 2]);
        }
        sums[0] = f32x16_fma(grid_bases(block.scale), f32x16_load(x.sum), sums[0]);
        x = (struct block){x.q + GRID_LEN, x.scale + GRID_LEN / GROUP,
                           x.sum + GRID_LEN / GROUP * 2};
    }
    return f32x16_sum(f32x16_add(sums[0], sums[1]));
}

SIMD void dot_rows(enum tensor_type type, const struct matmul_job *job)
{
    for (int row = job->row_begin; row < job->row_end; row++)
        job->y[row] = dot_row(type, job, row) + (job->bias != NULL ? job->bias[row] : 0);
}

/* ---- panels ---- */

/* 16 rows, unpacked; rows of whole blocks. The second scale and base of a group are as unit_scales
 * has them. */
struct panel {
    uint8_t *u;   /* [n_groups, 8, 16 rows, 4] */
    float *scale; /* [n_groups, 2, 16 rows] */
    float *base;  /* the same */
};

SIMD size_t panel_groups(int n_in)
{
    return (size_t)n_in / GROUP;
}

SIMD size_t panel_bytes(int n_in)
{
    return panel_groups(n_in) * STRIPE_ROWS * (GROUP + 4 * sizeof(float));
}

SIMD struct panel panel_at(void *scratch, int n_in, int i)
{
    uint8_t *u = (uint8_t *)scratch + (size_t)i * panel_bytes(n_in);
    float *scale = (float *)(void *)(u + panel_groups(n_in) * STRIPE_ROWS * GROUP);
    return (struct panel){u, scale, scale + panel_groups(n_in) * STRIPE_ROWS * 2};
}

/* One block of each of 16 rows, before they are woven together. */
struct grid_rows {
    uint8_t u[STRIPE_ROWS][GRID_LEN];
    float scale[STRIPE_ROWS][GRID_LEN / 16];
};

SIMD void weave_rows(const struct panel *panel, int i, const struct grid_rows *rows)
{
    float *scale = panel->scale + i * GRID_LEN / 16 * STRIPE_ROWS;
    float *base = panel->base + i * GRID_LEN / 16 * STRIPE_ROWS;
    for (int j = 0; j < GRID_LEN / 64; j++)
        u8x64_transpose(panel->u + (i * GRID_LEN + j * 64) * STRIPE_ROWS, rows->u[0] + j * 64,
                        GRID_LEN);
    u8x64_transpose((uint8_t *)scale, (const uint8_t *)rows->scale, sizeof rows->scale[0]);
    for (int j = 0; j < GRID_LEN / 16; j += 2, scale += 2 * STRIPE_ROWS, base += 2 * STRIPE_ROWS) {
        struct f32x16 first = f32x16_load(scale), second = f32x16_load(scale + STRIPE_ROWS);
        f32x16_store(base, f32x16_mul(first, f32x16_set(-GRID_OFFSET)));
        f32x16_store(base + STRIPE_ROWS,
                     f32x16_mul(f32x16_sub(second, first), f32x16_set(-GRID_OFFSET)));
    }
}

/* Every row gives one block and then it is the next one's turn: the hardware foresees nothing. */
SIMD void fill_panel(enum tensor_type type, const struct panel *panel, const struct matrix *w,
                     int row, int n_rows)
{
    enum { AHEAD = 512 };
    size_t row_bytes = matrix_row_bytes(w), block_bytes = tensor_format(type)->block_bytes;
    const uint8_t *data = (const uint8_t *)w->data + row_bytes * (size_t)row;
    struct grid_rows rows;
    memset(&rows, 0, sizeof rows);
    for (int i = 0; i < w->n_in / GRID_LEN; i++) {
        for (int r = 0; r < n_rows; r++) {
            const uint8_t *p = data + (size_t)r * row_bytes + (size_t)i * block_bytes;
            prefetch(p + AHEAD, block_bytes);
            struct grid_block block = grid_unpack(type, p);
            for (int j = 0; j < 4; j++)
                u8x64_store(rows.u[r] + 64 * j, block.u[j]);
            f32x16_store(rows.scale[r], block.scale);
        }
        weave_rows(panel, i, &rows);
    }
}

SIMD void tile_panel(int n_scales, int T, const struct panel *panel, struct block x, int n_groups,
                     struct f32x16 *acc)
{
    const struct traits traits = {127, n_scales, 1, 1};
    const uint8_t *u = panel->u;
    const float *scale = panel->scale, *base = panel->base;
    for (int group = 0; group < n_groups; group++) {
#pragma GCC unroll 16
        for (int half = 0; half < n_scales; half++) {
            struct block here = {x.q + half * 16, x.scale, x.sum + half * T};
            struct words words = {true, TENSOR_F32, u, 0, 0, half * 4};
            tile_step(traits, T, words, f32x16_load(scale), f32x16_load(base), &here, acc);
            scale += STRIPE_ROWS * 2 / n_scales;
            base += STRIPE_ROWS * 2 / n_scales;
        }
        u += 64 * 8;
        block_next_group(&x, T);
    }
}

#endif
