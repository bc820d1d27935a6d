/* The forward pass with weights in every tensor type, against the same weights as floats: that each
 * matrix is found, sliced, multiplied and looked up in the type that it has. The products
 * themselves are tests/core/kernels/test_matmul.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf.h"
#include "core/kernels/kernels.h"
#include "core/model/forward.h"
#include "core/model/kv_cache.h"
#include "core/model/model.h"
#include "tests/support/check.h"
#include "tests/support/each_isa.h"
#include "tests/support/typed_model.h"

enum { N_PROMPT = 24, N_TOKENS = 36, N_SINKS = 4, N_WINDOW = 16, VOCAB = TYPED_VOCAB };

static double deviation(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)n);
}

/* A prompt in one chunk, then token by token, through a window that wraps. */
static void feed(struct forward *forward, struct kv_cache *cache, float *out_logits)
{
    struct forward_token tokens[N_TOKENS];
    for (int t = 0; t < N_TOKENS; t++)
        tokens[t] = (struct forward_token){(t * 37 + 11) % VOCAB, cache, true};
    for (int t = 0, n; t < N_TOKENS; t += n) {
        n = t == 0 ? N_PROMPT : 1;
        forward_run(forward, tokens + t, n);
        memcpy(out_logits + (size_t)t * VOCAB, forward_logits(forward, 0),
               (size_t)n * VOCAB * sizeof(float));
    }
}

static void run(const struct gguf_builder *builder, float *out_logits)
{
    struct gguf *file = NULL;
    struct model *model = NULL;
    struct thread_pool *pool = NULL;
    struct forward *forward = NULL;
    struct kv_cache *cache = NULL;
    struct err err = {0};
    size_t n_bytes;
    void *bytes = gguf_builder_finish(builder, &n_bytes);
    if (!gguf_open_memory(&file, bytes, n_bytes, &err) || !model_open(&model, file, &err) ||
        !thread_pool_open(&pool, 1, &err) || !model_weave(model, file, pool, &err) ||
        !forward_open(&forward, model, pool, N_PROMPT, N_PROMPT, &err))
        fail_msg("%s", err.text);
    struct kv_shape shape = model_kv_shape(model);
    shape.type = KV_F32;
    shape.n_sinks = N_SINKS;
    shape.n_window = N_WINDOW;
    shape.n_slack = N_PROMPT - 1;
    if (!kv_cache_open(&cache, &shape, &err))
        fail_msg("%s", err.text);
    feed(forward, cache, out_logits);
    kv_cache_close(&cache);
    forward_close(&forward);
    thread_pool_close(&pool);
    model_close(&model);
    gguf_close(&file);
    free(bytes);
}

/* An input in 8 bits is off by up to half a step of max / 127 over its 32 neighbours, in the mean
 * max / 440; the largest of 32 normal numbers is 2.2 deviations, so each product adds 0.5 % of
 * noise to its result. Nine products follow each other here (four in each layer, and the output),
 * whose noises add up as squares: 1.5 %, and twice that is the bound; with latent heads fifteen,
 * and so 4 %. A weight in the wrong place gives 100 %. Without that, keys of a joint tensor of
 * blocks are still off by up to 2^-12 of themselves: they become floats of 16 bits. */
enum kind { FUSED, EXPERTS, LATENT, LATENT_JOINT };

static double bound_of(enum kind kind, int which)
{
    if (which != TYPED_MIXED && !matmul_wants_quantized(typed_type(which))) {
        bool has_blocks = tensor_format(typed_type(which))->block_len > 1;
        return kind == LATENT_JOINT && has_blocks ? 5e-4 : 1e-5;
    }
    return kind >= LATENT ? 0.04 : 0.03;
}

static void check_type(enum kind kind, int which)
{
    const char *isas[MAX_ISAS];
    const int n_isas = isas_to_check(isas);
    enum { N = N_TOKENS * VOCAB };
    float expected[N], logits[N];
    struct typed_pair pair;
    if (kind >= LATENT)
        typed_pair_init_latent(&pair, which, kind == LATENT_JOINT);
    else
        typed_pair_init(&pair, which, kind == EXPERTS ? TYPED_EXPERTS : 0);
    assert_true(kernels_select(NULL, NULL));
    run(&pair.floats, expected);
    double size = deviation(expected, N);
    assert_true(size > 1 && size < 5);
    for (int i = 0; i < n_isas; i++) {
        if (!kernels_select(isas[i], NULL))
            continue; /* not on this CPU */
        run(&pair.typed, logits);
        for (int j = 0; j < N; j++)
            logits[j] -= expected[j];
        double off = deviation(logits, N) / size;
        if (!(off <= bound_of(kind, which)))
            fail_msg("%s, %s: off by %.2e of the logits, the bound is %.0e", typed_name(which),
                     isas[i], off, bound_of(kind, which));
    }
    typed_pair_done(&pair);
}

static void test_each_type(void **state)
{
    (void)state;
    for (int which = 0; which < TYPED_N_TYPES; which++)
        check_type(FUSED, which);
}

/* As files have them that keep some tensors in better types than others. */
static void test_all_types_in_one_model(void **state)
{
    (void)state;
    check_type(FUSED, TYPED_MIXED);
}

/* With all of them used, so that no choice hangs on the noise. */
static void test_experts_in_each_type(void **state)
{
    (void)state;
    for (int which = 0; which < TYPED_N_TYPES; which++)
        check_type(EXPERTS, which);
    check_type(EXPERTS, TYPED_MIXED);
}

static void test_latent_heads_in_each_type(void **state)
{
    (void)state;
    for (int which = 0; which <= TYPED_MIXED; which++) {
        check_type(LATENT, which);
        check_type(LATENT_JOINT, which);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_type),
        cmocka_unit_test(test_all_types_in_one_model),
        cmocka_unit_test(test_experts_in_each_type),
        cmocka_unit_test(test_latent_heads_in_each_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
