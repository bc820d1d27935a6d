/* Layers that carry a state from token to token: the gated delta rule (arXiv 2412.06464), behind a
 * short convolution, as Qwen3-Next has it. For each token
 *
 *     q, k, v of all heads; a gate for each of their numbers; beta and alpha of each head
 *     q, k, v = silu(convolution of each of their channels), q and k of one length
 *     decay = exp(rate * softplus(alpha + bias)), beta = sigmoid(beta)
 *     the state of each head, and what it says           kernels.h: delta_rule
 *     norm of that, times silu(gate)
 *
 * A cache's tokens go through one after the other, its heads and their columns side by side. */
#include <math.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/model/forward_state.h"

struct delta_job {
    struct forward *forward;
    const struct layer *layer;
};

static const struct model_delta *shape_of(const struct delta_job *job)
{
    return &job->forward->model->shape.delta;
}

/* Of the layer, in the cache of a run: the last inputs of the convolution, then [n_heads, dim,
 * dim].
 */
static float *state_of(const struct delta_job *job, struct forward_tile run)
{
    return kv_cache_numbers(job->forward->tokens[run.first].cache) + job->layer->delta.first_state;
}

void forward_fill_units(struct forward *forward)
{
    int dim = forward->model->shape.delta.dim;
    for (int i = 0; i < dim; i++) {
        forward->delta.q_unit[i] = 1 / (float)dim; /* queries are shorter by sqrt(dim) */
        forward->delta.k_unit[i] = 1 / sqrtf((float)dim);
    }
}

static void project(const struct delta_job *job, const struct activations *in)
{
    struct delta_work *work = &job->forward->delta;
    const struct delta_weights *weights = &job->layer->delta;
    struct products products = {
        .forward = job->forward,
        .in = in,
        .list = {{.w = &weights->qkv, .y = work->qkv},
                 {.w = &weights->gate, .y = work->values.x},
                 {.w = &weights->beta, .y = work->beta},
                 {.w = &weights->alpha, .y = work->alpha}},
        .n_list = weights->alpha.data == NULL ? 3 : 4,
    };
    work->values.n_tokens = in->n_tokens;
    forward_multiply(&products);
}

/* ---- the convolution: n channels from `first` on, of all tokens of a run ---- */

static void mix_channels(const struct delta_job *job, struct forward_tile run, size_t first, int n)
{
    const struct delta_work *work = &job->forward->delta;
    const struct delta_weights *weights = &job->layer->delta;
    size_t width = (size_t)weights->qkv.n_out;
    int n_taps = shape_of(job)->n_taps, n_past = n_taps - 1;
    float *past = state_of(job, run) + first;
    float *now = work->qkv + (size_t)run.first * width + first;
    for (int t = 0; t < run.n; t++) {
        const float *inputs[MODEL_MAX_TAPS];
        for (int i = 0; i < n_taps; i++) {
            int at = t - n_past + i;
            inputs[i] = at < 0 ? past + (size_t)(n_past + at) * width : now + (size_t)at * width;
        }
        kernels->conv_silu(work->mixed + ((size_t)(run.first + t)) * width + first,
                           job->layer->taps + first, width, inputs, n_taps, n);
    }
    for (int i = 0; i < n_past; i++) { /* the oldest first: none is needed once it is replaced */
        int at = run.n - n_past + i;
        memcpy(past + (size_t)i * width,
               at < 0 ? past + (size_t)(n_past + at) * width : now + (size_t)at * width,
               (size_t)n * sizeof *past);
    }
}

/* One head of q, k or v. */
static void mix_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    (void)thread;
    const struct delta_job *job = arg;
    const struct model_delta *shape = shape_of(job);
    const struct delta_work *work = &job->forward->delta;
    int n_heads = 2 * shape->n_groups + shape->n_heads, head = part % n_heads, dim = shape->dim;
    struct forward_tile run = job->forward->runs[part / n_heads];
    size_t width = (size_t)job->layer->delta.qkv.n_out, first = (size_t)head * (size_t)dim;
    mix_channels(job, run, first, dim);
    if (head >= 2 * shape->n_groups)
        return;
    const float least = 1e-6F; /* of its square, as Qwen3-Next's authors have it */
    const float *unit = head < shape->n_groups ? work->q_unit : work->k_unit;
    for (int t = run.first; t < run.first + run.n; t++) {
        float *x = work->mixed + (size_t)t * width + first;
        kernels->rms_norm(x, x, unit, dim, least / (float)dim);
    }
}

