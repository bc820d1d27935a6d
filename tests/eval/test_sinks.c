/* Attention mass: shares that add up, in all families, and the same however the work is split. */
#include "eval/sinks.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/model/model.h"
#include "eval/subject.h"
#include "tests/support/check.h"
#include "tests/support/golden.h"

enum { N = 96 };

static const char *const models[] = {"llama-gqa-tied", "falcon-7b-style", "mpt-alibi",
                                     "gptneox-parallel", "qwen2-bias"};

static void open_subject(struct subject *subject, const char *model, int n_threads)
{
    char path[200];
    struct err err = {0};
    snprintf(path, sizeof path, "tests/fixtures/golden/%s/model.gguf", model);
    if (!subject_open(subject, path, n_threads, &err))
        fail_msg("%s", err.text);
}

static void measure(struct subject *subject, int n_first, struct sinks_mass *out)
{
    int32_t ids[N];
    struct err err = {0};
    for (int i = 0; i < N; i++)
        ids[i] = (int32_t)(3 + i * 31 % 90);
    if (!sinks_measure(subject, ids, N, n_first, out, &err))
        fail_msg("%s", err.text);
}

/* All rows together get everything, in each layer and head. */
static void test_shares_add_up(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct subject subject;
        struct sinks_mass mass;
        open_subject(&subject, models[m], 2);
        measure(&subject, N, &mass);
        for (int layer = 0; layer < mass.n_layers; layer++) {
            double sum = 0;
            for (int i = 0; i < N; i++)
                sum += mass.first[layer * N + i];
            assert_float_equal(sum, 1, 1e-9);
        }
        int n_heads = subject.model->shape.n_heads;
        for (int i = 0; i < mass.n_layers * n_heads; i++)
            assert_float_equal(mass.head[i], 1, 1e-9);
        /* Queries 48, 56 .. 88, each of which sees itself too. */
        assert_float_equal(mass.n_seen, 69, 1e-9);
        sinks_mass_done(&mass);
        subject_close(&subject);
    }
}

/* A score without a row takes a share that is nobody's. */
static void test_learned_scores_take_their_share(void **state)
{
    (void)state;
    struct golden_subject golden;
    struct sinks_mass mass;
    struct err err = {0};
    golden_open(&golden, "gpt_oss-all"); /* which has no tokenizer */
    struct subject subject = {
        .file = golden.file, .model = golden.model, .pool = golden.pool, .forward = golden.forward};
    if (!sinks_measure(&subject, golden.tokens, N, N, &mass, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < mass.n_layers * subject.model->shape.n_heads; i++)
        assert_true(mass.head[i] > 0 && mass.head[i] < 1 - 1e-9);
    sinks_mass_done(&mass);
    golden_close(&golden);
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    struct sinks_mass masses[2];
    for (int i = 0; i < 2; i++) {
        struct subject subject;
        open_subject(&subject, models[0], i == 0 ? 1 : 4);
        measure(&subject, 4, &masses[i]);
        subject_close(&subject);
    }
    for (int i = 0; i < masses[0].n_layers * 4; i++) {
        assert_true(masses[0].first[i] > 0);
        assert_float_equal(masses[0].first[i], masses[1].first[i], 1e-5);
    }
    sinks_mass_done(&masses[0]);
    sinks_mass_done(&masses[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_add_up),
        cmocka_unit_test(test_learned_scores_take_their_share),
        cmocka_unit_test(test_threads_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
