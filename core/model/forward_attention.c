/* Attention of one layer: q, k, v for the whole batch, then all keys and values into the caches,
 * then every query, split over (token, KV head) and, when that makes too few parts for the threads,
 * over stretches of rows whose results are joined afterwards. */
#include <math.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/model/family.h"
#include "core/model/forward_state.h"

enum { LEAST_ROWS_OF_STRETCH = 128 };

struct attention_job {
    struct forward *forward;
    const struct layer *layer;
    int n_stretches; /* of the rows of each token's view */
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

/* Once for each token, before its rows are split: several parts may read one query. */
static void norm_query(const struct attention_job *job, int t)
{
    const struct model_shape *shape = &job->forward->model->shape;
    float *q = job->forward->q + (size_t)t * (size_t)shape->n_heads * (size_t)shape->head_dim_k;
    for (int head = 0; head < shape->n_heads && job->layer->q_norm != NULL;
         head++, q += shape->head_dim_k)
        kernels->rms_norm(q, q, job->layer->q_norm, shape->head_dim_k, shape->norm_eps);
}

static void store_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct attention_job *job = arg;
    int n_tokens = job->forward->n_tokens;
    int end = forward_part_begin(n_tokens, part + 1, n_parts);
    for (int t = forward_part_begin(n_tokens, part, n_parts); t < end; t++) {
        norm_query(job, t);
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
    const float *q = forward->q + ((size_t)t * (size_t)shape->n_heads + (size_t)first_head) * dim;
    float *ring = scratch;
    float *sink = scratch + (size_t)query->n_heads * dim;
    query->q_ring = query->q_sink = q;
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

/* How many rows of a segment are out of the layer's reach: the oldest ones. */
static int hidden_rows(const struct layer *layer, const struct kv_segment *segment)
{
    int n_hidden = segment->first_distance - layer->reach;
    n_hidden = n_hidden < 0 ? 0 : n_hidden;
    return n_hidden < segment->n_rows ? n_hidden : segment->n_rows;
}

static int count_rows(const struct attention_job *job, int t)
{
    const struct kv_view *view = &job->forward->views[t];
    int n = 0;
    for (int i = 0; i < view->n_segments; i++)
        n += view->segments[i].n_rows - hidden_rows(job->layer, &view->segments[i]);
    return n;
}

static struct attention_rows rows_at(const struct attention_job *job, int t, int kv_head,
                                     const struct kv_segment *segment, int first, int n_rows)
{
    int layer = job->forward->layer, row = segment->first_row + first;
    struct kv_cache *cache = job->forward->tokens[t].cache;
    return (struct attention_rows){
        .k = kv_cache_k(cache, layer, kv_head, row),
        .v = kv_cache_v(cache, layer, kv_head, row),
        .k_scale = kv_cache_k_scale(cache, layer, kv_head, row),
        .v_scale = kv_cache_v_scale(cache, layer, kv_head, row),
        .n_rows = n_rows,
        .first_distance = segment->first_distance - first,
        .is_sink = segment->is_sink,
    };
}

/* One stretch of the rows of a token's view that are within the layer's reach. A layer with a
 * sliding window keeps the mask that it was trained with, by the distance in the cache: of R recent
 * tokens it sees the last, at their distance in the text, and sinks only if its window is longer
 * than R. */
static int find_rows(const struct attention_job *job, int t, int kv_head, int stretch,
                     struct attention_rows rows[3])
{
    const struct kv_view *view = &job->forward->views[t];
    int n_rows = count_rows(job, t), n = 0;
    int begin = forward_part_begin(n_rows, stretch, job->n_stretches);
    int end = forward_part_begin(n_rows, stretch + 1, job->n_stretches);
    for (int i = 0; i < view->n_segments; i++) {
        const struct kv_segment *segment = &view->segments[i];
        int n_hidden = hidden_rows(job->layer, segment);
        int n_here = segment->n_rows - n_hidden;
        int from = begin > 0 ? begin : 0, to = end < n_here ? end : n_here;
        if (from < to)
            rows[n++] = rows_at(job, t, kv_head, segment, n_hidden + from, to - from);
        begin -= n_here;
        end -= n_here;
    }
    return n;
}

static int group_size(const struct forward *forward)
{
    return forward->model->shape.n_heads / forward->model->shape.n_kv_heads;
}

/* Where the results of one token's stretch go: [n_heads, head_dim_v]. */
static float *output_of(const struct attention_job *job, int t, int stretch)
{
    const struct forward *forward = job->forward;
    size_t width = (size_t)forward->heads.n_in;
    if (job->n_stretches == 1)
        return forward->heads.x + (size_t)t * width;
    return forward->stretches + (size_t)(t * job->n_stretches + stretch) * width;
}

static struct attention_state *states_of(const struct attention_job *job, int t, int stretch)
{
    const struct forward *forward = job->forward;
    if (job->n_stretches == 1)
        return NULL;
    return forward->stretch_states +
           (t * job->n_stretches + stretch) * forward->model->shape.n_heads;
}

static void attend_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    const struct attention_job *job = arg;
    const struct forward *forward = job->forward;
    const struct model_shape *shape = &forward->model->shape;
    int stretch = part % job->n_stretches;
    int kv_head = part / job->n_stretches % shape->n_kv_heads;
    int t = part / job->n_stretches / shape->n_kv_heads;

    int first_head = kv_head * group_size(forward);
    const float *slopes = forward->model->alibi_slopes;
    struct attention_query query = {
        .slopes = slopes == NULL ? NULL : slopes + first_head,
        .n_heads = group_size(forward),
        .head_dim = shape->head_dim_k,
        .head_dim_v = shape->head_dim_v,
        .scale = shape->attention_scale,
        .soft_cap = shape->score_soft_cap,
    };
    void *scratch = (char *)forward_scratch(forward, thread) + forward->matmul_bytes;
    prepare_query(job, t, first_head, scratch, &query);
    struct attention_rows rows[3];
    int n_segments = find_rows(job, t, kv_head, stretch, rows);
    if (forward->observer != NULL) {
        struct forward_sight sight = {forward->layer, t, first_head, &query, rows, n_segments};
        forward->observer(forward->observer_arg, &sight);
    }
    struct attention_state *states = states_of(job, t, stretch);
    kernels->attention(output_of(job, t, stretch) + first_head * shape->head_dim_v,
                       states == NULL ? NULL : states + first_head, &query,
                       kv_cache_shape(forward->tokens[t].cache)->type, rows, n_segments);
}

/* A whole softmax out of those over stretches: each counts as its sum, all relative to the largest
 * of their maxima (arXiv 2205.14135, section 3.1). */
static void join_head(const struct attention_job *job, int t, int head)
{
    int n = job->forward->model->shape.head_dim_v;
    float *y = job->forward->heads.x + (size_t)t * (size_t)job->forward->heads.n_in + head * n;
    float max = -INFINITY, sum = 0;
    for (int i = 0; i < job->n_stretches; i++)
        max = fmaxf(max, states_of(job, t, i)[head].max);
    memset(y, 0, (size_t)n * sizeof *y);
    for (int i = 0; i < job->n_stretches; i++) {
        const struct attention_state *state = &states_of(job, t, i)[head];
        const float *x = output_of(job, t, i) + head * n;
        float weight = state->sum > 0 ? state->sum * expf(state->max - max) : 0;
        for (int j = 0; j < n; j++)
            y[j] += weight * x[j];
        sum += weight;
    }
    for (int j = 0; j < n && sum > 0; j++)
        y[j] /= sum;
}

static void join_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    (void)thread;
    const struct attention_job *job = arg;
    int n_kv_heads = job->forward->model->shape.n_kv_heads;
    int first = part % n_kv_heads * group_size(job->forward);
    for (int i = 0; i < group_size(job->forward); i++)
        join_head(job, part / n_kv_heads, first + i);
}

