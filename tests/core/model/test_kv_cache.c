/* The views against a literal list of tokens from which the oldest non-sink is removed. */
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/model/kv_cache.h"
#include "tests/support/check.h"

enum { MAX_ROWS = 64 };

static struct kv_cache *open_cache(int n_sinks, int n_recent, int n_slack)
{
    struct kv_shape shape = {.n_layers = 1,
                             .n_kv_heads = 1,
                             .head_dim_k = 4,
                             .head_dim_v = 4,
                             .type = KV_F32,
                             .n_sinks = n_sinks,
                             .n_window = n_sinks + n_recent,
                             .n_slack = n_slack};
    struct kv_cache *cache = NULL;
    struct err err = {0};
    if (!kv_cache_open(&cache, &shape, &err))
        fail_msg("%s", err.text);
    return cache;
}

/* What a query at t sees, oldest first, by the definition: one list, one removal per token. */
static int literal_list(int n_sinks, int n_recent, int64_t t, int64_t *out_tokens)
{
    int n = 0;
    for (int64_t i = 0; i <= t; i++) {
        if (n > n_sinks + n_recent - 1) {
            memmove(out_tokens + n_sinks, out_tokens + n_sinks + 1,
                    (size_t)(n - n_sinks - 1) * sizeof out_tokens[0]);
            n--;
        }
        out_tokens[n++] = i;
    }
    return n;
}

/* owner[row] is the token that was stored there last. */
static void check_view(const struct kv_view *view, const int64_t *owner, int n_sinks, int n_recent)
{
    int64_t expected[MAX_ROWS];
    int n = literal_list(n_sinks, n_recent, view->position, expected);
    assert_int_equal(view->in_cache, n - 1);
    assert_int_equal(owner[view->row], view->position);
    int i = 0;
    for (int s = 0; s < view->n_segments; s++) {
        const struct kv_segment *segment = &view->segments[s];
        assert_true(segment->n_rows > 0);
        for (int j = 0; j < segment->n_rows; j++, i++) {
            assert_true(i < n);
            assert_int_equal(owner[segment->first_row + j], expected[i]);
            assert_int_equal(segment->first_distance - j, n - 1 - i);
            assert_int_equal(segment->is_sink, expected[i] < n_sinks);
        }
    }
    assert_int_equal(i, n);
}

/* Stores a whole chunk, then looks at every token's view, as a step does. */
static void feed(struct kv_cache *cache, int64_t *owner, int n_tokens)
{
    const struct kv_shape *shape = kv_cache_shape(cache);
    for (int i = 0; i < n_tokens; i++) {
        struct kv_view view = kv_cache_view(cache, i);
        assert_true(view.row >= 0 && view.row < shape->n_window + shape->n_slack);
        owner[view.row] = view.position;
    }
    for (int i = 0; i < n_tokens; i++) {
        struct kv_view view = kv_cache_view(cache, i);
        assert_int_equal(view.position, kv_cache_position(cache) + i);
        check_view(&view, owner, shape->n_sinks, shape->n_window - shape->n_sinks);
    }
    kv_cache_advance(cache, n_tokens);
}

static void test_views_are_the_literal_list(void **state)
{
    (void)state;
    for (int n_sinks = 0; n_sinks <= 5; n_sinks++) {
        for (int n_recent = 1; n_recent <= 9; n_recent++) {
            for (int n_slack = 0; n_slack <= 11; n_slack++) {
                for (int chunk = 1; chunk <= n_slack + 1; chunk++) {
                    int64_t owner[MAX_ROWS] = {0};
                    struct kv_cache *cache = open_cache(n_sinks, n_recent, n_slack);
                    while (kv_cache_position(cache) < 60)
                        feed(cache, owner, chunk);
                    kv_cache_close(&cache);
                    assert_null(cache);
                }
            }
        }
    }
}

static void test_evicted_are_those_no_query_sees(void **state)
{
    (void)state;
    for (int n_sinks = 0; n_sinks <= 4; n_sinks++) {
        for (int n_recent = 1; n_recent <= 6; n_recent++) {
            struct kv_cache *cache = open_cache(n_sinks, n_recent, 3);
            for (int64_t t = 0; t < 40; t++) {
                int64_t seen[MAX_ROWS];
                int n = literal_list(n_sinks, n_recent, t, seen);
                assert_int_equal(kv_cache_evicted(cache), t + 1 - n);
                kv_cache_advance(cache, 1);
            }
            kv_cache_close(&cache);
        }
    }
}

