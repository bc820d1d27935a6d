/* One step of the whole model:
 *
 *     view of each token in its cache, its embedding, its two rotations
 *     each layer, by its family (most: x += attention(norm(x)); x += ffn(norm(x)))
 *     caches advance
 *     norm and output matrix, for the tokens that want logits
 *
 * The steps of a layer are in forward_steps.c. A cache is read and written through views only: the
 * keys and values of the whole batch are stored before any of it attends, and each token's view
 * hides what is later than itself. */
#include "core/model/forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/kernels/kernels.h"
#include "core/model/family.h"
#include "core/model/forward_state.h"

enum { ALIGNMENT = 64 };

/* Hands out pieces of one block. Without a block it only counts: the layout is run twice, first to
 * learn the size. */
struct arena {
    char *base;
    size_t n_used;
    bool overflowed;
};

static void *arena_take(struct arena *arena, size_t n, size_t width, size_t element_bytes)
{
    size_t at = arena->n_used;
    size_t n_bytes;
    if (__builtin_mul_overflow(n, width, &n_bytes) ||
        __builtin_mul_overflow(n_bytes, element_bytes, &n_bytes) ||
        __builtin_add_overflow(n_bytes, ALIGNMENT - 1, &n_bytes) ||
        __builtin_add_overflow(at, n_bytes / ALIGNMENT * ALIGNMENT, &arena->n_used))
        arena->overflowed = true;
    return arena->base == NULL || arena->overflowed ? NULL : arena->base + at;
}

static float *take_floats(struct arena *arena, int n, int width)
{
    return arena_take(arena, (size_t)n, (size_t)width, sizeof(float));
}

