/* grid_vector.h - formats that look their numbers up in a grid.
 *
 * A unit is one block, 256 neighbouring elements of one row, in order, as w = scale * u + base with
 * one scale and base for each 16; u are unsigned bytes below 128. Formats with 32 elements to a
 * scale say the same scale twice. Included after a simd_*.h. */
#ifndef CORE_KERNELS_GRID_VECTOR_H
#define CORE_KERNELS_GRID_VECTOR_H

#include "core/kernels/quant_tables.h"
#include "core/kernels/tile_vector.h"

enum { UNIT = 256 };

struct unit {
    struct u8x64 u[4];
    struct f32x16 scale;
    struct f32x16 base;
};

SIMD float unpack_f16(const uint8_t *p)
{
    return _cvtsh_ss(load_u16(p));
}

SIMD struct unit unpack_iq2_xxs(const uint8_t *p)
{
    const uint8_t *packed = p + 2;
    uint64_t scales = 0; /* 2n + 1 in one byte each */
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++, packed += 16) {
        uint32_t low = load_u32(packed + 4), high = load_u32(packed + 12);
        struct u8x64 sizes = u8x64_gather(iq2_xxs_grid, packed, packed + 8);
        unit.u[i] = u8x64_add_signed(u8x64_set(64), sizes, u8x64_spread_signs(low, high));
        scales |= (uint64_t)(low >> 28 << 1 | high >> 28 << 9 | 0x0101) << (16 * i);
    }
    unit.scale = f32x16_mul(f32x16_from_u8_twice(scales), f32x16_set(unpack_f16(p) * 0.125f));
    unit.base = f32x16_mul(unit.scale, f32x16_set(-64));
    return unit;
}

/* For a type that the compiler knows. */
SIMD struct unit unpack(enum tensor_type type, const uint8_t *p)
{
    (void)type;
    return unpack_iq2_xxs(p);
}

/* ---- one token ---- */

/* base of even lanes, and how much more that of odd lanes is: as the sums of inputs lie. */
SIMD struct f32x16 base_steps(struct f32x16 base)
{
    return f32x16_sub(base, f32x16_even_to_odd(base));
}

SIMD float dot_row(enum tensor_type type, const struct matmul_job *job, int row)
{
    const uint8_t *p = (const uint8_t *)job->w->data + matrix_row_bytes(job->w) * (size_t)row;
    struct block x = block_at(job->in, 0);
    struct f32x16 sums[2] = {f32x16_set(0), f32x16_set(0)};
    for (int i = 0; i < job->w->n_in; i += UNIT, p += tensor_format(type)->block_bytes) {
        struct unit unit = unpack(type, p);
        struct f32x16 scale = f32x16_mul(unit.scale, f32x16_load_twice(x.scale));
#pragma GCC unroll 16
        for (int j = 0; j < 4; j++) {
            struct i32x16 products = i32x16_dot(i32x16_zero(), unit.u[j], u8x64_load(x.q + 64 * j));
            sums[j % 2] = f32x16_fma(i32x16_to_f32(products), f32x16_spread(scale, j), sums[j % 2]);
        }
        sums[0] = f32x16_fma(base_steps(unit.base), f32x16_load(x.sum), sums[0]);
        x = (struct block){x.q + UNIT, x.scale + UNIT / GROUP, x.sum + UNIT / GROUP * 2};
    }
    return f32x16_sum(f32x16_add(sums[0], sums[1]));
}

SIMD void dot_rows(enum tensor_type type, const struct matmul_job *job)
{
    for (int row = job->row_begin; row < job->row_end; row++)
        job->y[row] = dot_row(type, job, row) + (job->bias != NULL ? job->bias[row] : 0);
}

/* ---- panels ---- */

/* 16 rows, unpacked. The second scale and base of a group are as unit_scales has them. */
struct panel {
    uint8_t *u;   /* [n_groups, 8, 16 rows, 4] */
    float *scale; /* [n_groups, 2, 16 rows] */
    float *base;  /* the same */
};

SIMD size_t panel_groups(int n_in)
{
    return (size_t)(n_in + UNIT - 1) / UNIT * (UNIT / GROUP);
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

/* The same unit of 16 rows, each in order, before they are woven together. */
struct unit_rows {
    uint8_t u[STRIPE_ROWS][UNIT];
    float scale[STRIPE_ROWS][UNIT / 16];
    float base[STRIPE_ROWS][UNIT / 16];
};

SIMD void weave_unit(const struct panel *panel, int i, const struct unit_rows *rows)
{
    float *scale = panel->scale + i * UNIT / 16 * STRIPE_ROWS;
    float *base = panel->base + i * UNIT / 16 * STRIPE_ROWS;
    for (int j = 0; j < UNIT / 64; j++)
        u8x64_transpose(panel->u + (i * UNIT + j * 64) * STRIPE_ROWS, rows->u[0] + j * 64, UNIT);
    u8x64_transpose((uint8_t *)scale, (const uint8_t *)rows->scale, sizeof rows->scale[0]);
    u8x64_transpose((uint8_t *)base, (const uint8_t *)rows->base, sizeof rows->base[0]);
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
    size_t row_bytes = matrix_row_bytes(w), unit_bytes = tensor_format(type)->block_bytes;
    const uint8_t *data = (const uint8_t *)w->data + row_bytes * (size_t)row;
    struct unit_rows rows;
    memset(&rows, 0, sizeof rows);
    for (int i = 0; i < w->n_in / UNIT; i++) {
        for (int r = 0; r < n_rows; r++) {
            const uint8_t *p = data + (size_t)r * row_bytes + (size_t)i * unit_bytes;
            prefetch(p, unit_bytes);
            struct unit unit = unpack(type, p);
            for (int j = 0; j < 4; j++)
                u8x64_store(rows.u[r] + 64 * j, unit.u[j]);
            f32x16_store(rows.scale[r], unit.scale);
            f32x16_store(rows.base[r], base_steps(unit.base));
        }
        weave_unit(panel, i, &rows);
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
