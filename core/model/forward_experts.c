/* The feed-forward of a layer with experts:
 *
 *     logits of the router, in floats; the experts of each token and their weights
 *     the share of the feed-forward that all tokens go through, if the layer weighs it; that one is
 *     forward_ffn
 *     tokens gathered by expert
 *     hidden = act(gate x) * up x * weight, of all experts in one dispatch
 *     x += down hidden, split over the rows of all experts at once: whoever has some rows adds up
 *     what a token's experts say, in the experts' order
 *
 * A token's numbers do not depend on who else is in the batch: its choice is made by sums that are
 * its own, and products are as steady as those of other layers. */
#include <math.h>
#include <string.h>

#include "core/base/min_max.h"
#include "core/kernels/kernels.h"
#include "core/model/family.h"
#include "core/model/forward_state.h"

struct experts_job {
    struct forward *forward;
    const struct layer *layer;
    const struct activations *in;
    struct activations routed; /* what the router reads, as floats */
    int tile_rows;
    int n_tiles;
};

/* A part of the last product is some rows of each expert, which should be long enough to be read
 * well. */
enum { DOWN_PARTS_PER_THREAD = 8 };

/* Steps of that length, the last one perhaps shorter. */
static int count_steps(int n, int length)
{
    return (n + length - 1) / length;
}

/* Tokens begin .. begin + n-1, as floats. */
static struct activations floats_of(const struct activations *in, int begin, int n)
{
    return (struct activations){
        .n_tokens = n, .n_in = in->n_in, .x = in->x + (size_t)begin * (size_t)in->n_in};
}

/* The product of few tokens with some rows of a small float matrix. */
static void score(const struct experts_job *job, const struct matrix *w, const float *bias,
                  int begin, int row, float *out, void *scratch)
{
    struct activations tokens = floats_of(
        &job->routed, begin, min_int(matmul_steady_tokens(), job->forward->n_tokens - begin));
    matmul_rows(w, bias, &tokens, out + (size_t)begin * (size_t)w->n_out, (size_t)w->n_out, row,
                min_int(row + job->tile_rows, w->n_out), scratch);
}

static void route_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    const struct experts_job *job = arg;
    const struct experts_work *work = &job->forward->experts;
    void *scratch = forward_scratch(job->forward, thread);
    int begin = part / job->n_tiles * matmul_steady_tokens(), tile = part % job->n_tiles;
    score(job, &job->layer->router, job->layer->router_b, begin, tile * job->tile_rows,
          work->logits, scratch);
    if (tile == 0 && job->layer->share.data != NULL)
        score(job, &job->layer->share, NULL, begin, 0, work->shares, scratch);
}

static void choose_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct experts_job *job = arg;
    const struct model *model = job->forward->model;
    const struct model_shape *shape = &model->shape;
    struct experts_work *work = &job->forward->experts;
    bool sums_to_one = model->family->experts == FAMILY_EXPERTS_OF_CHOSEN;
    int end = thread_pool_part_begin(job->forward->n_tokens, part + 1, n_parts);
    for (int t = thread_pool_part_begin(job->forward->n_tokens, part, n_parts); t < end; t++) {
        if (job->layer->share.data != NULL)
            work->shares[t] = 1 / (1 + expf(-work->shares[t]));
        float *logits = work->logits + (size_t)t * (size_t)shape->n_experts;
        struct expert_choice *choices =
            work->batch.choices + (size_t)t * (size_t)shape->n_experts_used;
        for (int i = 0; i < shape->n_experts && job->layer->router_norm != NULL; i++)
            logits[i] /= sqrtf((float)shape->n_embd);
        if (model->family->experts == FAMILY_EXPERTS_AS_TOLD)
            experts_choose_by_score(&shape->routing, job->layer->choice_b, logits, shape->n_experts,
                                    shape->n_experts_used, choices);
        else
            experts_choose(logits, shape->n_experts, shape->n_experts_used, sums_to_one, choices);
        for (int i = 0; i < shape->n_experts_used && job->layer->expert_scales != NULL; i++)
            choices[i].weight *= job->layer->expert_scales[choices[i].expert];
    }
}

static int no_padding(int n)
{
    return n;
}

static void route(struct experts_job *job)
{
    enum { TILE_ROWS = 32 };
    struct forward *forward = job->forward;
    const struct model_shape *shape = &forward->model->shape;
    job->tile_rows = TILE_ROWS;
    job->n_tiles = count_steps(shape->n_experts, TILE_ROWS);
    thread_pool_run(forward->pool, route_part, job,
                    job->n_tiles * count_steps(forward->n_tokens, matmul_steady_tokens()));
    thread_pool_run(forward->pool, choose_part, job,
                    forward_token_parts(forward, forward->n_tokens));
    experts_group(
        &forward->experts.batch, forward->n_tokens, shape->n_experts_used, shape->n_experts,
        forward->n_tokens == 1 || forward->experts.reads_floats ? no_padding : matmul_pad_tokens);
}

/* The slots of one group. */
static struct activations slots_of(const struct activations *all, const struct experts_group *group)
{
    return forward_slots(all, group->first, group->n_padded);
}

