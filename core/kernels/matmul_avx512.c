#include "core/kernels/simd_avx512.h"

#include "core/kernels/floats_vector.h"
#include "core/kernels/matmul_vector.h"
#include "core/kernels/panel_amx.h"

/* The matrix unit makes products so cheap that unpacking apart pays earlier. It takes signed bytes
 * as they are. */
static void quantized_amx(const struct matmul_job *job)
{
    if (stripe_traits(job->w->type).n_scales != 1) {
        quantized(job);
        return;
    }
    const struct panel_way way = {panel_amx, 2 * SIMD_TILE_TOKENS, SIGNED_OFFSET};
    panel_amx_begin();
    multiply_quantized(job, &way);
    panel_amx_end();
}

const struct matmul_isa matmul_avx512 = {quantize, gather, pad_tokens,   quantized,
                                         floats,   widen,  scratch_bytes};
const struct matmul_isa matmul_amx = {quantize, gather, pad_tokens,   quantized_amx,
                                      floats,   widen,  scratch_bytes};
