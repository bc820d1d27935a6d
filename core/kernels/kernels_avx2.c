#include "core/kernels/simd_avx2.h"

#include "core/kernels/fine_ymm.h"

#include "core/kernels/attention_q8_vector.h"
#include "core/kernels/kernels_vector.h"
#include "core/kernels/recurrence_vector.h"

const struct kernels kernels_avx2 = KERNELS_TABLE(KERNELS_AVX2, "avx2", attention_of_any);
