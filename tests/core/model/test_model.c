/* What model_open believes and what it refuses. The model is a llama of 2 layers built here; every
 * key and tensor of it is then damaged in turn. */
#include <math.h>
#include <stdio.h>
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
#include "tests/support/gguf_builder.h"

enum { EMBD = 32, HEADS = 4, KV_HEADS = 2, HEAD_DIM = 8, FF = 64, VOCAB = 16, LAYERS = 2 };

/* One key or tensor is left out, or has another value. */
struct damage {
    const char *name; /* NULL: none */
    enum { OMIT, SET_U32, SET_F32, SET_TEXT } kind;
    uint32_t u32;
    float f32;
    const char *text;
};

struct opened {
    void *bytes;
    struct gguf *file;
    struct model *model;
    struct err err;
};

static void add_key(struct gguf_builder *builder, const struct damage *damage, const char *key,
                    uint32_t u32, float f32)
{
    if (damage->name != NULL && strcmp(damage->name, key) == 0) {
        if (damage->kind == SET_U32)
            gguf_add_u32(builder, key, damage->u32);
        else if (damage->kind == SET_F32)
            gguf_add_f32(builder, key, damage->f32);
        else if (damage->kind == SET_TEXT)
            gguf_add_text(builder, key, damage->text);
    } else if (u32 > 0) {
        gguf_add_u32(builder, key, u32);
    } else if (f32 > 0) {
        gguf_add_f32(builder, key, f32);
    }
}

static void add_tensor(struct gguf_builder *builder, const struct damage *damage, const char *name,
                       uint64_t n_in, uint64_t n_out)
{
    if (damage->name != NULL && strcmp(damage->name, name) == 0) {
        if (damage->kind == OMIT)
            return;
        n_in += 1; /* any other kind: a shape that is off by one */
    }
    size_t n = (size_t)(n_in * (n_out == 0 ? 1 : n_out));
    float *values = malloc(n * sizeof(float));
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = 0.1F * (float)((int)(i * 7 % 11) - 5);
    gguf_add_tensor(builder, name, TENSOR_F32, (uint64_t[]){n_in, n_out, 0}, values,
                    n * sizeof(float));
    free(values);
}

static const char *const keys[] = {
    "llama.block_count",
    "llama.embedding_length",
    "llama.feed_forward_length",
    "llama.context_length",
    "llama.attention.head_count",
    "llama.attention.head_count_kv",
    "llama.attention.key_length",
    "llama.attention.value_length",
    "llama.attention.layer_norm_rms_epsilon",
    "llama.attention.sliding_window",
    "llama.attention.clamp_kqv",
    "llama.attn_logit_softcapping",
    "llama.final_logit_softcapping",
    "llama.attention.scale",
    "llama.embedding_scale",
    "llama.residual_scale",
    "llama.logit_scale",
    "llama.rope.dimension_count",
    "llama.rope.freq_base",
    "llama.rope.scaling.type",
    "llama.rope.scaling.factor",
    "llama.rope.scale_linear",
    "llama.use_parallel_residual",
    "llama.expert_count",
};
enum { N_KEYS = sizeof keys / sizeof keys[0] };

static void add_sample(struct gguf_builder *builder, const struct damage *damage)
{
    static const uint32_t counts[N_KEYS] = {LAYERS, EMBD, FF, 128, HEADS, KV_HEADS};
    if (damage->name == NULL || strcmp(damage->name, "general.architecture") != 0)
        gguf_add_text(builder, "general.architecture", "llama");
    else if (damage->kind == SET_TEXT)
        gguf_add_text(builder, "general.architecture", damage->text);
    for (int i = 0; i < N_KEYS; i++)
        add_key(builder, damage, keys[i], counts[i], strstr(keys[i], "epsilon") ? 1e-5F : 0);

    add_tensor(builder, damage, "token_embd.weight", EMBD, VOCAB);
    add_tensor(builder, damage, "output_norm.weight", EMBD, 0);
    for (int i = 0; i < LAYERS; i++) {
        static const struct {
            const char *name;
            uint64_t n_in, n_out;
        } tensors[] = {
            {"attn_norm", EMBD, 0},
            {"attn_q", EMBD, EMBD},
            {"attn_k", EMBD, KV_HEADS * HEAD_DIM},
            {"attn_v", EMBD, KV_HEADS * HEAD_DIM},
            {"attn_output", EMBD, EMBD},
            {"ffn_norm", EMBD, 0},
            {"ffn_gate", EMBD, FF},
            {"ffn_up", EMBD, FF},
            {"ffn_down", FF, EMBD},
        };
        for (size_t j = 0; j < sizeof tensors / sizeof tensors[0]; j++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", i, tensors[j].name);
            add_tensor(builder, damage, name, tensors[j].n_in, tensors[j].n_out);
        }
    }
}

