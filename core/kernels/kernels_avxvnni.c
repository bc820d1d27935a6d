#include "core/kernels/simd_avxvnni.h"

#include "core/kernels/fine_ymm.h"

#include "core/kernels/attention_q8_vector.h"
#include "core/kernels/kernels_vector.h"
#include "core/kernels/recurrence_vector.h"

const struct kernels kernels_avxvnni = KERNELS_TABLE(KERNELS_AVXVNNI, "avxvnni", attention_of_any);
