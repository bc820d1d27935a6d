/* Several tokens that are attended together get what each gets alone, whatever rows they see; on
 * the instruction set that SINKD_KERNELS forces. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/err.h"
#include "core/kernels/kernels.h"

enum { MAX_TOKENS = 16, MAX_HEADS = 71, MAX_DIM = 128, N_ROWS = 100, N_SEGMENTS = 2 };

struct tile_case {
    int n_tokens;
    int n_heads;
    int dim;
    bool has_alibi;
};

struct tile {
    float q_ring[MAX_TOKENS * MAX_HEADS * MAX_DIM];
    float q_sink[MAX_TOKENS * MAX_HEADS * MAX_DIM];
    float slopes[MAX_HEADS];
    float k[N_SEGMENTS][N_ROWS * MAX_DIM]; /* room for the widest type */
    float v[N_SEGMENTS][N_ROWS * MAX_DIM];
    float k_scale[N_SEGMENTS][N_ROWS];
    float v_scale[N_SEGMENTS][N_ROWS];
    struct attention_sight sights[N_SEGMENTS][MAX_TOKENS];
    float out[MAX_TOKENS * MAX_HEADS * MAX_DIM];
    float alone[MAX_HEADS * MAX_DIM];
    struct attention_state states[MAX_TOKENS * MAX_HEADS];
    struct attention_state states_alone[MAX_HEADS];
};

static void fill(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)(rand() % 2001 - 1000) * 1e-3f;
}

static void store_rows(void *rows, float *scales, int dim, enum kv_type type)
{
    float x[MAX_DIM];
    for (int row = 0; row < N_ROWS; row++) {
        fill(x, dim);
        kernels->kv_store((uint8_t *)rows + kv_type_bytes(type) * (size_t)(row * dim), &scales[row],
                          x, dim, type);
    }
}

/* As in a full cache, of the ring a stretch that moves; but the last token sees no sink, the first
 * nothing else, and the second of more than two nothing at all. */
static void set_sights(struct tile *tile, int n_tokens)
{
    for (int t = 0; t < n_tokens; t++) {
        int n_sinks = t == n_tokens - 1 ? 0 : 4;
        tile->sights[0][t] = (struct attention_sight){0, n_sinks, 200};
        tile->sights[1][t] = (struct attention_sight){t, N_ROWS - n_tokens + 1 + t, 120 + t};
    }
    tile->sights[1][0] = (struct attention_sight){0, 0, 0};
    if (n_tokens > 2)
        tile->sights[0][1] = tile->sights[1][1] = (struct attention_sight){0, 0, 0};
}

static struct attention_rows rows_of(const struct tile *tile, int segment, enum kv_type type)
{
    bool is_q8 = type == KV_Q8;
    return (struct attention_rows){.k = tile->k[segment],
                                   .v = tile->v[segment],
                                   .k_scale = is_q8 ? tile->k_scale[segment] : NULL,
                                   .v_scale = is_q8 ? tile->v_scale[segment] : NULL,
                                   .n_rows = segment == 0 ? 4 : N_ROWS,
                                   .is_sink = segment == 0,
                                   .sights = tile->sights[segment]};
}

/* What token t sees of a segment, as rows of its own. */
static struct attention_rows cut(struct attention_rows rows, int t, int dim, enum kv_type type)
{
    struct attention_sight sight = rows.sights[t];
    size_t skipped = kv_type_bytes(type) * (size_t)(sight.begin * dim);
    rows.k = (const uint8_t *)rows.k + skipped;
    rows.v = (const uint8_t *)rows.v + skipped;
    rows.k_scale = rows.k_scale == NULL ? NULL : rows.k_scale + sight.begin;
    rows.v_scale = rows.v_scale == NULL ? NULL : rows.v_scale + sight.begin;
    rows.n_rows = sight.end - sight.begin;
    rows.first_distance = sight.first_distance - sight.begin;
    rows.sights = NULL;
    return rows;
}

static void check_token(const struct tile_case *c, struct tile *tile, struct attention_query query,
                        const struct attention_rows *segments, int t, enum kv_type type)
{
    int n = c->n_heads * c->dim;
    struct attention_rows own[N_SEGMENTS] = {cut(segments[0], t, c->dim, type),
                                             cut(segments[1], t, c->dim, type)};
    query.n_tokens = 1;
    query.q_ring += t * n;
    query.q_sink += t * n;
    kernels->attention(tile->alone, tile->states_alone, &query, type, own, N_SEGMENTS);
    for (int i = 0; i < n; i++)
        assert_float_equal(tile->out[t * n + i], tile->alone[i], type == KV_Q8 ? 2e-4f : 1e-5f);
    for (int i = 0; i < c->n_heads; i++) {
        struct attention_state *one = &tile->states[t * c->n_heads + i];
        struct attention_state *other = &tile->states_alone[i];
        if (own[0].n_rows + own[1].n_rows > 0)
            assert_float_equal(one->max + logf(one->sum), other->max + logf(other->sum), 1e-4f);
        else
            assert_true(one->sum == 0);
    }
}

static void check_tile(const struct tile_case *c, enum kv_type type)
{
    struct tile *tile = calloc(1, sizeof *tile);
    assert_non_null(tile);
    int n_queries = c->n_tokens * c->n_heads;
    fill(tile->q_ring, n_queries * c->dim);
    fill(tile->q_sink, n_queries * c->dim);
    for (int i = 0; i < c->n_heads; i++)
        tile->slopes[i] = 0.1f / (float)(i + 1);
    for (int s = 0; s < N_SEGMENTS; s++) {
        store_rows(tile->k[s], tile->k_scale[s], c->dim, type);
        store_rows(tile->v[s], tile->v_scale[s], c->dim, type);
    }
    set_sights(tile, c->n_tokens);
    struct attention_rows segments[N_SEGMENTS] = {rows_of(tile, 0, type), rows_of(tile, 1, type)};
    struct attention_query query = {.q_ring = tile->q_ring,
                                    .q_sink = tile->q_sink,
                                    .slopes = c->has_alibi ? tile->slopes : NULL,
                                    .n_tokens = c->n_tokens,
                                    .n_heads = c->n_heads,
                                    .head_dim = c->dim,
                                    .head_dim_v = c->dim,
                                    .scale = 0.25f};
    memset(tile->out, 0x55, sizeof tile->out);
    kernels->attention(tile->out, tile->states, &query, type, segments, N_SEGMENTS);
    for (int t = 0; t < c->n_tokens; t++)
        check_token(c, tile, query, segments, t, type);
    free(tile);
}

static void test_tiles_equal_their_tokens(void **state)
{
    (void)state;
    static const struct tile_case cases[] = {
        {2, 1, 64, false}, {16, 1, 128, true}, {4, 8, 64, false},  {3, 7, 80, true},
        {5, 4, 16, false}, {2, 71, 64, false}, {16, 2, 36, false},
    };
    for (int type = KV_F32; type <= KV_Q8; type++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            check_tile(&cases[i], (enum kv_type)type);
}

int main(void)
{
    struct err err;
    if (!kernels_select(NULL, &err)) {
        print_error("%s\n", err.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tiles_equal_their_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