static bool open_built(struct opened *opened, const struct gguf_builder *builder)
{
    size_t n;
    *opened = (struct opened){.bytes = gguf_builder_finish(builder, &n)};
    if (!gguf_open_memory(&opened->file, opened->bytes, n, &opened->err))
        fail_msg("%s", opened->err.text);
    return model_open(&opened->model, opened->file, &opened->err);
}

static bool open_damaged(struct opened *opened, const struct damage *damage)
{
    struct gguf_builder builder;
    gguf_builder_init(&builder);
    add_sample(&builder, damage);
    bool ok = open_built(opened, &builder);
    gguf_builder_done(&builder);
    return ok;
}

static void close_opened(struct opened *opened)
{
    model_close(&opened->model);
    gguf_close(&opened->file);
    free(opened->bytes);
}

static void expect_refused(const struct damage *damage, const char *expected)
{
    struct opened opened;
    if (open_damaged(&opened, damage) || strstr(opened.err.text, expected) == NULL)
        fail_msg("%s: got '%s', expected '%s'", damage->name, opened.err.text, expected);
    assert_null(opened.model);
    close_opened(&opened);
}

static void test_defaults(void **state)
{
    (void)state;
    struct opened opened;
    if (!open_damaged(&opened, &(struct damage){0}))
        fail_msg("%s", opened.err.text);
    const struct model_shape *shape = &opened.model->shape;
    assert_string_equal(shape->architecture, "llama");
    assert_int_equal(shape->n_layers, LAYERS);
    assert_int_equal(shape->n_vocab, VOCAB);
    assert_int_equal(shape->head_dim_k, HEAD_DIM);
    assert_int_equal(shape->head_dim_v, HEAD_DIM);
    assert_int_equal(shape->n_rot, HEAD_DIM);
    assert_int_equal(shape->n_context, 128);
    assert_true(shape->rope_base == 10000 && shape->rope_scale == 1);
    assert_ptr_equal(opened.model->output.data, opened.model->embedding.data); /* tied */
    assert_int_equal(
        opened.model->n_parameters,
        EMBD * VOCAB + EMBD +
            LAYERS * (2 * EMBD + 2 * EMBD * EMBD + 2 * EMBD * KV_HEADS * HEAD_DIM + 3 * EMBD * FF));
    close_opened(&opened);
}

static void test_keys_that_change_the_shape(void **state)
{
    (void)state;
    struct opened opened;
    assert_true(open_damaged(
        &opened, &(struct damage){"llama.attention.sliding_window", SET_U32, .u32 = 64}));
    assert_int_equal(opened.model->shape.n_context, 64);
    close_opened(&opened);
    assert_true(
        open_damaged(&opened, &(struct damage){"llama.rope.scale_linear", SET_F32, .f32 = 4}));
    assert_true(opened.model->shape.rope_scale == 4);
    close_opened(&opened);
    assert_true(
        open_damaged(&opened, &(struct damage){"llama.rope.dimension_count", SET_U32, .u32 = 4}));
    assert_int_equal(opened.model->shape.n_rot, 4);
    close_opened(&opened);
}

/* Slow pairs alone are scaled, and heads grow by 0.1 ln(factor) + 1. */
static void test_yarn(void **state)
{
    (void)state;
    struct gguf_builder builder;
    struct opened opened;
    for (int has_context = 0; has_context < 2; has_context++) {
        gguf_builder_init(&builder);
        add_sample(&builder, &(struct damage){"llama.rope.scaling.type", SET_TEXT, .text = "yarn"});
        gguf_add_f32(&builder, "llama.rope.scaling.factor", 4);
        if (has_context == 1)
            gguf_add_u32(&builder, "llama.rope.scaling.original_context_length", 32);
        bool ok = open_built(&opened, &builder);
        assert_int_equal(ok, has_context);
        if (ok) {
            assert_true(opened.model->shape.yarn.is_used);
            assert_int_equal(opened.model->shape.n_context_unscaled, 32);
            assert_true(opened.model->shape.yarn.n_fast == 32);
            assert_true(opened.model->shape.yarn.n_slow == 1);
            assert_float_equal(opened.model->shape.rope_magnitude, 1.138629, 1e-6);
        } else {
            assert_non_null(strstr(opened.err.text, "original_context_length is missing"));
        }
        close_opened(&opened);
        gguf_builder_done(&builder);
    }
}

