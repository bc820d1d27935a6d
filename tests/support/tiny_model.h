/* tiny_model.h - a golden fixture opened for a program's tests: file, model, tokenizer, pool,
 * forward.
 *
 * The weights are random, so its text means nothing; everything else is real. */
#ifndef TESTS_SUPPORT_TINY_MODEL_H
#define TESTS_SUPPORT_TINY_MODEL_H

#include "core/model/kv_cache.h"

#define TINY_MODEL_PATH "tests/fixtures/golden/llama-gqa-tied/model.gguf"

struct tiny_model {
    struct gguf *file;
    struct model *model;
    struct tokenizer *tokenizer;
    struct thread_pool *pool;
    struct forward *forward; /* 64 tokens, 8 rows of logits */
};

extern struct tiny_model tiny; /* between these two, which cmocka calls around a program's tests */
int tiny_model_open(void **state); /* all of it, or fails */
int tiny_model_close(void **state);

/* The shape of an F32 cache for this model. */
struct kv_shape tiny_model_kv_shape(int n_sinks, int n_window, int n_slack);

#endif
