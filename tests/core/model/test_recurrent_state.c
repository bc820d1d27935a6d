/* A cache whose layers carry numbers from token to token goes back to its marks, is copied and is
 * saved, and goes on as if nothing had happened: bit for bit. */
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "tests/support/check.h"
#include "tests/support/each_isa.h"
#include "tests/support/golden.h"

enum { WINDOW = 32, SINKS = 4, CHUNK = 16, MAX_BYTES = 1 << 22 };

static struct golden_subject subject;

static int open_subject(void **state)
{
    if (golden_select_kernels(state) != 0)
        return -1;
    golden_open(&subject, "qwen35-delta");
    return 0;
}

static int close_subject(void **state)
{
    (void)state;
    golden_close(&subject);
    return 0;
}

static struct kv_cache *open_cache(void)
{
    return golden_open_cache(&subject, &(struct golden_stream){.n_sinks = SINKS,
                                                               .n_recent = WINDOW - SINKS,
                                                               .chunk = CHUNK,
                                                               .type = KV_F32});
}

/* The next tokens of the text, up to `end`, in chunks of one length. */
static void feed(struct kv_cache *cache, int64_t end, int chunk)
{
    while (kv_cache_position(cache) < end) {
        struct forward_token batch[CHUNK];
        int64_t begin = kv_cache_position(cache);
        int n = end - begin < chunk ? (int)(end - begin) : chunk;
        for (int i = 0; i < n; i++)
            batch[i] = (struct forward_token){subject.tokens[begin + i], cache, i == n - 1};
        forward_run(subject.forward, batch, n);
    }
}

/* The logits behind the next n tokens, to be freed. */
static float *logits_after(struct kv_cache *cache, int n)
{
    size_t n_bytes = (size_t)subject.model->shape.n_vocab * sizeof(float);
    float *logits = malloc(n_bytes);
    assert_non_null(logits);
    feed(cache, kv_cache_position(cache) + n, CHUNK);
    memcpy(logits, forward_logits(subject.forward, 0), n_bytes);
    return logits;
}

static void expect_same(float *a, float *b)
{
    assert_memory_equal(a, b, (size_t)subject.model->shape.n_vocab * sizeof(float));
    free(a);
    free(b);
}

static void test_going_back_to_marks_is_exact(void **state)
{
    (void)state;
    struct kv_cache *cache = open_cache();
    float *from_start = logits_after(cache, 10);
    kv_cache_mark(cache, KV_MARK_SHARED);
    float *from_ten = logits_after(cache, 12);
    kv_cache_mark(cache, KV_MARK_REPLAY);
    float *from_mark = logits_after(cache, 7);

    assert_true(kv_cache_can_rewind(cache, 29));
    assert_true(kv_cache_can_rewind(cache, 22));
    assert_true(kv_cache_can_rewind(cache, 10));
    assert_true(kv_cache_can_rewind(cache, 0));
    for (int position = 1; position < 29; position++)
        assert_int_equal(kv_cache_can_rewind(cache, position), position == 10 || position == 22);
    assert_int_equal(kv_cache_rewind_limit(cache), 29);
    assert_int_equal(kv_cache_rewind_floor(cache, 29), 29);
    assert_int_equal(kv_cache_rewind_floor(cache, 28), 22);
    assert_int_equal(kv_cache_rewind_floor(cache, 21), 10);
    assert_int_equal(kv_cache_rewind_floor(cache, 9), 0);

    kv_cache_rewind(cache, 22);
    expect_same(from_mark, logits_after(cache, 7));
    kv_cache_rewind(cache, 10);
    assert_false(kv_cache_can_rewind(cache, 22)); /* it is later than now */
    expect_same(from_ten, logits_after(cache, 12));
    kv_cache_rewind(cache, 0);
    expect_same(from_start, logits_after(cache, 10));
    kv_cache_close(&cache);
}

/* Far behind a mark its rows are gone, and the mark is of no use. */
static void test_a_mark_ages_with_its_rows(void **state)
{
    (void)state;
    struct kv_cache *cache = open_cache();
    feed(cache, 40, CHUNK);
    kv_cache_mark(cache, KV_MARK_TURN);
    feed(cache, 40 + CHUNK, CHUNK);
    assert_true(kv_cache_can_rewind(cache, 40));
    feed(cache, 40 + CHUNK + 1, CHUNK);
    assert_false(kv_cache_can_rewind(cache, 40));
    assert_int_equal(kv_cache_rewind_floor(cache, 41), 0);
    kv_cache_close(&cache);
}

