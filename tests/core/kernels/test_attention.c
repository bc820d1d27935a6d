/* Attention over every type of cache on every instruction set that this CPU has, compared with
 * values in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/half.h"
#include "core/kernels/kernels.h"
#include "tests/support/each_isa.h"

enum { MAX_ROWS = 150, MAX_DIM = 580, MAX_HEADS = 11, MAX_SEGMENTS = 3, MAX_VALUE = 2 };

struct attention_case {
    int n_heads, head_dim, head_dim_v;
    int n_rows[MAX_SEGMENTS]; /* the first are sinks */
    bool has_alibi;
    float soft_cap;
    enum kv_type type;
    bool has_any_query; /* else one that KV_Q8 need not round */
};

struct attention_data {
    float q_ring[MAX_HEADS * MAX_DIM], q_sink[MAX_HEADS * MAX_DIM], slopes[MAX_HEADS];
    float k[MAX_SEGMENTS][MAX_ROWS * MAX_DIM * 4], v[MAX_SEGMENTS][MAX_ROWS * MAX_DIM * 4];
    float k_scale[MAX_SEGMENTS][MAX_ROWS], v_scale[MAX_SEGMENTS][MAX_ROWS];
    /* What was stored, as floats. */
    float k_exact[MAX_SEGMENTS][MAX_ROWS][MAX_DIM], v_exact[MAX_SEGMENTS][MAX_ROWS][MAX_DIM];
    float out[MAX_HEADS * MAX_DIM];
};

static void fill(float *to, int n, float range)
{
    for (int i = 0; i < n; i++)
        to[i] = random_float(range);
}

static void read_back(float *to, const void *row, float scale, int n, enum kv_type type)
{
    for (int i = 0; i < n; i++) {
        if (type == KV_F32)
            to[i] = ((const float *)row)[i];
        else if (type == KV_F16)
            to[i] = f16_to_float(((const uint16_t *)row)[i]);
        else if (type == KV_BF16)
            to[i] = bf16_to_float(((const uint16_t *)row)[i]);
        else
            to[i] = (float)((const int8_t *)row)[i] * scale;
    }
}

static void store_random(void *rows, float *scales, float (*exact)[MAX_DIM], int n_rows, int n,
                         enum kv_type type)
{
    for (int i = 0; i < n_rows; i++) {
        uint8_t *row = (uint8_t *)rows + kv_type_bytes(type) * (size_t)(i * n);
        float x[MAX_DIM];
        fill(x, n, MAX_VALUE);
        kernels->kv_store(row, &scales[i], x, n, type);
        read_back(exact[i], row, scales[i], n, type);
    }
}

/* Of long heads as of models that have them: floats are as exact as the bounds only while scores
 * are small. */
static float scale_of(const struct attention_case *c)
{
    return c->head_dim > 512 ? 0.04F : 0.25F;
}

static double exact_score(const struct attention_case *c, const struct attention_data *data,
                          int head, int segment, int row, int distance)
{
    const float *q = (segment == 0 ? data->q_sink : data->q_ring) + head * c->head_dim;
    double dot = 0;
    for (int i = 0; i < c->head_dim; i++)
        dot += (double)q[i] * (double)data->k_exact[segment][row][i];
    dot *= (double)scale_of(c);
    if (c->soft_cap > 0)
        dot = (double)c->soft_cap * tanh(dot / (double)c->soft_cap);
    return dot - (c->has_alibi ? (double)data->slopes[head] * distance : 0);
}

/* Steps up to the largest element of a query, see kernels.h. */
static int most_steps(const struct attention_case *c)
{
    return c->head_dim > 512 ? 16319 : 32639;
}

/* How much a score changes when its query is rounded, at the most; see kernels.h. */
static double most_rounded(const struct attention_case *c, const struct attention_data *data,
                           int head)
{
    double max_q = 0, most = 0;
    for (int i = head * c->head_dim; i < (head + 1) * c->head_dim; i++)
        max_q = fmax(max_q, fmax(fabs((double)data->q_ring[i]), fabs((double)data->q_sink[i])));
    for (int s = 0; s < MAX_SEGMENTS; s++)
        for (int row = 0; row < c->n_rows[s]; row++) {
            double sum = 0;
            for (int i = 0; i < c->head_dim; i++)
                sum += fabs((double)data->k_exact[s][row][i]);
            most = fmax(most, (double)scale_of(c) * max_q / (2 * most_steps(c)) * sum);
        }
    return most;
}

