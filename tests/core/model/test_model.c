/* What model_open believes and what it refuses: every key and tensor of a small model is damaged in
 * turn. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/thread_pool.h"
#include "core/kernels/kernels.h"
#include "core/model/forward.h"
#include "core/model/kv_cache.h"
#include "tests/support/check.h"
#include "tests/support/model_sample.h"

static void expect_refused(const struct model_damage *damage, const char *expected)
{
    struct opened_model opened;
    if (model_sample_open_damaged(&opened, damage) || strstr(opened.err.text, expected) == NULL)
        fail_msg("%s: got '%s', expected '%s'", damage->name, opened.err.text, expected);
    assert_null(opened.model);
    model_sample_close(&opened);
}

static void test_defaults(void **state)
{
    (void)state;
    struct opened_model opened;
    if (!model_sample_open_damaged(&opened, &(struct model_damage){0}))
        fail_msg("%s", opened.err.text);
    const struct model_shape *shape = &opened.model->shape;
    assert_string_equal(shape->architecture, "llama");
    assert_int_equal(shape->n_layers, SAMPLE_LAYERS);
    assert_int_equal(shape->n_vocab, SAMPLE_VOCAB);
    assert_int_equal(shape->head_dim_k, SAMPLE_HEAD_DIM);
    assert_int_equal(shape->head_dim_v, SAMPLE_HEAD_DIM);
    assert_int_equal(shape->n_rot, SAMPLE_HEAD_DIM);
    assert_int_equal(shape->n_context, 128);
    assert_true(shape->rope_base == 10000 && shape->rope_scale == 1);
    assert_ptr_equal(opened.model->output.data, opened.model->embedding.data); /* tied */
    assert_int_equal(opened.model->n_parameters,
                     SAMPLE_EMBD * SAMPLE_VOCAB + SAMPLE_EMBD +
                         SAMPLE_LAYERS * (2 * SAMPLE_EMBD + 2 * SAMPLE_EMBD * SAMPLE_EMBD +
                                          2 * SAMPLE_EMBD * SAMPLE_KV_HEADS * SAMPLE_HEAD_DIM +
                                          3 * SAMPLE_EMBD * SAMPLE_FF));
    model_sample_close(&opened);
}

