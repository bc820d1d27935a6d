/* Attention whose heads share a latent vector (MLA, arXiv 2405.04434, section 2.1): head h has the
 * key K_h c and the value V_h c of each row's latent c, and beside its key some entries that all
 * heads share and that alone are rotated. A score q K_h c is (K_h^T q) c, and a sum of values V_h
 * of the sum of latents; so only latents are cached, as one KV head with keys [rotated, c] and
 * values c, and heads are made of queries and results here:
 *
 *     q, or what q is made of; latent and rotated entries         forward_latent_inputs
 *     K_h^T q of each head
 *     q and k as forward_attention.c reads them, once per token   forward_latent_token
 *     V_h of what each head has read                              forward_latent_values
 *
 * A row takes as much memory as a key and a value of few heads, of which these models have up to
 * 128; a score costs up to four times as many products as of whole heads. */
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/model/forward_state.h"

struct latent_job {
    struct forward *forward;
    const struct layer *layer;
};

/* Of each token, what its queries are made of. */
static void norm_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct latent_job *job = arg;
    struct activations *in = &job->forward->latent.query_input;
    int end = thread_pool_part_begin(in->n_tokens, part + 1, n_parts);
    for (int t = thread_pool_part_begin(in->n_tokens, part, n_parts); t < end; t++) {
        float *x = in->x + (size_t)t * (size_t)in->n_in;
        kernels->rms_norm(x, x, job->layer->q_down_norm, in->n_in,
                          job->forward->model->shape.norm_eps);
    }
}

static void project(struct forward *forward, const struct activations *in,
                    const struct layer *layer)
{
    struct latent_work *work = &forward->latent;
    struct products products = {.forward = forward, .in = in, .n_list = 2};
    bool is_direct = layer->q_down.data == NULL;
    products.list[0] = is_direct ? (struct product){.w = &layer->q, .y = work->q}
                                 : (struct product){.w = &layer->q_down, .y = work->query_input.x};
    products.list[1] = (struct product){.w = &layer->k, .y = work->kv};
    forward_multiply(&products);
    if (is_direct)
        return;
    struct latent_job job = {forward, layer};
    work->query_input.n_tokens = forward->n_tokens;
    thread_pool_run(forward->pool, norm_part, &job,
                    forward_token_parts(forward, forward->n_tokens));
    forward_quantize(forward, &work->query_input);
    products.in = &work->query_input;
    products.list[0] = (struct product){.w = &layer->q, .y = work->q};
    products.n_list = 1;
    forward_multiply(&products);
}

/* y[t] = w x[t] for all tokens, of one head: x [n_tokens] are x_stride apart, y the same. */
static void multiply_head(const struct latent_job *job, int head, const struct matrix *w,
                          const float *x, size_t x_stride, float *y, size_t y_stride, int thread)
{
    struct forward *forward = job->forward;
    struct activations all = forward->latent.by_head;
    all.n_in = w->n_in;
    struct activations in = forward_slots(&all, head * forward->n_tokens, forward->n_tokens);
    for (int t = 0; t < in.n_tokens; t++)
        memcpy(in.x + (size_t)t * (size_t)in.n_in, x + (size_t)t * x_stride,
               (size_t)in.n_in * sizeof(float));
    forward_quantize_part(forward, &in, 0, in.n_in);
    matmul_rows(w, NULL, &in, y, y_stride, 0, w->n_out, forward_scratch(forward, thread));
}

static void absorb_part(void *arg, int head, int n_heads, int thread)
{
    const struct latent_job *job = arg;
    const struct forward *forward = job->forward;
    const struct model_shape *shape = &forward->model->shape;
    size_t dim = (size_t)shape->latent.dim_k, wide = (size_t)shape->head_dim_k;
    multiply_head(job, head, &job->layer->latent_heads[head].key,
                  forward->latent.q + (size_t)head * dim, (size_t)n_heads * dim,
                  forward->q + (size_t)head * wide + shape->n_rot, (size_t)n_heads * wide, thread);
}

void forward_latent_inputs(struct forward *forward, const struct activations *in,
                           const struct layer *layer)
{
    struct latent_job job = {forward, layer};
    project(forward, in, layer);
    thread_pool_run(forward->pool, absorb_part, &job, forward->model->shape.n_heads);
}

void forward_latent_token(const struct forward *forward, const struct layer *layer, int t)
{
    const struct model_shape *shape = &forward->model->shape;
    size_t n_heads = (size_t)shape->n_heads, n = (size_t)shape->latent.n;
    size_t n_rot = (size_t)shape->n_rot, dim = (size_t)shape->latent.dim_k;
    float *q = forward->q + (size_t)t * n_heads * (n + n_rot);
    const float *q_made = forward->latent.q + (size_t)t * n_heads * dim;
    for (size_t head = 0; head < n_heads; head++)
        memcpy(q + head * (n + n_rot), q_made + head * dim + dim - n_rot, n_rot * sizeof *q);
    const float *kv = forward->latent.kv + (size_t)t * (n + n_rot);
    float *k = forward->k + (size_t)t * (n + n_rot), *v = forward->v + (size_t)t * n;
    memcpy(k, kv + n, n_rot * sizeof *k);
    kernels->rms_norm(k + n_rot, kv, layer->latent_norm, (int)n, shape->norm_eps);
    memcpy(v, k + n_rot, n * sizeof *v);
}

static void value_part(void *arg, int head, int n_heads, int thread)
{
    const struct latent_job *job = arg;
    const struct forward *forward = job->forward;
    const struct model_latent *latent = &forward->model->shape.latent;
    size_t n = (size_t)latent->n, dim = (size_t)latent->dim_v;
    multiply_head(job, head, &job->layer->latent_heads[head].value,
                  forward->heads.x + (size_t)head * n, (size_t)n_heads * n,
                  forward->latent.values.x + (size_t)head * dim, (size_t)n_heads * dim, thread);
}

const struct activations *forward_latent_values(struct forward *forward, const struct layer *layer)
{
    struct latent_job job = {forward, layer};
    struct activations *values = &forward->latent.values;
    values->n_tokens = forward->n_tokens;
    thread_pool_run(forward->pool, value_part, &job, forward->model->shape.n_heads);
    forward_quantize(forward, values);
    return values;
}
