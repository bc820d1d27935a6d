/* Norms, products and feed-forward, each split over the pool: norms over tokens, products over rows
 * of the matrix. Attention is in forward_attention.c. */
#include "core/model/forward_steps.h"

#include <string.h>

#include "core/kernels/kernels.h"
#include "core/model/family.h"
#include "core/model/forward_state.h"

enum {
    /* Rows of a tile: kernels work on several rows at once, and groups of inputs share a scale. */
    TILE_MULTIPLE = 32,
};

const struct model_shape *forward_shape(const struct forward *forward)
{
    return &forward->model->shape;
}

int forward_token_parts(const struct forward *forward, int n_tokens)
{
    int most = FORWARD_PARTS_PER_THREAD * thread_pool_size(forward->pool);
    return n_tokens < most ? n_tokens : most;
}

void *forward_scratch(const struct forward *forward, int thread)
{
    return forward->scratch + (size_t)thread * forward->scratch_bytes;
}

static int count_tiles(const struct matrix *w, int tile_rows)
{
    return (w->n_out + tile_rows - 1) / tile_rows;
}

static void multiply_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    const struct products *products = arg;
    const struct product *product = products->list;
    for (; part >= count_tiles(product->w, products->tile_rows); product++)
        part -= count_tiles(product->w, products->tile_rows);

    void *scratch = forward_scratch(products->forward, thread);
    int begin = part * products->tile_rows;
    int n_left = product->w->n_out - begin;
    int end = begin + (n_left < products->tile_rows ? n_left : products->tile_rows);
    matmul_rows(product->w, product->bias, products->in, product->y, (size_t)product->w->n_out,
                begin, end, scratch);
    if (products->finish != NULL)
        products->finish(products, product, begin, end, scratch);
}

int forward_tile_rows(const struct forward *forward, int64_t n_rows, int parts_per_thread)
{
    int n_wanted = parts_per_thread * thread_pool_size(forward->pool);
    int64_t rows = (n_rows + n_wanted - 1) / n_wanted;
    return (int)((rows + TILE_MULTIPLE - 1) / TILE_MULTIPLE * TILE_MULTIPLE);
}

void forward_multiply(struct products *products)
{
    int n_rows = 0;
    for (int i = 0; i < products->n_list; i++)
        n_rows += products->list[i].w->n_out;
    products->tile_rows = forward_tile_rows(products->forward, n_rows, PRODUCT_PARTS_PER_THREAD);

    int n_parts = 0;
    for (int i = 0; i < products->n_list; i++)
        n_parts += count_tiles(products->list[i].w, products->tile_rows);
    thread_pool_run(products->forward->pool, multiply_part, products, n_parts);
}

void forward_add_to_stream(const struct forward *forward, float *x, float *y, int n)
{
    float scale = forward->model->shape.residual_scale;
    for (int i = 0; i < n && scale != 1; i++)
        y[i] *= scale;
    kernels->add(x, y, n);
}

static void finish_residual(const struct products *products, const struct product *product,
                            int row_begin, int row_end, void *scratch)
{
    (void)scratch;
    size_t n_embd = (size_t)product->w->n_out;
    for (int t = 0; t < products->in->n_tokens; t++) {
        size_t at = (size_t)t * n_embd + (size_t)row_begin;
        forward_add_to_stream(products->forward, products->forward->x + at, product->y + at,
                              row_end - row_begin);
    }
}

struct norm_job {
    struct forward *forward;
    struct activations *to;
    const float *w;
    const float *b;
};

/* x += norm(projected) * w */
static void add_norm_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct norm_job *job = arg;
    const struct forward *forward = job->forward;
    int n_embd = forward->model->shape.n_embd;
    int end = thread_pool_part_begin(forward->n_tokens, part + 1, n_parts);
    for (int t = thread_pool_part_begin(forward->n_tokens, part, n_parts); t < end; t++) {
        size_t row = (size_t)t * (size_t)n_embd;
        forward_norm_row(forward, forward->projected + row, forward->projected + row, job->w, NULL);
        forward_add_to_stream(forward, forward->x + row, forward->projected + row, n_embd);
    }
}

void forward_add_norm(struct forward *forward, const float *post_norm)
{
    struct norm_job job = {.forward = forward, .w = post_norm};
    thread_pool_run(forward->pool, add_norm_part, &job,
                    forward_token_parts(forward, forward->n_tokens));
}

void forward_add_product(struct forward *forward, const struct activations *in,
                         const struct matrix *w, const float *bias, const float *post_norm)
{
    struct products products = {
        .forward = forward,
        .in = in,
        .finish = post_norm == NULL ? finish_residual : NULL,
        .list = {{.w = w, .bias = bias, .y = forward->projected}},
        .n_list = 1,
    };
    forward_multiply(&products);
    if (post_norm != NULL) /* a norm needs whole rows, and a product ends with parts of them */
        forward_add_norm(forward, post_norm);
}

