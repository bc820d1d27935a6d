#include "core/kernels/fine_avx512.h"

#include "core/kernels/attention_q8_vector.h"
#include "core/kernels/kernels_vector.h"
#include "core/kernels/recurrence_vector.h"

/* Products know the difference, see matmul_isa.h. */
const struct kernels kernels_avx512 = KERNELS_TABLE(KERNELS_AVX512, "avx512", attention_of_any);
const struct kernels kernels_vbmi = KERNELS_TABLE(KERNELS_VBMI, "vbmi", attention_of_any);
const struct kernels kernels_amx = KERNELS_TABLE(KERNELS_AMX, "amx", attention_of_any);
