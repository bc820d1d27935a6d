/* One block of memory for all that a batch needs, as wide as the widest layer. */
#include <stdlib.h>

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
    widest = max_int(widest, max_int(shape->latent.n_query, shape->n_heads * shape->latent.dim_v));
    widest = max_int(widest, shape->latent.dim_k);
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

static void lay_out_latent(struct forward *forward, struct arena *arena)
{
    const struct model_shape *shape = &forward->model->shape;
    const struct model_latent *latent = &shape->latent;
    struct latent_work *work = &forward->latent;
    int n = forward->max_tokens, n_of_heads;
    if (__builtin_mul_overflow(n, shape->n_heads, &n_of_heads))
        arena->overflowed = true;
    if (latent->n == 0 || arena->overflowed)
        return;
    work->query_input = take_activations(arena, n, latent->n_query);
    work->q = take_floats(arena, n, shape->n_heads * latent->dim_k);
    work->kv = take_floats(arena, n, latent->n + shape->n_rot);
    work->by_head = take_activations(arena, n_of_heads, max_int(latent->n, latent->dim_k));
    work->values = take_activations(arena, n, shape->n_heads * latent->dim_v);
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
    lay_out_latent(forward, arena);
    forward->projected = take_floats(arena, n, shape->n_embd);
    forward->last = take_activations(arena, forward->max_logits, shape->n_embd);
    forward->logits = take_floats(arena, forward->max_logits, shape->n_vocab);
    lay_out_scratch(forward, arena);
}

bool forward_reserve(struct forward *forward, struct err *err)
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
