/* panel_vector.h - a stripe unpacked: what many tokens read needs to be unpacked but once.
 *
 * Included after a simd_*.h. */
#ifndef CORE_KERNELS_PANEL_VECTOR_H
#define CORE_KERNELS_PANEL_VECTOR_H

#include "core/kernels/tile_vector.h"

/* Words, scales and bases, where there are, of 16 rows, as stripe_word and read_scales have them.
 */
struct panel {
    uint8_t flip; /* bits of u that are not as stripe_word has them */
    uint8_t *u;   /* [n_groups, 8, 16 rows, 4] */
    float *scale; /* [n_groups, n_scales, 16 rows] */
    float *base;  /* the same */
};

/* With two scales to each group. */
SIMD size_t panel_bytes(int n_in)
{
    return (size_t)group_count(n_in) * STRIPE_ROWS * (GROUP + 4 * sizeof(float));
}

SIMD struct panel panel_at(void *scratch, int n_in, int i)
{
    size_t n = (size_t)group_count(n_in) * STRIPE_ROWS;
    uint8_t *u = (uint8_t *)scratch + (size_t)i * panel_bytes(n_in);
    float *scale = (float *)(void *)(u + n * GROUP);
    return (struct panel){0, u, scale, scale + n * 2};
}

/* What the inner loop must know: how large u may be, and whether halves of groups have scales. */
enum panel_kind {
    PANEL_FOUR_BITS,
    PANEL_FOUR_BITS_HALVES,
    PANEL_FIVE_BITS,
    PANEL_SIX_BITS_HALVES,
    PANEL_SEVEN_BITS,
    PANEL_SEVEN_BITS_HALVES,
    PANEL_SIGNED,
    PANEL_SIGNED_HALVES,
};

SIMD enum panel_kind panel_kind(enum tensor_type type)
{
    const struct traits traits = stripe_traits(type);
    if (traits.max == 0)
        return traits.n_scales == 2 ? PANEL_SIGNED_HALVES : PANEL_SIGNED;
    if (traits.n_scales == 2)
        return traits.max <= 15   ? PANEL_FOUR_BITS_HALVES
               : traits.max <= 63 ? PANEL_SIX_BITS_HALVES
                                  : PANEL_SEVEN_BITS_HALVES;
    return traits.max <= 15   ? PANEL_FOUR_BITS
           : traits.max <= 31 ? PANEL_FIVE_BITS
                              : PANEL_SEVEN_BITS;
}

/* Bytes that are wanted soon, fetched evenly while groups are multiplied. */
struct ahead {
    const uint8_t *p;
    size_t each; /* group */
};

/* A panel that meets a block of tokens. */
struct panel_task {
    struct panel panel;
    int row;
    int token;
    struct ahead ahead;
};

typedef void panel_task_fn(const struct matmul_job *job, const struct panel_task *task);

/* Who multiplies panels, from how many tokens on. */
struct panel_way {
    panel_task_fn *fn;
    int least_tokens;
    uint8_t flip; /* of what is held signed */
};

SIMD void tile_panel(struct traits traits, int T, const struct panel *panel, struct block x,
                     int n_groups, struct ahead ahead, struct f32x16 *acc)
{
    const uint8_t *u = panel->u;
    const float *scale = panel->scale, *base = panel->base;
    for (int group = 0; group < n_groups; group++) {
        prefetch(ahead.p, ahead.each);
        ahead.p += ahead.each;
#pragma GCC unroll 16
        for (int half = 0; half < traits.n_scales; half++) {
            struct block here = block_half(&x, T, half, traits.n_scales);
            struct words words = {true, TENSOR_F32, u, 0, 0, half * 4};
            tile_step(traits, T, words, f32x16_load(scale), f32x16_load(base), &here, acc);
            scale += STRIPE_ROWS;
            base += STRIPE_ROWS;
        }
        u += 64 * 8;
        block_next_group(&x, T);
    }
}

/* Unit `unit`. */
SIMD void fill_unit(enum tensor_type type, const struct panel *panel, int unit, const uint8_t *head,
                    const uint8_t *body)
{
    const struct traits traits = stripe_traits(type);
    const int n_groups = traits.n_parts * traits.n_groups;
    const int n_scales = n_groups * traits.n_scales;
    const struct u8x64 flip = u8x64_set(panel->flip);
    uint8_t *u = panel->u + unit * n_groups * (GROUP * STRIPE_ROWS);
    struct unit_scales scales;
    read_scales(type, head, &scales);
    for (int i = 0; i < n_scales; i++) {
        f32x16_store(panel->scale + (unit * n_scales + i) * STRIPE_ROWS, scales.scale[i]);
        if (traits.max > 0)
            f32x16_store(panel->base + (unit * n_scales + i) * STRIPE_ROWS, scales.base[i]);
    }
    for (int part = 0; part < traits.n_parts; part++)
#pragma GCC unroll 16
        for (int g = 0; g < traits.n_groups; g++)
#pragma GCC unroll 16
            for (int k = 0; k < 8; k++, u += 64)
                u8x64_store(u, u8x64_xor(stripe_word(type, body, part, g, k), flip));
}

SIMD void fill_panel(enum tensor_type type, struct panel *panel, const uint8_t *stripe, int n_in)
{
    const struct traits traits = stripe_traits(type);
    const struct stripe_format *format = stripe_format(type);
    const int n_units = n_in / (traits.n_parts * traits.n_groups * GROUP);
    const uint8_t *head = stripe, *body;
    for (int unit = 0, n; unit < n_units; unit += n, head = body) {
        n = bundle_units(traits, n_units - unit);
        body = head + (size_t)n * format->head_bytes;
        for (int i = 0; i < n; i++, head += format->head_bytes, body += format->body_bytes)
            fill_unit(type, panel, unit + i, head, body);
    }
}

typedef void panel_fn(struct panel *panel, const uint8_t *stripe, int n_in);

#define PANEL_FN(upper, lower)                                                      \
    static void panel_##lower(struct panel *panel, const uint8_t *stripe, int n_in) \
    {                                                                               \
        fill_panel(TENSOR_##upper, panel, stripe, n_in);                            \
    }

#endif
