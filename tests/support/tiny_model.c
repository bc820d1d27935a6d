#include "tests/support/tiny_model.h"

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf.h"
#include "core/kernels/kernels.h"
#include "core/model/forward.h"
#include "core/model/model.h"
#include "core/text/tokenizer.h"
#include "tests/support/check.h"

struct tiny_model tiny;

int tiny_model_open(void **state)
{
    (void)state;
    struct err err = {0};
    bool is_open = kernels_select(NULL, &err) && gguf_open(&tiny.file, TINY_MODEL_PATH, &err) &&
                   model_open(&tiny.model, tiny.file, &err) &&
                   tokenizer_open(&tiny.tokenizer, tiny.file, &err) &&
                   thread_pool_open(&tiny.pool, 2, &err) &&
                   model_weave(tiny.model, tiny.file, tiny.pool, &err) &&
                   forward_open(&tiny.forward, tiny.model, tiny.pool, 64, 8, &err);
    if (!is_open)
        fail_msg("%s", err.text);
    return 0;
}

int tiny_model_close(void **state)
{
    (void)state;
    forward_close(&tiny.forward);
    thread_pool_close(&tiny.pool);
    tokenizer_close(&tiny.tokenizer);
    model_close(&tiny.model);
    gguf_close(&tiny.file);
    return 0;
}

struct kv_shape tiny_model_kv_shape(int n_sinks, int n_window, int n_slack)
{
    struct kv_shape shape = model_kv_shape(tiny.model);
    shape.type = KV_F32;
    shape.n_sinks = n_sinks;
    shape.n_window = n_window;
    shape.n_slack = n_slack;
    return shape;
}
