/* panel_fill_vector.h - unpacking stripes into panels, of every type. Included after a simd_*.h. */
#ifndef CORE_KERNELS_PANEL_FILL_VECTOR_H
#define CORE_KERNELS_PANEL_FILL_VECTOR_H

#include "core/kernels/panel_vector.h"
#ifdef SIMD_MAY_HAVE_GRIDS
#include "core/kernels/grid_vbmi.h"
#endif

FOR_STRIPE_TYPES(PANEL_FN)

#define PANEL_ENTRY(upper, lower) [TENSOR_##upper] = panel_##lower,
static panel_fn *const panel_fns[] = {[TENSOR_IQ2_S] = panel_iq2_xs,
#ifdef SIMD_MAY_HAVE_GRIDS
                                      [TENSOR_IQ2_XXS_INDICES] = grid_panel_iq2_xxs,
#endif
                                      FOR_STRIPE_TYPES(PANEL_ENTRY)};

#endif
