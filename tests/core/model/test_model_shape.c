/* Keys that change what a model computes: its window, and how positions are rotated. */
#include "core/model/model_shape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/model_sample.h"

static void test_keys_that_change_the_shape(void **state)
{
    (void)state;
    struct opened_model opened;
    assert_true(model_sample_open_damaged(
        &opened, &(struct model_damage){"llama.attention.sliding_window", SET_U32, .u32 = 64}));
    assert_int_equal(opened.model->shape.n_context, 64);
    model_sample_close(&opened);
    assert_true(model_sample_open_damaged(
        &opened, &(struct model_damage){"llama.rope.scale_linear", SET_F32, .f32 = 4}));
    assert_true(opened.model->shape.rope_scale == 4);
    model_sample_close(&opened);
    assert_true(model_sample_open_damaged(
        &opened, &(struct model_damage){"llama.rope.dimension_count", SET_U32, .u32 = 4}));
    assert_int_equal(opened.model->shape.n_rot, 4);
    model_sample_close(&opened);
}

/* Slow pairs alone are scaled, and heads grow by 0.1 ln(factor) + 1. */
static void test_yarn(void **state)
{
    (void)state;
    struct gguf_builder builder;
    struct opened_model opened;
    for (int has_context = 0; has_context < 2; has_context++) {
        gguf_builder_init(&builder);
        model_sample_add(
            &builder, &(struct model_damage){"llama.rope.scaling.type", SET_TEXT, .text = "yarn"});
        gguf_add_f32(&builder, "llama.rope.scaling.factor", 4);
        if (has_context == 1)
            gguf_add_u32(&builder, "llama.rope.scaling.original_context_length", 32);
        bool ok = model_sample_open(&opened, &builder);
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
        model_sample_close(&opened);
        gguf_builder_done(&builder);
    }
}

static void test_rope_factors_are_checked(void **state)
{
    (void)state;
    const float bad[] = {0, -1, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        float factors[SAMPLE_HEAD_DIM / 2] = {1, 1, 1, bad[i]};
        struct gguf_builder builder;
        struct opened_model opened;
        gguf_builder_init(&builder);
        model_sample_add(&builder, &(struct model_damage){0});
        gguf_add_tensor(&builder, "rope_freqs.weight", TENSOR_F32,
                        (uint64_t[]){SAMPLE_HEAD_DIM / 2, 0}, factors, sizeof factors);
        assert_false(model_sample_open(&opened, &builder));
        assert_non_null(strstr(opened.err.text, "rope_freqs.weight"));
        model_sample_close(&opened);
        gguf_builder_done(&builder);
    }
}

