/* Attention of one layer: q, k, v for the whole batch, then all keys and values into the caches,
 * then every query, split over (tile of tokens, KV head) and, when that makes too few parts for the
 * threads, over stretches of rows whose results are joined afterwards. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/model/family.h"
#include "core/model/forward_rows.h"

enum { LEAST_ROWS_OF_STRETCH = 128 };

struct attention_job {
    struct forward *forward;
    const struct layer *layer;
    int n_stretches; /* of the rows of each token's view; 1 when some tile has more tokens */
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
        .list = {{.w = &layer->q,
                  .bias = layer->q_b,
                  .y = layer->is_gated ? forward->gated : forward->q},
                 {.w = &layer->k, .bias = layer->k_b, .y = forward->k},
                 {.w = &layer->v, .bias = layer->v_b, .y = forward->v}},
        .n_list = !layer->has_own_keys    ? 1
                  : layer->v.data == NULL ? 2
                                          : 3,
    };
    forward_multiply(&products);
}

/* y = one head of dim entries of token t, rotated; y may be x. */
static void rotate(const struct forward *forward, int n_pairs, const struct rotations *by, int t,
                   float *y, const float *x, int dim)
{
    int n_rot = 2 * n_pairs;
    const float *cos_row = by->cos + (size_t)t * (size_t)n_pairs;
    const float *sin_row = by->sin + (size_t)t * (size_t)n_pairs;
    if (forward->model->family->positions == FAMILY_ROPE_NEIGHBOURS)
        kernels->rope_neighbours(y, x, cos_row, sin_row, n_pairs);
    else
        kernels->rope_split(y, x, cos_row, sin_row, n_pairs);
    if (y != x)
        memcpy(y + n_rot, x + n_rot, (size_t)(dim - n_rot) * sizeof(float));
}

static void store_head(const struct attention_job *job, int t, int head)
{
    const struct forward *forward = job->forward;
    struct kv_heads heads = job->layer->heads;
    struct kv_cache *cache = forward->tokens[t].cache;
    enum kv_type type = kv_cache_shape(cache)->type;
    int row = forward->views[t].row, layer = job->layer->cache_layer;
    size_t index = (size_t)t * (size_t)heads.n + (size_t)head;
    float *k = forward->k + index * (size_t)heads.dim_k;
    const float *v = forward->v + index * (size_t)heads.dim_v;
    if (job->layer->rope != MODEL_ROPE_NONE) {
        const struct rope *rope = &forward->ropes[job->layer->rope];
        rotate(forward, rope->n_pairs, &rope->ring, t, k, k, heads.dim_k);
    }
    kernels->kv_store(kv_cache_k(cache, layer, head, row),
                      kv_cache_k_scale(cache, layer, head, row), k, heads.dim_k, type);
    kernels->kv_store(kv_cache_v(cache, layer, head, row),
                      kv_cache_v_scale(cache, layer, head, row), v, heads.dim_v, type);
}

static void norm_heads(const struct forward *forward, float *x, const float *w, int n_heads,
                       int dim)
{
    int n_all = n_heads * dim;
    int n = forward->model->family->norms_all_heads ? n_all : dim;
    for (int at = 0; at < n_all && w != NULL; at += n)
        kernels->rms_norm(x + at, x + at, w, n, forward->model->shape.norm_eps);
}

/* Longer queries, so that attention stays as sharp among many tokens as among few (Llama 4). By the
 * index in the cache: there never are more tokens to choose from. */
static void warm_query(const struct forward *forward, int t, float *q, int n)
{
    const struct model_shape *shape = &forward->model->shape;
    if (!(shape->temperature_scale > 0))
        return;
    int n_begun = (int)(forward->views[t].in_cache / shape->n_context_unscaled);
    float scale = (float)(1 + (double)shape->temperature_scale * log1p(n_begun));
    for (int i = 0; i < n; i++)
        q[i] *= scale;
}

