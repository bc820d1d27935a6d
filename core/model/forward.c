/* One step of the whole model:
 *
 *     view of each token in its cache, its embedding, its two rotations
 *     each layer, by its family (most: x += attention(norm(x)); x += ffn(norm(x)))
 *     caches advance
 *     norm and output matrix, for the tokens that want logits
 *
 * The steps of a layer are in forward_steps.c, memory in forward_memory.c, positions in
 * forward_rope.c. A cache is read and written through views only: the keys and values of the whole
 * batch are stored before any of it attends, and each token's view hides what is later than
 * itself. */
#include "core/model/forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/kernels/kernels.h"
#include "core/model/family.h"
#include "core/model/forward_state.h"

static bool expert_reads_floats(const struct expert *expert)
{
    if (expert->gate.data == NULL) /* its layer has none */
        return false;
    return !matmul_wants_quantized(expert->gate.type) || !matmul_wants_quantized(expert->up.type);
}

static bool experts_read_floats(const struct model *model)
{
    bool reads = false;
    for (int i = 0; i < model->shape.n_layers * model->shape.n_experts && !reads; i++)
        reads = expert_reads_floats(&model->experts[i]);
    return reads;
}

static bool wants_quantized(const struct model *model)
{
    bool wants = false;
    for (int i = 0; i < model_n_matrices(model) && !wants; i++) {
        const struct matrix *w = model_matrix(model, i);
        wants = w->data != NULL && matmul_wants_quantized(w->type);
    }
    return wants;
}

bool forward_open(struct forward **out, const struct model *model, struct thread_pool *pool,
                  int max_tokens, int max_logits, struct err *err)
{
    if (max_tokens < 1 || max_logits < 1)
        return err_set(err, ERR_INTERNAL, "a batch needs room for at least one token");
    struct forward *forward = calloc(1, sizeof *forward);
    if (forward == NULL)
        return err_no_memory(err, "the forward pass");
    forward->model = model;
    forward->pool = pool;
    forward->max_tokens = max_tokens;
    forward->max_logits = max_logits;
    forward->wants_quantized = wants_quantized(model);
    forward->experts.reads_floats = experts_read_floats(model);
    forward->n_ropes = model->shape.rope_local_base > 0 ? 2 : 1;
    forward->ropes[MODEL_ROPE].n_pairs = model->shape.n_rot / 2;
    if (forward->n_ropes > MODEL_ROPE_LOCAL)
        forward->ropes[MODEL_ROPE_LOCAL].n_pairs = model->shape.n_rot_local / 2;
    if (!forward_reserve(forward, err)) {
        forward_close(&forward);
        return false;
    }
    forward_fill_frequencies(forward);
    forward_fill_units(forward);
    *out = forward;
    return true;
}

void forward_close(struct forward **forward_ptr)
{
    struct forward *forward = *forward_ptr;
    if (forward == NULL)
        return;
    free(forward->memory);
    free(forward);
    *forward_ptr = NULL;
}

/* So many tokens of a prompt that their queries fill what the kernel does in one pass, but not so
 * many that threads would go without work. */
static int choose_tile(const struct forward *forward, int n_kv_heads)
{
    const struct model_shape *shape = &forward->model->shape;
    int n_wanted = FORWARD_PARTS_PER_THREAD * thread_pool_size(forward->pool);
    int n = ATTENTION_PASS_QUERIES / (shape->n_heads / n_kv_heads);
    n = n < FORWARD_MAX_TILE ? n : FORWARD_MAX_TILE;
    while (n > 1 && forward->n_tokens / n * n_kv_heads < n_wanted)
        n /= 2;
    return n > 1 && forward->observer == NULL ? n : 1;
}

void forward_find_tiles(struct forward *forward, int n_kv_heads)
{
    const struct forward_token *tokens = forward->tokens;
    int most = choose_tile(forward, n_kv_heads);
    forward->n_tiles = 0;
    for (int t = 0, n; t < forward->n_tokens; t += n) {
        n = 1;
        while (n < most && t + n < forward->n_tokens && tokens[t + n].cache == tokens[t].cache)
            n++;
        forward->tiles[forward->n_tiles++] = (struct forward_tile){t, n};
    }
}