static void test_refusals_say_why(void **state)
{
    (void)state;
    const struct damage cases[] = {
        {"general.architecture", OMIT, 0, 0, NULL},
        {"general.architecture", SET_TEXT, 0, 0, "rwkv\n6"},
        {"llama.block_count", OMIT, 0, 0, NULL},
        {"llama.block_count", SET_U32, 0, 0, NULL},
        {"llama.block_count", SET_U32, 3, 0, NULL},
        {"llama.block_count", SET_TEXT, 0, 0, "2"},
        {"llama.attention.head_count_kv", SET_U32, 3, 0, NULL},
        {"llama.attention.head_count", SET_U32, 5, 0, NULL},
        {"llama.attention.layer_norm_rms_epsilon", SET_F32, 0, NAN, NULL},
        {"llama.rope.scaling.type", SET_TEXT, 0, 0, "longrope"},
        {"llama.rope.dimension_count", SET_U32, 10, 0, NULL},
        {"llama.expert_count", SET_U32, 8, 0, NULL},
        {"token_embd.weight", OMIT, 0, 0, NULL},
        {"blk.1.ffn_up.weight", OMIT, 0, 0, NULL},
        {"blk.1.ffn_up.weight", SET_U32, 0, 0, NULL},
        {"blk.0.attn_norm.weight", SET_U32, 0, 0, NULL},
    };
    static const char *const expected[] = {
        "does not name an architecture",
        "'rwkv?6', and sinkd runs falcon, gemma, gemma2, gemma3, gptneox, granite, llama, mpt",
        "block_count is missing",
        "block_count is not one number in 1 .. 1024",
        "no tensor 'blk.2.attn_norm.weight'",
        "block_count is not one number",
        "not a multiple of its head_count_kv",
        "key_length is missing",
        "layer_norm_rms_epsilon is not a number",
        "'longrope'",
        "odd or larger than a head",
        "mixture of experts",
        "no token_embd.weight",
        "no tensor 'blk.1.ffn_up.weight'",
        "'blk.1.ffn_up.weight' is 33 x 64 x 1, but the metadata asks for 32 x 64",
        "'blk.0.attn_norm.weight' is 33 x 1 x 1",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refused(&cases[i], expected[i]);
}

/* A Gemma of 2 or 3, of any depth, of which heads are narrower than n_embd / n_heads. `keys` are
 * those beside the usual ones. */
enum { GEMMA_HEADS = 2, GEMMA_WIDTH = EMBD / GEMMA_HEADS };
struct gemma {
    const char *architecture;
    uint32_t n_layers;
    struct gemma_key {
        const char *name;
        uint32_t value;
    } keys[4];
};

static void add_gemma_layer(struct gguf_builder *builder, uint32_t i, bool has_head_norms)
{
    static const struct {
        const char *name;
        uint64_t n_in, n_out;
    } tensors[] = {
        {"attn_norm", EMBD, 0},
        {"attn_q", EMBD, GEMMA_HEADS * HEAD_DIM},
        {"attn_k", EMBD, HEAD_DIM},
        {"attn_v", EMBD, HEAD_DIM},
        {"attn_output", GEMMA_HEADS * HEAD_DIM, EMBD},
        {"post_attention_norm", EMBD, 0},
        {"ffn_norm", EMBD, 0},
        {"ffn_gate", EMBD, FF},
        {"ffn_up", EMBD, FF},
        {"ffn_down", FF, EMBD},
        {"post_ffw_norm", EMBD, 0},
        {"attn_q_norm", HEAD_DIM, 0},
        {"attn_k_norm", HEAD_DIM, 0},
    };
    size_t n = sizeof tensors / sizeof tensors[0] - (has_head_norms ? 0 : 2);
    for (size_t j = 0; j < n; j++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%u.%s.weight", i, tensors[j].name);
        add_tensor(builder, &(struct damage){0}, name, tensors[j].n_in, tensors[j].n_out);
    }
}

static bool open_gemma(struct opened *opened, const struct gemma *gemma)
{
    static const struct gemma_key usual[] = {
        {"embedding_length", EMBD},     {"feed_forward_length", FF},
        {"context_length", 128},        {"attention.head_count", GEMMA_HEADS},
        {"attention.head_count_kv", 1}, {"attention.key_length", HEAD_DIM},
    };
    struct gguf_builder builder;
    char key[64];
    gguf_builder_init(&builder);
    gguf_add_text(&builder, "general.architecture", gemma->architecture);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", gemma->architecture, usual[i].name);
        gguf_add_u32(&builder, key, usual[i].value);
    }
    for (size_t i = 0; i < 4 && gemma->keys[i].name != NULL; i++) {
        snprintf(key, sizeof key, "%s.%s", gemma->architecture, gemma->keys[i].name);
        if (strstr(key, "softcapping") != NULL || strstr(key, "freq_base") != NULL)
            gguf_add_f32(&builder, key, (float)gemma->keys[i].value);
        else
            gguf_add_u32(&builder, key, gemma->keys[i].value);
    }
    snprintf(key, sizeof key, "%s.block_count", gemma->architecture);
    gguf_add_u32(&builder, key, gemma->n_layers);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", gemma->architecture);
    gguf_add_f32(&builder, key, 1e-6F);
    add_tensor(&builder, &(struct damage){0}, "token_embd.weight", EMBD, VOCAB);
    add_tensor(&builder, &(struct damage){0}, "output_norm.weight", EMBD, 0);
    for (uint32_t i = 0; i < gemma->n_layers; i++)
        add_gemma_layer(&builder, i, strcmp(gemma->architecture, "gemma3") == 0);
    bool ok = open_built(opened, &builder);
    gguf_builder_done(&builder);
    return ok;
}

