/* The forward pass against logits and losses of independent implementations, see
 * tests/fixtures/golden/README.md: all architectures, all modes, any chunk length, far positions,
 * all cache types, all kernels. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/kernels/kernels.h"
#include "tests/support/check.h"
#include "tests/support/each_isa.h"
#include "tests/support/golden.h"

enum { N_POSITIONS = 12, LONG = 400 };

static const int positions[N_POSITIONS] = {0, 1, 2, 7, 31, 63, 64, 100, 128, 200, 255, 299};

static const struct {
    const char *mode;
    int n_sinks, n_recent, of;
} streams[] = {
    {"stream-4-28", 4, 28, GOLDEN_FEW},   {"stream-1-31", 1, 31, GOLDEN_MORE},
    {"stream-0-32", 0, 32, GOLDEN_MORE},  {"stream-4-60", 4, 60, GOLDEN_WIDE},
    {"stream-4-8", 4, 8, GOLDEN_LOCAL},   {"stream-4-11", 4, 11, GOLDEN_LOCAL},
    {"stream-4-92", 4, 92, GOLDEN_WIDER},
};
enum { N_STREAMS = sizeof streams / sizeof streams[0] };

/* For each token a fresh pass over the last n tokens. */
static void run_recompute(struct golden_subject *subject, int n)
{
    struct golden_stream stream = {.n_sinks = 4, .n_recent = n - 4, .chunk = n, .type = KV_F32};
    for (int t = 0; t < GOLDEN_N_TOKENS; t++) {
        struct kv_cache *cache = golden_open_cache(subject, &stream);
        struct forward_token batch[GOLDEN_MAX_CHUNK] = {0};
        int begin = t + 1 > n ? t + 1 - n : 0;
        for (int i = begin; i <= t; i++)
            batch[i - begin] = (struct forward_token){subject->tokens[i], cache, i == t};
        forward_run(subject->forward, batch, t + 1 - begin);
        memcpy(golden_row(subject, t), forward_logits(subject->forward, 0),
               (size_t)subject->model->shape.n_vocab * sizeof(float));
        kv_cache_close(&cache);
    }
}

/* The floats of a version 1.0 .npy file. */
static void read_npy(const char *model, const char *mode, const char *what, float *out, size_t n)
{
    char path[LONG];
    unsigned char head[10];
    snprintf(path, sizeof path, GOLDEN_FOLDER "/%s/%s_%s.npy", model, mode, what);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        fail_msg("cannot open %s", path);
    assert_int_equal(fread(head, 1, sizeof head, stream), sizeof head);
    assert_memory_equal(head, "\x93NUMPY\1\0", 8);
    assert_int_equal(fseek(stream, head[8] + head[9] * 256, SEEK_CUR), 0);
    assert_int_equal(fread(out, sizeof out[0], n, stream), n);
    assert_int_equal(fgetc(stream), EOF);
    fclose(stream);
}

static double loss(const struct golden_subject *subject, int t)
{
    const float *row = golden_row(subject, t);
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < subject->model->shape.n_vocab; i++)
        max = fmax(max, (double)row[i]);
    for (int i = 0; i < subject->model->shape.n_vocab; i++)
        sum += exp((double)row[i] - max);
    return log(sum) + max - (double)row[subject->tokens[t + 1]];
}

struct gap {
    double logits;    /* largest difference at the positions list */
    double losses;    /* largest difference of a loss */
    double mean_loss; /* difference of the mean losses */
};

/* From position `from` on. */
static struct gap measure(const struct golden_subject *subject, const char *mode, int from)
{
    int n_vocab = subject->model->shape.n_vocab;
    size_t n = N_POSITIONS * (size_t)n_vocab;
    float *logits = malloc(n * sizeof(float));
    float losses[GOLDEN_N_TOKENS - 1];
    struct gap gap = {0};
    assert_non_null(logits);
    read_npy(subject->name, mode, "logits", logits, n);
    read_npy(subject->name, mode, "nll", losses, GOLDEN_N_TOKENS - 1);
    for (int p = 0; p < N_POSITIONS; p++) {
        const float *row = golden_row(subject, positions[p]);
        for (int i = 0; i < n_vocab && positions[p] >= from; i++)
            gap.logits =
                golden_further(gap.logits, fabs((double)row[i] - (double)logits[p * n_vocab + i]));
    }
    for (int t = from; t < GOLDEN_N_TOKENS - 1; t++) {
        double difference = loss(subject, t) - (double)losses[t];
        gap.losses = golden_further(gap.losses, fabs(difference));
        gap.mean_loss += difference / (GOLDEN_N_TOKENS - 1 - from);
    }
    gap.mean_loss = fabs(gap.mean_loss);
    free(logits);
    return gap;
}

static void expect_golden(const struct golden_subject *subject, const char *mode, int from,
                          double bound)
{
    struct gap gap = measure(subject, mode, from);
    if (gap.logits > bound || gap.losses > bound)
        fail_msg("%s, %s (%s): logits differ by %.2e, losses by %.2e, the bound is %.0e",
                 subject->name, mode, kernels->name, gap.logits, gap.losses, bound);
}

