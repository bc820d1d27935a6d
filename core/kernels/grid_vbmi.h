/* grid_vbmi.h - products of weights that are woven as indices of a grid, for CPUs that look up in a
 * table of 256 bytes (AVX-512 VBMI). Private to the matmul_*.c. */
#ifndef CORE_KERNELS_GRID_VBMI_H
#define CORE_KERNELS_GRID_VBMI_H

#include "core/kernels/panel_vector.h"

stripe_fn grid_stripe_iq2_xxs;
panel_fn grid_panel_iq2_xxs;

#endif