/* Whether the rows that queries from `position` on need are still there, asked of the rows. */
static bool is_rewind_exact(const struct kv_shape *shape, const int64_t *owner, int64_t position)
{
    int n_ring = shape->n_window - shape->n_sinks + shape->n_slack;
    int64_t seen[MAX_ROWS];
    int n = literal_list(shape->n_sinks, shape->n_window - shape->n_sinks, position, seen);
    for (int i = 0; i < n - 1; i++) {
        int64_t t = seen[i];
        int row =
            t < shape->n_sinks ? (int)t : shape->n_sinks + (int)((t - shape->n_sinks) % n_ring);
        if (owner[row] != t)
            return false;
    }
    return true;
}

static void test_rewind_is_allowed_exactly_when_it_is_exact(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int round = 0; round < 600; round++) {
        int n_sinks = round % 5;
        int n_recent = 1 + round % 7;
        int n_slack = round % 11;
        int64_t owner[MAX_ROWS];
        memset(owner, 0xff, sizeof owner); /* -1: never written */
        struct kv_cache *cache = open_cache(n_sinks, n_recent, n_slack);
        for (int step = 0; step < 40; step++) {
            random = random * 1664525 + 1013904223;
            feed(cache, owner, 1 + (int)(random >> 16) % (n_slack + 1));
            int64_t position = kv_cache_position(cache);
            for (int64_t p = 0; p <= position; p++)
                assert_int_equal(kv_cache_can_rewind(cache, p),
                                 is_rewind_exact(kv_cache_shape(cache), owner, p));
            for (int64_t p = kv_cache_rewind_limit(cache); p <= position; p++)
                assert_true(kv_cache_can_rewind(cache, p));
            for (int64_t p = 0; p <= position; p++)
                assert_int_equal(kv_cache_rewind_floor(cache, p), kv_cache_can_rewind(cache, p) ? p
                                                                  : p < n_sinks                 ? p
                                                                                : n_sinks);
            assert_false(kv_cache_can_rewind(cache, -1));
            assert_false(kv_cache_can_rewind(cache, position + 1));
            /* Back and back again: the second must not trust what the first has lost. */
            int64_t back = position - (int64_t)(random >> 8) % (n_slack + 2);
            if (step % 3 == 0 && kv_cache_can_rewind(cache, back)) {
                kv_cache_rewind(cache, back);
                assert_int_equal(kv_cache_position(cache), back);
            }
        }
        kv_cache_close(&cache);
    }
}

static void test_slack_can_always_be_taken_back(void **state)
{
    (void)state;
    struct kv_cache *cache = open_cache(4, 12, 5);
    for (int64_t t = 0; t < 100; t++) {
        assert_true(kv_cache_rewind_limit(cache) <= (t > 5 ? t - 5 : 0));
        for (int64_t back = 0; back <= 5 && back <= t; back++)
            assert_true(kv_cache_can_rewind(cache, t - back));
        kv_cache_advance(cache, 1);
    }
    assert_true(kv_cache_can_rewind(cache, 4)); /* only the sinks: always there */
    assert_false(kv_cache_can_rewind(cache, 50));
    kv_cache_close(&cache);
}

static void test_far_positions(void **state)
{
    (void)state;
    struct kv_cache *cache = open_cache(2, 6, 3);
    for (int i = 0; i < 5; i++)
        kv_cache_advance(cache, 1000000000);
    struct kv_view view = kv_cache_view(cache, 3);
    assert_true(view.position == 5000000003);
    assert_int_equal(view.in_cache, 7);
    assert_int_equal(view.segments[0].n_rows, 2);
    assert_int_equal(view.segments[0].first_distance, 7);
    assert_int_equal(view.segments[1].first_distance, 5);
    assert_true(kv_cache_evicted(cache) == 5000000000 - 7);
    kv_cache_close(&cache);
}

static bool is_short(const struct kv_shape *shape, int layer)
{
    return kv_shape_heads(shape, layer).dim_v == 0;
}

