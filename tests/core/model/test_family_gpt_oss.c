/* What gpt-oss has beside other families, as a file may have it: a golden model with a tensor or a
 * key left out, and with biases in 16 bits. */
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/kernels/half.h"
#include "core/model/model.h"
#include "tests/support/check.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/model_sample.h"

static const char GOLDEN[] = "tests/fixtures/golden/gpt_oss-all/model.gguf";

static void add_keys(struct gguf_builder *builder, const char *omitted)
{
    static const struct {
        const char *name;
        uint32_t value;
    } counts[] = {
        {"gpt-oss.block_count", 3},
        {"gpt-oss.embedding_length", 32},
        {"gpt-oss.feed_forward_length", 48},
        {"gpt-oss.context_length", 512},
        {"gpt-oss.attention.head_count", 4},
        {"gpt-oss.attention.head_count_kv", 2},
        {"gpt-oss.attention.key_length", 16},
        {"gpt-oss.attention.value_length", 16},
        {"gpt-oss.attention.sliding_window", 12},
        {"gpt-oss.expert_count", 10},
        {"gpt-oss.expert_used_count", 10},
        {"gpt-oss.expert_feed_forward_length", 20},
        {"gpt-oss.rope.scaling.original_context_length", 4096},
    };
    gguf_add_text(builder, "general.architecture", "gpt-oss");
    gguf_add_text(builder, "gpt-oss.rope.scaling.type", "yarn");
    gguf_add_f32(builder, "gpt-oss.rope.scaling.factor", 32);
    gguf_add_f32(builder, "gpt-oss.rope.freq_base", 150000);
    gguf_add_f32(builder, "gpt-oss.attention.layer_norm_rms_epsilon", 1e-5F);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (omitted == NULL || strcmp(counts[i].name, omitted) != 0)
            gguf_add_u32(builder, counts[i].name, counts[i].value);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* A tensor as it is, or its floats rounded. */
static void add_tensor(struct gguf_builder *builder, const struct gguf_tensor *tensor,
                       const char *name, bool is_rounded)
{
    const uint64_t dims[] = {(uint64_t)tensor->dims[0],
                             tensor->n_dims > 1 ? (uint64_t)tensor->dims[1] : 0,
                             tensor->n_dims > 2 ? (uint64_t)tensor->dims[2] : 0, 0};
    const float *floats = tensor->data;
    size_t n = tensor->n_bytes / sizeof *floats;
    uint16_t *halves = malloc(n * sizeof *halves);
    assert_non_null(halves);
    for (size_t i = 0; i < n; i++)
        halves[i] = bf16_from_float(floats[i]);
    if (is_rounded)
        gguf_add_tensor(builder, name, TENSOR_BF16, dims, halves, n * sizeof *halves);
    else
        gguf_add_tensor(builder, name, tensor->type, dims, tensor->data, tensor->n_bytes);
    free(halves);
}

/* Without a key or tensor, or with those whose names end so in BF16; NULL for none. */
static bool open_golden(struct opened_model *opened, const char *omitted, const char *rounded)
{
    struct gguf_builder builder;
    struct gguf *file;
    char name[64];
    gguf_builder_init(&builder);
    add_keys(&builder, omitted);
    assert_true(gguf_open(&file, GOLDEN, NULL));
    for (size_t i = 0; i < gguf_n_tensors(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        assert_true(tensor->name.len < sizeof name);
        memcpy(name, tensor->name.data, tensor->name.len);
        name[tensor->name.len] = '\0';
        if (omitted == NULL || strcmp(name, omitted) != 0)
            add_tensor(&builder, tensor, name, rounded != NULL && ends_with(name, rounded));
    }
    bool ok = model_sample_open(opened, &builder);
    gguf_close(&file);
    gguf_builder_done(&builder);
    return ok;
}

static void test_what_it_is(void **state)
{
    (void)state;
    struct opened_model opened;
    if (!open_golden(&opened, NULL, NULL))
        fail_msg("%s", opened.err.text);
    const struct model *model = opened.model;
    assert_int_equal(model->shape.n_context, 512);
    assert_true(model->shape.yarn.is_unrounded);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(model->layers[i].reach, i % 2 == 0 ? 11 : INT32_MAX);
        assert_int_equal(model->layers[i].rope, MODEL_ROPE);
        assert_non_null(model->layers[i].sink_scores);
        assert_non_null(model->layers[i].router_b);
    }
    model_sample_close(&opened);
}

static void test_what_must_be_there(void **state)
{
    (void)state;
    static const char *const names[] = {
        "gpt-oss.attention.sliding_window", "gpt-oss.expert_feed_forward_length",
        "blk.1.attn_sinks.weight",          "blk.1.ffn_gate_inp.bias",
        "blk.2.ffn_gate_exps.bias",         "blk.0.ffn_up_exps.bias",
        "blk.1.ffn_down_exps.bias",         "blk.0.post_attention_norm.weight",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct opened_model opened;
        assert_false(open_golden(&opened, names[i], NULL));
        assert_non_null(strstr(opened.err.text, names[i]));
        model_sample_close(&opened);
    }
}

/* Biases of experts are vectors, whatever type the file has them in. */
static void test_rounded_biases(void **state)
{
    (void)state;
    struct opened_model exact, rounded;
    assert_true(open_golden(&exact, NULL, NULL));
    if (!open_golden(&rounded, NULL, ".bias"))
        fail_msg("%s", rounded.err.text);
    for (int i = 0; i < 3 * 10; i++) {
        const struct expert *expected = &exact.model->experts[i],
                            *expert = &rounded.model->experts[i];
        for (int j = 0; j < 20; j++) {
            assert_true(expert->gate_b[j] == bf16_to_float(bf16_from_float(expected->gate_b[j])));
            assert_true(expert->up_b[j] == bf16_to_float(bf16_from_float(expected->up_b[j])));
        }
        for (int j = 0; j < 32; j++)
            assert_true(expert->down_b[j] == bf16_to_float(bf16_from_float(expected->down_b[j])));
    }
    model_sample_close(&exact);
    model_sample_close(&rounded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_is),
        cmocka_unit_test(test_what_must_be_there),
        cmocka_unit_test(test_rounded_biases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