/* Of k and v, of which v may be k before its norm. */
static void norm_kv(const struct attention_job *job, int t)
{
    const struct layer *layer = job->layer;
    struct kv_heads heads = layer->heads;
    float *k = job->forward->k + (size_t)t * (size_t)(heads.n * heads.dim_k);
    float *v = job->forward->v + (size_t)t * (size_t)(heads.n * heads.dim_v);
    if (layer->v.data == NULL)
        memcpy(v, k, (size_t)(heads.n * heads.dim_v) * sizeof *v);
    norm_heads(job->forward, k, layer->k_norm, heads.n, heads.dim_k);
    norm_heads(job->forward, v, layer->v_norm, heads.n, heads.dim_v);
}

/* Apart what each head has in one: its query, and what gates the numbers that it says. */
static void take_gates(const struct attention_job *job, int t)
{
    const struct forward *forward = job->forward;
    size_t dim = (size_t)job->layer->heads.dim_k, n_heads = (size_t)forward->model->shape.n_heads;
    for (size_t i = (size_t)t * n_heads; i < (size_t)(t + 1) * n_heads; i++) {
        memcpy(forward->q + i * dim, forward->gated + 2 * i * dim, dim * sizeof(float));
        memcpy(forward->head_gates + i * dim, forward->gated + (2 * i + 1) * dim,
               dim * sizeof(float));
    }
}

static void gate_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct attention_job *job = arg;
    const struct forward *forward = job->forward;
    int end = thread_pool_part_begin(forward->n_tokens, part + 1, n_parts);
    for (int t = thread_pool_part_begin(forward->n_tokens, part, n_parts); t < end; t++) {
        size_t row = (size_t)t * (size_t)forward->heads.n_in;
        kernels->sigmoid_mul(forward->heads.x + row, forward->head_gates + row,
                             forward->heads.n_in);
    }
}

/* Once for each token, before its rows are split: several parts may read one query. */
static void prepare_token(const struct attention_job *job, int t)
{
    const struct forward *forward = job->forward;
    int n_heads = forward->model->shape.n_heads, dim = job->layer->heads.dim_k;
    float *q = forward->q + (size_t)t * (size_t)(n_heads * dim);
    bool is_latent = job->layer->latent_heads != NULL;
    if (is_latent)
        forward_latent_token(forward, job->layer, t);
    if (job->layer->is_gated)
        take_gates(job, t);
    norm_heads(forward, q, job->layer->q_norm, n_heads, dim);
    warm_query(forward, t, q, n_heads * dim);
    if (job->layer->has_own_keys && !is_latent)
        norm_kv(job, t);
}

static void store_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct attention_job *job = arg;
    int n_tokens = job->forward->n_tokens;
    int end = thread_pool_part_begin(n_tokens, part + 1, n_parts);
    for (int t = thread_pool_part_begin(n_tokens, part, n_parts); t < end; t++) {
        prepare_token(job, t);
        for (int head = 0; head < job->layer->heads.n && job->layer->has_own_keys; head++)
            store_head(job, t, head);
    }
}

static int group_size(const struct attention_job *job)
{
    return job->forward->model->shape.n_heads / job->layer->heads.n;
}

/* The query heads of one group of a tile's tokens, one group after the other; `scratch` has room
 * for them twice, rotated for the ring and for the sinks. */
static void prepare_queries(const struct attention_job *job, struct forward_tile tile,
                            int first_head, float *scratch, struct attention_query *query)
{
    const struct forward *forward = job->forward;
    size_t n_heads = (size_t)forward->model->shape.n_heads;
    size_t dim = (size_t)query->head_dim, group = (size_t)query->n_heads * dim;
    bool has_sink = forward_needs_sink_query(forward, job->layer, tile);
    float *ring = scratch, *sink = scratch + (size_t)tile.n * group;
    query->q_ring = ring;
    query->q_sink = has_sink ? sink : ring;
    for (int t = tile.first; t < tile.first + tile.n; t++) {
        const float *q = forward->q + ((size_t)t * n_heads + (size_t)first_head) * dim;
        if (job->layer->rope == MODEL_ROPE_NONE)
            memcpy(ring, q, group * sizeof *q);
        for (int i = 0; i < query->n_heads && job->layer->rope != MODEL_ROPE_NONE; i++) {
            size_t at = (size_t)i * dim;
            const struct rope *rope = &forward->ropes[job->layer->rope];
            rotate(forward, rope->n_pairs, &rope->ring, t, ring + at, q + at, query->head_dim);
            if (has_sink)
                rotate(forward, rope->n_pairs, &rope->sink, t, sink + at, q + at, query->head_dim);
        }
        ring += group;
        sink += group;
    }
    if (job->layer->rope == MODEL_ROPE_NONE)
        query->q_sink = query->q_ring;
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
    return forward->stretch_states +
           (t * job->n_stretches + stretch) * forward->model->shape.n_heads;
}