/* Short and long factors come together, are checked alike, and excuse the name of their scaling. */
static void test_long_rope(void **state)
{
    (void)state;
    const uint64_t dims[] = {SAMPLE_HEAD_DIM / 2, 0};
    const float good[SAMPLE_HEAD_DIM / 2] = {1, 1, 2, 4};
    const float bad[SAMPLE_HEAD_DIM / 2] = {1, 1, 2, 0};
    const struct {
        const float *brief, *extended;
        const char *expected; /* NULL: it opens */
    } cases[] = {{NULL, good, "no tensor 'rope_factors_short.weight'"},
                 {good, bad, "out of range"},
                 {bad, good, "out of range"},
                 {good, good, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gguf_builder builder;
        struct opened_model opened;
        gguf_builder_init(&builder);
        model_sample_add(&builder, &(struct model_damage){"llama.rope.scaling.type", SET_TEXT,
                                                          .text = "longrope"});
        gguf_add_u32(&builder, "llama.rope.scaling.original_context_length", 32);
        gguf_add_f32(&builder, "llama.rope.scaling.attn_factor", 1.5F);
        if (cases[i].brief != NULL)
            gguf_add_tensor(&builder, "rope_factors_short.weight", TENSOR_F32, dims, cases[i].brief,
                            sizeof good);
        gguf_add_tensor(&builder, "rope_factors_long.weight", TENSOR_F32, dims, cases[i].extended,
                        sizeof good);
        bool ok = model_sample_open(&opened, &builder);
        assert_int_equal(ok, cases[i].expected == NULL);
        if (ok) {
            assert_int_equal(opened.model->shape.n_context_unscaled, 32);
            assert_true(opened.model->shape.rope_magnitude == 1.5);
        } else {
            assert_non_null(strstr(opened.err.text, cases[i].expected));
        }
        model_sample_close(&opened);
        gguf_builder_done(&builder);
    }
}

/* What other models have in the scale of their scores is no part of the rotation. */
static void test_yarn_magnitude_that_is_divided(void **state)
{
    (void)state;
    static const struct {
        float multiplier, magnitude;
    } cases[] = {{0, 1.138629F}, {1, 1}, {0.5F, 1.064822F}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gguf_builder builder;
        struct opened_model opened;
        gguf_builder_init(&builder);
        model_sample_add(
            &builder, &(struct model_damage){"llama.rope.scaling.type", SET_TEXT, .text = "yarn"});
        gguf_add_f32(&builder, "llama.rope.scaling.factor", 4);
        gguf_add_u32(&builder, "llama.rope.scaling.original_context_length", 32);
        gguf_add_f32(&builder, "llama.rope.scaling.yarn_log_multiplier", cases[i].multiplier);
        assert_true(model_sample_open(&opened, &builder));
        assert_float_equal(opened.model->shape.rope_magnitude, cases[i].magnitude, 1e-6);
        model_sample_close(&opened);
        gguf_builder_done(&builder);
    }
}

/* What relatives of the families compute with the same tensors is refused by its key, unless the
 * key says that there is none of it. */
static void test_foreign_keys_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum { NUMBER, REAL, TRUTH, TEXT, TRUTHS } kind;
        float value;
        bool opens;
    } cases[] = {
        {"llama.nextn_predict_layers", NUMBER, 1, false},
        {"llama.nextn_predict_layers", NUMBER, 0, true},
        {"llama.rope.scaling.alpha", REAL, 1000, false},
        {"llama.rope.scaling.alpha", REAL, 0, true},
        {"llama.hidden_activation", TEXT, 0, false},
        {"llama.swin_norm", TRUTH, 1, false},
        {"llama.swin_norm", TRUTH, 0, true},
        {"llama.rope.dimension_sections", TRUTHS, 1, false},
        {"llama.rope.dimension_sections", TRUTHS, 0, true},
        {"llama.attention.causal", TRUTH, 0, false},
        {"llama.attention.causal", TRUTH, 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gguf_builder builder;
        struct opened_model opened;
        gguf_builder_init(&builder);
        model_sample_add(&builder, &(struct model_damage){0});
        if (cases[i].kind == NUMBER)
            gguf_add_u32(&builder, cases[i].name, (uint32_t)cases[i].value);
        else if (cases[i].kind == REAL)
            gguf_add_f32(&builder, cases[i].name, cases[i].value);
        else if (cases[i].kind == TRUTH)
            gguf_add_bool(&builder, cases[i].name, cases[i].value > 0);
        else if (cases[i].kind == TEXT)
            gguf_add_text(&builder, cases[i].name, "gelu");
        else
            gguf_add_bools(&builder, cases[i].name, (bool[]){false, cases[i].value > 0}, 2);
        if (model_sample_open(&opened, &builder) != cases[i].opens)
            fail_msg("%s: %s", cases[i].name, opened.err.text);
        if (!cases[i].opens)
            assert_non_null(strstr(opened.err.text, cases[i].name));
        model_sample_close(&opened);
        gguf_builder_done(&builder);
    }
}

/* A fourth section, whose positions text has not, in a family that has three. */
static void test_sections_of_positions(void **state)
{
    (void)state;
    static const char KEY[] = "qwen2vl.rope.dimension_sections";
    enum { ROOM = 1 << 20, FOURTH = 4 + 4 + 8 + 3 * 4 /* types, count, three sections */ };
    FILE *stream = fopen("tests/fixtures/golden/qwen2vl-text/model.gguf", "rb");
    unsigned char *bytes = aligned_alloc(64, ROOM);
    assert_true(stream != NULL && bytes != NULL);
    size_t n = fread(bytes, 1, ROOM, stream);
    fclose(stream);
    unsigned char *fourth =
        (unsigned char *)memmem(bytes, n, KEY, strlen(KEY)) + strlen(KEY) + FOURTH;
    for (unsigned char value = 0; value < 2; value++) {
        struct opened_model opened = {.bytes = NULL};
        *fourth = value;
        assert_true(gguf_open_memory(&opened.file, bytes, n, &opened.err));
        assert_int_equal(model_open(&opened.model, opened.file, &opened.err), value == 0);
        if (value > 0)
            assert_non_null(strstr(opened.err.text, KEY));
        model_sample_close(&opened);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_that_change_the_shape),
        cmocka_unit_test(test_yarn),
        cmocka_unit_test(test_rope_factors_are_checked),
        cmocka_unit_test(test_long_rope),
        cmocka_unit_test(test_yarn_magnitude_that_is_divided),
        cmocka_unit_test(test_foreign_keys_are_refused),
        cmocka_unit_test(test_sections_of_positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
