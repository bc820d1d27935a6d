#include "core/model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/key_reader.h"
#include "core/model/model_shape.h"

static const struct family *const families[] = {
    &family_arcee,     &family_bailingmoe, &family_bailingmoe2,  &family_chatglm,
    &family_cohere2,   &family_command_r,  &family_deepseek,     &family_deepseek2,
    &family_dots1,     &family_ernie4_5,   &family_ernie4_5_moe, &family_exaone,
    &family_exaone4,   &family_falcon,     &family_gemma,        &family_gemma2,
    &family_gemma3,    &family_gemma4,     &family_glm4,         &family_glm4moe,
    &family_gpt_oss,   &family_gptneox,    &family_granite,      &family_granitemoe,
    &family_internlm2, &family_lfm2,       &family_lfm2moe,      &family_llama,
    &family_minicpm,   &family_mistral3,   &family_mpt,          &family_nemotron,
    &family_olmo2,     &family_olmoe,      &family_phi2,         &family_phi3,
    &family_qwen2,     &family_qwen2moe,   &family_qwen2vl,      &family_qwen3,
    &family_qwen3moe,  &family_qwen3vl,    &family_qwen3vlmoe,   &family_seed_oss,
    &family_smollm3,   &family_stablelm,   &family_starcoder2,   &family_qwen3next,
    &family_qwen35,    &family_qwen35moe,
};
static const size_t n_families = sizeof families / sizeof families[0];

static bool fail_unknown(struct gguf_text architecture, struct err *err)
{
    struct buf names;
    buf_init(&names);
    for (size_t i = 0; i < n_families; i++)
        buf_append_format(&names, "%s%s", i == 0 ? "" : ", ", families[i]->architecture);
    err_set(err, ERR_UNSUPPORTED,
            "the model's architecture is '%s', and sinkd runs %s; choose a model of one of these",
            gguf_show(architecture).text, buf_text(&names));
    buf_done(&names);
    return false;
}

static const struct family *find_family(const struct gguf *file, struct err *err)
{
    struct gguf_text name;
    int64_t n_parts;
    if (gguf_get_int(file, "split.count", 2, INT64_MAX, &n_parts)) {
        err_set(err, ERR_UNSUPPORTED,
                "the model is split into %lld files; join them with llama-gguf-split --merge",
                (long long)n_parts);
        return NULL;
    }
    if (!gguf_get_text(file, "general.architecture", &name)) {
        err_set(err, ERR_FORMAT, "the file does not name an architecture; it holds no model");
        return NULL;
    }
    for (size_t i = 0; i < n_families; i++) {
        const char *known = families[i]->architecture;
        if (strlen(known) == name.len && memcmp(known, name.data, name.len) == 0)
            return families[i];
    }
    fail_unknown(name, err);
    return NULL;
}

/* Slopes of the ALiBi paper (arXiv 2108.12409): a geometric series for the largest power of two of
 * heads; the heads beyond take every other term of the series with half the step. */
static void fill_alibi_slopes(float *slopes, int n_heads, double max_bias)
{
    int n_first = 1;
    while (n_first * 2 <= n_heads)
        n_first *= 2;
    for (int head = 0; head < n_heads; head++) {
        double exponent = head < n_first ? head + 1.0 : (2.0 * (head - n_first) + 1.0) / 2.0;
        slopes[head] = (float)exp2(-max_bias * exponent / n_first);
    }
}

/* One list of factors (Llama 3), or two for short and long windows (LongRoPE, arXiv 2402.13753). */
static bool bind_rope_factors(struct model *model, struct binder *binder, struct err *err)
{
    int n_pairs = model->shape.n_rot / 2;
    if (!binder_has(binder, "rope_factors_long.weight"))
        return bind_optional_vector(binder, "rope_freqs.weight", n_pairs, &model->rope_factors,
                                    err);
    return bind_vector(binder, "rope_factors_short.weight", n_pairs, &model->rope_factors, err) &&
           bind_vector(binder, "rope_factors_long.weight", n_pairs, &model->rope_factors_long, err);
}