/* Softmax in two passes, in double. With 8 bits each weight times its value may be off by half a
 * step of the largest weight, which is 1 / sum, times the largest value; and weights whose scores
 * are off by d change by a share of e^2d - 1. */
static void check_head(const struct attention_case *c, const struct attention_data *data, int head)
{
    double scores[MAX_SEGMENTS * MAX_ROWS], max = -INFINITY, sum = 0;
    int total = c->n_rows[0] + c->n_rows[1] + c->n_rows[2], n = 0;
    for (int s = 0; s < MAX_SEGMENTS; s++)
        for (int row = 0; row < c->n_rows[s]; row++, n++) {
            scores[n] = exact_score(c, data, head, s, row, total - 1 - n);
            max = fmax(max, scores[n]);
        }
    for (int i = 0; i < n; i++)
        sum += exp(scores[i] - max);
    for (int i = 0; i < c->head_dim_v; i++) {
        double expected = 0, size = 0, tolerance = 1e-5;
        n = 0;
        for (int s = 0; s < MAX_SEGMENTS; s++)
            for (int row = 0; row < c->n_rows[s]; row++, n++) {
                double part = exp(scores[n] - max) / sum * (double)data->v_exact[s][row][i];
                expected += part;
                size += fabs(part);
            }
        if (c->type == KV_Q8)
            tolerance += n * MAX_VALUE / sum / 65278;
        if (c->type == KV_Q8 && c->has_any_query)
            tolerance += expm1(2 * most_rounded(c, data, head)) * size;
        check_near(data->out[head * c->head_dim_v + i], expected, tolerance);
    }
}

/* Multiples of one step that reach 1. */
static void fill_query(const struct attention_case *c, float *q)
{
    const int most = most_steps(c);
    for (int i = 0; i < c->n_heads * c->head_dim; i++) {
        q[i] = random_float(1);
        if (!c->has_any_query)
            q[i] = (float)(i % c->head_dim == 0 ? most : lrintf(q[i] * (float)most)) / (float)most;
    }
}

static void check_attention(const struct attention_case *c)
{
    struct attention_data *data = calloc(1, sizeof *data);
    assert_non_null(data);
    struct attention_rows segments[MAX_SEGMENTS];
    int n_left = c->n_rows[0] + c->n_rows[1] + c->n_rows[2];
    fill_query(c, data->q_ring);
    fill_query(c, data->q_sink);
    for (int i = 0; i < c->n_heads; i++)
        data->slopes[i] = 0.25f / (float)(i + 1);
    for (int s = 0; s < MAX_SEGMENTS; s++) {
        store_random(data->k[s], data->k_scale[s], data->k_exact[s], c->n_rows[s], c->head_dim,
                     c->type);
        store_random(data->v[s], data->v_scale[s], data->v_exact[s], c->n_rows[s], c->head_dim_v,
                     c->type);
        bool is_q8 = c->type == KV_Q8;
        segments[s] = (struct attention_rows){data->k[s],
                                              data->v[s],
                                              is_q8 ? data->k_scale[s] : NULL,
                                              is_q8 ? data->v_scale[s] : NULL,
                                              c->n_rows[s],
                                              n_left - 1,
                                              s == 0,
                                              NULL};
        n_left -= c->n_rows[s];
    }
    struct attention_query query = {data->q_ring,
                                    data->q_sink,
                                    c->has_alibi ? data->slopes : NULL,
                                    1,
                                    c->n_heads,
                                    c->head_dim,
                                    c->head_dim_v,
                                    scale_of(c),
                                    c->soft_cap};
    kernels->attention(data->out, NULL, &query, c->type, segments, MAX_SEGMENTS);
    for (int head = 0; head < c->n_heads; head++)
        check_head(c, data, head);
    free(data);
}

