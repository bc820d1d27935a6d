/* One block of memory for all that a batch needs, as wide as the widest layer. */
#include <stdlib.h>

#include "core/base/err.h"
#include "core/base/layout.h"
#include "core/base/min_max.h"
#include "core/kernels/kernels.h"
#include "core/model/family.h"
#include "core/model/forward_state.h"

static float *take_floats(struct layout *layout, int n, int width)
{
    return layout_take(layout, (size_t)n, (size_t)width * sizeof(float));
}

static struct activations take_activations(struct layout *layout, int n, int n_in)
{
    size_t rows = (size_t)n;
    size_t n_groups = activation_groups(n_in);
    return (struct activations){
        .n_in = n_in,
        .x = take_floats(layout, n, n_in),
        .q = layout_take(layout, rows, n_groups * ACTIVATION_GROUP),
        .scale = layout_take(layout, rows, n_groups * sizeof(float)),
        .sum = layout_take(layout, rows, n_groups * SUMS_PER_GROUP * sizeof(float)),
        .start = layout_take(layout, rows, n_groups * STARTS_PER_GROUP * sizeof(int32_t)),
    };
}

/* Of what goes through struct forward's `hidden`. */
static int widest_hidden(const struct model_shape *shape)
{
    return max_int(max_int(shape->n_ff, shape->n_ff_shared), shape->n_layer_input);
}

/* Room for those of any layer. */
static struct kv_heads most_heads(const struct model_shape *shape)
{
    return (struct kv_heads){
        .n = max_int(shape->n_kv_heads, shape->local_heads.n),
        .dim_k = max_int(shape->head_dim_k, shape->local_heads.dim_k),
        .dim_v = max_int(shape->head_dim_v, shape->local_heads.dim_v),
    };
}

static void lay_out_scratch(struct forward *forward, struct layout *layout)
{
    const struct model_shape *shape = &forward->model->shape;
    struct kv_heads most = most_heads(shape);
    int widest = max_int(shape->n_embd, shape->n_heads * most.dim_v);
    widest = max_int(widest, max_int(widest_hidden(shape), shape->n_ff_expert));
    widest = max_int(widest, max_int(shape->latent.n_query, shape->n_heads * shape->latent.dim_v));
    widest = max_int(widest, max_int(shape->latent.dim_k, shape->delta.n_heads * shape->delta.dim));
    /* Of a tile, see choose_tile; one token may have more. */
    size_t n_queries = (size_t)max_int(
        shape->n_heads / min_int(shape->n_kv_heads, shape->local_heads.n), ATTENTION_PASS_QUERIES);
    struct layout one = {0};
    layout_take(&one, matmul_scratch_bytes(widest, forward->max_tokens), 1);
    forward->matmul_bytes = one.n_used;
    layout_take(&one, n_queries,
                (2 * (size_t)most.dim_k + (size_t)most.dim_v) * sizeof(float) +
                    sizeof(struct attention_state));
    forward->scratch_bytes = one.n_used;
    forward->scratch = layout_take(layout, (size_t)thread_pool_size(forward->pool), one.n_used);
}

static void lay_out_experts(struct forward *forward, struct layout *layout)
{
    const struct model_shape *shape = &forward->model->shape;
    struct experts_work *work = &forward->experts;
    int n = forward->max_tokens, n_slots;
    if (__builtin_mul_overflow(n, shape->n_experts_used, &n_slots) ||
        __builtin_add_overflow(n_slots, EXPERTS_MOST_PADDING * shape->n_experts, &n_slots))
        layout->overflowed = true;
    if (shape->n_experts == 0 || layout->overflowed)
        return;
    work->batch.choices = layout_take(
        layout, (size_t)n, (size_t)shape->n_experts_used * sizeof work->batch.choices[0]);
    work->batch.tokens = layout_take(layout, (size_t)n_slots, sizeof work->batch.tokens[0]);
    work->batch.weights = layout_take(layout, (size_t)n_slots, sizeof work->batch.weights[0]);
    work->batch.groups =
        layout_take(layout, (size_t)shape->n_experts, sizeof work->batch.groups[0]);
    work->logits = take_floats(layout, n, shape->n_experts);
    work->shares = take_floats(layout, n, 1);
    if (forward->model->family->has_ffn_beside_experts) {
        work->routed = take_floats(layout, n, shape->n_embd);
        work->sum = take_floats(layout, n, shape->n_embd);
    }
    work->input = take_activations(layout, n_slots, shape->n_embd);
    work->hidden = take_activations(layout, n_slots, shape->n_ff_expert);
    work->up = take_floats(layout, n_slots, shape->n_ff_expert);
    work->said = take_floats(layout, n + EXPERTS_MOST_PADDING, shape->n_embd);
}

static void lay_out_latent(struct forward *forward, struct layout *layout)
{
    const struct model_shape *shape = &forward->model->shape;
    const struct model_latent *latent = &shape->latent;
    struct latent_work *work = &forward->latent;
    int n = forward->max_tokens, n_of_heads;
    if (__builtin_mul_overflow(n, shape->n_heads, &n_of_heads))
        layout->overflowed = true;
    if (latent->n == 0 || layout->overflowed)
        return;
    work->query_input = take_activations(layout, n, latent->n_query);
    work->q = take_floats(layout, n, shape->n_heads * latent->dim_k);
    work->kv = take_floats(layout, n, latent->n + shape->n_rot);
    work->by_head = take_activations(layout, n_of_heads, max_int(latent->n, latent->dim_k));
    work->values = take_activations(layout, n, shape->n_heads * latent->dim_v);
}

