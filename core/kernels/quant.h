/* quant.h - reading quantized rows as floats. The truth for tests and for embedding look-ups.
 *
 * Thread: any. Layouts: the GGUF block formats, as defined by the format's reference. */
#ifndef CORE_KERNELS_QUANT_H
#define CORE_KERNELS_QUANT_H

#include <stddef.h>

#include "core/kernels/tensor_type.h"

/* y [n] from n / block_len blocks at `blocks`; n is a multiple of block_len. */
void dequantize_row(enum tensor_type type, const void *blocks, float *y, size_t n);

#endif