static void test_attention(void **state)
{
    if (!select_isa(*state))
        return;
    for (int i = 0; i < 2 * (KV_Q8 + 1); i++) {
        enum kv_type type = (enum kv_type)(i / 2);
        bool any = i % 2;
        struct attention_case cases[] = {
            {1, 64, 64, {0, 1, 0}, false, 0, type, any},
            {1, 16, 16, {4, 0, 0}, false, 0, type, any},
            {8, 64, 64, {4, 100, 20}, false, 0, type, any},
            {7, 80, 80, {1, 31, 33}, true, 0, type, any},
            {11, 128, 128, {4, 64, 150}, false, 5, type, any},
            {3, 100, 36, {5, 3, 130}, true, 30, type, any},
            {3, 264, 260, {2, 33, 40}, false, 0, type, any},
            {2, 256, 256, {2, 33, 40}, false, 0, type, any},
            {8, 512, 512, {4, 70, 150}, false, 0, type, any},
            {3, 520, 516, {2, 33, 40}, false, 0, type, any},
            {11, 576, 512, {4, 70, 150}, false, 0, type, any},
            {3, 580, 516, {2, 33, 40}, false, 0, type, any},
            {2, 7, 1, {3, 17, 2}, false, 0, type, any},
            {1, 90, 112, {2, 130, 0}, false, 0, type, any},
            {4, 128, 128, {4, 70, 150}, true, 0, type, any},
            {6, 72, 88, {0, 150, 9}, false, 0, type, any},
        };
        for (size_t j = 0; j < sizeof cases / sizeof cases[0]; j++)
            check_attention(&cases[j]);
    }
}

static void test_attention_without_rows_gives_zeros(void **state)
{
    if (!select_isa(*state))
        return;
    float q[32] = {1, 2, 3}, out[32];
    memset(out, 0x55, sizeof out);
    struct attention_query query = {q, q, NULL, 1, 2, 16, 16, 1, 0};
    struct attention_rows none = {NULL, NULL, NULL, NULL, 0, 0, false, NULL};
    kernels->attention(out, NULL, &query, KV_F16, &none, 1);
    for (int i = 0; i < 32; i++)
        assert_true(out[i] == 0);
}

/* Two outputs over half of the rows each, weighed by their states, make the whole one. */
static void test_attention_over_stretches(void **state)
{
    enum { HEADS = 5, DIM = 48, ROWS = 77, CUT = 40 };
    if (!select_isa(*state))
        return;
    static float q[HEADS * DIM], k[ROWS * DIM], v[ROWS * DIM];
    float out[3][HEADS * DIM];
    struct attention_state states[3][HEADS];
    fill(q, HEADS * DIM, 1);
    fill(k, ROWS * DIM, 1);
    fill(v, ROWS * DIM, 1);
    struct attention_query query = {q, q, NULL, 1, HEADS, DIM, DIM, 1, 0};
    struct attention_rows rows[3] = {
        {k, v, NULL, NULL, ROWS, ROWS - 1, false, NULL},
        {k, v, NULL, NULL, CUT, ROWS - 1, false, NULL},
        {k + CUT * DIM, v + CUT * DIM, NULL, NULL, ROWS - CUT, ROWS - CUT - 1, false, NULL},
    };
    for (int i = 0; i < 3; i++)
        kernels->attention(out[i], states[i], &query, KV_F32, &rows[i], 1);
    for (int head = 0; head < HEADS; head++) {
        float max = fmaxf(states[1][head].max, states[2][head].max);
        float first = states[1][head].sum * expf(states[1][head].max - max);
        float second = states[2][head].sum * expf(states[2][head].max - max);
        check_near(states[0][head].max + logf(states[0][head].sum), max + logf(first + second),
                   1e-5);
        for (int i = head * DIM; i < (head + 1) * DIM; i++)
            check_near(out[0][i], (first * out[1][i] + second * out[2][i]) / (first + second),
                       1e-4);
    }
}

/* A score of a thousand must not overflow, whichever side it comes from. */
static void test_attention_with_extreme_scores(void **state)
{
    if (!select_isa(*state))
        return;
    for (int last = 0; last < 2; last++) {
        float q[16] = {1}, k[64][16] = {{0}}, v[64][16], out[16];
        for (int i = 0; i < 64; i++) {
            k[i][0] = i == (last ? 63 : 0) ? 1000 : -1000;
            for (int j = 0; j < 16; j++)
                v[i][j] = (float)i;
        }
        struct attention_query query = {q, q, NULL, 1, 1, 16, 16, 1, 0};
        struct attention_rows rows = {k, v, NULL, NULL, 64, 63, false, NULL};
        kernels->attention(out, NULL, &query, KV_F32, &rows, 1);
        for (int j = 0; j < 16; j++)
            check_near(out[j], last ? 63 : 0, 1e-5);
    }
}

int main(void)
{
    static const struct isa_check checks[] = {
        {"attention", test_attention},
        {"attention without rows", test_attention_without_rows_gives_zeros},
        {"attention over stretches", test_attention_over_stretches},
        {"attention with extreme scores", test_attention_with_extreme_scores},
    };
    return run_with_each_isa(checks, sizeof checks / sizeof checks[0], NULL, 0);
}
