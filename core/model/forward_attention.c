/* Attention of one layer: q, k, v for the whole batch, then all keys and values into the caches,
 * then every query, split over (token, KV head). */
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/model/family.h"
#include "core/model/forward_state.h"

struct attention_job {
    struct forward *forward;
    const struct layer *layer;
    int n_slices; /* of the query heads that share one KV head */
};

static void finish_clamp(const struct products *products, const struct product *product,
                         int row_begin, int row_end, void *scratch)
{
    (void)scratch;
    float limit = products->forward->model->shape.clamp_qkv;
    size_t stride = (size_t)product->w->n_out;
    for (int t = 0; t < products->in->n_tokens; t++)
        kernels->clamp(product->y + (size_t)t * stride + (size_t)row_begin, row_end - row_begin,
                       limit);
}

static void project_qkv(struct forward *forward, const struct activations *in,
                        const struct layer *layer)
{
    struct products products = {
        .forward = forward,
        .in = in,
        .finish = forward->model->shape.clamp_qkv > 0 ? finish_clamp : NULL,
        .list = {{.w = &layer->q, .bias = layer->q_b, .y = forward->q},
                 {.w = &layer->k, .bias = layer->k_b, .y = forward->k},
                 {.w = &layer->v, .bias = layer->v_b, .y = forward->v}},
        .n_list = 3,
    };
    forward_multiply(&products);
}

/* y = one head of token t, rotated; y may be x. */
static void rotate(const struct forward *forward, const struct rotations *by, int t, float *y,
                   const float *x)
{
    const struct model_shape *shape = &forward->model->shape;
    int n_pairs = shape->n_rot / 2;
    const float *cos_row = by->cos + (size_t)t * (size_t)n_pairs;
    const float *sin_row = by->sin + (size_t)t * (size_t)n_pairs;
    if (forward->model->family->positions == FAMILY_ROPE_NEIGHBOURS)
        kernels->rope_neighbours(y, x, cos_row, sin_row, n_pairs);
    else
        kernels->rope_split(y, x, cos_row, sin_row, n_pairs);
    if (y != x)
        memcpy(y + shape->n_rot, x + shape->n_rot,
               (size_t)(shape->head_dim_k - shape->n_rot) * sizeof(float));
}

static void store_head(const struct attention_job *job, int t, int head)
{
    const struct forward *forward = job->forward;
    const struct model_shape *shape = &forward->model->shape;
    struct kv_cache *cache = forward->tokens[t].cache;
    enum kv_type type = kv_cache_shape(cache)->type;
    int row = forward->views[t].row;
    size_t index = (size_t)t * (size_t)shape->n_kv_heads + (size_t)head;
    float *k = forward->k + index * (size_t)shape->head_dim_k;
    const float *v = forward->v + index * (size_t)shape->head_dim_v;
    if (job->layer->k_norm != NULL)
        kernels->rms_norm(k, k, job->layer->k_norm, shape->head_dim_k, shape->norm_eps);
    if (job->layer->rope != MODEL_ROPE_NONE)
        rotate(forward, &forward->ropes[job->layer->rope].ring, t, k, k);
    kernels->kv_store(kv_cache_k(cache, forward->layer, head, row),
                      kv_cache_k_scale(cache, forward->layer, head, row), k, shape->head_dim_k,
                      type);
    kernels->kv_store(kv_cache_v(cache, forward->layer, head, row),
                      kv_cache_v_scale(cache, forward->layer, head, row), v, shape->head_dim_v,
                      type);
}

static void store_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct attention_job *job = arg;
    int n_tokens = job->forward->n_tokens;
    int end = forward_part_begin(n_tokens, part + 1, n_parts);
    for (int t = forward_part_begin(n_tokens, part, n_parts); t < end; t++) {
        for (int head = 0; head < job->forward->model->shape.n_kv_heads; head++)
            store_head(job, t, head);
    }
}

/* The sinks are the oldest rows of a view, so the first to be out of a layer's reach. */
static bool sees_sinks(const struct layer *layer, const struct kv_view *view)
{
    const struct kv_segment *first = &view->segments[0];
    return first->is_sink && first->first_distance - (first->n_rows - 1) <= layer->reach;
}

/* The query heads first_head .. first_head + query->n_heads - 1 of token t, rotated twice.
 * `scratch` has room for both. */