void forward_norm_row(const struct forward *forward, float *y, const float *x, const float *w,
                      const float *b)
{
    const struct model_shape *shape = &forward->model->shape;
    if (forward->model->family->norm == FAMILY_RMS_NORM)
        kernels->rms_norm(y, x, w, shape->n_embd, shape->norm_eps);
    else
        kernels->layer_norm(y, x, w, b, shape->n_embd, shape->norm_eps);
}

static void norm_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct norm_job *job = arg;
    const struct forward *forward = job->forward;
    size_t n_embd = (size_t)forward->model->shape.n_embd;
    int begin = thread_pool_part_begin(forward->n_tokens, part, n_parts);
    int end = thread_pool_part_begin(forward->n_tokens, part + 1, n_parts);
    for (int t = begin; t < end; t++) {
        size_t row = (size_t)t * n_embd;
        if (job->w == NULL)
            memcpy(job->to->x + row, forward->x + row, n_embd * sizeof(float));
        else
            forward_norm_row(forward, job->to->x + row, forward->x + row, job->w, job->b);
    }
}

void forward_norm(struct forward *forward, enum forward_input to, const float *w, const float *b)
{
    struct norm_job job = {.forward = forward, .to = &forward->inputs[to], .w = w, .b = b};
    thread_pool_run(forward->pool, norm_part, &job,
                    forward_token_parts(forward, forward->n_tokens));
    forward_quantize(forward, job.to);
}

/* The stream makes room for a sum that begins with nothing, to which both add what they say. */
void forward_ffn_and_experts(struct forward *forward, const struct layer *layer)
{
    struct experts_work *work = &forward->experts;
    size_t n = (size_t)forward->n_tokens * (size_t)forward->model->shape.n_embd;
    float *stream = forward->x;
    struct activations routed = {.x = work->routed};
    struct norm_job job = {.forward = forward, .to = &routed, .w = layer->router_norm};
    thread_pool_run(forward->pool, norm_part, &job,
                    forward_token_parts(forward, forward->n_tokens));
    forward_norm(forward, FORWARD_ATTN_INPUT, layer->ffn_norm, layer->ffn_norm_b);
    forward_norm(forward, FORWARD_FFN_INPUT, layer->expert_norm, NULL);
    memset(work->sum, 0, n * sizeof(float));
    forward->x = work->sum;
    forward_ffn(forward, FORWARD_ATTN_INPUT, layer);
    forward_experts(forward, FORWARD_FFN_INPUT, layer);
    forward->x = stream;
    memcpy(forward->projected, work->sum, n * sizeof(float));
    forward_add_norm(forward, layer->post_both_norm);
}

struct scale_job {
    struct forward *forward;
    float factor;
};

static void scale_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct scale_job *job = arg;
    size_t n_embd = (size_t)job->forward->model->shape.n_embd;
    int n_tokens = job->forward->n_tokens;
    size_t end = (size_t)thread_pool_part_begin(n_tokens, part + 1, n_parts) * n_embd;
    for (size_t i = (size_t)thread_pool_part_begin(n_tokens, part, n_parts) * n_embd; i < end; i++)
        job->forward->x[i] *= job->factor;
}

void forward_scale(struct forward *forward, float factor)
{
    struct scale_job job = {forward, factor};
    thread_pool_run(forward->pool, scale_part, &job,
                    forward_token_parts(forward, forward->n_tokens));
}

struct activations forward_slots(const struct activations *all, int begin, int n)
{
    size_t first = (size_t)begin, n_groups = activation_groups(all->n_in);
    return (struct activations){
        .n_tokens = n,
        .n_in = all->n_in,
        .x = all->x + first * (size_t)all->n_in,
        .q = all->q + first * n_groups * ACTIVATION_GROUP,
        .scale = all->scale + first * n_groups,
        .sum = all->sum + first * n_groups * SUMS_PER_GROUP,
        .start = all->start + first * n_groups * STARTS_PER_GROUP,
    };
}

void forward_quantize_part(const struct forward *forward, struct activations *in, int begin,
                           int end)
{
    if (forward->wants_quantized)
        activations_quantize(in, begin, end);
}

static void quantize_columns(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    struct activations *in = arg;
    int n = (in->n_in + TILE_MULTIPLE - 1) / TILE_MULTIPLE;
    int end = thread_pool_part_begin(n, part + 1, n_parts) * TILE_MULTIPLE;
    activations_quantize(in, thread_pool_part_begin(n, part, n_parts) * TILE_MULTIPLE,
                         end < in->n_in ? end : in->n_in);
}

/* As many parts as for the tokens' norms: one token's are not worth a barrier. */
void forward_quantize(struct forward *forward, struct activations *in)
{
    if (forward->wants_quantized)
        thread_pool_run(forward->pool, quantize_columns, in,
                        forward_token_parts(forward, in->n_tokens));
}

