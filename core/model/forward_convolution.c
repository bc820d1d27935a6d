/* A short gated convolution (LFM2, arXiv 2511.23404), of each channel by itself:
 *
 *     b, c, x = mix input
 *     u = b * x, kept in the cache as this token's row
 *     x += out(c * sum_j taps_j u of the j-th token before)
 *
 * The tokens before are those that were fed before it, whatever of them attention still sees. Their
 * rows are met as they were stored, so that a chunk of tokens is the same as one after the other.
 */
#include "core/kernels/kernels.h"
#include "core/model/forward_state.h"

struct convolution_job {
    struct forward *forward;
    const struct layer *layer;
};

static void store(const struct convolution_job *job, int t, int head, int row, const float *u)
{
    struct kv_cache *cache = job->forward->tokens[t].cache;
    int layer = job->layer->cache_layer;
    if (row >= 0)
        kernels->kv_store(kv_cache_k(cache, layer, head, row),
                          kv_cache_k_scale(cache, layer, head, row), u, job->layer->heads.dim_k,
                          kv_cache_shape(cache)->type);
}

/* y = taps * u, of the n channels from `first` on. */
static void convolve(const struct convolution_job *job, int t, int head, const float *u, float *y)
{
    const struct forward *forward = job->forward;
    int64_t position = forward->views[t].position;
    struct kv_cache *cache = forward->tokens[t].cache;
    enum kv_type type = kv_cache_shape(cache)->type;
    int n = job->layer->heads.dim_k, layer = job->layer->cache_layer;
    int n_embd = forward->model->shape.n_embd, n_taps = forward->model->shape.n_taps;
    const float *tap = job->layer->taps + (ptrdiff_t)(n_taps - 1) * n_embd + (ptrdiff_t)head * n;
    store(job, t, head, kv_cache_short_row(cache, position), u);
    store(job, t, head, kv_cache_mark_row(cache, position), u);
    for (int i = 0; i < n; i++)
        y[i] = tap[i] * u[i];
    for (int j = 1; j < n_taps && j <= position; j++) {
        int row = kv_cache_short_row(cache, position - j);
        kernels->kv_add(y, tap - (ptrdiff_t)j * n_embd, kv_cache_k(cache, layer, head, row),
                        kv_cache_k_scale(cache, layer, head, row), n, type);
    }
}

/* The same channels of all tokens, in order: nobody else stores what they meet. */
static void convolve_part(void *arg, int head, int n_heads, int thread)
{
    (void)n_heads;
    (void)thread;
    const struct convolution_job *job = arg;
    struct convolution_work *work = &job->forward->convolution;
    size_t n_embd = (size_t)job->forward->model->shape.n_embd;
    int n = job->layer->heads.dim_k;
    for (int t = 0; t < job->forward->n_tokens; t++) {
        float *u = work->mixed + (size_t)t * 3 * n_embd + (size_t)head * (size_t)n;
        float *y = work->result.x + (size_t)t * n_embd + (size_t)head * (size_t)n;
        const float *c = u + n_embd, *x = c + n_embd;
        for (int i = 0; i < n; i++)
            u[i] *= x[i];
        convolve(job, t, head, u, y);
        for (int i = 0; i < n; i++)
            y[i] *= c[i];
    }
}

void forward_convolution(struct forward *forward, enum forward_input from,
                         const struct layer *layer)
{
    struct convolution_job job = {forward, layer};
    struct convolution_work *work = &forward->convolution;
    struct products products = {
        .forward = forward,
        .in = &forward->inputs[from],
        .list = {{.w = &layer->mix, .y = work->mixed}},
        .n_list = 1,
    };
    forward_multiply(&products);
    work->result.n_tokens = forward->n_tokens;
    thread_pool_run(forward->pool, convolve_part, &job, layer->heads.n);
    forward_quantize(forward, &work->result);
    forward_add_product(forward, &work->result, &layer->out, NULL, NULL);
}