static struct activations take_activations(struct arena *arena, int n, int n_in)
{
    size_t rows = (size_t)n;
    size_t n_groups = activation_groups(n_in);
    return (struct activations){
        .n_in = n_in,
        .x = take_floats(arena, n, n_in),
        .q = arena_take(arena, rows, n_groups, ACTIVATION_GROUP),
        .scale = arena_take(arena, rows, n_groups, sizeof(float)),
        .sum = arena_take(arena, rows, n_groups, SUMS_PER_GROUP * sizeof(float)),
        .start = arena_take(arena, rows, n_groups, STARTS_PER_GROUP * sizeof(int32_t)),
    };
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
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

static void lay_out_scratch(struct forward *forward, struct arena *arena)
{
    const struct model_shape *shape = &forward->model->shape;
    struct kv_heads most = most_heads(shape);
    int widest = max_int(shape->n_embd, shape->n_heads * most.dim_v);
    widest = max_int(widest, max_int(widest_hidden(shape), shape->n_ff_expert));
    /* Of a tile, see choose_tile; one token may have more. */
    size_t n_queries = (size_t)max_int(
        shape->n_heads / min_int(shape->n_kv_heads, shape->local_heads.n), ATTENTION_PASS_QUERIES);
    struct arena one = {0};
    arena_take(&one, matmul_scratch_bytes(widest, forward->max_tokens), 1, 1);
    forward->matmul_bytes = one.n_used;
    arena_take(&one, n_queries * sizeof(float),
               2 * (size_t)most.dim_k + (size_t)most.dim_v +
                   sizeof(struct attention_state) / sizeof(float),
               1);
    forward->scratch_bytes = one.n_used;
    forward->scratch = arena_take(arena, (size_t)thread_pool_size(forward->pool), one.n_used, 1);
}

static void lay_out_experts(struct forward *forward, struct arena *arena)
{
    const struct model_shape *shape = &forward->model->shape;
    struct experts_work *work = &forward->experts;
    int n = forward->max_tokens, n_slots;
    if (__builtin_mul_overflow(n, shape->n_experts_used, &n_slots) ||
        __builtin_add_overflow(n_slots, EXPERTS_MOST_PADDING * shape->n_experts, &n_slots))
        arena->overflowed = true;
    if (shape->n_experts == 0 || arena->overflowed)
        return;
    work->batch.choices =
        arena_take(arena, (size_t)n, (size_t)shape->n_experts_used, sizeof work->batch.choices[0]);
    work->batch.tokens = arena_take(arena, (size_t)n_slots, 1, sizeof work->batch.tokens[0]);
    work->batch.weights = arena_take(arena, (size_t)n_slots, 1, sizeof work->batch.weights[0]);
    work->batch.groups =
        arena_take(arena, (size_t)shape->n_experts, 1, sizeof work->batch.groups[0]);
    work->logits = take_floats(arena, n, shape->n_experts);
    work->shares = take_floats(arena, n, 1);
    if (forward->model->family->has_ffn_beside_experts) {
        work->routed = take_floats(arena, n, shape->n_embd);
        work->sum = take_floats(arena, n, shape->n_embd);
    }
    work->input = take_activations(arena, n_slots, shape->n_embd);
    work->hidden = take_activations(arena, n_slots, shape->n_ff_expert);
    work->up = take_floats(arena, n_slots, shape->n_ff_expert);
    work->said = take_floats(arena, n + EXPERTS_MOST_PADDING, shape->n_embd);
}

static void lay_out(struct forward *forward, struct arena *arena)
{
    const struct model_shape *shape = &forward->model->shape;
    int n = forward->max_tokens;
    struct kv_heads most = most_heads(shape);
    forward->views = arena_take(arena, (size_t)n, 1, sizeof forward->views[0]);
    forward->tiles = arena_take(arena, (size_t)n, 1, sizeof forward->tiles[0]);
    for (int i = 0; i < forward->n_ropes; i++) {
        struct rope *rope = &forward->ropes[i];
        int n_pairs = rope->n_pairs;
        rope->frequencies = arena_take(arena, 1, (size_t)n_pairs, sizeof(double));
        if (i == MODEL_ROPE && forward->model->rope_factors_long != NULL)
            rope->frequencies_long = arena_take(arena, 1, (size_t)n_pairs, sizeof(double));
        rope->ring.cos = take_floats(arena, n, n_pairs);
        rope->ring.sin = take_floats(arena, n, n_pairs);
        rope->sink.cos = take_floats(arena, n, n_pairs);
        rope->sink.sin = take_floats(arena, n, n_pairs);
    }
    forward->x = take_floats(arena, n, shape->n_embd);
    for (int i = 0; i < FORWARD_N_INPUTS; i++)
        forward->inputs[i] = take_activations(arena, n, shape->n_embd);
    forward->q = take_floats(arena, n, shape->n_heads * most.dim_k);
    forward->k = take_floats(arena, n, most.n * most.dim_k);
    forward->v = take_floats(arena, n, most.n * most.dim_v);
    forward->heads = take_activations(arena, n, shape->n_heads * most.dim_v);
    int n_stretches = FORWARD_PARTS_PER_THREAD * thread_pool_size(forward->pool);
    forward->stretches = take_floats(arena, n_stretches, shape->n_heads * most.dim_v);
    forward->stretch_states = arena_take(arena, (size_t)n_stretches, (size_t)shape->n_heads,
                                         sizeof forward->stretch_states[0]);
    forward->hidden = take_activations(arena, n, widest_hidden(shape));
    forward->up = take_floats(arena, n, widest_hidden(shape));
    int n_inputs = shape->n_layer_input * shape->n_layers;
    forward->layer_inputs = take_floats(arena, n, n_inputs);
    forward->layer_rows = take_floats(arena, thread_pool_size(forward->pool), n_inputs);
    lay_out_experts(forward, arena);
    forward->projected = take_floats(arena, n, shape->n_embd);
    forward->last = take_activations(arena, forward->max_logits, shape->n_embd);
    forward->logits = take_floats(arena, forward->max_logits, shape->n_vocab);
    lay_out_scratch(forward, arena);
}

static bool reserve(struct forward *forward, struct err *err)
{
    struct arena arena = {0};
    lay_out(forward, &arena);
    if (arena.overflowed)
        return err_set(err, ERR_LIMIT, "a batch of %d tokens is too large for this model",
                       forward->max_tokens);
    forward->memory = aligned_alloc(ALIGNMENT, arena.n_used);
    if (forward->memory == NULL)
        return err_set(err, ERR_MEMORY, "cannot reserve %zu bytes for a batch of %d tokens",
                       arena.n_used, forward->max_tokens);
    arena = (struct arena){.base = forward->memory};
    lay_out(forward, &arena);
    return true;
}

/* The pair that turns n_turns times in YaRN's unscaled context, as a fraction. */
static double pair_of_turns(const struct model_shape *shape, double n_turns)
{
    double n_positions = shape->n_context_unscaled / (2 * M_PI * n_turns); /* for one radian */
    return shape->n_rot * log(n_positions) / (2 * log(shape->rope_base));
}

/* How much of the scaling pair i gets: all of linear scaling; of YaRN more, the slower it turns. */
static double slowed_share(const struct model_shape *shape, int i)
{
    if (!shape->yarn.is_used)
        return 1;
    double fast = pair_of_turns(shape, shape->yarn.n_fast);
    double slow = pair_of_turns(shape, shape->yarn.n_slow);
    fast = fmax(shape->yarn.is_unrounded ? fast : floor(fast), 0);
    slow = fmin(shape->yarn.is_unrounded ? slow : ceil(slow), shape->n_rot - 1);
    return fmin(fmax((i - fast) / fmax(slow - fast, 1e-3), 0), 1);
}

static double divide(double frequency, const float *factors, int i)
{
    return factors == NULL ? frequency : frequency / (double)factors[i];
}

/* RoPE (arXiv 2104.09864): pair i turns by base^(-2i / n_rot) per position. In double, because a
 * position of 1e6 in float is wrong by a twentieth of a radian. */
static void fill_frequencies(struct forward *forward)
{
    const struct model *model = forward->model;
    const struct model_shape *shape = &model->shape;
    forward->ropes[MODEL_ROPE].magnitude = shape->rope_magnitude;
    forward->ropes[MODEL_ROPE_LOCAL].magnitude = 1;
    for (int i = 0; i < shape->n_rot / 2; i++) {
        double exponent = -2.0 * i / shape->n_rot;
        double plain = pow(shape->rope_base, exponent);
        double slowed = plain / shape->rope_scale;
        double scaled = plain + (slowed - plain) * slowed_share(shape, i);
        forward->ropes[MODEL_ROPE].frequencies[i] = divide(scaled, model->rope_factors, i);
        if (model->rope_factors_long != NULL)
            forward->ropes[MODEL_ROPE].frequencies_long[i] =
                divide(scaled, model->rope_factors_long, i);
    }
    const struct rope *local = &forward->ropes[MODEL_ROPE_LOCAL];
    for (int i = 0; i < local->n_pairs; i++)
        local->frequencies[i] = pow(shape->rope_local_base, -1.0 * i / local->n_pairs);
}

static bool layer_wants_quantized(const struct layer *layer)
{
    const struct matrix *all[] = {&layer->q,    &layer->k,          &layer->v,
                                  &layer->out,  &layer->gate,       &layer->up,
                                  &layer->down, &layer->input_gate, &layer->input_up};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i]->data != NULL && matmul_wants_quantized(all[i]->type))
            return true;
    }
    return false;
}

