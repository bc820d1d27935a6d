/* panel_fill_vector.h - unpacking stripes into panels, of every type. Included after a simd_*.h. */
#ifndef CORE_KERNELS_PANEL_FILL_VECTOR_H
#define CORE_KERNELS_PANEL_FILL_VECTOR_H

#include "core/kernels/panel_vector.h"
#ifdef SIMD_MAY_HAVE_GRIDS
#include "core/kernels/grid_vbmi.h"
#endif

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
    [TENSOR_Q4_0] = panel_q4_0,
    [TENSOR_Q4_1] = panel_q4_1,
    [TENSOR_Q5_0] = panel_q5_0,
    [TENSOR_Q5_1] = panel_q5_1,
    [TENSOR_Q8_0] = panel_q8_0,
    [TENSOR_Q2_K] = panel_q2_k,
    [TENSOR_Q3_K] = panel_q3_k,
    [TENSOR_Q4_K] = panel_q4_k,
    [TENSOR_Q5_K] = panel_q5_k,
    [TENSOR_Q6_K] = panel_q6_k,
    [TENSOR_IQ4_NL] = panel_iq4_nl,
    [TENSOR_IQ4_XS] = panel_iq4_xs,
    [TENSOR_IQ1_S] = panel_iq1_s,
    [TENSOR_IQ2_XXS] = panel_iq2_xxs,
    [TENSOR_IQ2_XS] = panel_iq2_xs,
    [TENSOR_IQ2_S] = panel_iq2_xs,
    [TENSOR_IQ3_XXS] = panel_iq3_xxs,
    [TENSOR_IQ3_S] = panel_iq3_s,
#ifdef SIMD_MAY_HAVE_GRIDS
    [TENSOR_IQ2_XXS_INDICES] = grid_panel_iq2_xxs,
#endif
};

#endif
