#include "core/kernels/simd_avxvnni.h"

#include "core/kernels/floats_vector.h"
#include "core/kernels/matmul_vector.h"

const struct matmul_isa matmul_avxvnni = {quantize, gather, pad_tokens,   quantized,
                                          floats,   widen,  scratch_bytes};