/* A sliding window in some layers leaves the context as it is. */
static void test_local_layers(void **state)
{
    (void)state;
    struct opened opened;
    struct gemma gemma2 = {"gemma2",
                           4,
                           {{"attention.sliding_window", 16},
                            {"attn_logit_softcapping", 50},
                            {"final_logit_softcapping", 30}}};
    if (!open_gemma(&opened, &gemma2))
        fail_msg("%s", opened.err.text);
    assert_int_equal(opened.model->shape.n_context, 128);
    assert_true(opened.model->shape.score_soft_cap == 50);
    assert_true(opened.model->shape.logit_soft_cap == 30);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(opened.model->layers[i].reach, i % 2 == 0 ? 15 : INT32_MAX);
        assert_int_equal(opened.model->layers[i].rope, MODEL_ROPE);
    }
    close_opened(&opened);

    struct gemma gemma3 = {"gemma3", 8, {{"attention.sliding_window", 16}}};
    assert_true(open_gemma(&opened, &gemma3));
    assert_int_equal(opened.model->shape.n_context, 128);
    assert_true(opened.model->shape.rope_local_base == 10000);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(opened.model->layers[i].reach, i != 5 ? 15 : INT32_MAX);
        assert_int_equal(opened.model->layers[i].rope, i != 5 ? MODEL_ROPE_LOCAL : MODEL_ROPE);
    }
    close_opened(&opened);

    gemma3.keys[1] = (struct gemma_key){"attention.sliding_window_pattern", 2};
    gemma3.keys[2] = (struct gemma_key){"rope.freq_base_swa", 5000};
    assert_true(open_gemma(&opened, &gemma3));
    assert_true(opened.model->shape.rope_local_base == 5000);
    assert_int_equal(opened.model->layers[1].rope, MODEL_ROPE);
    assert_int_equal(opened.model->layers[6].reach, 15);
    close_opened(&opened);

    gemma3.keys[0].name = NULL; /* as some relatives of Gemma 3 are: all layers see all */
    assert_true(open_gemma(&opened, &gemma3));
    assert_int_equal(opened.model->layers[0].reach, INT32_MAX);
    assert_int_equal(opened.model->layers[0].rope, MODEL_ROPE);
    close_opened(&opened);
}

static void test_gemma2_needs_its_caps_and_window(void **state)
{
    (void)state;
    struct opened opened;
    struct gemma gemma = {
        "gemma2", 2, {{"attn_logit_softcapping", 50}, {"final_logit_softcapping", 30}}};
    assert_false(open_gemma(&opened, &gemma));
    assert_string_equal(opened.err.text, "the model's gemma2.attention.sliding_window is missing");
    close_opened(&opened);
}