static void begin_batch(struct forward *forward, const struct forward_token *tokens, int n_tokens)
{
    forward->tokens = tokens;
    forward->n_tokens = n_tokens;
    for (int i = 0; i < FORWARD_N_INPUTS; i++)
        forward->inputs[i].n_tokens = n_tokens;
    forward->heads.n_tokens = n_tokens;
    forward->hidden.n_tokens = n_tokens;
    forward->n_runs = 0;
    for (int t = 0; t < n_tokens; t++) {
        if (t == 0 || tokens[t].cache != tokens[t - 1].cache)
            forward->runs[forward->n_runs++] = (struct forward_tile){.first = t};
        struct forward_tile *run = &forward->runs[forward->n_runs - 1];
        forward->views[t] = kv_cache_view(tokens[t].cache, run->n++);
    }
}

static void advance_caches(const struct forward *forward)
{
    for (int t = 0; t < forward->n_tokens; t++)
        kv_cache_advance(forward->tokens[t].cache, 1);
}

static void embed_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    struct forward *forward = arg;
    const struct model *model = forward->model;
    int n_embd = model->shape.n_embd;
    int end = thread_pool_part_begin(forward->n_tokens, part + 1, n_parts);
    for (int t = thread_pool_part_begin(forward->n_tokens, part, n_parts); t < end; t++) {
        float *x = forward->x + (size_t)t * (size_t)n_embd;
        matrix_get_row(&model->embedding, forward->tokens[t].id, x);
        for (int i = 0; i < n_embd; i++)
            x[i] *= model->shape.embedding_scale;
        forward_fill_rotations(forward, t);
    }
}

static void last_norm_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    struct forward *forward = arg;
    const struct model *model = forward->model;
    size_t n_embd = (size_t)model->shape.n_embd;
    int begin = thread_pool_part_begin(forward->last.n_tokens, part, n_parts);
    int end = thread_pool_part_begin(forward->last.n_tokens, part + 1, n_parts);
    for (int i = begin; i < end; i++) {
        float *row = forward->last.x + (size_t)i * n_embd;
        forward_norm_row(forward, row, row, model->output_norm, model->output_norm_b);
    }
}

static void finish_logits(const struct products *products, const struct product *product,
                          int row_begin, int row_end, void *scratch)
{
    (void)scratch;
    const struct model_shape *shape = &products->forward->model->shape;
    float cap = shape->logit_soft_cap;
    for (int t = 0; t < products->in->n_tokens; t++) {
        float *row = product->y + (size_t)t * (size_t)product->w->n_out;
        for (int i = row_begin; i < row_end && shape->logit_scale != 1; i++)
            row[i] /= shape->logit_scale;
        for (int i = row_begin; i < row_end && cap > 0; i++)
            row[i] = cap * tanhf(row[i] / cap);
    }
}

static void compute_logits(struct forward *forward)
{
    const struct model *model = forward->model;
    size_t n_embd = (size_t)model->shape.n_embd;
    int n_wanted = 0;
    for (int t = 0; t < forward->n_tokens; t++) {
        if (forward->tokens[t].wants_logits)
            memcpy(forward->last.x + (size_t)n_wanted++ * n_embd, forward->x + (size_t)t * n_embd,
                   n_embd * sizeof(float));
    }
    forward->last.n_tokens = n_wanted;
    if (n_wanted == 0)
        return;
    thread_pool_run(forward->pool, last_norm_part, forward, forward_token_parts(forward, n_wanted));
    forward_quantize(forward, &forward->last);
    struct products products = {
        .forward = forward,
        .in = &forward->last,
        .finish = finish_logits,
        .list = {{.w = &model->output, .bias = model->output_b, .y = forward->logits}},
        .n_list = 1,
    };
    forward_multiply(&products);
}

void forward_run(struct forward *forward, const struct forward_token *tokens, int n_tokens)
{
    const struct model *model = forward->model;
    begin_batch(forward, tokens, n_tokens);
    thread_pool_run(forward->pool, embed_part, forward, forward_token_parts(forward, n_tokens));
    if (model->shape.n_layer_input > 0)
        forward_layer_inputs(forward);
    for (int i = 0; i < model->shape.n_layers; i++) {
        forward->layer = i;
        model->family->run_layer(forward, &model->layers[i]);
    }
    advance_caches(forward);
    compute_logits(forward);
}

float *forward_logits(struct forward *forward, int i)
{
    return forward->logits + (size_t)i * (size_t)forward->model->shape.n_vocab;
}

void forward_observe(struct forward *forward, forward_observer_fn *observer, void *arg)
{
    forward->observer = observer;
    forward->observer_arg = arg;
}