/* What a token leaves of itself in one row. */
static void write_row(struct kv_cache *cache, int layer, int head, int row, int mark)
{
    const struct kv_shape *shape = kv_cache_shape(cache);
    struct kv_heads heads = kv_shape_heads(shape, layer);
    memset(kv_cache_k(cache, layer, head, row), mark,
           (size_t)heads.dim_k * kv_type_bytes(shape->type));
    memset(kv_cache_v(cache, layer, head, row), mark + 1,
           (size_t)heads.dim_v * kv_type_bytes(shape->type));
    if (shape->type == KV_Q8) {
        *kv_cache_k_scale(cache, layer, head, row) = (float)mark;
        *kv_cache_v_scale(cache, layer, head, row) = (float)(mark + 1);
    }
}

/* Marks the rows that a token gets in every layer and head. */
static void write_rows(struct kv_cache *cache, int n_tokens)
{
    const struct kv_shape *shape = kv_cache_shape(cache);
    for (int i = 0; i < n_tokens; i++) {
        struct kv_view view = kv_cache_view(cache, i);
        for (int layer = 0; layer < shape->n_layers; layer++) {
            struct kv_heads heads = kv_shape_heads(shape, layer);
            for (int head = 0; head < heads.n; head++) {
                int mark = (int)view.position * 3 + layer * 5 + head * 7;
                bool at_mark = kv_cache_mark_row(cache, view.position) >= 0;
                int row =
                    is_short(shape, layer) ? kv_cache_short_row(cache, view.position) : view.row;
                write_row(cache, layer, head, row, mark);
                if (is_short(shape, layer) && at_mark)
                    write_row(cache, layer, head, kv_cache_mark_row(cache, view.position), mark);
            }
        }
    }
    kv_cache_advance(cache, n_tokens);
}

static void assert_same_row(struct kv_cache *a, struct kv_cache *b, int layer, int row)
{
    const struct kv_shape *shape = kv_cache_shape(a);
    struct kv_heads heads = kv_shape_heads(shape, layer);
    for (int head = 0; head < heads.n; head++) {
        assert_memory_equal(kv_cache_k(a, layer, head, row), kv_cache_k(b, layer, head, row),
                            (size_t)heads.dim_k * kv_type_bytes(shape->type));
        assert_memory_equal(kv_cache_v(a, layer, head, row), kv_cache_v(b, layer, head, row),
                            (size_t)heads.dim_v * kv_type_bytes(shape->type));
        if (shape->type == KV_Q8) {
            assert_true(*kv_cache_k_scale(a, layer, head, row) ==
                        *kv_cache_k_scale(b, layer, head, row));
            assert_true(*kv_cache_v_scale(a, layer, head, row) ==
                        *kv_cache_v_scale(b, layer, head, row));
        }
    }
}

/* What the next token meets in short layers. */
static void assert_same_before(struct kv_cache *a, struct kv_cache *b, int layer)
{
    int64_t position = kv_cache_position(a);
    for (int64_t t = position - kv_cache_shape(a)->n_before; t < position; t++) {
        if (t >= 0)
            assert_same_row(a, b, layer, kv_cache_short_row(a, t));
    }
}

/* What the next query sees of both is the same. */
static void assert_same_sight(struct kv_cache *a, struct kv_cache *b)
{
    struct kv_view view = kv_cache_view(a, 0), view_b = kv_cache_view(b, 0);
    assert_memory_equal(&view, &view_b, sizeof view);
    for (int layer = 0; layer < kv_cache_shape(a)->n_layers; layer++) {
        if (is_short(kv_cache_shape(a), layer)) {
            assert_same_before(a, b, layer);
            continue;
        }
        for (int s = 0; s < view.n_segments; s++) {
            for (int i = 0; i < view.segments[s].n_rows; i++) {
                int row = view.segments[s].first_row + i;
                if (row != view.row) /* its own, not yet written */
                    assert_same_row(a, b, layer, row);
            }
        }
    }
}

enum { MIXED_LAYERS = 4 };

/* Four layers, of which each period-th has fewer and longer heads, or keys alone. */
static struct kv_shape mixed_shape(enum kv_type type, int period)
{
    static struct kv_heads layers[3][MIXED_LAYERS];
    for (int i = 0; i < MIXED_LAYERS; i++)
        layers[period][i] = period == 0 || (i + 1) % period != 0 ? (struct kv_heads){2, 6, 10}
                            : i == MIXED_LAYERS - 1              ? (struct kv_heads){3, 5, 0}
                                                                 : (struct kv_heads){1, 16, 8};
    return (struct kv_shape){.n_layers = MIXED_LAYERS,
                             .n_kv_heads = 2,
                             .head_dim_k = 6,
                             .head_dim_v = 10,
                             .layers = period == 0 ? NULL : layers[period],
                             .n_before = period == 0 ? 0 : 2,
                             .type = type,
                             .n_sinks = 3,
                             .n_window = 11,
                             .n_slack = 4};
}