static void prepare_query(const struct attention_job *job, int t, int first_head, float *scratch,
                          struct attention_query *query)
{
    const struct forward *forward = job->forward;
    const struct model_shape *shape = &forward->model->shape;
    const struct kv_view *view = &forward->views[t];
    size_t dim = (size_t)shape->head_dim_k;
    float *q = forward->q + ((size_t)t * (size_t)shape->n_heads + (size_t)first_head) * dim;
    float *ring = scratch;
    float *sink = scratch + (size_t)query->n_heads * dim;
    query->q_ring = query->q_sink = q;
    for (int i = 0; i < query->n_heads && job->layer->q_norm != NULL; i++)
        kernels->rms_norm(q + (size_t)i * dim, q + (size_t)i * dim, job->layer->q_norm,
                          shape->head_dim_k, shape->norm_eps);
    if (job->layer->rope == MODEL_ROPE_NONE)
        return;
    /* Until the cache is full both positions are the same; without sinks nobody asks. */
    const struct rope *rope = &forward->ropes[job->layer->rope];
    bool is_same = view->in_cache == view->position || !sees_sinks(job->layer, view);
    for (int i = 0; i < query->n_heads; i++) {
        size_t at = (size_t)i * dim;
        rotate(forward, &rope->ring, t, ring + at, q + at);
        if (!is_same)
            rotate(forward, &rope->sink, t, sink + at, q + at);
    }
    query->q_ring = ring;
    query->q_sink = is_same ? ring : sink;
}

/* The rows of a token's view that are within the layer's reach. A layer with a sliding window keeps
 * the mask that it was trained with, by the distance in the cache: of R recent tokens it sees the
 * last, at their distance in the text, and sinks only if its window is longer than R. */
static int find_rows(const struct attention_job *job, int t, int kv_head,
                     struct attention_rows rows[3])
{
    const struct forward *forward = job->forward;
    const struct kv_view *view = &forward->views[t];
    struct kv_cache *cache = forward->tokens[t].cache;
    int n = 0;
    for (int i = 0; i < view->n_segments; i++) {
        const struct kv_segment *segment = &view->segments[i];
        int n_hidden = segment->first_distance - job->layer->reach;
        n_hidden = n_hidden < 0 ? 0 : n_hidden;
        if (n_hidden >= segment->n_rows)
            continue;
        int first = segment->first_row + n_hidden;
        rows[n++] = (struct attention_rows){
            .k = kv_cache_k(cache, forward->layer, kv_head, first),
            .v = kv_cache_v(cache, forward->layer, kv_head, first),
            .k_scale = kv_cache_k_scale(cache, forward->layer, kv_head, first),
            .v_scale = kv_cache_v_scale(cache, forward->layer, kv_head, first),
            .n_rows = segment->n_rows - n_hidden,
            .first_distance = segment->first_distance - n_hidden,
            .is_sink = segment->is_sink,
        };
    }
    return n;
}

static void attend_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    const struct attention_job *job = arg;
    const struct forward *forward = job->forward;
    const struct model_shape *shape = &forward->model->shape;
    int slice = part % job->n_slices;
    int kv_head = part / job->n_slices % shape->n_kv_heads;
    int t = part / job->n_slices / shape->n_kv_heads;

    int group = shape->n_heads / shape->n_kv_heads;
    int begin = group * slice / job->n_slices;
    int end = group * (slice + 1) / job->n_slices;
    int first_head = kv_head * group + begin;
    const float *slopes = forward->model->alibi_slopes;
    struct attention_query query = {
        .slopes = slopes == NULL ? NULL : slopes + first_head,
        .n_heads = end - begin,
        .head_dim = shape->head_dim_k,
        .head_dim_v = shape->head_dim_v,
        .scale = shape->attention_scale,
        .soft_cap = shape->score_soft_cap,
    };
    void *scratch = (char *)forward_scratch(forward, thread) + forward->matmul_bytes;
    prepare_query(job, t, first_head, scratch, &query);
    struct attention_rows rows[3];
    int n_segments = find_rows(job, t, kv_head, rows);
    if (forward->observer != NULL) {
        struct forward_sight sight = {forward->layer, t, first_head, &query, rows, n_segments};
        forward->observer(forward->observer_arg, &sight);
    }
    size_t head_index = (size_t)t * (size_t)shape->n_heads + (size_t)first_head;
    kernels->attention(forward->heads.x + head_index * (size_t)shape->head_dim_v, &query,
                       kv_cache_shape(forward->tokens[t].cache)->type, rows, n_segments);
}

/* Query heads are split further only when there are too few (token, KV head) pairs for the threads:
 * a split reads the same keys twice. */
static int choose_slices(const struct forward *forward)
{
    const struct model_shape *shape = &forward->model->shape;
    int n_threads = thread_pool_size(forward->pool);
    int n_pairs = forward->n_tokens * shape->n_kv_heads;
    int group = shape->n_heads / shape->n_kv_heads;
    int n_slices = (n_threads + n_pairs - 1) / n_pairs;
    return n_slices < group ? n_slices : group;
}

void forward_attention(struct forward *forward, enum forward_input from, const struct layer *layer)
{
    struct attention_job job = {
        .forward = forward, .layer = layer, .n_slices = choose_slices(forward)};
    int n_pairs = forward->n_tokens * forward->model->shape.n_kv_heads;
    project_qkv(forward, &forward->inputs[from], layer);
    thread_pool_run(forward->pool, store_part, &job,
                    forward_token_parts(forward, forward->n_tokens));
    thread_pool_run(forward->pool, attend_part, &job, n_pairs * job.n_slices);
    forward_quantize(forward, &forward->heads);
    forward_add_product(forward, &forward->heads, &layer->out, layer->out_b, layer->post_attn_norm);
}