/* What is left of a softmax over rows when one more score takes part that brings no value. `out`
 * are some tokens' heads from first_head on. */
static void weigh_sink_scores(const struct attention_job *job, const struct attention_query *query,
                              int first_head, const struct attention_state *states, float *out)
{
    const float *scores = job->layer->sink_scores;
    for (int i = 0; i < query->n_tokens * query->n_heads && scores != NULL; i++) {
        float score = scores[first_head + i % query->n_heads];
        float share = states[i].sum / (states[i].sum + expf(score - states[i].max));
        for (int j = 0; j < query->head_dim_v; j++)
            out[i * query->head_dim_v + j] *= share;
    }
}

static void observe(const struct attention_job *job, int t, int first_head,
                    const struct attention_query *query, const struct forward_rows *rows)
{
    const struct forward *forward = job->forward;
    struct forward_sight sight = {
        forward->layer,         t, first_head, query, rows->segments, rows->n_segments,
        job->layer->sink_scores};
    if (forward->observer != NULL)
        forward->observer(forward->observer_arg, &sight);
}

/* `states` has room for those of a query whose rows are not split. */
static void attend_stretch(const struct attention_job *job, int t, int kv_head, int stretch,
                           const struct attention_query *query, struct attention_state *states)
{
    const struct forward *forward = job->forward;
    int first_head = kv_head * query->n_heads;
    int n_rows = forward_count_rows(forward, job->layer, t);
    float *out = output_of(job, t, stretch) + first_head * query->head_dim_v;
    struct forward_rows rows;
    if (job->n_stretches > 1)
        states = states_of(job, t, stretch) + first_head;
    forward_find_rows(forward, job->layer, (struct forward_tile){t, 1}, kv_head,
                      thread_pool_part_begin(n_rows, stretch, job->n_stretches),
                      thread_pool_part_begin(n_rows, stretch + 1, job->n_stretches), &rows);
    observe(job, t, first_head, query, &rows);
    kernels->attention(out, states, query, kv_cache_shape(forward->tokens[t].cache)->type,
                       rows.segments, rows.n_segments);
    if (job->n_stretches == 1)
        weigh_sink_scores(job, query, first_head, states, out);
}

/* `out` has room for the tile's result, from where it goes to each token's; so has `states`. */
static void attend_tile(const struct attention_job *job, struct forward_tile tile, int kv_head,
                        const struct attention_query *query, float *out,
                        struct attention_state *states)
{
    const struct forward *forward = job->forward;
    size_t n = (size_t)query->n_heads * (size_t)query->head_dim_v;
    struct forward_rows rows;
    forward_find_rows(forward, job->layer, tile, kv_head, 0, INT_MAX, &rows);
    kernels->attention(out, states, query, kv_cache_shape(forward->tokens[tile.first].cache)->type,
                       rows.segments, rows.n_segments);
    weigh_sink_scores(job, query, kv_head * query->n_heads, states, out);
    for (int t = tile.first; t < tile.first + tile.n; t++, out += n)
        memcpy(output_of(job, t, 0) + (size_t)kv_head * n, out, n * sizeof *out);
}

