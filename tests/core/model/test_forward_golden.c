/* The forward pass against logits and losses of independent implementations, see
 * tests/fixtures/golden/README.md: all architectures, all modes, any chunk length, far positions,
 * all cache types, all kernels, conversations side by side. */
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

#define FOLDER "tests/fixtures/golden"

enum { N_TOKENS = 300, N_POSITIONS = 12, MAX_CHUNK = 64, LONG = 400 };

static const int positions[N_POSITIONS] = {0, 1, 2, 7, 31, 63, 64, 100, 128, 200, 255, 299};

/* One golden model, opened. */
struct subject {
    const char *name;
    struct gguf *file;
    struct model *model;
    struct thread_pool *pool;
    struct forward *forward;
    int32_t tokens[N_TOKENS];
    float *logits; /* [N_TOKENS, n_vocab] of the last stream */
};

/* How a stream is cached and fed. */
struct stream {
    int n_sinks;
    int n_recent;
    int chunk;
    enum kv_type type;
    int skip; /* positions to jump over once the sinks are fed */
};

/* Modes that have a file. LOCAL are streams around a sliding window of 12: a cache that is just as
 * long, and recent rows that are one fewer, so that a layer sees the last sink alone. WIDER is
 * beyond the 64 tokens from which on phi3-long rotates by its other factors. */
enum { FEW = 1, MORE = 2, WIDE = 4, LOCAL = 8, WIDER = 16 };

static const struct {
    const char *mode;
    int n_sinks, n_recent, of;
} streams[] = {
    {"stream-4-28", 4, 28, FEW},   {"stream-1-31", 1, 31, MORE}, {"stream-0-32", 0, 32, MORE},
    {"stream-4-60", 4, 60, WIDE},  {"stream-4-8", 4, 8, LOCAL},  {"stream-4-11", 4, 11, LOCAL},
    {"stream-4-92", 4, 92, WIDER},
};
enum { N_STREAMS = sizeof streams / sizeof streams[0] };

struct golden_model {
    const char *name;
    double dense_bound; /* to the file made by llama.cpp; 0: there is none */
    int modes;
};

/* First those that the slower tests look at too. */
static const struct golden_model models[] = {
    {"llama-mha", 1e-3, FEW | MORE | WIDE},
    {"llama-gqa-tied", 1e-3, FEW | MORE | WIDE},
    {"qwen2-bias", 1e-3, FEW | MORE | WIDE},
    {"falcon-7b-style", 2e-2, FEW | MORE | WIDE},
    {"mpt-alibi", 2e-2, FEW | MORE | WIDE},
    {"gptneox-parallel", 2e-2, FEW | MORE | WIDE},
    {"gemma2-local", 2e-2, FEW | MORE | LOCAL},
    {"gemma3-local", 2e-2, FEW | MORE | LOCAL},
    {"smollm3-unrotated", 1e-3, FEW | MORE},
    {"falcon-40b-style", 0, FEW},
    {"gptneox-sequential", 0, FEW},
    {"granite-scaled", 1e-3, FEW},
    {"granite-unrotated", 1e-3, FEW},
    {"llama-factors", 0, FEW},
    {"llama-linear", 0, FEW},
    {"llama-yarn", 1e-3, FEW},
    {"qwen2-yarn", 1e-3, FEW},
    {"phi3-fused", 0, FEW},
    {"phi3-long", 1e-3, FEW | WIDE | WIDER},
    {"qwen3-norms", 0, FEW},
    {"gemma-scaled", 0, FEW},
};
enum { N_MODELS = sizeof models / sizeof models[0], N_DEEP = 9 };

static void read_tokens(struct subject *subject)
{
    char path[200];
    snprintf(path, sizeof path, FOLDER "/%s/tokens.json", subject->name);
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    assert_int_equal(fgetc(stream), '[');
    for (int i = 0; i < N_TOKENS; i++)
        assert_int_equal(fscanf(stream, "%d%*[,] ", &subject->tokens[i]), 1);
    fclose(stream);
}

