/* quant_tables.h - constants that block formats refer to. Thread: any. */
#ifndef CORE_KERNELS_QUANT_TABLES_H
#define CORE_KERNELS_QUANT_TABLES_H

#include <stdint.h>

/* IQ2_XXS: eight magnitudes out of 8, 25, 43, one in each byte, lowest first. */
extern const uint64_t iq2_xxs_grid[256];

#endif