static void attend_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    const struct attention_job *job = arg;
    const struct forward *forward = job->forward;
    struct kv_heads heads = job->layer->heads;
    int stretch = part % job->n_stretches;
    int kv_head = part / job->n_stretches % heads.n;
    struct forward_tile tile = forward->tiles[part / job->n_stretches / heads.n];

    int first_head = kv_head * group_size(job);
    const float *slopes = forward->model->alibi_slopes;
    struct attention_query query = {
        .slopes = slopes == NULL ? NULL : slopes + first_head,
        .n_tokens = tile.n,
        .n_heads = group_size(job),
        .head_dim = heads.dim_k,
        .head_dim_v = heads.dim_v,
        .scale = forward->model->shape.attention_scale,
        .soft_cap = forward->model->shape.score_soft_cap,
    };
    char *memory = forward_scratch(forward, thread);
    float *scratch = (float *)(void *)(memory + forward->matmul_bytes);
    prepare_queries(job, tile, first_head, scratch, &query);
    float *out = scratch + (size_t)(2 * tile.n * query.n_heads * query.head_dim);
    struct attention_state *states =
        (void *)(out + (size_t)(tile.n * query.n_heads * query.head_dim_v));
    if (tile.n == 1)
        attend_stretch(job, tile.first, kv_head, stretch, &query, states);
    else
        attend_tile(job, tile, kv_head, &query, out, states);
}

/* A whole softmax out of those over stretches: each counts as its sum, all relative to the largest
 * of their maxima (arXiv 2205.14135, section 3.1). */
static void join_head(const struct attention_job *job, int t, int head)
{
    int n = job->layer->heads.dim_v;
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
    const float *scores = job->layer->sink_scores;
    sum += scores == NULL ? 0 : expf(scores[head] - max);
    for (int j = 0; j < n && sum > 0; j++)
        y[j] /= sum;
}

static void join_part(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    (void)thread;
    const struct attention_job *job = arg;
    int n_kv_heads = job->layer->heads.n;
    int first = part % n_kv_heads * group_size(job);
    for (int i = 0; i < group_size(job); i++)
        join_head(job, part / n_kv_heads, first + i);
}

/* Rows are split when there are too few (tile, KV head) pairs for the threads, or so few that some
 * thread would have a whole one more than others; tiles are of one token then, see
 * forward_find_tiles. */
static int choose_stretches(const struct attention_job *job)
{
    const struct forward *forward = job->forward;
    int n_threads = thread_pool_size(forward->pool);
    int n_pairs = forward->n_tiles * job->layer->heads.n;
    int n_room = FORWARD_PARTS_PER_THREAD * n_threads; /* for stretches of all tokens */
    if (n_threads == 1 || n_pairs >= n_room || forward->observer != NULL)
        return 1;
    int most = 0;
    for (int t = 0; t < forward->n_tokens; t++) {
        int n_rows = forward_count_rows(forward, job->layer, t);
        most = n_rows > most ? n_rows : most;
    }
    int n_useful = most / LEAST_ROWS_OF_STRETCH;
    n_useful = n_useful < n_room / forward->n_tiles ? n_useful : n_room / forward->n_tiles;
    int n = n_room / 2 / n_pairs;
    n = n > 1 ? n : 1;
    for (int even = n; even <= n_useful && even < n + n_threads; even++) {
        if (n_pairs * even % n_threads == 0)
            return even;
    }
    return n < n_useful ? n : n_useful > 1 ? n_useful : 1;
}

void forward_attention(struct forward *forward, enum forward_input from, const struct layer *layer)
{
    struct attention_job job = {.forward = forward, .layer = layer};
    forward_find_tiles(forward, layer->heads.n);
    forward->heads.n_in = forward->model->shape.n_heads * layer->heads.dim_v;
    int n_pairs = forward->n_tiles * layer->heads.n;
    if (layer->latent_heads != NULL)
        forward_latent_inputs(forward, &forward->inputs[from], layer);
    else
        project_qkv(forward, &forward->inputs[from], layer);
    thread_pool_run(forward->pool, store_part, &job,
                    forward_token_parts(forward, forward->n_tokens));
    job.n_stretches = choose_stretches(&job);
    thread_pool_run(forward->pool, attend_part, &job, n_pairs * job.n_stretches);
    if (job.n_stretches > 1)
        thread_pool_run(forward->pool, join_part, &job, n_pairs);
    if (layer->is_gated)
        thread_pool_run(forward->pool, gate_part, &job,
                        forward_token_parts(forward, forward->n_tokens));
    const struct activations *said = &forward->heads;
    if (layer->latent_heads != NULL)
        said = forward_latent_values(forward, layer);
    else
        forward_quantize(forward, &forward->heads);
    forward_add_product(forward, said, &layer->out, layer->out_b, layer->post_attn_norm);
}
