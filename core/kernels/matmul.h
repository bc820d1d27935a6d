/* matmul.h - matrix products of one batch: y = x W^T, for W in any tensor type.
 *
 * Thread: any; a call touches only its own rows of the output, so the caller splits rows over
 * threads. Allocates nothing. Not here: who splits (core/model/forward). */
#ifndef CORE_KERNELS_MATMUL_H
#define CORE_KERNELS_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kernels/tensor_type.h"

/* Read-only weights [n_out, n_in], row-major, each row n_in / block_len blocks. Types that
 * matmul_wants_stripes need the same weights in a second order, or their products are slow. */
struct matrix {
    enum tensor_type type;
    int n_out;
    int n_in;
    const void *data;
    const void *stripes; /* see stripes.h; NULL: not woven */
};

/* The input of one or more products, in the two forms that products need: as floats, and as 8-bit
 * integers with one scale for each 32 elements (used with quantized weights).
 *   x ~= q * scale[i / 32],  scale = max|x| / 127 over the 32
 * The memory is the caller's, aligned to 64 bytes. Sizes with n_groups = (n_in + 31) / 32. The
 * order of the numbers in all but x is the business of matmul alone and depends on n_tokens: what
 * was quantized for a batch is read for exactly that batch. */
struct activations {
    int n_tokens;
    int n_in;
    float *x;       /* [n_tokens, n_in] */
    int8_t *q;      /* n_tokens * n_groups * 32 */
    float *scale;   /* n_tokens * n_groups */
    float *sum;     /* n_tokens * n_groups * 2: sums of q * scale */
    int32_t *start; /* n_tokens * n_groups * 3: multiples of sums of q */
};

/* Fills all but x of inputs begin .. end-1 of all tokens from x; `begin` is a multiple of 32, `end`
 * the same or n_in. Values that are not finite count as 0. Different inputs may be filled by
 * different threads: those of different tokens share lines of memory, which threads would take from
 * each other. */
void activations_quantize(struct activations *in, int begin, int end);

/* The same, copied: token t gets what tokens[t] of `from` has, which is as wide. */
void activations_gather(const struct activations *to, const struct activations *from,
                        const int *tokens);

/* So many tokens, n or up to 3 more, are as quickly met by woven weights as n are, or quicker. */
int matmul_pad_tokens(int n);

/* True when products with this type read `q` (and so need activations_quantize first). */
int matmul_wants_quantized(enum tensor_type type);

/* True when products with this type, on this CPU, read its stripes. */
bool matmul_wants_stripes(enum tensor_type type);

/* Bytes of scratch that one thread needs for matmul_rows with inputs up to max_n_in wide and
 * batches up to max_tokens. */
size_t matmul_scratch_bytes(int max_n_in, int max_tokens);

/* y[t * y_stride + r] = sum_i W[r, i] x[t, i] (+ bias[r] when bias is not NULL), for rows
 * row_begin <= r < row_end and all tokens t. `scratch` is 64-byte aligned, this thread's own. */
void matmul_rows(const struct matrix *w, const float *bias, const struct activations *in, float *y,
                 size_t y_stride, int row_begin, int row_end, void *scratch);

/* In batches of up to so many tokens, a token meets weights that are not woven with the very sums
 * that it would have alone. */
int matmul_steady_tokens(void);

/* Row `row` as floats: an embedding look-up. y [n_in]. */
void matrix_get_row(const struct matrix *w, int row, float *y);

#endif