static void test_refusals_say_why(void **state)
{
    (void)state;
    const struct model_damage cases[] = {
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
        "'rwkv?6', and sinkd runs arcee, bailingmoe, bailingmoe2, chatglm, cohere2, command-r, ",
        "block_count is missing",
        "block_count is not one number in 1 .. 1024",
        "no tensor 'blk.2.attn_norm.weight'",
        "block_count is not one number",
        "not a multiple of its head_count_kv",
        "key_length is missing",
        "layer_norm_rms_epsilon is not a number",
        "'longrope'",
        "odd or larger than a head",
        "expert_used_count is missing",
        "no token_embd.weight",
        "no tensor 'blk.1.ffn_up.weight'",
        "'blk.1.ffn_up.weight' is 33 x 64 x 1, but the metadata asks for 32 x 64",
        "'blk.0.attn_norm.weight' is 33 x 1 x 1",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refused(&cases[i], expected[i]);
}

/* Some keys beside those of the sample, or of nothing but an architecture and its size. */
struct key {
    const char *name;
    uint32_t value;
};

static void expect_keys_refused(const char *architecture, const struct key *keys, int n_keys,
                                const char *expected)
{
    struct gguf_builder builder;
    struct opened_model opened;
    gguf_builder_init(&builder);
    if (architecture == NULL)
        model_sample_add(&builder, &(struct model_damage){0});
    else
        gguf_add_text(&builder, "general.architecture", architecture);
    for (int i = 0; i < n_keys; i++) {
        if (strstr(keys[i].name, "epsilon") != NULL)
            gguf_add_f32(&builder, keys[i].name, 1e-5F);
        else
            gguf_add_u32(&builder, keys[i].name, keys[i].value);
    }
    if (model_sample_open(&opened, &builder) || strstr(opened.err.text, expected) == NULL)
        fail_msg("%s: got '%s', expected '%s'", keys[0].name, opened.err.text, expected);
    model_sample_close(&opened);
    gguf_builder_done(&builder);
}

static void test_experts_that_are_refused(void **state)
{
    (void)state;
    const struct key used = {"llama.expert_used_count", 2}, count = {"llama.expert_count", 8};
    expect_keys_refused(NULL, (struct key[]){count, {"llama.expert_used_count", 9}}, 2,
                        "expert_used_count is more than its expert_count");
    expect_keys_refused(NULL, (struct key[]){{"llama.expert_count", 1025}, used}, 2,
                        "expert_count is not one number in 1 .. 1024");
    expect_keys_refused(NULL, (struct key[]){count, used}, 2,
                        "no tensor 'blk.0.ffn_gate_inp.weight'");
    static const char *const ways[] = {"llama.expert_gating_func", "llama.expert_group_count",
                                       "llama.expert_weights_scale"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        expect_keys_refused(NULL, (struct key[]){count, used, {ways[i], 2}}, 3,
                            "chooses its experts in another way");
    const struct key told[] = {{"deepseek.block_count", 2},
                               {"deepseek.embedding_length", 32},
                               {"deepseek.feed_forward_length", 64},
                               {"deepseek.expert_count", 8},
                               {"deepseek.expert_used_count", 3},
                               {"deepseek.expert_group_count", 4},
                               {"deepseek.expert_group_used_count", 1}};
    expect_keys_refused("deepseek", told, 7, "expert_group_count does not fit");
    expect_keys_refused("gemma",
                        (struct key[]){{"gemma.expert_count", 8},
                                       {"gemma.block_count", 2},
                                       {"gemma.embedding_length", 32},
                                       {"gemma.feed_forward_length", 64}},
                        4, "mixture of experts, which sinkd cannot run in architecture 'gemma'");
}

static void test_latent_heads_that_are_refused(void **state)
{
    (void)state;
    enum { N = 8 };
    struct key keys[N] = {
        {"deepseek2.block_count", 2},          {"deepseek2.embedding_length", 32},
        {"deepseek2.feed_forward_length", 64}, {"deepseek2.context_length", 128},
        {"deepseek2.attention.head_count", 2}, {"deepseek2.attention.key_length", 8},
        {"deepseek2.rope.dimension_count", 8}, {"deepseek2.attention.kv_lora_rank", 16}};
    expect_keys_refused("deepseek2", keys, N - 1, "attention.kv_lora_rank is missing");
    expect_keys_refused("deepseek2", keys, N, "attention.layer_norm_rms_epsilon is missing");
}

/* Of a model of two layers whose numbers these are. */
static void expect_convolutions_refused(uint32_t n_taps, uint32_t n_heads, uint32_t n_kv_heads,
                                        const char *expected)
{
    const struct key keys[] = {{"lfm2.shortconv.l_cache", n_taps},
                               {"lfm2.block_count", 2},
                               {"lfm2.embedding_length", 32},
                               {"lfm2.feed_forward_length", 64},
                               {"lfm2.context_length", 128},
                               {"lfm2.attention.head_count", n_heads},
                               {"lfm2.attention.head_count_kv", n_kv_heads}};
    struct gguf_builder builder;
    struct opened_model opened;
    gguf_builder_init(&builder);
    gguf_add_text(&builder, "general.architecture", "lfm2");
    gguf_add_f32(&builder, "lfm2.attention.layer_norm_rms_epsilon", 1e-5F);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        gguf_add_u32(&builder, keys[i].name, keys[i].value);
    if (model_sample_open(&opened, &builder) || strstr(opened.err.text, expected) == NULL)
        fail_msg("got '%s', expected '%s'", opened.err.text, expected);
    model_sample_close(&opened);
    gguf_builder_done(&builder);
}

static void test_convolutions_that_are_refused(void **state)
{
    (void)state;
    expect_convolutions_refused(3, 2, 2, "no token_embd.weight");
    expect_convolutions_refused(65, 2, 2, "shortconv.l_cache is not one number in 1 .. 64");
    expect_convolutions_refused(3, 3, 1, "embedding_length is not a multiple of its head_count");
    expect_convolutions_refused(3, 2, 0, "head_count_kv is not one number"); /* of all layers */
    expect_keys_refused("lfm2",
                        (struct key[]){{"lfm2.block_count", 2},
                                       {"lfm2.embedding_length", 32},
                                       {"lfm2.feed_forward_length", 64}},
                        3, "shortconv.l_cache is missing");
    expect_keys_refused(NULL, (struct key[]){{"llama.shortconv.l_cache", 3}}, 1,
                        "shortconv.l_cache asks for what sinkd cannot compute");
}

static void test_states_that_are_refused(void **state)
{
    (void)state;
    enum { N = 13, GROUPS = 8, HEADS, DIM, INNER, TAPS };
    struct key keys[N] = {
        {"qwen35.block_count", 4},
        {"qwen35.embedding_length", 32},
        {"qwen35.feed_forward_length", 64},
        {"qwen35.context_length", 128},
        {"qwen35.attention.head_count", 2},
        {"qwen35.attention.key_length", 16},
        {"qwen35.attention.value_length", 16},
        {"qwen35.attention.layer_norm_rms_epsilon", 0},
        {"qwen35.ssm.group_count", 2},
        {"qwen35.ssm.time_step_rank", 4},
        {"qwen35.ssm.state_size", 8},
        {"qwen35.ssm.inner_size", 32},
        {"qwen35.ssm.conv_kernel", 4},
    };
    expect_keys_refused("qwen35", keys, N - 1, "ssm.conv_kernel is missing");
    expect_keys_refused("qwen35", keys, N, "has no token_embd.weight");
    static const struct {
        int key;
        uint32_t value;
        const char *expected;
    } wrongs[] = {
        {0, 3, "full_attention_interval leaves no layer with attention"},
        {6, 8, "attention.value_length is not its key_length"},
        {GROUPS, 3, "ssm.time_step_rank is not a multiple of its group_count"},
        {HEADS, 0, "ssm.time_step_rank is not one number in"},
        {INNER, 40, "ssm.inner_size is not its time_step_rank times its state_size"},
        {DIM, 9999, "ssm.state_size is not one number in"},
        {TAPS, 65, "ssm.conv_kernel is not one number in"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        uint32_t right = keys[wrongs[i].key].value;
        keys[wrongs[i].key].value = wrongs[i].value;
        expect_keys_refused("qwen35", keys, N, wrongs[i].expected);
        keys[wrongs[i].key].value = right;
    }
}

/* Three tensors for all experts of a layer, or three for each of them. */
static void add_experts(struct gguf_builder *builder, int layer, int n_experts, bool has_all)
{
    static const struct model_damage none = {0};
    char name[64];
    snprintf(name, sizeof name, "blk.%d.ffn_gate_inp.weight", layer);
    model_sample_add_tensor(builder, &none, name, SAMPLE_EMBD, (uint64_t)n_experts);
    for (int i = 0; i < n_experts - !has_all; i++) {
        snprintf(name, sizeof name, "blk.%d.ffn_gate.%d.weight", layer, i);
        model_sample_add_tensor(builder, &none, name, SAMPLE_EMBD, SAMPLE_FF);
        snprintf(name, sizeof name, "blk.%d.ffn_up.%d.weight", layer, i);
        model_sample_add_tensor(builder, &none, name, SAMPLE_EMBD, SAMPLE_FF);
        snprintf(name, sizeof name, "blk.%d.ffn_down.%d.weight", layer, i);
        model_sample_add_tensor(builder, &none, name, SAMPLE_FF, SAMPLE_EMBD);
    }
}

/* Beside its experts the sample still has a feed-forward for all tokens, which then nobody uses. */
static void test_experts_and_their_tensors(void **state)
{
    (void)state;
    for (int has_all = 0; has_all < 2; has_all++) {
        struct gguf_builder builder;
        struct opened_model opened;
        gguf_builder_init(&builder);
        model_sample_add(&builder, &(struct model_damage){0});
        gguf_add_u32(&builder, "llama.expert_count", 3);
        gguf_add_u32(&builder, "llama.expert_used_count", 2);
        for (int i = 0; i < SAMPLE_LAYERS; i++)
            add_experts(&builder, i, 3, has_all == 1);
        assert_false(model_sample_open(&opened, &builder));
        const char *expected = has_all == 1 ? "'blk.0.ffn_gate.weight' that sinkd has no use for"
                                            : "no tensor 'blk.0.ffn_gate.2.weight'";
        if (strstr(opened.err.text, expected) == NULL)
            fail_msg("got '%s', expected '%s'", opened.err.text, expected);
        model_sample_close(&opened);
        gguf_builder_done(&builder);
    }
}

/* A model that opens must also run: three tokens in a small cache. */
static void run_tokens(const struct model *model)
{
    struct kv_shape kv = model_kv_shape(model);
    kv.type = KV_F16;
    kv.n_sinks = 1;
    kv.n_window = 4;
    kv.n_slack = 2;
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
    for (int k = 0; k < SAMPLE_N_KEYS; k++) {
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            struct opened_model opened;
            if (model_sample_open_damaged(
                    &opened,
                    &(struct model_damage){model_sample_keys[k], SET_U32, .u32 = numbers[i]})) {
                run_tokens(opened.model);
                n_accepted++;
            }
            model_sample_close(&opened);
        }
        for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
            struct opened_model opened;
            if (model_sample_open_damaged(
                    &opened,
                    &(struct model_damage){model_sample_keys[k], SET_F32, .f32 = reals[i]})) {
                run_tokens(opened.model);
                n_accepted++;
            }
            model_sample_close(&opened);
        }
    }
    assert_true(n_accepted > 0 && n_accepted < 60); /* context lengths, windows, some scalings */
}

static void test_unknown_tensor_is_refused(void **state)
{
    (void)state;
    struct gguf_builder builder;
    struct opened_model opened;
    gguf_builder_init(&builder);
    model_sample_add(&builder, &(struct model_damage){0});
    gguf_add_tensor(&builder, "blk.0.attn_sinks.weight", TENSOR_F32, (uint64_t[]){SAMPLE_HEADS, 0},
                    NULL, SAMPLE_HEADS * sizeof(float));
    assert_false(model_sample_open(&opened, &builder));
    assert_non_null(strstr(opened.err.text, "'blk.0.attn_sinks.weight'"));
    model_sample_close(&opened);
    gguf_builder_done(&builder);
}

static void test_part_of_a_split_model(void **state)
{
    (void)state;
    struct gguf_builder builder;
    struct opened_model opened;
    gguf_builder_init(&builder);
    gguf_add_u32(&builder, "split.count", 3);
    assert_false(model_sample_open(&opened, &builder));
    assert_non_null(strstr(opened.err.text, "--merge"));
    model_sample_close(&opened);
    gguf_builder_done(&builder);
}

static void test_half_precision_vectors_are_widened(void **state)
{
    (void)state;
    uint16_t halves[SAMPLE_EMBD];
    struct gguf_builder builder;
    struct opened_model opened;
    for (int i = 0; i < SAMPLE_EMBD; i++)
        halves[i] = (uint16_t)(0x3c00 + i); /* 1 + i / 1024 */
    gguf_builder_init(&builder);
    model_sample_add(&builder,
                     &(struct model_damage){.name = "blk.1.attn_norm.weight", .kind = OMIT});
    gguf_add_tensor(&builder, "blk.1.attn_norm.weight", TENSOR_F16, (uint64_t[]){SAMPLE_EMBD, 0},
                    halves, sizeof halves);
    if (!model_sample_open(&opened, &builder))
        fail_msg("%s", opened.err.text);
    for (int i = 0; i < SAMPLE_EMBD; i++)
        assert_true(opened.model->layers[1].attn_norm[i] == 1 + (float)i / 1024);
    model_sample_close(&opened);
    gguf_builder_done(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refusals_say_why),
        cmocka_unit_test(test_every_key_with_every_bad_number),
        cmocka_unit_test(test_experts_that_are_refused),
        cmocka_unit_test(test_latent_heads_that_are_refused),
        cmocka_unit_test(test_states_that_are_refused),
        cmocka_unit_test(test_convolutions_that_are_refused),
        cmocka_unit_test(test_experts_and_their_tensors),
        cmocka_unit_test(test_unknown_tensor_is_refused),
        cmocka_unit_test(test_part_of_a_split_model),
        cmocka_unit_test(test_half_precision_vectors_are_widened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
