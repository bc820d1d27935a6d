/* The forward pass against itself: however tokens are put together in batches, over threads or
 * fed again, each has the same logits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/min_max.h"
#include "tests/support/check.h"
#include "tests/support/golden.h"

static double distance(const struct golden_subject *subject, const float *logits)
{
    double far = 0;
    for (int i = 0; i < GOLDEN_N_TOKENS * subject->model->shape.n_vocab; i++)
        far = golden_further(far, fabs((double)subject->logits[i] - (double)logits[i]));
    return far;
}

static float *copy_logits(const struct golden_subject *subject)
{
    size_t n_bytes =
        (size_t)GOLDEN_N_TOKENS * (size_t)subject->model->shape.n_vocab * sizeof(float);
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
    for (int m = 0; m < GOLDEN_N_DEEP; m++) {
        struct golden_subject subject;
        golden_open(&subject, golden_models[m].name);
        for (int i = m % 3; i < 15; i += 3) {
            struct golden_stream stream = {sinks[i % 5], recents[i / 5], 1, KV_F32, 0};
            golden_run(&subject, &stream);
            float *single = copy_logits(&subject);
            stream.chunk = chunks[(i + m) % 5];
            golden_run(&subject, &stream);
            double far = distance(&subject, single);
            if (far > 1e-4)
                fail_msg("%s, S %d R %d chunk %d: %.2e", subject.name, stream.n_sinks,
                         stream.n_recent, stream.chunk, far);
            free(single);
        }
        golden_close(&subject);
    }
}

/* Two conversations of different shape and phase in each batch, against each of them alone. */
static void test_conversations_side_by_side(void **state)
{
    (void)state;
    for (int m = 0; m < GOLDEN_N_DEEP; m++) {
        struct golden_subject subject;
        golden_open(&subject, golden_models[m].name);
        size_t n_vocab = (size_t)subject.model->shape.n_vocab;
        struct golden_stream first = {4, 28, 9, KV_F32, 0};
        struct golden_stream second = {1, 14, 3, KV_F32, 0};
        golden_run(&subject, &first);
        float *first_alone = copy_logits(&subject);
        golden_run(&subject, &second);
        float *second_alone = copy_logits(&subject);

        struct kv_cache *caches[2] = {golden_open_cache(&subject, &first),
                                      golden_open_cache(&subject, &second)};
        int fed[2] = {0, 100}; /* the second begins late and gets fewer tokens per step */
        for (int t = 0; t < 100; t++)
            forward_run(subject.forward, &(struct forward_token){subject.tokens[t], caches[1], 0},
                        1);
        double far = 0;
        while (fed[0] < GOLDEN_N_TOKENS && fed[1] < GOLDEN_N_TOKENS) {
            struct forward_token batch[12] = {0};
            const float *expected[12];
            int n = 0;
            for (int c = 0; c < 2; c++) {
                int end = min_int(fed[c] + (c == 0 ? first.chunk : second.chunk), GOLDEN_N_TOKENS);
                for (; fed[c] < end; fed[c]++, n++) {
                    batch[n] = (struct forward_token){subject.tokens[fed[c]], caches[c], true};
                    expected[n] = (c == 0 ? first_alone : second_alone) + (size_t)fed[c] * n_vocab;
                }
            }
            forward_run(subject.forward, batch, n);
            for (int i = 0; i < n; i++) {
                for (size_t j = 0; j < n_vocab; j++)
                    far = golden_further(far, fabs((double)forward_logits(subject.forward, i)[j] -
                                                   (double)expected[i][j]));
            }
        }
        if (far > 1e-4)
            fail_msg("%s: %.2e", subject.name, far);
        kv_cache_close(&caches[0]);
        kv_cache_close(&caches[1]);
        free(first_alone);
        free(second_alone);
        golden_close(&subject);
    }
}

/* One token at a time over many rows: these are split over threads too and their softmaxes joined,
 * here before and after the ring begins to evict. Heads can be shared by 4 threads evenly, not by
 * 3. */
static void test_stretches_of_rows(void **state)
{
    (void)state;
    struct golden_stream stream = {.n_sinks = 4, .n_recent = 268, .chunk = 1, .type = KV_F32};
    for (int m = 0; m < GOLDEN_N_DEEP; m++) {
        struct golden_subject whole;
        golden_open_threads(&whole, golden_models[m].name, 1);
        golden_run(&whole, &stream);
        for (int n_threads = 3; n_threads <= 4; n_threads++) {
            struct golden_subject split;
            golden_open_threads(&split, golden_models[m].name, n_threads);
            golden_run(&split, &stream);
            double far = distance(&split, whole.logits);
            if (far > 1e-4)
                fail_msg("%s: %.2e", split.name, far);
            golden_close(&split);
        }
        golden_close(&whole);
    }
}

/* Logits come only for the tokens that want them, in their order. */
static void test_only_wanted_logits(void **state)
{
    (void)state;
    struct golden_subject subject;
    golden_open(&subject, "llama-mha");
    struct golden_stream stream = {4, 28, 10, KV_F32, 0};
    golden_run(&subject, &stream);
    struct kv_cache *cache = golden_open_cache(&subject, &stream);
    struct forward_token batch[10] = {0};
    for (int t = 0; t < 10; t++)
        batch[t] = (struct forward_token){subject.tokens[t], cache, t == 3 || t == 9};
    forward_run(subject.forward, batch, 10);
    for (int i = 0; i < subject.model->shape.n_vocab; i++) {
        assert_float_equal(forward_logits(subject.forward, 0)[i], golden_row(&subject, 3)[i], 1e-4);
        assert_float_equal(forward_logits(subject.forward, 1)[i], golden_row(&subject, 9)[i], 1e-4);
    }
    kv_cache_close(&cache);
    golden_close(&subject);
}