static void test_a_copy_is_what_the_other_was(void **state)
{
    (void)state;
    for (int type = KV_F32; type <= KV_Q8; type++) {
        struct kv_shape shape = mixed_shape((enum kv_type)type, type == KV_F32 ? 0 : 2);
        struct kv_cache *from = NULL, *copy = NULL, *literal = NULL;
        assert_true(kv_cache_open(&from, &shape, NULL) && kv_cache_open(&copy, &shape, NULL));
        for (int64_t t = 1; t <= 40; t++) {
            write_rows(from, 1);
            for (int64_t back = 0; back <= t; back++) {
                if (!kv_cache_can_rewind(from, back))
                    continue;
                kv_cache_copy(copy, from, back);
                assert_true(kv_cache_open(&literal, &shape, NULL));
                for (int64_t i = 0; i < back; i++)
                    write_rows(literal, 1);
                assert_int_equal(kv_cache_position(copy), back);
                assert_same_sight(copy, literal);
                for (int64_t p = 0; p <= back; p++)
                    assert_int_equal(kv_cache_can_rewind(copy, p), kv_cache_can_rewind(from, p));
                for (int i = 0; i < 9; i++) {
                    write_rows(copy, 2);
                    write_rows(literal, 2);
                    assert_same_sight(copy, literal);
                }
                kv_cache_close(&literal);
            }
        }
        kv_cache_close(&from);
        kv_cache_close(&copy);
    }
}

/* Writes to a row what nobody else writes, or finds it there. */
static void mark_row(struct kv_cache *cache, int layer, int head, int row, bool writes,
                     unsigned char mark)
{
    const struct kv_shape *shape = kv_cache_shape(cache);
    struct kv_heads heads = kv_shape_heads(shape, layer);
    size_t k_bytes = (size_t)heads.dim_k * kv_type_bytes(shape->type);
    size_t v_bytes = (size_t)heads.dim_v * kv_type_bytes(shape->type);
    unsigned char *k = kv_cache_k(cache, layer, head, row);
    unsigned char *v = kv_cache_v(cache, layer, head, row);
    float *k_scale = kv_cache_k_scale(cache, layer, head, row);
    float *v_scale = kv_cache_v_scale(cache, layer, head, row);
    assert_int_equal(k_scale != NULL, shape->type == KV_Q8);
    assert_int_equal(v_scale != NULL, shape->type == KV_Q8);
    if (writes) {
        memset(k, mark, k_bytes);
        memset(v, mark + 100, v_bytes);
        if (k_scale != NULL) {
            *k_scale = (float)mark;
            *v_scale = (float)(mark + 100);
        }
        return;
    }
    assert_int_equal(k[0], mark);
    assert_int_equal(k[k_bytes - 1], mark);
    if (v_bytes > 0) {
        assert_int_equal(v[0], mark + 100);
        assert_int_equal(v[v_bytes - 1], mark + 100);
    }
    if (k_scale != NULL)
        assert_true(*k_scale == (float)mark && *v_scale == (float)(mark + 100));
}

static int n_rows_of(const struct kv_shape *shape, int layer)
{
    int n_rows = shape->n_window + shape->n_slack;
    return !is_short(shape, layer)
               ? n_rows
               : shape->n_slack + 1 + (1 + n_rows / KV_MARK_SPACING + 2) * shape->n_before;
}

/* Each row of each layer and head is its own memory, inside the block. */
static void test_rows_do_not_overlap(void **state)
{
    (void)state;
    for (int type = KV_F32; type <= KV_Q8; type++) {
        for (int period = 0; period <= 2; period++) {
            struct kv_shape shape = mixed_shape((enum kv_type)type, period);
            struct kv_cache *cache = NULL;
            assert_true(kv_cache_open(&cache, &shape, NULL));
            for (int pass = 0; pass < 2; pass++) {
                unsigned char mark = 1;
                for (int layer = 0; layer < shape.n_layers; layer++)
                    for (int head = 0; head < kv_shape_heads(&shape, layer).n; head++)
                        for (int row = 0; row < n_rows_of(&shape, layer); row++)
                            mark_row(cache, layer, head, row, pass == 0, mark++);
            }
            kv_cache_close(&cache);
        }
    }
}

