/* quant_tables.h - constants that block formats refer to. Thread: any. */
#ifndef CORE_KERNELS_QUANT_TABLES_H
#define CORE_KERNELS_QUANT_TABLES_H

#include <stdint.h>

/* Sizes of eight neighbours, 8, 25 or 43, one in each byte, the first one lowest. */
extern const uint64_t iq2_xxs_grid[256];
/* The same as codes 0, 1 and 2, of 2 bits: of the first four, then of the last four. */
extern const uint8_t iq2_xxs_codes[2][256];
extern const uint64_t iq2_xs_grid[512];
extern const uint64_t iq2_s_grid[1024];
/* Eight times eight neighbours less one: -9, -1 or 7. */
extern const uint64_t iq1_s_grid[2048];
/* Sizes of four neighbours. */
extern const uint32_t iq3_xxs_grid[256];
extern const uint32_t iq3_s_grid[512];

/* The sixteen values of IQ4_NL and IQ4_XS. */
extern const int8_t iq4_values[16];
extern const int8_t mxfp4_values[16]; /* of E2M1, doubled */

/* Byte i is all ones where bit i of the index is set. */
extern const uint64_t sign_masks[256];
/* Seven signs, and the eighth that makes their number even. */
extern const uint8_t even_signs[128];

#endif