static bool expert_wants_quantized(const struct expert *expert)
{
    return matmul_wants_quantized(expert->gate.type) || matmul_wants_quantized(expert->up.type) ||
           matmul_wants_quantized(expert->down.type);
}

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

static bool model_wants_quantized(const struct model *model)
{
    bool wants = matmul_wants_quantized(model->output.type) ||
                 (model->layer_projection.data != NULL &&
                  matmul_wants_quantized(model->layer_projection.type));
    for (int i = 0; i < model->shape.n_layers && !wants; i++)
        wants = layer_wants_quantized(&model->layers[i]);
    for (int i = 0; i < model->shape.n_layers * model->shape.n_experts && !wants; i++)
        wants = expert_wants_quantized(&model->experts[i]);
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
    forward->wants_quantized = model_wants_quantized(model);
    forward->experts.reads_floats = experts_read_floats(model);
    forward->n_ropes = model->shape.rope_local_base > 0 ? 2 : 1;
    forward->ropes[MODEL_ROPE].n_pairs = model->shape.n_rot / 2;
    if (forward->n_ropes > MODEL_ROPE_LOCAL)
        forward->ropes[MODEL_ROPE_LOCAL].n_pairs = model->shape.n_rot_local / 2;
    if (!reserve(forward, err)) {
        forward_close(&forward);
        return false;
    }
    fill_frequencies(forward);
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
    int ahead = 0;
    for (int t = 0; t < n_tokens; t++) {
        bool continues = t > 0 && tokens[t].cache == tokens[t - 1].cache;
        ahead = continues ? ahead + 1 : 0;
        forward->views[t] = kv_cache_view(tokens[t].cache, ahead);
    }
}

static void advance_caches(const struct forward *forward)
{
    for (int t = 0; t < forward->n_tokens; t++)
        kv_cache_advance(forward->tokens[t].cache, 1);
}

/* LongRoPE chooses by the window that a conversation has from its start, never by where its text is
 * now: stored keys stay as they are. */
static const double *frequencies_for(const struct forward *forward, const struct rope *rope, int t)
{
    int n_window = kv_cache_shape(forward->tokens[t].cache)->n_window;
    bool is_long =
        rope->frequencies_long != NULL && n_window > forward->model->shape.n_context_unscaled;
    return is_long ? rope->frequencies_long : rope->frequencies;
}

static void fill_rotation(const struct forward *forward, const struct rope *rope,
                          const struct rotations *rotations, int t, int64_t position)
{
    const double *frequencies = frequencies_for(forward, rope, t);
    int n_pairs = rope->n_pairs;
    float *cos_row = rotations->cos + (size_t)t * (size_t)n_pairs;
    float *sin_row = rotations->sin + (size_t)t * (size_t)n_pairs;
    for (int i = 0; i < n_pairs; i++) {
        double angle = (double)position * frequencies[i];
        double angle_sin, angle_cos;
        sincos(angle, &angle_sin, &angle_cos);
        cos_row[i] = (float)(angle_cos * rope->magnitude);
        sin_row[i] = (float)(angle_sin * rope->magnitude);
    }
}

static void fill_rotations(const struct forward *forward, int t)
{
    const struct kv_view *view = &forward->views[t];
    for (int i = 0; i < forward->n_ropes; i++) {
        const struct rope *rope = &forward->ropes[i];
        fill_rotation(forward, rope, &rope->ring, t, view->position);
        fill_rotation(forward, rope, &rope->sink, t, view->in_cache);
    }
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
        fill_rotations(forward, t);
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
