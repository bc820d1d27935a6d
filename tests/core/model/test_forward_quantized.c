/* The forward pass with weights in every tensor type, against the same weights as floats: that each
 * matrix is found, sliced, multiplied and looked up in the type that it has. The products
 * themselves are tests/core/kernels/test_matmul.c.
 *
 * The model is a small Phi-3, because its q, k, v and its gate, up are slices of one tensor. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf.h"
#include "core/kernels/half.h"
#include "core/kernels/kernels.h"
#include "core/kernels/quant.h"
#include "core/model/forward.h"
#include "core/model/kv_cache.h"
#include "core/model/model.h"
#include "tests/support/check.h"
#include "tests/support/each_isa.h"
#include "tests/support/gguf_builder.h"

/* Rows are whole blocks of the longest, 256. */
enum { EMBD = 256, HEADS = 4, KV_HEADS = 2, HEAD_DIM = 64, FF = 256, VOCAB = 64, LAYERS = 2 };
enum { N_PROMPT = 24, N_TOKENS = 36, N_SINKS = 4, N_WINDOW = 16 };

/* Where a type keeps its scale and its minimum. The numbers of a block are about level when
 * the minimum is `level` times the scale. */
struct format {
    enum tensor_type type;
    int scale_at; /* -1: the type is a float */
    int min_at;   /* -1: none */
    float level;
};
static const struct format formats[] = {
    {TENSOR_F32, -1, -1, 0},     {TENSOR_F16, -1, -1, 0},    {TENSOR_BF16, -1, -1, 0},
    {TENSOR_Q4_0, 0, -1, 0},     {TENSOR_Q4_1, 0, 2, -7.5F}, {TENSOR_Q5_0, 0, -1, 0},
    {TENSOR_Q5_1, 0, 2, -15.5F}, {TENSOR_Q8_0, 0, -1, 0},    {TENSOR_Q2_K, 80, 82, 1.5F},
    {TENSOR_Q3_K, 108, -1, 0},   {TENSOR_Q4_K, 0, 2, 7.5F},  {TENSOR_Q5_K, 0, 2, 15.5F},
    {TENSOR_Q6_K, 208, -1, 0},   {TENSOR_IQ2_XXS, 0, -1, 0},
};
enum { N_FORMATS = sizeof formats / sizeof formats[0], MIXED = N_FORMATS };

static uint32_t random_state;

static uint32_t random_word(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

static float random_level(void)
{
    return (float)random_word() * 0x1p-23F - 1;
}

/* Weights in one type, and the same numbers as floats. */
struct weights {
    const struct format *format;
    size_t n, n_blocks, n_bytes;
    uint8_t *blocks;
    float *floats;
};

static void put_half(uint8_t *at, float x)
{
    uint16_t half = f16_from_float(x);
    memcpy(at, &half, sizeof half);
}

static void fill_floats(struct weights *weights, float deviation)
{
    for (size_t i = 0; i < weights->n; i++) {
        float x = random_level() * deviation * 1.7F;
        uint16_t half = bf16_from_float(x);
        if (weights->format->type == TENSOR_F32)
            memcpy(weights->blocks + 4 * i, &x, sizeof x);
        else if (weights->format->type == TENSOR_F16)
            put_half(weights->blocks + 2 * i, x);
        else
            memcpy(weights->blocks + 2 * i, &half, sizeof half);
    }
}

/* Each block has `scale`, more or less, of either sign: then a type whose numbers are not level (of
 * 4 bits, -8 .. 7) has no mean over a row. */
static void scale_blocks(struct weights *weights, float scale, float spread)
{
    const struct format *format = weights->format;
    size_t block_bytes = weights->n_bytes / weights->n_blocks;
    for (size_t i = 0; i < weights->n_blocks; i++) {
        uint8_t *block = weights->blocks + i * block_bytes;
        float own = scale * (1 + spread * random_level()) * (random_level() < 0 ? -1 : 1);
        put_half(block + format->scale_at, own);
        if (format->min_at >= 0)
            put_half(block + format->min_at, own * format->level);
    }
}

static double deviation(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)n);
}

static struct weights new_weights(const struct format *format, size_t n_in, size_t n_out,
                                  double gain)
{
    const struct tensor_format *layout = tensor_format(format->type);
    struct weights weights = {.format = format, .n = n_in * n_out};
    double wanted = gain / sqrt((double)n_in);
    weights.n_blocks = weights.n / layout->block_len;
    weights.n_bytes = weights.n_blocks * layout->block_bytes;
    weights.blocks = malloc(weights.n_bytes);
    weights.floats = malloc(weights.n * sizeof(float));
    assert_true(weights.blocks != NULL && weights.floats != NULL);
    if (format->scale_at < 0) {
        fill_floats(&weights, (float)wanted);
    } else {
        for (size_t i = 0; i < weights.n_bytes; i++)
            weights.blocks[i] = (uint8_t)(random_word() >> 16);
        scale_blocks(&weights, 1, 0);
        dequantize_row(format->type, weights.blocks, weights.floats, weights.n);
        scale_blocks(&weights, (float)(wanted / deviation(weights.floats, weights.n)), 0.5F);
    }
    dequantize_row(format->type, weights.blocks, weights.floats, weights.n);
    return weights;
}

