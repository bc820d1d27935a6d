/* model_sample.h - a llama of two layers, built in memory, of which one key or tensor may lie. */
#ifndef TESTS_SUPPORT_MODEL_SAMPLE_H
#define TESTS_SUPPORT_MODEL_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/model/model.h"
#include "tests/support/gguf_builder.h"

enum {
    SAMPLE_EMBD = 32,
    SAMPLE_HEADS = 4,
    SAMPLE_KV_HEADS = 2,
    SAMPLE_HEAD_DIM = 8,
    SAMPLE_FF = 64,
    SAMPLE_VOCAB = 16,
    SAMPLE_LAYERS = 2,
    SAMPLE_N_KEYS = 24,
};

/* One key or tensor is left out, or has another value. */
struct model_damage {
    const char *name; /* NULL: none */
    enum { OMIT, SET_U32, SET_F32, SET_TEXT } kind;
    uint32_t u32;
    float f32;
    const char *text;
};

struct opened_model {
    void *bytes;
    struct gguf *file;
    struct model *model;
    struct err err;
};

/* All keys that are numbers, those that the sample leaves out as well. */
extern const char *const model_sample_keys[SAMPLE_N_KEYS];

void model_sample_add(struct gguf_builder *builder, const struct model_damage *damage);
/* Of some other model: one of n_in x n_out numbers, or n_in when n_out is 0. */
void model_sample_add_tensor(struct gguf_builder *builder, const struct model_damage *damage,
                             const char *name, uint64_t n_in, uint64_t n_out);

/* False with opened->err set when the model is refused; to be closed all the same. */
bool model_sample_open(struct opened_model *opened, const struct gguf_builder *builder);
/* The sample. */
bool model_sample_open_damaged(struct opened_model *opened, const struct model_damage *damage);
void model_sample_close(struct opened_model *opened);

#endif
