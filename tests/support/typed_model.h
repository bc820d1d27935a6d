/* typed_model.h - a small model twice: with weights in one tensor type, or in all of them, and the
 * same numbers as floats. */
#ifndef TESTS_SUPPORT_TYPED_MODEL_H
#define TESTS_SUPPORT_TYPED_MODEL_H

#include <stdbool.h>

#include "core/kernels/tensor_type.h"
#include "tests/support/gguf_builder.h"

/* Rows are whole blocks of the longest, 256. */
enum {
    TYPED_EMBD = 256,
    TYPED_HEADS = 4,
    TYPED_KV_HEADS = 2,
    TYPED_HEAD_DIM = 64,
    TYPED_FF = 256,
    TYPED_EXPERTS = 5,
    TYPED_VOCAB = 64,
    TYPED_LAYERS = 2,
    TYPED_LATENT = 256,
    TYPED_ROTATED = 16,
};

enum { TYPED_N_TYPES = 14, TYPED_MIXED = TYPED_N_TYPES };
enum tensor_type typed_type(int which);
/* Of TYPED_MIXED too. */
const char *typed_name(int which);

struct typed_pair {
    struct gguf_builder typed, floats;
    int which; /* type; TYPED_MIXED: the next one for each tensor */
    int n_added;
};

/* A Phi-3, because its q, k, v and its gate, up are slices of one tensor; or, when n_experts_used
 * is not 0, a Qwen 3 with experts. */
void typed_pair_init(struct typed_pair *pair, int which, int n_experts_used);
/* A DeepSeek 2, whose heads share a latent vector; is_joint: what makes their keys and values of it
 * is one tensor. */
void typed_pair_init_latent(struct typed_pair *pair, int which, bool is_joint);
void typed_pair_done(struct typed_pair *pair);

#endif
