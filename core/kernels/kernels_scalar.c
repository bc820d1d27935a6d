#include <math.h>
#include <string.h>

#include "core/kernels/half.h"
#include "core/kernels/kernels_isa.h"

/* Long sums are kept in double: this file is the truth that the others are measured by. */

static void rms_norm(float *y, const float *x, const float *w, int n, float eps)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    float scale = (float)(1 / sqrt(sum / n + (double)eps));
    for (int i = 0; i < n; i++)
        y[i] = x[i] * scale * w[i];
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, int n, float eps)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i];
    double mean = sum / n;
    for (int i = 0; i < n; i++) {
        double centred = (double)x[i] - mean;
        squares += centred * centred;
    }
    double scale = 1 / sqrt(squares / n + (double)eps);
    for (int i = 0; i < n; i++) {
        float normal = (float)(((double)x[i] - mean) * scale);
        y[i] = normal * w[i] + (b != NULL ? b[i] : 0);
    }
}

static void add(float *y, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] += x[i];
}

static void silu_mul(float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i++)
        gate[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

static void sigmoid_mul(float *x, const float *gate, int n)
{
    for (int i = 0; i < n; i++)
        x[i] /= 1 + expf(-gate[i]);
}

static float gelu_one(float x)
{
    const float sqrt_2_over_pi = 0.797884560802865f;
    return 0.5f * x * (1 + tanhf(sqrt_2_over_pi * (x + 0.044715f * x * x * x)));
}

static void gelu_mul(float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i++)
        gate[i] = gelu_one(gate[i]) * up[i];
}

static void gelu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = gelu_one(x[i]);
}

static void clamp(float *x, int n, float limit)
{
    for (int i = 0; i < n; i++)
        x[i] = fminf(fmaxf(x[i], -limit), limit);
}

static void rope_neighbours(float *y, const float *x, const float *cos, const float *sin,
                            int n_pairs)
{
    for (int i = 0; i < n_pairs; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        y[2 * i] = a * cos[i] - b * sin[i];
        y[2 * i + 1] = a * sin[i] + b * cos[i];
    }
}

static void rope_split(float *y, const float *x, const float *cos, const float *sin, int n_pairs)
{
    for (int i = 0; i < n_pairs; i++) {
        float a = x[i], b = x[i + n_pairs];
        y[i] = a * cos[i] - b * sin[i];
        y[i + n_pairs] = a * sin[i] + b * cos[i];
    }
}

static void kv_store_q8(int8_t *row, float *scale, const float *x, int n)
{
    float max = 0;
    for (int i = 0; i < n; i++)
        max = isfinite(x[i]) ? fmaxf(max, fabsf(x[i])) : max;
    if (max < KV_Q8_LEAST)
        max = 0;
    *scale = max / 127;
    float inverse = max > 0 ? 127 / max : 0;
    for (int i = 0; i < n; i++)
        row[i] = isfinite(x[i]) ? (int8_t)lrintf(x[i] * inverse) : 0;
}

static void kv_store(void *row, float *scale, const float *x, int n, enum kv_type type)
{
    uint16_t *halves = row;
    switch (type) {
    case KV_F32:
        memcpy(row, x, (size_t)n * sizeof *x);
        break;
    case KV_F16:
        for (int i = 0; i < n; i++)
            halves[i] = f16_from_float(x[i]);
        break;
    case KV_BF16:
        for (int i = 0; i < n; i++)
            halves[i] = bf16_from_float(x[i]);
        break;
    case KV_Q8:
        kv_store_q8(row, scale, x, n);
        break;
    }
}

static float kv_load(const void *rows, const float *scale, enum kv_type type, size_t row, int n,
                     int i)
{
    size_t at = row * (size_t)n + (size_t)i;
    switch (type) {
    case KV_F32:
        return ((const float *)rows)[at];
    case KV_F16:
        return f16_to_float(((const uint16_t *)rows)[at]);
    case KV_BF16:
        return bf16_to_float(((const uint16_t *)rows)[at]);
    case KV_Q8:
        return (float)((const int8_t *)rows)[at] * scale[row];
    }
    return 0;
}