/* ---- the state ---- */

/* Columns of a head's state that stay in the first-level cache for all tokens of a run. */
enum { COLUMNS = 64 };

static int count_blocks(const struct model_delta *shape)
{
    return (shape->dim + COLUMNS - 1) / COLUMNS;
}

static float softplus(float x)
{
    return x > 20 ? x : log1pf(expf(x));
}

/* Of one head. A file may have both in one row: of each group its betas, then its alphas. */
static void read_strengths(const struct delta_job *job, int t, int head, struct delta_token *out)
{
    const struct model_delta *shape = shape_of(job);
    const struct delta_work *work = &job->forward->delta;
    const struct delta_weights *weights = &job->layer->delta;
    int n = shape->n_heads, n_in_group = n / shape->n_groups;
    const float *betas = work->beta + (size_t)t * (size_t)weights->beta.n_out;
    bool is_joint = weights->alpha.data == NULL;
    int at = is_joint ? head / n_in_group * 2 * n_in_group + head % n_in_group : head;
    float alpha =
        is_joint ? betas[at + n_in_group] : work->alpha[(size_t)t * (size_t)n + (size_t)head];
    out->beta = 1 / (1 + expf(-betas[at]));
    out->decay = expf(weights->rate[head] * softplus(alpha + weights->bias[head]));
}

/* Some columns of one head, of all tokens of a run. */
static void recur_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    (void)thread;
    const struct delta_job *job = arg;
    const struct model_delta *shape = shape_of(job);
    const struct delta_work *work = &job->forward->delta;
    int n_blocks = count_blocks(shape), column = part % n_blocks * COLUMNS;
    int head = part / n_blocks % shape->n_heads, dim = shape->dim;
    struct forward_tile run = job->forward->runs[part / n_blocks / shape->n_heads];
    int n_columns = dim - column < COLUMNS ? dim - column : COLUMNS;
    int group =
        shape->is_in_turn ? head % shape->n_groups : head / (shape->n_heads / shape->n_groups);
    size_t width = (size_t)job->layer->delta.qkv.n_out, n = (size_t)dim;
    float *state = state_of(job, run) + ((size_t)shape->n_taps - 1) * width + (size_t)head * n * n +
                   (size_t)column;
    for (int t = run.first; t < run.first + run.n; t++) {
        const float *mixed = work->mixed + (size_t)t * width;
        struct delta_token token = {
            .q = mixed + (size_t)group * n,
            .k = mixed + (size_t)(shape->n_groups + group) * n,
            .v = mixed + (size_t)(2 * shape->n_groups + head) * n + column,
        };
        read_strengths(job, t, head, &token);
        kernels->delta_rule(work->said + ((size_t)t * (size_t)shape->n_heads + (size_t)head) * n +
                                (size_t)column,
                            state, n, &token, dim, n_columns);
    }
}

static void gate_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct delta_job *job = arg;
    const struct forward *forward = job->forward;
    const struct model_delta *shape = shape_of(job);
    int end = thread_pool_part_begin(forward->n_tokens, part + 1, n_parts);
    for (int t = thread_pool_part_begin(forward->n_tokens, part, n_parts); t < end; t++) {
        size_t row = (size_t)t * (size_t)forward->delta.values.n_in;
        float *said = forward->delta.said + row;
        for (int head = 0; head < shape->n_heads; head++)
            kernels->rms_norm(said + head * shape->dim, said + head * shape->dim,
                              job->layer->delta.norm, shape->dim, forward->model->shape.norm_eps);
        kernels->silu_mul(forward->delta.values.x + row, said, forward->delta.values.n_in);
    }
}

void forward_delta(struct forward *forward, enum forward_input from, const struct layer *layer)
{
    struct delta_job job = {forward, layer};
    const struct model_delta *shape = shape_of(&job);
    int n_mixed = forward->n_runs * (2 * shape->n_groups + shape->n_heads);
    int n_columns = forward->n_runs * shape->n_heads * count_blocks(shape);
    project(&job, &forward->inputs[from]);
    thread_pool_run(forward->pool, mix_part, &job, n_mixed);
    thread_pool_run(forward->pool, recur_part, &job, n_columns);
    thread_pool_run(forward->pool, gate_part, &job,
                    forward_token_parts(forward, forward->n_tokens));
    forward_quantize(forward, &forward->delta.values);
    forward_add_product(forward, &forward->delta.values, &layer->out, NULL, NULL);
}