/* At once, by the thread that has just computed these: rows of a tile are whole groups. */
static void quantize_hidden(const struct products *products, int row_begin, int row_end)
{
    struct forward *forward = products->forward;
    forward_quantize_part(forward, &forward->hidden, row_begin, row_end);
}

static void square_positive(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] * x[i] : 0;
}

static void finish_ungated(const struct products *products, const struct product *product,
                           int row_begin, int row_end, void *scratch)
{
    (void)scratch;
    size_t n_ff = (size_t)product->w->n_out;
    void (*activate)(float *x, int n) =
        products->forward->model->family->ffn == FAMILY_GELU ? kernels->gelu : square_positive;
    for (int t = 0; t < products->in->n_tokens; t++)
        activate(product->y + (size_t)t * n_ff + (size_t)row_begin, row_end - row_begin);
    quantize_hidden(products, row_begin, row_end);
}

/* g sigmoid(a g) = silu(a g) / a (gpt-oss's model card, arXiv 2508.10925, section 2.2). */
static void silu_clamped_mul(float *gate, float *up, int n)
{
    const float limit = 7, slope = 1.702F;
    kernels->clamp(up, n, limit);
    for (int i = 0; i < n; i++) {
        gate[i] = slope * (gate[i] > limit ? limit : gate[i]);
        up[i] = (up[i] + 1) / slope;
    }
    kernels->silu_mul(gate, up, n);
}

void forward_activate(const struct forward *forward, float *gate, float *up, int n)
{
    enum family_ffn ffn = forward->model->family->ffn;
    if (ffn == FAMILY_SILU_CLAMPED)
        silu_clamped_mul(gate, up, n);
    else if (ffn == FAMILY_SILU_GATED)
        kernels->silu_mul(gate, up, n);
    else
        kernels->gelu_mul(gate, up, n);
}

/* The product was gate; the same rows of up follow, then both become one. */
static void finish_gated(const struct products *products, const struct product *product,
                         int row_begin, int row_end, void *scratch)
{
    const struct forward *forward = products->forward;
    const struct layer *layer = products->layer;
    size_t n_ff = (size_t)product->w->n_out;
    matmul_rows(&layer->up, layer->up_b, products->in, forward->up, n_ff, row_begin, row_end,
                scratch);
    for (int t = 0; t < products->in->n_tokens; t++) {
        size_t at = (size_t)t * n_ff + (size_t)row_begin;
        forward_activate(forward, product->y + at, forward->up + at, row_end - row_begin);
        for (int i = 0; i < row_end - row_begin && layer->share.data != NULL; i++)
            product->y[at + (size_t)i] *= forward->experts.shares[t];
    }
    quantize_hidden(products, row_begin, row_end);
}

void forward_ffn(struct forward *forward, enum forward_input from, const struct layer *layer)
{
    enum family_ffn ffn = forward->model->family->ffn;
    bool is_gated = ffn == FAMILY_SILU_GATED || ffn == FAMILY_GELU_GATED;
    struct products products = {
        .forward = forward,
        .in = &forward->inputs[from],
        .layer = layer,
        .finish = is_gated ? finish_gated : finish_ungated,
        .list = {{.w = is_gated ? &layer->gate : &layer->up,
                  .bias = is_gated ? layer->gate_b : layer->up_b,
                  .y = forward->hidden.x}},
        .n_list = 1,
    };
    forward->hidden.n_in = layer->n_ff;
    forward_multiply(&products);
    forward_add_product(forward, &forward->hidden, &layer->down, layer->down_b,
                        layer->post_ffn_norm);
}

/* What a layer has to read earlier tokens. */
static void look_back(struct forward *forward, const struct layer *layer)
{
    if (layer->has_state)
        forward_delta(forward, FORWARD_ATTN_INPUT, layer);
    else if (layer->is_convolution)
        forward_convolution(forward, FORWARD_ATTN_INPUT, layer);
    else
        forward_attention(forward, FORWARD_ATTN_INPUT, layer);
}

void forward_sequential_layer(struct forward *forward, const struct layer *layer)
{
    forward_norm(forward, FORWARD_ATTN_INPUT, layer->attn_norm, layer->attn_norm_b);
    look_back(forward, layer);
    forward_norm(forward, FORWARD_FFN_INPUT, layer->ffn_norm, layer->ffn_norm_b);
    if (layer->experts != NULL)
        forward_experts(forward, FORWARD_FFN_INPUT, layer);
    if (layer->down.data != NULL)
        forward_ffn(forward, FORWARD_FFN_INPUT, layer);
}

void forward_parallel_layer(struct forward *forward, const struct layer *layer)
{
    forward_norm(forward, FORWARD_ATTN_INPUT, layer->attn_norm, layer->attn_norm_b);
    forward_attention(forward, FORWARD_ATTN_INPUT, layer);
    forward_ffn(forward, FORWARD_ATTN_INPUT, layer);
}