/* Mostly one thread: models this small spend their time in barriers. */
static void open_subject_threads(struct subject *subject, const char *name, int n_threads)
{
    char path[200];
    struct err err = {0};
    *subject = (struct subject){.name = name};
    snprintf(path, sizeof path, FOLDER "/%s/model.gguf", name);
    if (!gguf_open(&subject->file, path, &err) ||
        !model_open(&subject->model, subject->file, &err) ||
        !thread_pool_open(&subject->pool, n_threads, &err) ||
        !model_weave(subject->model, subject->file, subject->pool, &err) ||
        !forward_open(&subject->forward, subject->model, subject->pool, MAX_CHUNK * 2,
                      MAX_CHUNK * 2, &err))
        fail_msg("%s: %s", name, err.text);
    subject->logits =
        calloc((size_t)N_TOKENS * (size_t)subject->model->shape.n_vocab, sizeof subject->logits[0]);
    assert_non_null(subject->logits);
    read_tokens(subject);
}

static void open_subject(struct subject *subject, const char *name)
{
    open_subject_threads(subject, name, 1);
}

static void close_subject(struct subject *subject)
{
    forward_close(&subject->forward);
    thread_pool_close(&subject->pool);
    model_close(&subject->model);
    gguf_close(&subject->file);
    free(subject->logits);
}

static struct kv_cache *open_cache(const struct subject *subject, const struct stream *stream)
{
    const struct model_shape *shape = &subject->model->shape;
    struct kv_shape kv = {.n_layers = shape->n_layers,
                          .n_kv_heads = shape->n_kv_heads,
                          .head_dim_k = shape->head_dim_k,
                          .head_dim_v = shape->head_dim_v,
                          .type = stream->type,
                          .n_sinks = stream->n_sinks,
                          .n_window = stream->n_sinks + stream->n_recent,
                          .n_slack = stream->chunk - 1};
    struct kv_cache *cache = NULL;
    struct err err = {0};
    if (!kv_cache_open(&cache, &kv, &err))
        fail_msg("%s", err.text);
    return cache;
}

static float *logits_row(const struct subject *subject, int t)
{
    return subject->logits + (size_t)t * (size_t)subject->model->shape.n_vocab;
}