/* The same model twice. */
struct pair {
    struct gguf_builder typed, floats;
    int which; /* of formats; MIXED: the next one for each tensor */
    int n_added;
};

static void add_matrix(struct pair *pair, const char *name, uint64_t n_in, uint64_t n_out,
                       double gain)
{
    int which = pair->which == MIXED ? pair->n_added % N_FORMATS : pair->which;
    struct weights weights = new_weights(&formats[which], n_in, n_out, gain);
    const uint64_t dims[] = {n_in, n_out, 0};
    gguf_add_tensor(&pair->typed, name, weights.format->type, dims, weights.blocks,
                    weights.n_bytes);
    gguf_add_tensor(&pair->floats, name, TENSOR_F32, dims, weights.floats,
                    weights.n * sizeof(float));
    pair->n_added++;
    free(weights.blocks);
    free(weights.floats);
}

static void add_norm(struct gguf_builder *builder, const char *name)
{
    float ones[EMBD];
    for (int i = 0; i < EMBD; i++)
        ones[i] = 1;
    gguf_add_tensor(builder, name, TENSOR_F32, (uint64_t[]){EMBD, 0}, ones, sizeof ones);
}

static void add_keys_and_norms(struct gguf_builder *builder)
{
    gguf_add_text(builder, "general.architecture", "phi3");
    gguf_add_u32(builder, "phi3.block_count", LAYERS);
    gguf_add_u32(builder, "phi3.embedding_length", EMBD);
    gguf_add_u32(builder, "phi3.feed_forward_length", FF);
    gguf_add_u32(builder, "phi3.context_length", 128);
    gguf_add_u32(builder, "phi3.attention.head_count", HEADS);
    gguf_add_u32(builder, "phi3.attention.head_count_kv", KV_HEADS);
    gguf_add_f32(builder, "phi3.attention.layer_norm_rms_epsilon", 1e-5F);
    add_norm(builder, "output_norm.weight");
    for (int i = 0; i < LAYERS; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.attn_norm.weight", i);
        add_norm(builder, name);
        snprintf(name, sizeof name, "blk.%d.ffn_norm.weight", i);
        add_norm(builder, name);
    }
}

static void build_pair(struct pair *pair, int which)
{
    static const struct {
        const char *name;
        uint64_t n_in, n_out;
    } matrices[] = {
        {"attn_qkv", EMBD, (HEADS + 2 * KV_HEADS) * HEAD_DIM},
        {"attn_output", HEADS * HEAD_DIM, EMBD},
        {"ffn_up", EMBD, 2 * FF},
        {"ffn_down", FF, EMBD},
    };
    *pair = (struct pair){.which = which};
    gguf_builder_init(&pair->typed);
    gguf_builder_init(&pair->floats);
    add_keys_and_norms(&pair->typed);
    add_keys_and_norms(&pair->floats);
    add_matrix(pair, "token_embd.weight", EMBD, VOCAB, sqrt(EMBD));
    add_matrix(pair, "output.weight", EMBD, VOCAB, 2.5);
    for (int i = 0; i < LAYERS; i++) {
        for (size_t j = 0; j < sizeof matrices / sizeof matrices[0]; j++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", i, matrices[j].name);
            add_matrix(pair, name, matrices[j].n_in, matrices[j].n_out, 1.3);
        }
    }
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
    const struct kv_shape shape = {.n_layers = LAYERS,
                                   .n_kv_heads = KV_HEADS,
                                   .head_dim_k = HEAD_DIM,
                                   .head_dim_v = HEAD_DIM,
                                   .type = KV_F32,
                                   .n_sinks = N_SINKS,
                                   .n_window = N_WINDOW,
                                   .n_slack = N_PROMPT - 1};
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
        !forward_open(&forward, model, pool, N_PROMPT, N_PROMPT, &err) ||
        !kv_cache_open(&cache, &shape, &err))
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
 * whose noises add up as squares: 1.5 %, and twice that is the bound. A weight in the wrong place
 * gives 100 %. */
static double bound_of(int which)
{
    if (which == MIXED)
        return 0.03;
    return matmul_wants_quantized(formats[which].type) ? 0.03 : 1e-5;
}

static void check_format(int which)
{
    const char *isas[MAX_ISAS];
    const int n_isas = isas_to_check(isas);
    enum { N = N_TOKENS * VOCAB };
    float expected[N], logits[N];
    struct pair pair;
    random_state = (uint32_t)which;
    build_pair(&pair, which);
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
        if (!(off <= bound_of(which)))
            fail_msg("%s, %s: off by %.2e of the logits, the bound is %.0e",
                     which == MIXED ? "mixed" : tensor_format(formats[which].type)->name, isas[i],
                     off, bound_of(which));
    }
    gguf_builder_done(&pair.typed);
    gguf_builder_done(&pair.floats);
}

static void test_each_type(void **state)
{
    (void)state;
    for (int which = 0; which < N_FORMATS; which++)
        check_format(which);
}

/* As files have them that keep some tensors in better types than others. */
static void test_all_types_in_one_model(void **state)
{
    (void)state;
    check_format(MIXED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_type),
        cmocka_unit_test(test_all_types_in_one_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
