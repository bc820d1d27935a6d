#include "core/kernels/simd_avx2.h"

#include "core/kernels/floats_vector.h"
#include "core/kernels/matmul_vector.h"

const struct matmul_isa matmul_avx2 = {quantize, gather, pad_tokens,   quantized,
                                       floats,   widen,  scratch_bytes};
