/* What Gemma 2 and 3 have beside other families: local layers, caps, scales. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/model_sample.h"

/* A Gemma of 2 or 3, of any depth, of which heads are narrower than n_embd / n_heads. `keys` are
 * those beside the usual ones. */
enum { GEMMA_HEADS = 2, GEMMA_WIDTH = SAMPLE_EMBD / GEMMA_HEADS };
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
        {"attn_norm", SAMPLE_EMBD, 0},
        {"attn_q", SAMPLE_EMBD, GEMMA_HEADS * SAMPLE_HEAD_DIM},
        {"attn_k", SAMPLE_EMBD, SAMPLE_HEAD_DIM},
        {"attn_v", SAMPLE_EMBD, SAMPLE_HEAD_DIM},
        {"attn_output", GEMMA_HEADS * SAMPLE_HEAD_DIM, SAMPLE_EMBD},
        {"post_attention_norm", SAMPLE_EMBD, 0},
        {"ffn_norm", SAMPLE_EMBD, 0},
        {"ffn_gate", SAMPLE_EMBD, SAMPLE_FF},
        {"ffn_up", SAMPLE_EMBD, SAMPLE_FF},
        {"ffn_down", SAMPLE_FF, SAMPLE_EMBD},
        {"post_ffw_norm", SAMPLE_EMBD, 0},
        {"attn_q_norm", SAMPLE_HEAD_DIM, 0},
        {"attn_k_norm", SAMPLE_HEAD_DIM, 0},
    };
    size_t n = sizeof tensors / sizeof tensors[0] - (has_head_norms ? 0 : 2);
    for (size_t j = 0; j < n; j++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%u.%s.weight", i, tensors[j].name);
        model_sample_add_tensor(builder, &(struct model_damage){0}, name, tensors[j].n_in,
                                tensors[j].n_out);
    }
}

/* `is_local` [n_layers], or NULL for none: a list of which layers have a sliding window. */
static bool open_gemma_of(struct opened_model *opened, const struct gemma *gemma,
                          const bool *is_local)
{
    static const struct gemma_key usual[] = {
        {"embedding_length", SAMPLE_EMBD}, {"feed_forward_length", SAMPLE_FF},
        {"context_length", 128},           {"attention.head_count", GEMMA_HEADS},
        {"attention.head_count_kv", 1},    {"attention.key_length", SAMPLE_HEAD_DIM},
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
    snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", gemma->architecture);
    if (is_local != NULL)
        gguf_add_bools(&builder, key, is_local, gemma->n_layers);
    snprintf(key, sizeof key, "%s.block_count", gemma->architecture);
    gguf_add_u32(&builder, key, gemma->n_layers);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", gemma->architecture);
    gguf_add_f32(&builder, key, 1e-6F);
    model_sample_add_tensor(&builder, &(struct model_damage){0}, "token_embd.weight", SAMPLE_EMBD,
                            SAMPLE_VOCAB);
    model_sample_add_tensor(&builder, &(struct model_damage){0}, "output_norm.weight", SAMPLE_EMBD,
                            0);
    for (uint32_t i = 0; i < gemma->n_layers; i++)
        add_gemma_layer(&builder, i, strcmp(gemma->architecture, "gemma3") == 0);
    bool ok = model_sample_open(opened, &builder);
    gguf_builder_done(&builder);
    return ok;
}

static bool open_gemma(struct opened_model *opened, const struct gemma *gemma)
{
    return open_gemma_of(opened, gemma, NULL);
}

/* A sliding window in some layers leaves the context as it is. */
static void test_local_layers(void **state)
{
    (void)state;
    struct opened_model opened;
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
    model_sample_close(&opened);

    struct gemma gemma3 = {"gemma3", 8, {{"attention.sliding_window", 16}}};
    assert_true(open_gemma(&opened, &gemma3));
    assert_int_equal(opened.model->shape.n_context, 128);
    assert_true(opened.model->shape.rope_local_base == 10000);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(opened.model->layers[i].reach, i != 5 ? 15 : INT32_MAX);
        assert_int_equal(opened.model->layers[i].rope, i != 5 ? MODEL_ROPE_LOCAL : MODEL_ROPE);
    }
    model_sample_close(&opened);

    gemma3.keys[1] = (struct gemma_key){"attention.sliding_window_pattern", 2};
    gemma3.keys[2] = (struct gemma_key){"rope.freq_base_swa", 5000};
    assert_true(open_gemma(&opened, &gemma3));
    assert_true(opened.model->shape.rope_local_base == 5000);
    assert_int_equal(opened.model->layers[1].rope, MODEL_ROPE);
    assert_int_equal(opened.model->layers[6].reach, 15);
    model_sample_close(&opened);

    gemma3.keys[0].name = NULL; /* as some relatives of Gemma 3 are: all layers see all */
    assert_true(open_gemma(&opened, &gemma3));
    assert_int_equal(opened.model->layers[0].reach, INT32_MAX);
    assert_int_equal(opened.model->layers[0].rope, MODEL_ROPE);
    model_sample_close(&opened);
}

/* A file may list the layers that have a sliding window, as long as they repeat. */
static void test_listed_local_layers(void **state)
{
    (void)state;
    struct opened_model opened;
    struct gemma gemma = {"gemma3", 6, {{"attention.sliding_window", 16}}};
    static const bool lists[][6] = {
        {true, true, false, true, true, false},
        {true, true, true, true, true, true},
        {false, false, false, false, false, false},
        {true, true, true, true, false, true},
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (!open_gemma_of(&opened, &gemma, lists[i]))
            fail_msg("%s", opened.err.text);
        for (int j = 0; j < 6; j++)
            assert_int_equal(opened.model->layers[j].reach, lists[i][j] ? 15 : INT32_MAX);
        model_sample_close(&opened);
    }
    assert_false(open_gemma_of(&opened, &gemma, (bool[]){true, false, true, true, true, false}));
    assert_non_null(strstr(opened.err.text, "in a pattern that repeats"));
    model_sample_close(&opened);
}

static void test_gemma2_needs_its_caps_and_window(void **state)
{
    (void)state;
    struct opened_model opened;
    struct gemma gemma = {
        "gemma2", 2, {{"attn_logit_softcapping", 50}, {"final_logit_softcapping", 30}}};
    assert_false(open_gemma(&opened, &gemma));
    assert_string_equal(opened.err.text, "the model's gemma2.attention.sliding_window is missing");
    model_sample_close(&opened);
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
        struct opened_model opened;
        assert_true(open_gemma(&opened, &gemmas[i]));
        assert_float_equal(opened.model->shape.attention_scale, 1 / sqrtf(GEMMA_WIDTH), 1e-7);
        model_sample_close(&opened);
        gemmas[i].n_layers -= 1;
        assert_true(open_gemma(&opened, &gemmas[i]));
        assert_float_equal(opened.model->shape.attention_scale, 1 / sqrtf(SAMPLE_HEAD_DIM), 1e-7);
        model_sample_close(&opened);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local_layers),
        cmocka_unit_test(test_listed_local_layers),
        cmocka_unit_test(test_gemma2_needs_its_caps_and_window),
        cmocka_unit_test(test_scale_of_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