/* Rows are split when there are too few (token, KV head) pairs for the threads. */
static int choose_stretches(const struct attention_job *job)
{
    const struct forward *forward = job->forward;
    int n_threads = thread_pool_size(forward->pool);
    int n_pairs = forward->n_tokens * forward->model->shape.n_kv_heads;
    int n_wanted = FORWARD_PARTS_PER_THREAD / 2 * n_threads;
    if (n_threads == 1 || n_pairs >= n_wanted || forward->observer != NULL)
        return 1;
    int most = 0;
    for (int t = 0; t < forward->n_tokens; t++) {
        int n_rows = count_rows(job, t);
        most = n_rows > most ? n_rows : most;
    }
    int n = n_wanted / n_pairs;
    int n_useful = most / LEAST_ROWS_OF_STRETCH;
    n = n < n_useful ? n : n_useful;
    return n > 1 ? n : 1;
}

void forward_attention(struct forward *forward, enum forward_input from, const struct layer *layer)
{
    struct attention_job job = {.forward = forward, .layer = layer};
    int n_pairs = forward->n_tokens * forward->model->shape.n_kv_heads;
    project_qkv(forward, &forward->inputs[from], layer);
    thread_pool_run(forward->pool, store_part, &job,
                    forward_token_parts(forward, forward->n_tokens));
    job.n_stretches = choose_stretches(&job);
    thread_pool_run(forward->pool, attend_part, &job, n_pairs * job.n_stretches);
    if (job.n_stretches > 1)
        thread_pool_run(forward->pool, join_part, &job, n_pairs);
    forward_quantize(forward, &forward->heads);
    forward_add_product(forward, &forward->heads, &layer->out, layer->out_b, layer->post_attn_norm);
}
