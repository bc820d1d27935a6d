/* kernels_isa.h - the tables that kernels_select chooses from. Private to core/kernels. */
#ifndef CORE_KERNELS_KERNELS_ISA_H
#define CORE_KERNELS_KERNELS_ISA_H

#include "core/kernels/kernels.h"

extern const struct kernels kernels_scalar;
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;

#endif