/* Its layers' bytes, added up. */
static void test_layers_of_two_kinds(void **state)
{
    (void)state;
    struct kv_shape shape = mixed_shape(KV_F16, 2);
    assert_int_equal(kv_shape_heads(&shape, 0).dim_k, 6);
    assert_int_equal(kv_shape_heads(&shape, 1).dim_k, 16);
    assert_int_equal(kv_shape_heads(&shape, 2).n, 2);
    assert_int_equal(kv_shape_heads(&shape, 3).n, 3);
    struct kv_cache *cache = NULL;
    assert_true(kv_cache_open(&cache, &shape, NULL));
    write_rows(cache, 5);
    /* of the short one those of the next mark as well */
    assert_int_equal(kv_cache_live_bytes(cache),
                     5 * 2 * (2 * 2 * (6 + 10) + 1 * (16 + 8) + 3 * 5) + 2 * 2 * 3 * 5);
    kv_cache_close(&cache);

    struct err err = {0};
    shape.layers = (struct kv_heads[MIXED_LAYERS]){{1, 4, 4}, {1, 0, 4}, {1, 4, 4}, {1, 4, 4}};
    assert_false(kv_cache_open(&cache, &shape, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
}

enum { SHORT_TOKENS = 2000 };

/* A short layer's vectors, one byte long, of a text that changes whenever it is gone back in. */
struct short_text {
    struct kv_cache *cache, *copy;
    char said[SHORT_TOKENS];
    char next;
};

static void say(struct short_text *text, int n)
{
    struct kv_cache *cache = text->cache;
    for (int i = 0; i < n; i++) {
        int64_t t = kv_cache_position(cache);
        text->said[t] = text->next++;
        memset(kv_cache_k(cache, 1, 0, kv_cache_short_row(cache, t)), text->said[t], 4);
        if (kv_cache_mark_row(cache, t) >= 0)
            memset(kv_cache_k(cache, 1, 0, kv_cache_mark_row(cache, t)), text->said[t], 4);
        kv_cache_advance(cache, 1);
    }
}

static void expect_before(const struct short_text *text, struct kv_cache *cache)
{
    int64_t position = kv_cache_position(cache);
    for (int64_t t = position - 2; t < position; t++) {
        if (t >= 0)
            assert_memory_equal(
                kv_cache_k(cache, 1, 0, kv_cache_short_row(cache, t)),
                ((char[4]){text->said[t], text->said[t], text->said[t], text->said[t]}), 4);
    }
}

/* Each place that the cache may go back to has what the next token meets there. Without eviction
 * these are at least all marks, with it those among the sinks and all within the slack. */
static void check_places(struct short_text *text)
{
    int64_t position = kv_cache_position(text->cache);
    const struct kv_shape *shape = kv_cache_shape(text->cache);
    bool was_evicted = kv_cache_state(text->cache).ring_from > shape->n_sinks;
    for (int64_t p = 0; p <= position; p++) {
        bool can = kv_cache_can_rewind(text->cache, p);
        assert_true(can || p % KV_MARK_SPACING != 0 || (was_evicted && p > shape->n_sinks));
        assert_true(can || p < kv_cache_rewind_limit(text->cache));
        int64_t floor = kv_cache_rewind_floor(text->cache, p);
        int64_t least = was_evicted && p > shape->n_sinks ? shape->n_sinks : p;
        assert_true(can ? floor == p : floor < p && floor > least - KV_MARK_SPACING);
        assert_true(kv_cache_can_rewind(text->cache, floor));
        if (!can)
            continue;
        kv_cache_copy(text->copy, text->cache, p);
        expect_before(text, text->copy);
    }
}

static void test_short_layers(void **state)
{
    (void)state;
    static const struct kv_heads layers[] = {{1, 4, 4}, {1, 2, 0}}; /* the second of 4 bytes */
    for (int n_sinks = 0; n_sinks <= 140; n_sinks += 70) {
        struct kv_shape shape = {.n_layers = 2,
                                 .layers = layers,
                                 .n_before = 2,
                                 .type = KV_F16,
                                 .n_sinks = n_sinks,
                                 .n_window = 250,
                                 .n_slack = 20};
        struct short_text text = {.next = 1};
        uint32_t random = 1;
        assert_true(kv_cache_open(&text.cache, &shape, NULL) &&
                    kv_cache_open(&text.copy, &shape, NULL));
        for (int step = 0; step < 200; step++) {
            random = random * 1664525 + 1013904223;
            say(&text, 1 + (int)(random >> 16) % 21);
            check_places(&text);
            int far = step % 40 == 39 ? 300 : 25;
            int64_t back = kv_cache_position(text.cache) - (int64_t)(random >> 20) % far;
            back = kv_cache_rewind_floor(text.cache, back < 0 ? 0 : back);
            if (step % 3 == 0 || kv_cache_position(text.cache) > SHORT_TOKENS - 30) {
                kv_cache_rewind(text.cache, back);
                expect_before(&text, text.cache);
            }
        }
        kv_cache_close(&text.cache);
        kv_cache_close(&text.copy);
    }
}

/* What a file may say of a cache with short layers, and of one without. */
static void test_states_of_short_layers(void **state)
{
    (void)state;
    struct kv_shape shape = mixed_shape(KV_F16, 2);
    struct kv_cache *cache = NULL, *plain = open_cache(3, 8, 4);
    assert_true(kv_cache_open(&cache, &shape, NULL));
    struct kv_state good = {.n_sinks = 3, .position = 10, .ring_from = 3, .n_recent = 7};
    assert_true(kv_cache_set_state(cache, &good));
    assert_int_equal(kv_cache_state(cache).n_recent, 7);
    static const int bad[] = {-1, 0, 1, 8, INT32_MAX}; /* slack 4, 2 before, and its own */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct kv_state said = good;
        said.n_recent = bad[i];
        assert_false(kv_cache_set_state(cache, &said));
        assert_int_equal(kv_cache_set_state(plain, &said), bad[i] == 0);
    }
    assert_true(kv_cache_set_state(
        cache, &(struct kv_state){.n_sinks = 3, .position = 1, .ring_from = 3, .n_recent = 1}));
    kv_cache_close(&cache);
    kv_cache_close(&plain);
}

static void test_impossible_shapes(void **state)
{
    (void)state;
    struct kv_shape good = {.n_layers = 2,
                            .n_kv_heads = 2,
                            .head_dim_k = 64,
                            .head_dim_v = 64,
                            .type = KV_F16,
                            .n_sinks = 4,
                            .n_window = 8,
                            .n_slack = 0};
    struct kv_cache *cache = NULL;
    struct err err = {0};
    assert_int_equal(kv_shape_bytes(&good), 2 * 2 * 8 * 64 * 2 * 2);

    struct kv_shape shape = good;
    shape.n_sinks = 8;
    assert_false(kv_cache_open(&cache, &shape, &err));
    assert_int_equal(err.code, ERR_INVALID);
    shape.n_sinks = -1;
    assert_false(kv_cache_open(&cache, &shape, &err));
    shape = good;
    shape.n_layers = 0;
    assert_false(kv_cache_open(&cache, &shape, &err));

    shape = good;
    shape.n_window = INT32_MAX;
    shape.n_slack = 1;
    assert_true(kv_shape_bytes(&shape) == SIZE_MAX);
    shape = (struct kv_shape){.n_layers = INT32_MAX,
                              .n_kv_heads = INT32_MAX,
                              .head_dim_k = INT32_MAX,
                              .head_dim_v = 1,
                              .type = KV_F32,
                              .n_window = INT32_MAX};
    assert_true(kv_shape_bytes(&shape) == SIZE_MAX);
    assert_false(kv_cache_open(&cache, &shape, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_null(cache);
    kv_cache_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_are_the_literal_list),
        cmocka_unit_test(test_evicted_are_those_no_query_sees),
        cmocka_unit_test(test_rewind_is_allowed_exactly_when_it_is_exact),
        cmocka_unit_test(test_slack_can_always_be_taken_back),
        cmocka_unit_test(test_far_positions),
        cmocka_unit_test(test_a_copy_is_what_the_other_was),
        cmocka_unit_test(test_rows_do_not_overlap),
        cmocka_unit_test(test_layers_of_two_kinds),
        cmocka_unit_test(test_short_layers),
        cmocka_unit_test(test_states_of_short_layers),
        cmocka_unit_test(test_impossible_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
