/* panel_fill_vector.h - unpacking stripes into panels, of every type. Included after a simd_*.h. */
#ifndef CORE_KERNELS_PANEL_FILL_VECTOR_H
#define CORE_KERNELS_PANEL_FILL_VECTOR_H

#include "core/kernels/panel_vector.h"

SIMD void fill_panel(enum tensor_type type, struct panel *panel, const uint8_t *stripe, int n_in)
{
    const struct traits traits = stripe_traits(type);
    const struct stripe_format *format = stripe_format(type);
    const int n_units = n_in / (int)tensor_format(type)->block_len;
    const int n_scales = traits.n_parts * traits.n_groups * traits.n_scales;
    const uint8_t *head = stripe;
    const uint8_t *body = stripe + stripe_heads_bytes(format, (size_t)n_units);
    uint8_t *u = panel->u;
    for (int unit = 0; unit < n_units; unit++) {
        struct unit_scales scales;
        read_scales(type, head, &scales);
        for (int i = 0; i < n_scales; i++) {
            f32x16_store(panel->scale + (unit * n_scales + i) * STRIPE_ROWS, scales.scale[i]);
            f32x16_store(panel->base + (unit * n_scales + i) * STRIPE_ROWS, scales.base[i]);
        }
        for (int part = 0; part < traits.n_parts; part++)
#pragma GCC unroll 16
            for (int g = 0; g < traits.n_groups; g++)
#pragma GCC unroll 16
                for (int k = 0; k < 8; k++, u += 64)
                    u8x64_store(u, stripe_word(type, body, part, g, k));
        head += format->head_bytes;
        body += format->body_bytes;
    }
}

typedef void panel_fn(struct panel *panel, const uint8_t *stripe, int n_in);

#define PANEL_FN(name, type)                                               \
    static void name(struct panel *panel, const uint8_t *stripe, int n_in) \
    {                                                                      \
        fill_panel(type, panel, stripe, n_in);                             \
    }
PANEL_FN(panel_q4_0, TENSOR_Q4_0)
PANEL_FN(panel_q4_1, TENSOR_Q4_1)
PANEL_FN(panel_q5_0, TENSOR_Q5_0)
PANEL_FN(panel_q5_1, TENSOR_Q5_1)
PANEL_FN(panel_q8_0, TENSOR_Q8_0)
PANEL_FN(panel_q2_k, TENSOR_Q2_K)
PANEL_FN(panel_q3_k, TENSOR_Q3_K)
PANEL_FN(panel_q4_k, TENSOR_Q4_K)
PANEL_FN(panel_q5_k, TENSOR_Q5_K)
PANEL_FN(panel_q6_k, TENSOR_Q6_K)
PANEL_FN(panel_iq4_nl, TENSOR_IQ4_NL)
PANEL_FN(panel_iq4_xs, TENSOR_IQ4_XS)
PANEL_FN(panel_iq1_s, TENSOR_IQ1_S)
PANEL_FN(panel_iq2_xxs, TENSOR_IQ2_XXS)
PANEL_FN(panel_iq2_xs, TENSOR_IQ2_XS) /* and IQ2_S */
PANEL_FN(panel_iq3_xxs, TENSOR_IQ3_XXS)
PANEL_FN(panel_iq3_s, TENSOR_IQ3_S)
#undef PANEL_FN

static panel_fn *const panel_fns[] = {
    [TENSOR_Q4_0] = panel_q4_0,    [TENSOR_Q4_1] = panel_q4_1,       [TENSOR_Q5_0] = panel_q5_0,
    [TENSOR_Q5_1] = panel_q5_1,    [TENSOR_Q8_0] = panel_q8_0,       [TENSOR_Q2_K] = panel_q2_k,
    [TENSOR_Q3_K] = panel_q3_k,    [TENSOR_Q4_K] = panel_q4_k,       [TENSOR_Q5_K] = panel_q5_k,
    [TENSOR_Q6_K] = panel_q6_k,    [TENSOR_IQ4_NL] = panel_iq4_nl,   [TENSOR_IQ4_XS] = panel_iq4_xs,
    [TENSOR_IQ1_S] = panel_iq1_s,  [TENSOR_IQ2_XXS] = panel_iq2_xxs, [TENSOR_IQ2_XS] = panel_iq2_xs,
    [TENSOR_IQ2_S] = panel_iq2_xs, [TENSOR_IQ3_XXS] = panel_iq3_xxs, [TENSOR_IQ3_S] = panel_iq3_s,
};

#endif