/* Only the 27B of both, known by its depth, scales scores by n_embd / n_heads. */
static void test_scale_of_scores(void **state)
{
    (void)state;
    struct gemma gemmas[] = {{"gemma2",
                              46,
                              {{"attention.sliding_window", 16},
                               {"attn_logit_softcapping", 50},
                               {"final_logit_softcapping", 30}}},
                             {"gemma3", 62, {{NULL, 0}}}};
    for (size_t i = 0; i < 2; i++) {
        struct opened opened;
        assert_true(open_gemma(&opened, &gemmas[i]));
        assert_float_equal(opened.model->shape.attention_scale, 1 / sqrtf(GEMMA_WIDTH), 1e-7);
        close_opened(&opened);
        gemmas[i].n_layers -= 1;
        assert_true(open_gemma(&opened, &gemmas[i]));
        assert_float_equal(opened.model->shape.attention_scale, 1 / sqrtf(HEAD_DIM), 1e-7);
        close_opened(&opened);
    }
}

/* A model that opens must also run: three tokens in a small cache. */
static void run_tokens(const struct model *model)
{
    const struct model_shape *shape = &model->shape;
    struct kv_shape kv = {.n_layers = shape->n_layers,
                          .n_kv_heads = shape->n_kv_heads,
                          .head_dim_k = shape->head_dim_k,
                          .head_dim_v = shape->head_dim_v,
                          .type = KV_F16,
                          .n_sinks = 1,
                          .n_window = 4,
                          .n_slack = 2};
    struct thread_pool *pool = NULL;
    struct forward *forward = NULL;
    struct kv_cache *cache = NULL;
    struct err err = {0};
    if (!thread_pool_open(&pool, 1, &err) || !forward_open(&forward, model, pool, 3, 1, &err) ||
        !kv_cache_open(&cache, &kv, &err))
        fail_msg("%s", err.text);
    struct forward_token tokens[3] = {{1, cache, false}, {2, cache, false}, {15, cache, true}};
    forward_run(forward, tokens, 3);
    forward_run(forward, tokens, 3);
    assert_int_equal(kv_cache_position(cache), 6);
    kv_cache_close(&cache);
    forward_close(&forward);
    thread_pool_close(&pool);
}

/* Every key as every number that a liar likes. Accepting is fine only where the model runs. */
static void test_every_key_with_every_bad_number(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0,  1,          2,          3,         16,      31,
                                       33, 0x7fffffff, 0x80000000, 0xfffffff, 1U << 20};
    static const float reals[] = {0, -1, 1e-30F, 1e30F, NAN, INFINITY, -INFINITY};
    assert_true(kernels_select(NULL, NULL));
    int n_accepted = 0;
    for (int k = 0; k < N_KEYS; k++) {
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            struct opened opened;
            if (open_damaged(&opened, &(struct damage){keys[k], SET_U32, .u32 = numbers[i]})) {
                run_tokens(opened.model);
                n_accepted++;
            }
            close_opened(&opened);
        }
        for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
            struct opened opened;
            if (open_damaged(&opened, &(struct damage){keys[k], SET_F32, .f32 = reals[i]})) {
                run_tokens(opened.model);
                n_accepted++;
            }
            close_opened(&opened);
        }
    }
    assert_true(n_accepted > 0 && n_accepted < 60); /* context lengths, windows, some scalings */
}

static void test_unknown_tensor_is_refused(void **state)
{
    (void)state;
    struct gguf_builder builder;
    struct opened opened;
    gguf_builder_init(&builder);
    add_sample(&builder, &(struct damage){0});
    gguf_add_tensor(&builder, "blk.0.attn_sinks.weight", TENSOR_F32, (uint64_t[]){HEADS, 0}, NULL,
                    HEADS * sizeof(float));
    assert_false(open_built(&opened, &builder));
    assert_non_null(strstr(opened.err.text, "'blk.0.attn_sinks.weight'"));
    close_opened(&opened);
    gguf_builder_done(&builder);
}

static void test_part_of_a_split_model(void **state)
{
    (void)state;
    struct gguf_builder builder;
    struct opened opened;
    gguf_builder_init(&builder);
    gguf_add_u32(&builder, "split.count", 3);
    assert_false(open_built(&opened, &builder));
    assert_non_null(strstr(opened.err.text, "--merge"));
    close_opened(&opened);
    gguf_builder_done(&builder);
}

