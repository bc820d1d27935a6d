/* Experts and who else is in the batch: nobody changes what a token's experts say to it. */
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf.h"
#include "core/kernels/kernels.h"
#include "core/kernels/matmul.h"
#include "core/model/forward.h"
#include "core/model/kv_cache.h"
#include "core/model/model.h"
#include "tests/support/check.h"
#include "tests/support/each_isa.h"
#include "tests/support/typed_model.h"

enum { N_TOKENS = 40, N_USED = 2, VOCAB = TYPED_VOCAB };

struct subject {
    void *bytes;
    struct gguf *file;
    struct model *model;
    struct thread_pool *pool;
    struct forward *forward;
    struct kv_cache *caches[N_TOKENS];
};

static void open_subject(struct subject *subject, int which, int n_threads)
{
    const struct kv_shape shape = {.n_layers = TYPED_LAYERS,
                                   .n_kv_heads = TYPED_KV_HEADS,
                                   .head_dim_k = TYPED_HEAD_DIM,
                                   .head_dim_v = TYPED_HEAD_DIM,
                                   .type = KV_F32,
                                   .n_window = 4};
    struct typed_pair pair;
    struct err err = {0};
    size_t n_bytes;
    *subject = (struct subject){0};
    typed_pair_init(&pair, which, N_USED);
    subject->bytes = gguf_builder_finish(&pair.typed, &n_bytes);
    typed_pair_done(&pair);
    if (!gguf_open_memory(&subject->file, subject->bytes, n_bytes, &err) ||
        !model_open(&subject->model, subject->file, &err) ||
        !thread_pool_open(&subject->pool, n_threads, &err) ||
        !model_weave(subject->model, subject->file, subject->pool, &err) ||
        !forward_open(&subject->forward, subject->model, subject->pool, N_TOKENS, N_TOKENS, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < N_TOKENS; i++) {
        if (!kv_cache_open(&subject->caches[i], &shape, &err))
            fail_msg("%s", err.text);
    }
}

static void close_subject(struct subject *subject)
{
    for (int i = 0; i < N_TOKENS; i++)
        kv_cache_close(&subject->caches[i]);
    forward_close(&subject->forward);
    thread_pool_close(&subject->pool);
    model_close(&subject->model);
    gguf_close(&subject->file);
    free(subject->bytes);
}

/* Each token is the first of a conversation of its own, so that attention has nothing to sum. */
static void feed(struct subject *subject, int step, float *out_logits)
{
    for (int begin = 0; begin < N_TOKENS; begin += step) {
        int n = begin + step < N_TOKENS ? step : N_TOKENS - begin;
        struct forward_token tokens[N_TOKENS];
        for (int i = 0; i < n; i++) {
            kv_cache_rewind(subject->caches[begin + i], 0);
            tokens[i] = (struct forward_token){((begin + i) * 37 + 11) % VOCAB,
                                               subject->caches[begin + i], true};
        }
        forward_run(subject->forward, tokens, n);
        memcpy(out_logits + (size_t)begin * VOCAB, forward_logits(subject->forward, 0),
               (size_t)n * VOCAB * sizeof(float));
    }
}

/* Plain x86-64 leaves larger batches to BLAS, which sums in an order of its own. */
static int most_steady(void)
{
    return kernels->isa == KERNELS_SCALAR ? matmul_steady_tokens() : N_TOKENS;
}

static void test_neighbours_change_no_bit(void **state)
{
    static const int steps[] = {2, 3, 16, 17, N_TOKENS};
    float alone[N_TOKENS * VOCAB], together[N_TOKENS * VOCAB];
    if (!select_isa(*state))
        return;
    for (int which = 0; which < TYPED_N_TYPES; which++) {
        struct subject subject;
        open_subject(&subject, which, 1 + which % 3);
        feed(&subject, 1, alone);
        for (size_t i = 0; i < sizeof steps / sizeof steps[0] && steps[i] <= most_steady(); i++) {
            feed(&subject, steps[i], together);
            for (int j = 0; j < N_TOKENS * VOCAB; j++)
                if (alone[j] != together[j])
                    fail_msg("%s, %s: a batch of %d is not its tokens alone", typed_name(which),
                             kernels->name, steps[i]);
        }
        close_subject(&subject);
    }
}

int main(void)
{
    const struct isa_check checks[] = {
        {"neighbours_change_no_bit", test_neighbours_change_no_bit},
    };
    return run_with_each_isa(checks, sizeof checks / sizeof checks[0], NULL, 0);
}
