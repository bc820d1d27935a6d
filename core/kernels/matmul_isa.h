/* matmul_isa.h - the parts of matmul that exist once for each instruction set. Private to
 * core/kernels. */
#ifndef CORE_KERNELS_MATMUL_ISA_H
#define CORE_KERNELS_MATMUL_ISA_H

#include <stddef.h>

#include "core/kernels/matmul.h"

/* Up to so many tokens a float product sums whole rows, more in strips. */
enum { MATMUL_WHOLE_ROWS = 16 };

/* What matmul_rows is asked for; see there. */
struct matmul_job {
    const struct matrix *w;
    const float *bias;
    const struct activations *in;
    float *y;
    size_t y_stride;
    int row_begin;
    int row_end;
    void *scratch;
};

struct matmul_isa {
    void (*quantize)(struct activations *in, int begin, int end);
    void (*gather)(const struct activations *to, const struct activations *from, const int *tokens);
    int (*pad_tokens)(int n);
    /* Quantized weights, quantized inputs. */
    void (*quantized)(const struct matmul_job *job);
    /* F32, F16 and BF16 weights, float inputs. */
    void (*floats)(const struct matmul_job *job);
    /* n numbers of a float type as F32. */
    void (*widen)(float *y, const void *x, enum tensor_type type, size_t n);
    size_t (*scratch_bytes)(int max_n_in);
};

extern const struct matmul_isa matmul_avx2;
extern const struct matmul_isa matmul_avxvnni;
extern const struct matmul_isa matmul_avx512;
extern const struct matmul_isa matmul_amx;

static inline size_t matrix_row_bytes(const struct matrix *w)
{
    const struct tensor_format *format = tensor_format(w->type);
    return (size_t)w->n_in / format->block_len * format->block_bytes;
}

#endif