static void test_half_precision_vectors_are_widened(void **state)
{
    (void)state;
    uint16_t halves[EMBD];
    struct gguf_builder builder;
    struct opened opened;
    for (int i = 0; i < EMBD; i++)
        halves[i] = (uint16_t)(0x3c00 + i); /* 1 + i / 1024 */
    gguf_builder_init(&builder);
    add_sample(&builder, &(struct damage){.name = "blk.1.attn_norm.weight", .kind = OMIT});
    gguf_add_tensor(&builder, "blk.1.attn_norm.weight", TENSOR_F16, (uint64_t[]){EMBD, 0}, halves,
                    sizeof halves);
    if (!open_built(&opened, &builder))
        fail_msg("%s", opened.err.text);
    for (int i = 0; i < EMBD; i++)
        assert_true(opened.model->layers[1].attn_norm[i] == 1 + (float)i / 1024);
    close_opened(&opened);
    gguf_builder_done(&builder);
}

static void test_rope_factors_are_checked(void **state)
{
    (void)state;
    const float bad[] = {0, -1, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        float factors[HEAD_DIM / 2] = {1, 1, 1, bad[i]};
        struct gguf_builder builder;
        struct opened opened;
        gguf_builder_init(&builder);
        add_sample(&builder, &(struct damage){0});
        gguf_add_tensor(&builder, "rope_freqs.weight", TENSOR_F32, (uint64_t[]){HEAD_DIM / 2, 0},
                        factors, sizeof factors);
        assert_false(open_built(&opened, &builder));
        assert_non_null(strstr(opened.err.text, "rope_freqs.weight"));
        close_opened(&opened);
        gguf_builder_done(&builder);
    }
}

/* Short and long factors come together, are checked alike, and excuse the name of their scaling. */
static void test_long_rope(void **state)
{
    (void)state;
    const uint64_t dims[] = {HEAD_DIM / 2, 0};
    const float good[HEAD_DIM / 2] = {1, 1, 2, 4};
    const float bad[HEAD_DIM / 2] = {1, 1, 2, 0};
    const struct {
        const float *brief, *extended;
        const char *expected; /* NULL: it opens */
    } cases[] = {{NULL, good, "no tensor 'rope_factors_short.weight'"},
                 {good, bad, "out of range"},
                 {bad, good, "out of range"},
                 {good, good, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gguf_builder builder;
        struct opened opened;
        gguf_builder_init(&builder);
        add_sample(&builder,
                   &(struct damage){"llama.rope.scaling.type", SET_TEXT, .text = "longrope"});
        gguf_add_u32(&builder, "llama.rope.scaling.original_context_length", 32);
        gguf_add_f32(&builder, "llama.rope.scaling.attn_factor", 1.5F);
        if (cases[i].brief != NULL)
            gguf_add_tensor(&builder, "rope_factors_short.weight", TENSOR_F32, dims, cases[i].brief,
                            sizeof good);
        gguf_add_tensor(&builder, "rope_factors_long.weight", TENSOR_F32, dims, cases[i].extended,
                        sizeof good);
        bool ok = open_built(&opened, &builder);
        assert_int_equal(ok, cases[i].expected == NULL);
        if (ok) {
            assert_int_equal(opened.model->shape.n_context_unscaled, 32);
            assert_true(opened.model->shape.rope_magnitude == 1.5);
        } else {
            assert_non_null(strstr(opened.err.text, cases[i].expected));
        }
        close_opened(&opened);
        gguf_builder_done(&builder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_keys_that_change_the_shape),
        cmocka_unit_test(test_yarn),
        cmocka_unit_test(test_refusals_say_why),
        cmocka_unit_test(test_local_layers),
        cmocka_unit_test(test_gemma2_needs_its_caps_and_window),
        cmocka_unit_test(test_scale_of_scores),
        cmocka_unit_test(test_every_key_with_every_bad_number),
        cmocka_unit_test(test_unknown_tensor_is_refused),
        cmocka_unit_test(test_part_of_a_split_model),
        cmocka_unit_test(test_half_precision_vectors_are_widened),
        cmocka_unit_test(test_rope_factors_are_checked),
        cmocka_unit_test(test_long_rope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