/* What all layers get beside the stream, in one tensor each. */
static bool bind_layer_inputs(struct model *model, struct binder *binder, struct err *err)
{
    const struct model_shape *shape = &model->shape;
    int n = shape->n_layer_input, n_all = n * shape->n_layers;
    return n == 0 ||
           (bind_matrix(binder, "per_layer_token_embd.weight", shape->n_vocab, n_all,
                        &model->layer_embedding, err) &&
            bind_matrix(binder, "per_layer_model_proj.weight", n_all, shape->n_embd,
                        &model->layer_projection, err) &&
            bind_vector(binder, "per_layer_proj_norm.weight", n, &model->layer_input_norm, err));
}

static bool bind_globals(struct model *model, struct binder *binder, struct err *err)
{
    const struct model_shape *shape = &model->shape;
    const char *name = model->family->output_norm;
    if (!bind_matrix(binder, "token_embd.weight", shape->n_vocab, shape->n_embd, &model->embedding,
                     err) ||
        !bind_norm(binder, name != NULL ? name : "output_norm", &model->output_norm,
                   &model->output_norm_b, err))
        return false;
    if (shape->n_rot > 0 && !bind_rope_factors(model, binder, err))
        return false;
    model->output = model->embedding;
    if (binder_has(binder, "output.weight") &&
        !bind_matrix(binder, "output.weight", shape->n_vocab, shape->n_embd, &model->output, err))
        return false;
    return bind_optional_vector(binder, "output.bias", shape->n_vocab, &model->output_b, err) &&
           bind_layer_inputs(model, binder, err);
}

static struct kv_heads global_heads(const struct model_shape *shape)
{
    return (struct kv_heads){shape->n_kv_heads, shape->head_dim_k, shape->head_dim_v};
}

/* A layer without keys and values of its own has those of the last of its kind that has; layers
 * with a state have none. */
static int find_cache_layer(const struct model_shape *shape, int i, bool is_local)
{
    if (shape->delta.period > 0)
        return i / shape->delta.period;
    int n_own = shape->n_layers - shape->n_shared_kv;
    return i < n_own ? i : is_local ? n_own - 2 : n_own - 1;
}

/* What layer i sees, and how it rotates: periods count from layer 1. */
static void describe_layer(const struct model *model, const struct key_reader *reader, int i,
                           struct layer *layer)
{
    const struct model_shape *shape = &model->shape;
    int unrotated_period = model->family->unrotated_period;
    bool is_local = model_shape_is_local(shape, i);
    bool is_unrotated = shape->n_rot == 0 ||
                        (unrotated_period > 0 && (i + 1) % unrotated_period == 0) ||
                        (model->family->rotates_local && shape->n_local > 0 && !is_local);
    layer->is_convolution = model_shape_is_convolution(reader, shape, i);
    layer->heads = layer->is_convolution
                       ? (struct kv_heads){shape->n_heads, shape->n_embd / shape->n_heads, 0}
                   : is_local ? shape->local_heads
                              : global_heads(shape);
    layer->has_own_keys = i < shape->n_layers - shape->n_shared_kv;
    layer->cache_layer = find_cache_layer(shape, i, is_local);
    layer->has_state = model_shape_has_state(shape, i);
    if (layer->has_own_keys && !layer->has_state)
        model->cache_heads[layer->cache_layer] = layer->heads;
    layer->delta.first_state = model_shape_first_state(shape, i);
    layer->reach = is_local ? shape->n_local - 1 : INT32_MAX;
    layer->rope = is_unrotated                             ? MODEL_ROPE_NONE
                  : is_local && shape->rope_local_base > 0 ? MODEL_ROPE_LOCAL
                                                           : MODEL_ROPE;
}

static bool bind_layers(struct model *model, struct binder *binder, struct err *err)
{
    struct key_reader reader = {
        .file = binder->file, .architecture = model->shape.architecture, .err = err};
    size_t n_experts = (size_t)model->shape.n_experts;
    for (int i = 0; i < model->shape.n_layers; i++) {
        describe_layer(model, &reader, i, &model->layers[i]);
        model->layers[i].n_ff = model_shape_n_ff(&reader, &model->shape, i);
        if (model_shape_has_experts(&model->shape, i))
            model->layers[i].experts = model->experts + (size_t)i * n_experts;
        if (model->latent_heads != NULL)
            model->layers[i].latent_heads =
                model->latent_heads + (size_t)i * (size_t)model->shape.n_heads;
        binder->layer = i;
        if (!model->family->bind_layer(binder, &model->layers[i], err))
            return false;
    }
    return binder_check_all_bound(binder, err);
}

