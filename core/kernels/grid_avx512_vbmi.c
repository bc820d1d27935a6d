#include "core/kernels/simd_vbmi.h"

#include "core/kernels/grid_vbmi.h"

void grid_stripe_iq2_xxs(int width, const struct matmul_job *job, const uint8_t *stripe, int row,
                         int token)
{
    stripe_any_width(TENSOR_IQ2_XXS_INDICES, width, job, stripe, row, token);
}

void grid_panel_iq2_xxs(struct panel *panel, const uint8_t *stripe, int n_in)
{
    fill_panel(TENSOR_IQ2_XXS_INDICES, panel, stripe, n_in);
}