static void lay_out_convolution(struct forward *forward, struct layout *layout)
{
    const struct model_shape *shape = &forward->model->shape;
    if (shape->n_taps == 0)
        return;
    forward->convolution.mixed = take_floats(layout, forward->max_tokens, 3 * shape->n_embd);
    forward->convolution.result = take_activations(layout, forward->max_tokens, shape->n_embd);
}

static void lay_out_delta(struct forward *forward, struct layout *layout)
{
    const struct model_shape *shape = &forward->model->shape;
    const struct model_delta *delta = &shape->delta;
    struct delta_work *work = &forward->delta;
    int n = forward->max_tokens, n_values = delta->n_heads * delta->dim;
    int n_channels = 2 * delta->n_groups * delta->dim + n_values;
    if (delta->period == 0)
        return;
    forward->gated = take_floats(layout, n, 2 * shape->n_heads * shape->head_dim_k);
    forward->head_gates = take_floats(layout, n, shape->n_heads * shape->head_dim_v);
    work->qkv = take_floats(layout, n, n_channels);
    work->mixed = take_floats(layout, n, n_channels);
    work->beta = take_floats(layout, n, 2 * delta->n_heads);
    work->alpha = take_floats(layout, n, delta->n_heads);
    work->said = take_floats(layout, n, n_values);
    work->q_unit = take_floats(layout, 1, delta->dim);
    work->k_unit = take_floats(layout, 1, delta->dim);
    work->values = take_activations(layout, n, n_values);
}

static void lay_out(struct forward *forward, struct layout *layout)
{
    const struct model_shape *shape = &forward->model->shape;
    int n = forward->max_tokens;
    struct kv_heads most = most_heads(shape);
    forward->views = layout_take(layout, (size_t)n, sizeof forward->views[0]);
    forward->tiles = layout_take(layout, (size_t)n, sizeof forward->tiles[0]);
    forward->runs = layout_take(layout, (size_t)n, sizeof forward->runs[0]);
    for (int i = 0; i < forward->n_ropes; i++) {
        struct rope *rope = &forward->ropes[i];
        int n_pairs = rope->n_pairs;
        rope->frequencies = layout_take(layout, (size_t)n_pairs, sizeof(double));
        if (i == MODEL_ROPE && forward->model->rope_factors_long != NULL)
            rope->frequencies_long = layout_take(layout, (size_t)n_pairs, sizeof(double));
        rope->ring.cos = take_floats(layout, n, n_pairs);
        rope->ring.sin = take_floats(layout, n, n_pairs);
        rope->sink.cos = take_floats(layout, n, n_pairs);
        rope->sink.sin = take_floats(layout, n, n_pairs);
    }
    forward->x = take_floats(layout, n, shape->n_embd);
    for (int i = 0; i < FORWARD_N_INPUTS; i++)
        forward->inputs[i] = take_activations(layout, n, shape->n_embd);
    forward->q = take_floats(layout, n, shape->n_heads * most.dim_k);
    forward->k = take_floats(layout, n, most.n * most.dim_k);
    forward->v = take_floats(layout, n, most.n * most.dim_v);
    forward->heads = take_activations(layout, n, shape->n_heads * most.dim_v);
    int n_stretches = FORWARD_PARTS_PER_THREAD * thread_pool_size(forward->pool);
    forward->stretches = take_floats(layout, n_stretches, shape->n_heads * most.dim_v);
    forward->stretch_states = layout_take(
        layout, (size_t)n_stretches, (size_t)shape->n_heads * sizeof forward->stretch_states[0]);
    forward->hidden = take_activations(layout, n, widest_hidden(shape));
    forward->up = take_floats(layout, n, widest_hidden(shape));
    int n_inputs = shape->n_layer_input * shape->n_layers;
    forward->layer_inputs = take_floats(layout, n, n_inputs);
    forward->layer_rows = take_floats(layout, thread_pool_size(forward->pool), n_inputs);
    lay_out_experts(forward, layout);
    lay_out_latent(forward, layout);
    lay_out_convolution(forward, layout);
    lay_out_delta(forward, layout);
    forward->projected = take_floats(layout, n, shape->n_embd);
    forward->last = take_activations(layout, forward->max_logits, shape->n_embd);
    forward->logits = take_floats(layout, forward->max_logits, shape->n_vocab);
    lay_out_scratch(forward, layout);
}

bool forward_reserve(struct forward *forward, struct err *err)
{
    struct layout layout = {0};
    lay_out(forward, &layout);
    if (layout.overflowed)
        return err_set(err, ERR_LIMIT, "a batch of %d tokens is too large for this model",
                       forward->max_tokens);
    forward->memory = aligned_alloc(LAYOUT_ALIGNMENT, layout.n_used);
    if (forward->memory == NULL)
        return err_set(err, ERR_MEMORY, "cannot reserve %zu bytes for a batch of %d tokens",
                       layout.n_used, forward->max_tokens);
    layout = (struct layout){.block = forward->memory};
    lay_out(forward, &layout);
    return true;
}