/* Proportional RoPE has this factor for the pairs that it leaves as they are. */
static const float NOT_AT_ALL = 1e30F;

static bool check_rope_factors(const float *factors, int n, struct err *err)
{
    for (int i = 0; factors != NULL && i < n; i++) {
        if (!(factors[i] >= 1e-6F && factors[i] <= NOT_AT_ALL))
            return err_set(
                err, ERR_FORMAT,
                "rope_freqs.weight or rope_factors_*.weight holds a factor out of range");
    }
    return true;
}

static uint64_t count_parameters(const struct gguf *file)
{
    uint64_t n = 0;
    for (size_t i = 0; i < gguf_n_tensors(file); i++) {
        const int64_t *dims = gguf_tensor_at(file, i)->dims;
        n += (uint64_t)(dims[0] * dims[1] * dims[2] * dims[3]);
    }
    return n;
}

static bool bind_weights(struct model *model, const struct gguf *file, struct err *err)
{
    struct binder binder;
    bool ok = binder_init(&binder, file, &model->shape, err) && bind_globals(model, &binder, err) &&
              bind_layers(model, &binder, err);
    model->vectors = binder.vectors; /* the layers point into it */
    binder.vectors = NULL;
    binder_done(&binder);
    int n_pairs = model->shape.n_rot / 2;
    return ok && check_rope_factors(model->rope_factors, n_pairs, err) &&
           check_rope_factors(model->rope_factors_long, n_pairs, err);
}

static bool reserve(struct model *model, struct err *err)
{
    size_t n_heads = (size_t)model->shape.n_heads, n_layers = (size_t)model->shape.n_layers;
    size_t n_experts = n_layers * (size_t)model->shape.n_experts;
    model->layers = calloc(n_layers, sizeof model->layers[0]);
    model->cache_heads = calloc(n_layers, sizeof model->cache_heads[0]);
    if (n_experts > 0)
        model->experts = calloc(n_experts, sizeof model->experts[0]);
    if (model->shape.latent.n > 0)
        model->latent_heads = calloc(n_layers * n_heads, sizeof model->latent_heads[0]);
    if (model->family->positions == FAMILY_ALIBI)
        model->alibi_slopes = calloc(n_heads, sizeof model->alibi_slopes[0]);
    if (model->layers == NULL || model->cache_heads == NULL ||
        (n_experts > 0 && model->experts == NULL) ||
        (model->shape.latent.n > 0 && model->latent_heads == NULL) ||
        (model->family->positions == FAMILY_ALIBI && model->alibi_slopes == NULL))
        return err_no_memory(err, "the model's layers");
    if (model->alibi_slopes != NULL)
        fill_alibi_slopes(model->alibi_slopes, model->shape.n_heads,
                          (double)model->shape.alibi_max_bias);
    return true;
}

bool model_open(struct model **out, const struct gguf *file, struct err *err)
{
    const struct family *family = find_family(file, err);
    if (family == NULL)
        return false;
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return err_no_memory(err, "the model");
    model->family = family;
    model->n_parameters = count_parameters(file);
    if (!model_shape_read(&model->shape, file, family, err) || !reserve(model, err) ||
        !bind_weights(model, file, err)) {
        model_close(&model);
        return false;
    }
    *out = model;
    return true;
}

void model_close(struct model **model_ptr)
{
    struct model *model = *model_ptr;
    if (model == NULL)
        return;
    model_unweave(model);
    for (int i = 0; i < model->shape.n_layers && model->layers != NULL; i++)
        free(model->layers[i].turned);
    free(model->layers);
    free(model->cache_heads);
    free(model->experts);
    free(model->latent_heads);
    free(model->alibi_slopes);
    free(model->vectors);
    free(model);
    *model_ptr = NULL;
}

struct kv_shape model_kv_shape(const struct model *model)
{
    const struct model_shape *shape = &model->shape;
    int period = shape->delta.period;
    return (struct kv_shape){
        .n_layers = (period > 0 ? shape->n_layers / period : shape->n_layers) - shape->n_shared_kv,
        .layers = model->cache_heads,
        .n_before = model->shape.n_taps > 0 ? model->shape.n_taps - 1 : 0,
        .n_state = model_shape_first_state(shape, shape->n_layers),
    };
}