static void test_a_copy_goes_on_as_the_other_did(void **state)
{
    (void)state;
    struct kv_cache *from = open_cache(), *to = open_cache();
    feed(to, 50, CHUNK); /* which is to leave no trace */
    feed(from, 12, CHUNK);
    kv_cache_mark(from, KV_MARK_SHARED);
    float *from_mark = logits_after(from, 9);
    kv_cache_mark(from, KV_MARK_TURN);
    float *from_tip = logits_after(from, 5);
    kv_cache_rewind(from, 21);
    kv_cache_copy(to, from, 21);
    expect_same(from_tip, logits_after(to, 5));
    assert_true(kv_cache_can_rewind(to, 12));
    kv_cache_copy(to, from, 12);
    assert_int_equal(kv_cache_position(to), 12);
    assert_false(kv_cache_can_rewind(to, 21));
    expect_same(from_mark, logits_after(to, 9));
    kv_cache_close(&from);
    kv_cache_close(&to);
}

/* What a walk goes through, one after the other. */
struct bytes {
    char *at;
    size_t n;
};

static bool put(void *arg, void *bytes, size_t len)
{
    struct bytes *to = arg;
    assert_true(to->n + len <= MAX_BYTES);
    memcpy(to->at + to->n, bytes, len);
    to->n += len;
    return true;
}

static bool get(void *arg, void *bytes, size_t len)
{
    struct bytes *from = arg;
    memcpy(bytes, from->at + from->n, len);
    from->n += len;
    return true;
}

static void test_what_is_saved_goes_on(void **state)
{
    (void)state;
    struct bytes bytes = {.at = malloc(MAX_BYTES)};
    assert_non_null(bytes.at);
    struct kv_cache *cache = open_cache(), *again = open_cache();
    feed(cache, 37, CHUNK);
    kv_cache_mark(cache, KV_MARK_REPLAY);
    feed(cache, 42, CHUNK);
    struct kv_state saved = kv_cache_state(cache);
    assert_true(kv_cache_walk(cache, put, &bytes));
    assert_int_equal(bytes.n, kv_cache_live_bytes(cache));

    feed(again, 5, CHUNK);
    bytes.n = 0;
    assert_true(kv_cache_set_state(again, &saved));
    assert_true(kv_cache_walk(again, get, &bytes));
    expect_same(logits_after(cache, 6), logits_after(again, 6));
    kv_cache_rewind(cache, 37);
    kv_cache_rewind(again, 37);
    expect_same(logits_after(cache, 6), logits_after(again, 6));

    saved.marks[KV_MARK_TURN] = saved.position + 1;
    assert_false(kv_cache_set_state(again, &saved));
    saved.marks[KV_MARK_TURN] = -1;
    assert_false(kv_cache_set_state(again, &saved));
    kv_cache_close(&cache);
    kv_cache_close(&again);
    free(bytes.at);
}

/* One step: of the first conversation one token, of the second five, of the third nine. */
static void test_conversations_of_one_step_do_not_meet(void **state)
{
    (void)state;
    enum { N = 3 };
    struct kv_cache *alone[N], *together[N];
    struct forward_token batch[N * CHUNK];
    size_t n_vocab = (size_t)subject.model->shape.n_vocab;
    float *rows = malloc(N * n_vocab * sizeof *rows);
    assert_non_null(rows);
    int n = 0;
    for (int i = 0; i < N; i++) {
        alone[i] = open_cache();
        together[i] = open_cache();
        feed(alone[i], 3 + i, CHUNK);
        feed(together[i], 3 + i, CHUNK);
        for (int j = 0; j <= 4 * i; j++)
            batch[n++] = (struct forward_token){subject.tokens[3 + i + j], together[i], j == 4 * i};
    }
    forward_run(subject.forward, batch, n);
    memcpy(rows, forward_logits(subject.forward, 0), N * n_vocab * sizeof *rows);
    for (int i = 0; i < N; i++) {
        float *expected = logits_after(alone[i], 1 + 4 * i);
        for (size_t j = 0; j < n_vocab; j++) /* products of more tokens may round otherwise */
            check_near(rows[(size_t)i * n_vocab + j], (double)expected[j], 1e-4);
        free(expected);
        kv_cache_close(&alone[i]);
        kv_cache_close(&together[i]);
    }
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_going_back_to_marks_is_exact),
        cmocka_unit_test(test_a_mark_ages_with_its_rows),
        cmocka_unit_test(test_a_copy_goes_on_as_the_other_did),
        cmocka_unit_test(test_what_is_saved_goes_on),
        cmocka_unit_test(test_conversations_of_one_step_do_not_meet),
    };
    return cmocka_run_group_tests(tests, open_subject, close_subject);
}
