/* Streams: the four modes feed, score, step and take back consistently. */
#include "eval/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "eval/subject.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

enum { N = 600 };

static const struct stream_shape shapes[] = {
    {SESSION_MODE_STREAMING, 4, 40, KV_F32},
    {SESSION_MODE_WINDOW, 0, 40, KV_F32},
    {SESSION_MODE_RECOMPUTE, 0, 40, KV_F32},
    {SESSION_MODE_DENSE, 0, N + 1, KV_F32},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static struct subject subject;
static int32_t ids[N + 1];

static int open_subject(void **state)
{
    (void)state;
    for (int i = 0; i <= N; i++)
        ids[i] = (int32_t)(3 + i * 37 % 250);
    return subject_open(&subject, TINY_MODEL_PATH, 2, NULL) ? 0 : -1;
}

static int close_subject(void **state)
{
    (void)state;
    subject_close(&subject);
    return 0;
}

static struct stream *open_stream(const struct stream_shape *shape)
{
    struct stream *stream = NULL;
    struct err err = {0};
    if (!stream_open(&stream, &subject, shape, &err))
        fail_msg("%s", err.text);
    return stream;
}

/* Feeding more than a window and many chunks, then one token, gives the loss that scoring all
 * along gives there. */
static void test_feed_equals_score(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        struct stream *stream = open_stream(&shapes[i]);
        double losses[N], fed;
        bool is_best[N], fed_is_best;
        int n = shapes[i].mode == SESSION_MODE_RECOMPUTE ? 120 : N;
        stream_score(stream, ids, n, losses, is_best);
        assert_int_equal(stream_position(stream), n);
        stream_clear(stream);
        assert_int_equal(stream_position(stream), 0);
        stream_feed(stream, ids, n - 1);
        stream_score(stream, ids + n - 1, 1, &fed, &fed_is_best);
        assert_float_equal(fed, losses[n - 1], 1e-4);
        assert_int_equal(fed_is_best, is_best[n - 1]);
        stream_close(&stream);
        assert_null(stream);
    }
}

static void test_evicted(void **state)
{
    (void)state;
    static const int64_t expected[N_SHAPES] = {100 - 39, 100 - 39, 100 - 40, 0};
    for (int i = 0; i < N_SHAPES; i++) {
        struct stream *stream = open_stream(&shapes[i]);
        stream_feed(stream, ids, 100);
        assert_int_equal(stream_evicted(stream), expected[i]);
        stream_close(&stream);
    }
}

static void test_take_back(void **state)
{
    (void)state;
    struct stream *stream = open_stream(&shapes[0]);
    double before, after;
    stream_feed(stream, ids, 200);
    stream_score(stream, ids + 200, 1, &before, NULL);
    stream_take_back(stream, 1);
    stream_feed(stream, ids, 50);
    stream_take_back(stream, 50);
    stream_score(stream, ids + 200, 1, &after, NULL);
    assert_float_equal(before, after, 1e-5);
    stream_close(&stream);
}

/* Made-up rows move the position and leave a cache that works. */
static void test_pad(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        struct stream_shape shape = shapes[i];
        for (int type = KV_F32; type <= KV_Q8; type++) {
            shape.kv_type = (enum kv_type)type;
            struct stream *stream = open_stream(&shape);
            stream_pad(stream, 300);
            assert_int_equal(stream_position(stream), 300);
            const float *logits = stream_step(stream, ids[0]);
            for (int v = 0; v < subject_n_vocab(&subject); v++)
                assert_true(isfinite(logits[v]));
            stream_close(&stream);
        }
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const expected[N_SHAPES] = {"streaming 4+36", "window 0+40", "recompute 40",
                                                   "dense"};
    for (int i = 0; i < N_SHAPES; i++) {
        char name[48];
        stream_shape_name(&shapes[i], name, sizeof name);
        assert_string_equal(name, expected[i]);
    }
}

static void test_loss(void **state)
{
    (void)state;
    const float logits[] = {1000, 1000, -1000, 999};
    assert_true(fabs(stream_loss(logits, 4, 0) - log(2 + exp(-1))) < 1e-9);
    assert_true(fabs(stream_loss(logits, 4, 2) - 2000 - log(2 + exp(-1))) < 1e-9);
    assert_int_equal(stream_best(logits, 4), 0);
}

static void test_bad_shapes(void **state)
{
    (void)state;
    struct stream_shape shape = {SESSION_MODE_STREAMING, 40, 40, KV_F32};
    struct stream *stream = NULL;
    struct err err = {0};
    assert_false(stream_open(&stream, &subject, &shape, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_null(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_equals_score),
        cmocka_unit_test(test_evicted),
        cmocka_unit_test(test_take_back),
        cmocka_unit_test(test_pad),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_bad_shapes),
    };
    return cmocka_run_group_tests(tests, open_subject, close_subject);
}