static void kv_add(float *y, const float *w, const void *row, const float *scale, int n,
                   enum kv_type type)
{
    for (int i = 0; i < n; i++)
        y[i] += w[i] * kv_load(row, scale, type, 0, n, i);
}

static struct attention_sight sight_of(const struct attention_rows *rows, int token)
{
    if (rows->sights != NULL)
        return rows->sights[token];
    return (struct attention_sight){0, rows->n_rows, rows->first_distance};
}

/* i_query counts all tokens' heads. */
static float attention_score(const struct attention_query *query, enum kv_type type,
                             const struct attention_rows *rows, int i_query, int row)
{
    const float *q = (rows->is_sink ? query->q_sink : query->q_ring) + i_query * query->head_dim;
    int distance = sight_of(rows, i_query / query->n_heads).first_distance - row;
    double dot = 0;
    for (int i = 0; i < query->head_dim; i++)
        dot += (double)q[i] *
               (double)kv_load(rows->k, rows->k_scale, type, (size_t)row, query->head_dim, i);
    float score = (float)dot * query->scale;
    if (query->soft_cap > 0)
        score = query->soft_cap * tanhf(score / query->soft_cap);
    if (query->slopes != NULL)
        score -= query->slopes[i_query % query->n_heads] * (float)distance;
    return score;
}

static void attend_row(float *out, struct attention_state *state, float score,
                       const struct attention_rows *rows, enum kv_type type, int row, int n)
{
    float weight = 1, keep = 1;
    if (score > state->max) {
        keep = expf(state->max - score);
        state->max = score;
    } else {
        weight = expf(score - state->max);
    }
    state->sum = state->sum * keep + weight;
    for (int i = 0; i < n; i++)
        out[i] = out[i] * keep + weight * kv_load(rows->v, rows->v_scale, type, (size_t)row, n, i);
}

static void attention(float *out, struct attention_state *out_states,
                      const struct attention_query *query, enum kv_type type,
                      const struct attention_rows *segments, int n_segments)
{
    for (int i_query = 0; i_query < query->n_tokens * query->n_heads; i_query++) {
        float *y = out + i_query * query->head_dim_v;
        struct attention_state state = {-INFINITY, 0};
        memset(y, 0, (size_t)query->head_dim_v * sizeof *y);
        for (int s = 0; s < n_segments; s++) {
            struct attention_sight sight = sight_of(&segments[s], i_query / query->n_heads);
            for (int row = sight.begin; row < sight.end; row++) {
                float score = attention_score(query, type, &segments[s], i_query, row);
                attend_row(y, &state, score, &segments[s], type, row, query->head_dim_v);
            }
        }
        for (int i = 0; i < query->head_dim_v && state.sum > 0; i++)
            y[i] /= state.sum;
        if (out_states != NULL)
            out_states[i_query] = state;
    }
}

static void conv_silu(float *y, const float *w, size_t stride, const float *const *x, int n_taps,
                      int n)
{
    for (int i = 0; i < n; i++) {
        float sum = 0;
        for (int j = 0; j < n_taps; j++)
            sum += w[(size_t)j * stride + (size_t)i] * x[j][i];
        y[i] = sum / (1 + expf(-sum));
    }
}

static void delta_rule(float *y, float *state, size_t stride, const struct delta_token *token,
                       int dim, int n)
{
    for (int i = 0; i < n; i++) {
        float *column = state + i;
        double found = 0, said = 0;
        for (int r = 0; r < dim; r++)
            found += (double)token->k[r] * (double)column[(size_t)r * stride];
        float error = token->beta * (token->v[i] - token->decay * (float)found);
        for (int r = 0; r < dim; r++) {
            float *s = &column[(size_t)r * stride];
            *s = token->decay * *s + token->k[r] * error;
            said += (double)token->q[r] * (double)*s;
        }
        y[i] = (float)said;
    }
}

static float weigh(float *y, const float *x, int n, float origin, float temperature)
{
    float sum = 0;
    for (int i = 0; i < n; i++) {
        y[i] = isfinite(x[i]) ? expf((x[i] - origin) / temperature) : 0;
        sum += y[i];
    }
    return sum;
}

const struct kernels kernels_scalar = KERNELS_TABLE(KERNELS_SCALAR, "scalar", attention);