/* What was fed after a place that is gone back to leaves no trace. */
static void test_rewind(void **state)
{
    (void)state;
    for (int m = 0; m < GOLDEN_N_DEEP; m++) {
        struct golden_subject subject;
        golden_open(&subject, golden_models[m].name);
        struct golden_stream stream = {4, 28, 9, KV_F32, 0};
        golden_run(&subject, &stream);
        float *straight = copy_logits(&subject);
        struct kv_cache *cache = golden_open_cache(&subject, &stream);
        for (int begin = 0; begin + 9 <= GOLDEN_N_TOKENS; begin += 5) {
            golden_feed(&subject, cache, begin, begin + 5);
            kv_cache_mark(cache, KV_MARK_TURN);
            golden_feed(&subject, cache, begin + 5, begin + 9);
            assert_true(kv_cache_can_rewind(cache, begin + 5));
            kv_cache_rewind(cache, begin + 5);
        }
        int end = (int)kv_cache_position(cache);
        double far = 0;
        for (int i = 0; i < end * subject.model->shape.n_vocab; i++)
            far = golden_further(far, fabs((double)subject.logits[i] - (double)straight[i]));
        if (far > 1e-4)
            fail_msg("%s: %.2e", subject.name, far);
        kv_cache_close(&cache);
        free(straight);
        golden_close(&subject);
    }
}

/* The bytes that a cache's rows are saved as. */
struct saved_rows {
    char *bytes;
    size_t n;
};

static bool save(void *arg, void *bytes, size_t len)
{
    struct saved_rows *saved = arg;
    memcpy(saved->bytes + saved->n, bytes, len);
    saved->n += len;
    return true;
}

static bool load(void *arg, void *bytes, size_t len)
{
    struct saved_rows *saved = arg;
    memcpy(bytes, saved->bytes + saved->n, len);
    saved->n += len;
    return true;
}

/* A cache that is what `from` was, by way of a file. */
static void save_and_load(struct kv_cache *to, struct kv_cache *from, int position)
{
    kv_cache_rewind(from, position);
    struct kv_state state = kv_cache_state(from);
    struct saved_rows saved = {.bytes = malloc((size_t)kv_cache_live_bytes(from) + 1)};
    assert_non_null(saved.bytes);
    assert_true(kv_cache_walk(from, save, &saved) && kv_cache_set_state(to, &state));
    saved.n = 0;
    assert_true(kv_cache_walk(to, load, &saved));
    free(saved.bytes);
}

/* Fed up to `end`, then gone back to `position`: a copy, or what was saved, goes on as it would. */
static void check_take_over(struct golden_subject *subject, const struct golden_stream *stream,
                            int position, int end, const float *straight)
{
    size_t n = (size_t)subject->model->shape.n_vocab;
    for (int by_file = 0; by_file <= 1; by_file++) {
        struct kv_cache *from = golden_open_cache(subject, stream);
        struct kv_cache *to = golden_open_cache(subject, stream);
        for (int t = 0; t < end; t++) {
            if (t == position)
                kv_cache_mark(from, KV_MARK_TURN);
            golden_feed(subject, from, t, t + 1);
        }
        assert_true(kv_cache_can_rewind(from, position));
        if (by_file)
            save_and_load(to, from, position);
        else
            kv_cache_copy(to, from, position);
        kv_cache_close(&from);
        for (int t = position; t < position + 40; t++) {
            golden_feed(subject, to, t, t + 1);
            assert_memory_equal(golden_row(subject, t), straight + (size_t)t * n,
                                n * sizeof(float));
        }
        kv_cache_close(&to);
    }
}

/* Of tokens that are fed one by one. */
static float *run_straight(struct golden_subject *subject, const struct golden_stream *stream)
{
    struct kv_cache *cache = golden_open_cache(subject, stream);
    for (int t = 0; t < 140; t++)
        golden_feed(subject, cache, t, t + 1);
    kv_cache_close(&cache);
    return copy_logits(subject);
}

/* Before and after the ring begins to evict, across its end, and far back, where layers with
 * convolutions go to a mark. */
static void test_taking_over(void **state)
{
    (void)state;
    const struct golden_stream stream = {4, 28, 10, KV_F16, 0}, wide = {4, 124, 10, KV_F16, 0};
    for (int m = 0; m < GOLDEN_N_DEEP; m++) {
        struct golden_subject subject;
        golden_open(&subject, golden_models[m].name);
        float *straight = run_straight(&subject, &stream);
        check_take_over(&subject, &stream, 1, 1, straight);
        check_take_over(&subject, &stream, 2, 11, straight);
        check_take_over(&subject, &stream, 17, 25, straight);
        check_take_over(&subject, &stream, 33, 42, straight);
        check_take_over(&subject, &stream, 95, 100, straight);
        free(straight);
        straight = run_straight(&subject, &wide);
        check_take_over(&subject, &wide, 64, 120, straight);
        free(straight);
        golden_close(&subject);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_equal_single_tokens),
        cmocka_unit_test(test_conversations_side_by_side),
        cmocka_unit_test(test_stretches_of_rows),
        cmocka_unit_test(test_only_wanted_logits),
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_taking_over),
    };
    return cmocka_run_group_tests(tests, golden_select_kernels, NULL);
}