/* Feeds tokens begin .. end-1 in one step and keeps all their logits. */
static void feed(struct subject *subject, struct kv_cache *cache, int begin, int end)
{
    struct forward_token batch[MAX_CHUNK] = {0};
    for (int t = begin; t < end; t++)
        batch[t - begin] = (struct forward_token){subject->tokens[t], cache, true};
    forward_run(subject->forward, batch, end - begin);
    for (int t = begin; t < end; t++)
        memcpy(logits_row(subject, t), forward_logits(subject->forward, t - begin),
               (size_t)subject->model->shape.n_vocab * sizeof(float));
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

static void run_stream(struct subject *subject, const struct stream *stream)
{
    struct kv_cache *cache = open_cache(subject, stream);
    int begin = 0;
    if (stream->skip > 0) {
        for (; begin < stream->n_sinks; begin++)
            feed(subject, cache, begin, begin + 1);
        kv_cache_advance(cache, stream->skip); /* the rows passed over are all zero */
    }
    for (int end; begin < N_TOKENS; begin = end) {
        end = min_int(begin + stream->chunk, N_TOKENS);
        feed(subject, cache, begin, end);
    }
    kv_cache_close(&cache);
}

/* For each token a fresh pass over the last n tokens. */
static void run_recompute(struct subject *subject, int n)
{
    struct stream stream = {.n_sinks = 4, .n_recent = n - 4, .chunk = n, .type = KV_F32};
    for (int t = 0; t < N_TOKENS; t++) {
        struct kv_cache *cache = open_cache(subject, &stream);
        struct forward_token batch[MAX_CHUNK] = {0};
        int begin = t + 1 > n ? t + 1 - n : 0;
        for (int i = begin; i <= t; i++)
            batch[i - begin] = (struct forward_token){subject->tokens[i], cache, i == t};
        forward_run(subject->forward, batch, t + 1 - begin);
        memcpy(logits_row(subject, t), forward_logits(subject->forward, 0),
               (size_t)subject->model->shape.n_vocab * sizeof(float));
        kv_cache_close(&cache);
    }
}

/* The floats of a version 1.0 .npy file. */
static void read_npy(const char *model, const char *mode, const char *what, float *out, size_t n)
{
    char path[LONG];
    unsigned char head[10];
    snprintf(path, sizeof path, FOLDER "/%s/%s_%s.npy", model, mode, what);
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

static double loss(const struct subject *subject, int t)
{
    const float *row = logits_row(subject, t);
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < subject->model->shape.n_vocab; i++)
        max = fmax(max, (double)row[i]);
    for (int i = 0; i < subject->model->shape.n_vocab; i++)
        sum += exp((double)row[i] - max);
    return log(sum) + max - (double)row[subject->tokens[t + 1]];
}

/* NaN counts as infinitely far. */
static double further(double far, double difference)
{
    return difference <= far ? far : isnan(difference) ? INFINITY : difference;
}

struct gap {
    double logits;    /* largest difference at the positions list */
    double losses;    /* largest difference of a loss */
    double mean_loss; /* difference of the mean losses */
};

/* From position `from` on. */
static struct gap measure(const struct subject *subject, const char *mode, int from)
{
    int n_vocab = subject->model->shape.n_vocab;
    size_t n = N_POSITIONS * (size_t)n_vocab;
    float *logits = malloc(n * sizeof(float));
    float losses[N_TOKENS - 1];
    struct gap gap = {0};
    assert_non_null(logits);
    read_npy(subject->name, mode, "logits", logits, n);
    read_npy(subject->name, mode, "nll", losses, N_TOKENS - 1);
    for (int p = 0; p < N_POSITIONS; p++) {
        const float *row = logits_row(subject, positions[p]);
        for (int i = 0; i < n_vocab && positions[p] >= from; i++)
            gap.logits =
                further(gap.logits, fabs((double)row[i] - (double)logits[p * n_vocab + i]));
    }
    for (int t = from; t < N_TOKENS - 1; t++) {
        double difference = loss(subject, t) - (double)losses[t];
        gap.losses = further(gap.losses, fabs(difference));
        gap.mean_loss += difference / (N_TOKENS - 1 - from);
    }
    gap.mean_loss = fabs(gap.mean_loss);
    free(logits);
    return gap;
}

static void expect_golden(const struct subject *subject, const char *mode, int from, double bound)
{
    struct gap gap = measure(subject, mode, from);
    if (gap.logits > bound || gap.losses > bound)
        fail_msg("%s, %s (%s): logits differ by %.2e, losses by %.2e, the bound is %.0e",
                 subject->name, mode, kernels->name, gap.logits, gap.losses, bound);
}

static const char *const kernel_names[] = {"scalar", "avx2", "avx512", "amx"};

/* All that this CPU runs, then the best. */
static void for_all_kernels(void (*check)(void))
{
    for (size_t i = 0; i < sizeof kernel_names / sizeof kernel_names[0]; i++) {
        struct err err = {0};
        if (kernels_select(kernel_names[i], &err))
            check();
        else
            print_message("skipped: %s\n", err.text);
    }
    assert_true(kernels_select(NULL, NULL));
}

static void check_dense(void)
{
    for (int m = 0; m < N_MODELS; m++) {
        struct subject subject;
        open_subject(&subject, models[m].name);
        run_stream(&subject, &(struct stream){4, 508, 50, KV_F32, 0});
        expect_golden(&subject, "dense_ref", 0, 1e-3);
        if (models[m].dense_bound > 0)
            expect_golden(&subject, "dense", 0, models[m].dense_bound);
        close_subject(&subject);
    }
}

static void test_dense(void **state)
{
    (void)state;
    for_all_kernels(check_dense);
}

static void check_streams_of(int m, const int *chunks, int n_chunks)
{
    struct subject subject;
    open_subject(&subject, models[m].name);
    for (int s = 0; s < N_STREAMS; s++) {
        for (int c = 0; c < n_chunks && (models[m].modes & streams[s].of) != 0; c++) {
            run_stream(&subject, &(struct stream){streams[s].n_sinks, streams[s].n_recent,
                                                  chunks[c], KV_F32, 0});
            expect_golden(&subject, streams[s].mode, 0, 1e-3);
        }
    }
    close_subject(&subject);
}

static void check_streams(void)
{
    for (int m = 0; m < N_MODELS; m++)
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
    for (int m = 0; m < N_MODELS; m++)
        check_streams_of(m, (int[]){1, 7}, 2);
}

static void test_recompute(void **state)
{
    (void)state;
    for (int m = 0; m < N_DEEP; m++) {
        struct subject subject;
        open_subject(&subject, models[m].name);
        run_recompute(&subject, 32);
        expect_golden(&subject, "recompute-32", 0, 1e-3);
        close_subject(&subject);
    }
}

static double distance(const struct subject *subject, const float *logits)
{
    double far = 0;
    for (int i = 0; i < N_TOKENS * subject->model->shape.n_vocab; i++)
        far = further(far, fabs((double)subject->logits[i] - (double)logits[i]));
    return far;
}

static float *copy_logits(const struct subject *subject)
{
    size_t n_bytes = (size_t)N_TOKENS * (size_t)subject->model->shape.n_vocab * sizeof(float);
    float *copy = malloc(n_bytes);
    assert_non_null(copy);
    return memcpy(copy, subject->logits, n_bytes);
}

/* Chunks against single tokens, where there is no golden file: small and odd S and R. */
static void test_chunks_equal_single_tokens(void **state)
{
    (void)state;
    static const int sinks[] = {0, 1, 2, 4, 8};
    static const int recents[] = {1, 5, 24};
    static const int chunks[] = {2, 5, 24, 31, 64};
    for (int m = 0; m < N_DEEP; m++) {
        struct subject subject;
        open_subject(&subject, models[m].name);
        for (int i = m % 3; i < 15; i += 3) {
            struct stream stream = {sinks[i % 5], recents[i / 5], 1, KV_F32, 0};
            run_stream(&subject, &stream);
            float *single = copy_logits(&subject);
            stream.chunk = chunks[(i + m) % 5];
            run_stream(&subject, &stream);
            double far = distance(&subject, single);
            if (far > 1e-4)
                fail_msg("%s, S %d R %d chunk %d: %.2e", subject.name, stream.n_sinks,
                         stream.n_recent, stream.chunk, far);
            free(single);
        }
        close_subject(&subject);
    }
}

/* The same text far down a stream: once the jump has left the window of every layer, the logits are
 * those of a stream that started at 0. */
static void test_far_positions(void **state)
{
    (void)state;
    static const int skips[] = {100000, 4000000, 1000000000};
    for (int m = 0; m < N_DEEP; m++) {
        struct subject subject;
        open_subject(&subject, models[m].name);
        for (size_t i = 0; i < sizeof skips / sizeof skips[0]; i++) {
            run_stream(&subject, &(struct stream){4, 28, 7, KV_F32, skips[i]});
            expect_golden(&subject, "stream-4-28", 128, 1e-3);
        }
        close_subject(&subject);
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
    for (int m = 0; m < N_DEEP; m++) {
        struct subject subject;
        open_subject(&subject, models[m].name);
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            run_stream(&subject, &(struct stream){4, 28, 7, types[i].type, 0});
            struct gap gap = measure(&subject, "stream-4-28", 0);
            if (gap.logits > types[i].bound || gap.mean_loss > types[i].mean_bound)
                fail_msg("%s, %s: logits differ by %.2e, the mean loss by %.2e", subject.name,
                         kv_type_name(types[i].type), gap.logits, gap.mean_loss);
        }
        close_subject(&subject);
    }
}

/* Two conversations of different shape and phase in each batch, against each of them alone. */
static void test_conversations_side_by_side(void **state)
{
    (void)state;
    for (int m = 0; m < N_DEEP; m++) {
        struct subject subject;
        open_subject(&subject, models[m].name);
        size_t n_vocab = (size_t)subject.model->shape.n_vocab;
        struct stream first = {4, 28, 9, KV_F32, 0};
        struct stream second = {1, 14, 3, KV_F32, 0};
        run_stream(&subject, &first);
        float *first_alone = copy_logits(&subject);
        run_stream(&subject, &second);
        float *second_alone = copy_logits(&subject);

        struct kv_cache *caches[2] = {open_cache(&subject, &first), open_cache(&subject, &second)};
        int fed[2] = {0, 100}; /* the second begins late and gets fewer tokens per step */
        for (int t = 0; t < 100; t++)
            forward_run(subject.forward, &(struct forward_token){subject.tokens[t], caches[1], 0},
                        1);
        double far = 0;
        while (fed[0] < N_TOKENS && fed[1] < N_TOKENS) {
            struct forward_token batch[12] = {0};
            const float *expected[12];
            int n = 0;
            for (int c = 0; c < 2; c++) {
                int end = min_int(fed[c] + (c == 0 ? first.chunk : second.chunk), N_TOKENS);
                for (; fed[c] < end; fed[c]++, n++) {
                    batch[n] = (struct forward_token){subject.tokens[fed[c]], caches[c], true};
                    expected[n] = (c == 0 ? first_alone : second_alone) + (size_t)fed[c] * n_vocab;
                }
            }
            forward_run(subject.forward, batch, n);
            for (int i = 0; i < n; i++) {
                for (size_t j = 0; j < n_vocab; j++)
                    far = further(far, fabs((double)forward_logits(subject.forward, i)[j] -
                                            (double)expected[i][j]));
            }
        }
        if (far > 1e-4)
            fail_msg("%s: %.2e", subject.name, far);
        kv_cache_close(&caches[0]);
        kv_cache_close(&caches[1]);
        free(first_alone);
        free(second_alone);
        close_subject(&subject);
    }
}

/* Batches so small that some have more threads than (token, KV head) pairs: query heads are split
 * too. The chunk of 50 splits everything else. */
static void test_threads(void **state)
{
    (void)state;
    for (int m = 0; m < N_DEEP; m++) {
        struct subject subject;
        bool has_one_kv_head = strcmp(models[m].name, "falcon-7b-style") == 0;
        open_subject_threads(&subject, models[m].name, 4);
        run_stream(&subject, &(struct stream){4, 28, has_one_kv_head ? 2 : 50, KV_F32, 0});
        expect_golden(&subject, "stream-4-28", 0, 1e-3);
        close_subject(&subject);
    }
}

/* One token at a time over many rows: these are split over threads too and their softmaxes joined,
 * here before and after the ring begins to evict. */
static void test_stretches_of_rows(void **state)
{
    (void)state;
    struct stream stream = {.n_sinks = 4, .n_recent = 268, .chunk = 1, .type = KV_F32};
    for (int m = 0; m < N_DEEP; m++) {
        struct subject whole, split;
        open_subject_threads(&whole, models[m].name, 1);
        open_subject_threads(&split, models[m].name, 4);
        run_stream(&whole, &stream);
        run_stream(&split, &stream);
        double far = distance(&split, whole.logits);
        if (far > 1e-4)
            fail_msg("%s: %.2e", split.name, far);
        close_subject(&split);
        close_subject(&whole);
    }
}

/* Logits come only for the tokens that want them, in their order. */
static void test_only_wanted_logits(void **state)
{
    (void)state;
    struct subject subject;
    open_subject(&subject, "llama-mha");
    struct stream stream = {4, 28, 10, KV_F32, 0};
    run_stream(&subject, &stream);
    struct kv_cache *cache = open_cache(&subject, &stream);
    struct forward_token batch[10] = {0};
    for (int t = 0; t < 10; t++)
        batch[t] = (struct forward_token){subject.tokens[t], cache, t == 3 || t == 9};
    forward_run(subject.forward, batch, 10);
    for (int i = 0; i < subject.model->shape.n_vocab; i++) {
        assert_float_equal(forward_logits(subject.forward, 0)[i], logits_row(&subject, 3)[i], 1e-4);
        assert_float_equal(forward_logits(subject.forward, 1)[i], logits_row(&subject, 9)[i], 1e-4);
    }
    kv_cache_close(&cache);
    close_subject(&subject);
}

/* What was fed after a place that is gone back to leaves no trace. */
static void test_rewind(void **state)
{
    (void)state;
    for (int m = 0; m < N_DEEP; m++) {
        struct subject subject;
        open_subject(&subject, models[m].name);
        struct stream stream = {4, 28, 9, KV_F32, 0};
        run_stream(&subject, &stream);
        float *straight = copy_logits(&subject);
        struct kv_cache *cache = open_cache(&subject, &stream);
        for (int begin = 0; begin + 9 <= N_TOKENS; begin += 5) {
            feed(&subject, cache, begin, begin + 9);
            assert_true(kv_cache_can_rewind(cache, begin + 5));
            kv_cache_rewind(cache, begin + 5);
        }
        int end = (int)kv_cache_position(cache);
        double far = 0;
        for (int i = 0; i < end * subject.model->shape.n_vocab; i++)
            far = further(far, fabs((double)subject.logits[i] - (double)straight[i]));
        if (far > 1e-4)
            fail_msg("%s: %.2e", subject.name, far);
        kv_cache_close(&cache);
        free(straight);
        close_subject(&subject);
    }
}

static int select_best_kernels(void **state)
{
    (void)state;
    return kernels_select(NULL, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_streams_on_all_kernels),
        cmocka_unit_test(test_streams_in_any_chunk),
        cmocka_unit_test(test_recompute),
        cmocka_unit_test(test_chunks_equal_single_tokens),
        cmocka_unit_test(test_far_positions),
        cmocka_unit_test(test_rounded_caches),
        cmocka_unit_test(test_conversations_side_by_side),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_stretches_of_rows),
        cmocka_unit_test(test_only_wanted_logits),
        cmocka_unit_test(test_rewind),
    };
    return cmocka_run_group_tests(tests, select_best_kernels, NULL);
}