/* What one token gives to its experts is the same for all. */
static struct activations input_of(const struct experts_job *job, const struct experts_group *group)
{
    return job->forward->n_tokens == 1 ? *job->in : slots_of(&job->forward->experts.input, group);
}

static void gather_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    (void)thread;
    const struct experts_job *job = arg;
    const struct experts_batch *batch = &job->forward->experts.batch;
    const struct experts_group *group = &batch->groups[part];
    const int *tokens = batch->tokens + group->first;
    struct activations to = input_of(job, group);
    size_t n = (size_t)to.n_in;
    for (int i = 0; i < to.n_tokens && job->forward->experts.reads_floats; i++)
        memcpy(to.x + (size_t)i * n, job->in->x + (size_t)tokens[i] * n, n * sizeof(float));
    if (job->forward->wants_quantized)
        activations_gather(&to, job->in, tokens);
}

/* Some rows of one expert's gate and up, and what becomes of them. */
static void hidden_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    const struct experts_job *job = arg;
    const struct forward *forward = job->forward;
    const struct experts_work *work = &forward->experts;
    const struct experts_group *group = &work->batch.groups[part / job->n_tiles];
    const struct expert *expert = &job->layer->experts[group->expert];
    const float *weights = work->batch.weights + group->first;
    struct activations in = input_of(job, group), hidden = slots_of(&work->hidden, group);
    size_t n_ff = (size_t)hidden.n_in;
    float *up = work->up + (size_t)group->first * n_ff;
    void *scratch = forward_scratch(forward, thread);
    int begin = part % job->n_tiles * job->tile_rows;
    int end = min_int(begin + job->tile_rows, hidden.n_in);

    matmul_rows(&expert->gate, expert->gate_b, &in, hidden.x, n_ff, begin, end, scratch);
    matmul_rows(&expert->up, expert->up_b, &in, up, n_ff, begin, end, scratch);
    for (int t = 0; t < hidden.n_tokens; t++) {
        float *x = hidden.x + (size_t)t * n_ff;
        forward_activate(forward, x + begin, up + (size_t)t * n_ff + begin, end - begin);
        for (int i = begin; i < end; i++)
            x[i] *= weights[t];
    }
    forward_quantize_part(forward, &hidden, begin, end);
}

/* The same columns of all tokens. */
static float *column_of(float *x, const struct experts_job *job, int token, int column)
{
    return x + (size_t)token * (size_t)job->in->n_in + column;
}

/* Some rows of all experts' down. */
static void down_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    const struct experts_job *job = arg;
    const struct forward *forward = job->forward;
    const struct experts_work *work = &forward->experts;
    int begin = part * job->tile_rows, end = min_int(begin + job->tile_rows, job->in->n_in);
    int n = end - begin;
    for (int t = 0; t < forward->n_tokens; t++)
        memset(column_of(forward->projected, job, t, begin), 0, (size_t)n * sizeof(float));
    for (int i = 0; i < work->batch.n_groups; i++) {
        const struct experts_group *group = &work->batch.groups[i];
        const int *tokens = work->batch.tokens + group->first;
        struct activations hidden = slots_of(&work->hidden, group);
        const struct expert *expert = &job->layer->experts[group->expert];
        matmul_rows(&expert->down, NULL, &hidden, work->said, (size_t)job->in->n_in, begin, end,
                    forward_scratch(forward, thread));
        for (int t = 0; t < group->n; t++) {
            float *sum = column_of(forward->projected, job, tokens[t], begin);
            kernels->add(sum, column_of(work->said, job, t, begin), n);
            for (int j = 0; j < n && expert->down_b != NULL; j++)
                sum[j] += work->batch.weights[group->first + t] * expert->down_b[begin + j];
        }
    }
    for (int t = 0; t < forward->n_tokens && job->layer->post_expert_norm == NULL; t++)
        forward_add_to_stream(forward, column_of(forward->x, job, t, begin),
                              column_of(forward->projected, job, t, begin), n);
}

void forward_experts(struct forward *forward, enum forward_input from, const struct layer *layer)
{
    const struct model_shape *shape = &forward->model->shape;
    struct experts_job job = {.forward = forward, .layer = layer, .in = &forward->inputs[from]};
    job.routed = *job.in;
    if (layer->router_norm != NULL)
        job.routed.x = forward->experts.routed;
    route(&job);
    int n_groups = forward->experts.batch.n_groups;
    if (forward->n_tokens > 1)
        thread_pool_run(forward->pool, gather_part, &job, n_groups);

    job.tile_rows = forward_tile_rows(forward, (int64_t)n_groups * shape->n_ff_expert,
                                      PRODUCT_PARTS_PER_THREAD);
    job.n_tiles = count_steps(shape->n_ff_expert, job.tile_rows);
    thread_pool_run(forward->pool, hidden_part, &job, n_groups * job.n_tiles);

    job.tile_rows = forward_tile_rows(forward, shape->n_embd, DOWN_PARTS_PER_THREAD);
    job.n_tiles = count_steps(shape->n_embd, job.tile_rows);
    thread_pool_run(forward->pool, down_part, &job, job.n_tiles);
    if (layer->post_expert_norm != NULL)
        forward_add_norm(forward, layer->post_expert_norm);
}
