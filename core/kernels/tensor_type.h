/* tensor_type.h - how numbers are stored in a model file: the GGUF tensor types.
 *
 * Numbers and block layouts as defined by the GGUF format. Thread: any (constants). */
#ifndef CORE_KERNELS_TENSOR_TYPE_H
#define CORE_KERNELS_TENSOR_TYPE_H

#include <stddef.h>
#include <stdint.h>

enum tensor_type {
    TENSOR_F32 = 0,
    TENSOR_F16 = 1,
    TENSOR_Q4_0 = 2,
    TENSOR_Q4_1 = 3,
    TENSOR_Q5_0 = 6,
    TENSOR_Q5_1 = 7,
    TENSOR_Q8_0 = 8,
    TENSOR_Q2_K = 10,
    TENSOR_Q3_K = 11,
    TENSOR_Q4_K = 12,
    TENSOR_Q5_K = 13,
    TENSOR_Q6_K = 14,
    TENSOR_IQ2_XXS = 16,
    TENSOR_IQ2_XS = 17,
    TENSOR_IQ3_XXS = 18,
    TENSOR_IQ1_S = 19,
    TENSOR_IQ4_NL = 20,
    TENSOR_IQ3_S = 21,
    TENSOR_IQ2_S = 22,
    TENSOR_IQ4_XS = 23,
    TENSOR_IQ1_M = 29,
    TENSOR_BF16 = 30,
    TENSOR_MXFP4 = 39,
    TENSOR_IQ2_XXS_INDICES = 31, /* of no file: a way to weave IQ2_XXS, see stripes.h */
};

struct tensor_format {
    const char *name;   /* as GGUF tools print it: "Q4_K" */
    size_t block_len;   /* elements in one block; rows are whole blocks */
    size_t block_bytes; /* bytes of one block */
};

/* NULL for a type that sinkd cannot read. */
const struct tensor_format *tensor_format(uint32_t type);

#endif
