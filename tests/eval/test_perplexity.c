/* Perplexity in each mode against the golden losses, see tests/fixtures/golden/README.md. */
#include "eval/perplexity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "eval/subject.h"
#include "eval/text.h"
#include "tests/support/check.h"

#define FOLDER "tests/fixtures/golden/"

enum { N_LOSSES = 299 };

static const char *const models[] = {"llama-mha",       "llama-gqa-tied", "qwen2-bias",
                                     "falcon-7b-style", "mpt-alibi",      "gptneox-parallel"};

static const struct {
    const char *mode;
    struct stream_shape shape;
} modes[] = {
    {"dense_ref", {SESSION_MODE_DENSE, 0, N_LOSSES, KV_F32}},
    {"stream-4-28", {SESSION_MODE_STREAMING, 4, 32, KV_F32}},
    {"stream-1-31", {SESSION_MODE_STREAMING, 1, 32, KV_F32}},
    {"stream-4-60", {SESSION_MODE_STREAMING, 4, 64, KV_F32}},
    {"stream-0-32", {SESSION_MODE_WINDOW, 0, 32, KV_F32}},
    {"recompute-32", {SESSION_MODE_RECOMPUTE, 0, 32, KV_F32}},
};

struct golden {
    struct subject subject;
    struct text text;
};

static void open_golden(struct golden *golden, const char *model)
{
    char path[200];
    struct err err = {0};
    snprintf(path, sizeof path, FOLDER "%s/model.gguf", model);
    if (!subject_open(&golden->subject, path, 1, &err))
        fail_msg("%s", err.text);
    snprintf(path, sizeof path, FOLDER "%s/tokens.json", model);
    if (!text_init(&golden->text, &golden->subject, path, 0, &err))
        fail_msg("%s", err.text);
    assert_int_equal(golden->text.tokens.n, N_LOSSES + 1);
    assert_true(golden->text.has_bos);
}

static void close_golden(struct golden *golden)
{
    text_done(&golden->text);
    subject_close(&golden->subject);
}

static void measure(struct golden *golden, const struct perplexity_run *run, double *losses)
{
    struct err err = {0};
    if (!perplexity_measure(&golden->subject, &golden->text, run, losses, &err))
        fail_msg("%s", err.text);
}

/* The floats of a version 1.0 .npy file. */
static void read_losses(const char *model, const char *mode, float out[N_LOSSES])
{
    char path[200];
    unsigned char head[10];
    snprintf(path, sizeof path, FOLDER "%s/%s_nll.npy", model, mode);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(head, 1, sizeof head, file), sizeof head);
    assert_int_equal(fseek(file, head[8] + head[9] * 256, SEEK_CUR), 0);
    assert_int_equal(fread(out, sizeof out[0], N_LOSSES, file), N_LOSSES);
    fclose(file);
}

static void expect_losses(const char *model, const char *mode, const double *losses)
{
    float golden[N_LOSSES];
    double mean = 0;
    read_losses(model, mode, golden);
    for (int i = 0; i < N_LOSSES; i++) {
        if (!(fabs(losses[i] - (double)golden[i]) < 2e-3))
            fail_msg("%s, %s: loss %d is %f, not %f", model, mode, i, losses[i], (double)golden[i]);
        mean += (double)golden[i] / N_LOSSES;
    }
    int n;
    assert_true(fabs(perplexity_mean(losses, 0, N_LOSSES, &n) - mean) < 1e-3);
    assert_int_equal(n, N_LOSSES);
}

static void test_golden_losses(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct golden golden;
        open_golden(&golden, models[m]);
        for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
            double losses[N_LOSSES];
            struct perplexity_run run = {
                .shape = modes[i].shape, .stride = 1, .line_break = -1, .progress = ""};
            measure(&golden, &run, losses);
            expect_losses(models[m], modes[i].mode, losses);
        }
        close_golden(&golden);
    }
}

/* What is scored with a stride is what would be scored without, at the same places. */
static void test_stride(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct golden golden;
        double all[N_LOSSES], some[N_LOSSES];
        struct perplexity_run run = {
            .shape = modes[i].shape, .stride = 1, .line_break = -1, .progress = ""};
        open_golden(&golden, models[0]);
        measure(&golden, &run, all);
        run.stride = 7;
        measure(&golden, &run, some);
        for (int t = 0; t < N_LOSSES; t++) {
            if ((t + 1) % 7 != 0)
                assert_true(isnan(some[t]));
            else
                assert_float_equal(some[t], all[t], 1e-3);
        }
        int n;
        perplexity_mean(some, 0, N_LOSSES, &n);
        assert_int_equal(n, N_LOSSES / 7);
        close_golden(&golden);
    }
}

/* Line breaks stand where the sinks after BOS are: the losses of what comes first change, and so
 * does every later one a little, but it is no other text. */
static void test_newlines(void **state)
{
    (void)state;
    struct golden golden;
    double plain[N_LOSSES], broken[N_LOSSES], alike[N_LOSSES];
    struct perplexity_run run = {.shape = {SESSION_MODE_STREAMING, 4, 32, KV_F32},
                                 .stride = 1,
                                 .line_break = -1,
                                 .progress = ""};
    open_golden(&golden, models[0]);
    measure(&golden, &run, plain);
    run.line_break = 13;
    measure(&golden, &run, broken);
    for (int i = 1; i < 4; i++)
        golden.text.tokens.ids[i] = 13;
    run.line_break = -1;
    measure(&golden, &run, alike);
    assert_true(fabs(plain[100] - broken[100]) > 1e-6);
    for (int i = 0; i < N_LOSSES; i++)
        assert_float_equal(broken[i], alike[i], 1e-9);
    close_golden(&golden);
}

static void test_mean_of_nothing(void **state)
{
    (void)state;
    double losses[] = {NAN, 1, 3, NAN};
    int n = -1;
    assert_float_equal(perplexity_mean(losses, 0, 4, &n), 2, 1e-12);
    assert_int_equal(n, 2);
    assert_true(isnan(perplexity_mean(losses, 3, 4, &n)));
    assert_true(isnan(perplexity_mean(losses, 2, 2, NULL)));
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_losses),
        cmocka_unit_test(test_stride),
        cmocka_unit_test(test_newlines),
        cmocka_unit_test(test_mean_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