/* All that this CPU runs or the one that is forced, then the usual one. */
static void for_all_kernels(void (*check)(void))
{
    const char *isas[MAX_ISAS];
    const int n_isas = isas_to_check(isas);
    for (int i = 0; i < n_isas; i++)
        if (select_isa(isas[i]))
            check();
    assert_true(kernels_select(NULL, NULL));
}

static void check_dense(void)
{
    for (int m = 0; m < GOLDEN_N_MODELS; m++) {
        struct golden_subject subject;
        golden_open(&subject, golden_models[m].name);
        golden_run(&subject, &(struct golden_stream){4, 508, 50, KV_F32, 0});
        expect_golden(&subject, "dense_ref", 0, 1e-3);
        if (golden_models[m].dense_bound > 0)
            expect_golden(&subject, "dense", 0, golden_models[m].dense_bound);
        golden_close(&subject);
    }
}

static void test_dense(void **state)
{
    (void)state;
    for_all_kernels(check_dense);
}

static void check_streams_of(int m, const int *chunks, int n_chunks)
{
    struct golden_subject subject;
    golden_open(&subject, golden_models[m].name);
    for (int s = 0; s < N_STREAMS; s++) {
        for (int c = 0; c < n_chunks && (golden_models[m].modes & streams[s].of) != 0; c++) {
            golden_run(&subject, &(struct golden_stream){streams[s].n_sinks, streams[s].n_recent,
                                                         chunks[c], KV_F32, 0});
            expect_golden(&subject, streams[s].mode, 0, 1e-3);
        }
    }
    golden_close(&subject);
}

static void check_streams(void)
{
    for (int m = 0; m < GOLDEN_N_MODELS; m++)
        check_streams_of(m, (int[]){64}, 1);
}

static void test_streams_on_all_kernels(void **state)
{
    (void)state;
    for_all_kernels(check_streams);
}

static void test_streams_in_any_chunk(void **state)
{
    (void)state;
    for (int m = 0; m < GOLDEN_N_MODELS; m++)
        check_streams_of(m, (int[]){1, 7}, 2);
}

static void test_recompute(void **state)
{
    (void)state;
    for (int m = 0; m < GOLDEN_N_DEEP; m++) {
        struct golden_subject subject;
        golden_open(&subject, golden_models[m].name);
        run_recompute(&subject, 32);
        expect_golden(&subject, "recompute-32", 0, 1e-3);
        golden_close(&subject);
    }
}

/* The same text far down a stream: once the jump has left the window of every layer, the logits are
 * those of a stream that started at 0. */
static void test_far_positions(void **state)
{
    (void)state;
    static const int skips[] = {100000, 4000000, 1000000000};
    for (int m = 0; m < GOLDEN_N_DEEP; m++) {
        struct golden_subject subject;
        golden_open(&subject, golden_models[m].name);
        for (size_t i = 0; i < sizeof skips / sizeof skips[0]; i++) {
            golden_run(&subject, &(struct golden_stream){4, 28, 7, KV_F32, skips[i]});
            expect_golden(&subject, "stream-4-28", 128, 1e-3);
        }
        golden_close(&subject);
    }
}

/* Rounded caches: single logits may move, the mean loss hardly. Heads of 16 entries and random
 * weights are harder on 8 bits than any real model. */
static void test_rounded_caches(void **state)
{
    (void)state;
    static const struct {
        enum kv_type type;
        double bound, mean_bound;
    } types[] = {{KV_F16, 0.05, 1e-3}, {KV_BF16, 0.3, 5e-3}, {KV_Q8, 1, 1e-2}};
    for (int m = 0; m < GOLDEN_N_DEEP; m++) {
        struct golden_subject subject;
        golden_open(&subject, golden_models[m].name);
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            golden_run(&subject, &(struct golden_stream){4, 28, 7, types[i].type, 0});
            struct gap gap = measure(&subject, "stream-4-28", 0);
            if (gap.logits > types[i].bound || gap.mean_loss > types[i].mean_bound)
                fail_msg("%s, %s: logits differ by %.2e, the mean loss by %.2e", subject.name,
                         kv_type_name(types[i].type), gap.logits, gap.mean_loss);
        }
        golden_close(&subject);
    }
}

/* Batches so small that some have more threads than (token, KV head) pairs: query heads are split
 * too. The chunk of 50 splits everything else. */
static void test_threads(void **state)
{
    (void)state;
    for (int m = 0; m < GOLDEN_N_DEEP; m++) {
        struct golden_subject subject;
        bool has_one_kv_head = strcmp(golden_models[m].name, "falcon-7b-style") == 0;
        golden_open_threads(&subject, golden_models[m].name, 4);
        golden_run(&subject, &(struct golden_stream){4, 28, has_one_kv_head ? 2 : 50, KV_F32, 0});
        expect_golden(&subject, "stream-4-28", 0, 1e-3);
        golden_close(&subject);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_streams_on_all_kernels),
        cmocka_unit_test(test_streams_in_any_chunk),
        cmocka_unit_test(test_recompute),
        cmocka_unit_test(test_far_positions),
        cmocka_unit_test(test_rounded_caches),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, golden_select_kernels, NULL);
}
