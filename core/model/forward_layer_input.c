/* What a layer of Gemma 4's small models gets of a token beside the stream (Gemma 3n's per-layer
 * embeddings):
 *
 *     once a step: inputs = (norm(projection x / sqrt(n_embd)) + row * sqrt(n_input)) / sqrt(2),
 *     x the token's embedding, row its row in a table of its own; norm by layers
 *     in each layer: x += norm(up(gelu(gate x) * the layer's inputs)) */
#include <math.h>

#include "core/kernels/kernels.h"
#include "core/model/forward_state.h"

/* Of one token: the table's row is added to what was projected. */
static void join_inputs(const struct forward *forward, int t, float *row)
{
    const struct model *model = forward->model;
    int n = model->shape.n_layer_input, n_layers = model->shape.n_layers;
    float *inputs = forward->layer_inputs + (size_t)t * (size_t)(n * n_layers);
    float shrink = 1 / sqrtf((float)model->shape.n_embd), grow = sqrtf((float)n);
    matrix_get_row(&model->layer_embedding, forward->tokens[t].id, row);
    for (int i = 0; i < n * n_layers; i++)
        inputs[i] *= shrink;
    for (int at = 0; at < n * n_layers; at += n)
        kernels->rms_norm(inputs + at, inputs + at, model->layer_input_norm, n,
                          model->shape.norm_eps);
    for (int i = 0; i < n * n_layers; i++)
        inputs[i] = (inputs[i] + row[i] * grow) * (float)M_SQRT1_2;
}

static void join_part(void *arg, int part, int n_parts, int thread)
{
    const struct forward *forward = arg;
    size_t width = (size_t)(forward->model->shape.n_layer_input * forward->model->shape.n_layers);
    int end = thread_pool_part_begin(forward->n_tokens, part + 1, n_parts);
    for (int t = thread_pool_part_begin(forward->n_tokens, part, n_parts); t < end; t++)
        join_inputs(forward, t, forward->layer_rows + (size_t)thread * width);
}

void forward_layer_inputs(struct forward *forward)
{
    forward_norm(forward, FORWARD_ATTN_INPUT, NULL, NULL);
    struct products products = {
        .forward = forward,
        .in = &forward->inputs[FORWARD_ATTN_INPUT],
        .list = {{.w = &forward->model->layer_projection, .y = forward->layer_inputs}},
        .n_list = 1,
    };
    forward_multiply(&products);
    thread_pool_run(forward->pool, join_part, forward,
                    forward_token_parts(forward, forward->n_tokens));
}

static void finish_gate(const struct products *products, const struct product *product,
                        int row_begin, int row_end, void *scratch)
{
    (void)scratch;
    struct forward *forward = products->forward;
    size_t n = (size_t)product->w->n_out;
    size_t width = n * (size_t)forward->model->shape.n_layers;
    for (int t = 0; t < products->in->n_tokens; t++)
        kernels->gelu_mul(product->y + (size_t)t * n + row_begin,
                          forward->layer_inputs + (size_t)t * width + (size_t)forward->layer * n +
                              row_begin,
                          row_end - row_begin);
    forward_quantize_part(forward, &forward->hidden, row_begin, row_end);
}

void forward_layer_input(struct forward *forward, const struct layer *layer)
{
    forward_norm(forward, FORWARD_FFN_INPUT, NULL, NULL);
    struct products products = {
        .forward = forward,
        .in = &forward->inputs[FORWARD_FFN_INPUT],
        .layer = layer,
        .finish = finish_gate,
        .list = {{.w = &layer->input_gate, .y = forward->hidden.x}},
        .n_list = 1,
    };
    forward->hidden.n_in = layer->input_gate.n_out;
    forward_multiply(&products);
    forward_add_product(forward, &forward->hidden, &layer->input_up, NULL, layer->input_norm);
}
