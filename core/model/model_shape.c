#include "core/model/model_shape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/model/key_reader.h"
#include "core/model/model_shape_parts.h"

bool model_shape_is_local(const struct model_shape *shape, int i)
{
    return shape->n_local > 0 && (i + 1) % shape->local_period != 0;
}

bool model_shape_is_convolution(const struct key_reader *reader, const struct model_shape *shape,
                                int i)
{
    return shape->n_taps > 0 &&
           key_reader_is_none_of_layer(reader, "attention.head_count_kv", shape->n_layers, i);
}

/* Their channels are cached in as many pieces as a query has heads. */
static void read_convolutions(struct key_reader *reader, struct model_shape *shape)
{
    shape->n_taps = key_reader_count(reader, "shortconv.l_cache", -1, MODEL_MAX_TAPS);
    if (shape->n_embd % shape->n_heads != 0)
        key_reader_fail(reader, "embedding_length", "is not a multiple of its head_count");
}

static void read_norm(struct key_reader *reader, const struct family *family,
                      struct model_shape *shape)
{
    const char *name = family->norm == FAMILY_RMS_NORM ? "attention.layer_norm_rms_epsilon"
                                                       : "attention.layer_norm_epsilon";
    if (!key_reader_has(reader, name))
        key_reader_fail(reader, name, "is missing");
    shape->norm_eps = (float)key_reader_real(reader, name, 0, 0, 1);
}

/* Those of layers with a sliding window are the same unless the family has two kinds; `is_local`
 * then tells which layers a list of numbers of KV heads is about. */
static struct kv_heads read_kv_heads(struct key_reader *reader, const struct family *family,
                                     const struct model_shape *shape, bool is_local)
{
    const char *key_length = is_local ? "attention.key_length_swa" : "attention.key_length";
    const char *value_length = is_local ? "attention.value_length_swa" : "attention.value_length";
    const char *name = "attention.head_count_kv";
    int head_dim = shape->n_embd % shape->n_heads == 0 ? shape->n_embd / shape->n_heads : -1;
    struct kv_heads heads = {.n = 0};
    for (int i = 0; i < shape->n_layers; i++) {
        if (model_shape_is_convolution(reader, shape, i))
            continue;
        int n =
            key_reader_count_of_layer(reader, name, shape->n_layers, i, shape->n_heads, MAX_HEADS);
        if (family->has_local_heads && model_shape_is_local(shape, i) != is_local)
            continue;
        if (heads.n != 0 && heads.n != n)
            key_reader_fail(reader, name, "is not the same for all layers of a kind");
        heads.n = n;
    }
    heads.n = heads.n == 0 ? 1 : heads.n; /* no layer is of this kind */
    heads.dim_k = key_reader_count(reader, key_length, head_dim, MAX_HEAD_DIM);
    heads.dim_v = key_reader_count(reader, value_length, heads.dim_k, MAX_HEAD_DIM);
    return heads;
}

static void check_heads(struct key_reader *reader, const struct model_shape *shape,
                        struct kv_heads heads)
{
    if (shape->n_heads % heads.n != 0)
        key_reader_fail(reader, "attention.head_count", "is not a multiple of its head_count_kv");
    if (shape->n_heads * heads.dim_k > MAX_EMBD || shape->n_heads * heads.dim_v > MAX_EMBD)
        key_reader_fail(reader, "attention.head_count", "gives heads that are too large together");
}

/* Of all heads together one, which is a latent vector and what is rotated beside it. How long a
 * head's own are has other keys in files that have such a one in the usual ones. */
static void read_latent_heads(struct key_reader *reader, struct model_shape *shape)
{
    struct model_latent *latent = &shape->latent;
    bool is_apart = key_reader_has(reader, "attention.key_length_mla");
    const char *key_length = is_apart ? "attention.key_length_mla" : "attention.key_length";
    const char *value_length = is_apart ? "attention.value_length_mla" : "attention.value_length";
    int n_rot = key_reader_count(reader, "rope.dimension_count", -1, MAX_HEAD_DIM);
    latent->n = key_reader_count(reader, "attention.kv_lora_rank", -1, MAX_HEAD_DIM);
    latent->dim_k = key_reader_count(reader, key_length, -1, MAX_HEAD_DIM);
    latent->dim_v = key_reader_count(reader, value_length, -1, MAX_HEAD_DIM);
    if (gguf_find_tensor(reader->file, "blk.0.attn_q.weight") == NULL)
        latent->n_query = key_reader_count(reader, "attention.q_lora_rank", -1, MAX_EMBD);
    if (latent->dim_k <= n_rot)
        key_reader_fail(reader, key_length, "leaves nothing of a head that is not rotated");
    if (shape->n_heads * latent->dim_k > MAX_EMBD || shape->n_heads * latent->dim_v > MAX_EMBD)
        key_reader_fail(reader, "attention.head_count", "gives heads that are too large together");
    shape->n_kv_heads = 1;
    shape->head_dim_k = latent->n + n_rot;
    shape->head_dim_v = latent->n;
    shape->local_heads = (struct kv_heads){1, shape->head_dim_k, shape->head_dim_v};
    check_heads(reader, shape, shape->local_heads);
}

static void read_heads(struct key_reader *reader, const struct family *family,
                       struct model_shape *shape)
{
    shape->n_heads = key_reader_count(reader, "attention.head_count", -1, MAX_HEADS);
    if (family->has_convolutions)
        read_convolutions(reader, shape);
    if (family->has_latent_heads) {
        read_latent_heads(reader, shape);
        return;
    }
    struct kv_heads heads = read_kv_heads(reader, family, shape, false), local = heads;
    if (family->has_local_heads)
        local = read_kv_heads(reader, family, shape, true);
    check_heads(reader, shape, heads);
    check_heads(reader, shape, local);
    shape->n_kv_heads = heads.n;
    shape->head_dim_k = heads.dim_k;
    shape->head_dim_v = heads.dim_v;
    shape->local_heads = local;
}

static void read_alibi(struct key_reader *reader, struct model_shape *shape)
{
    shape->n_context_unscaled = shape->n_context;
    shape->rope_scale = 1;
    shape->rope_magnitude = 1;
    shape->alibi_max_bias = (float)key_reader_real(reader, "attention.max_alibi_bias", 0, 0, 1000);
    if (!(shape->alibi_max_bias > 0))
        key_reader_fail(reader, "attention.max_alibi_bias",
                        "is missing or 0: only ALiBi models can stream");
}

int model_shape_read_period(struct key_reader *reader, const char *name, int missing, int n_layers)
{
    struct gguf_array is_usual;
    if (!gguf_get_array(reader->file, key_reader_key(reader, name).text, &is_usual))
        return key_reader_count(reader, name, missing, MAX_LAYERS);
    bool fits = is_usual.type == GGUF_BOOL && is_usual.n >= (size_t)n_layers;
    int period = 1;
    while (fits && period <= n_layers && gguf_array_int(&is_usual, (size_t)period - 1) != 0)
        period++;
    for (int i = 0; i < n_layers && fits; i++)
        fits = (gguf_array_int(&is_usual, (size_t)i) != 0) == ((i + 1) % period != 0);
    if (!fits)
        key_reader_fail(reader, name, "is not one truth for each layer, in a pattern that repeats");
    return period;
}

/* A model that was trained with a sliding window in every layer has never seen more than that at
 * once. */
static void read_context(struct key_reader *reader, const struct family *family,
                         struct model_shape *shape)
{
    shape->n_context = key_reader_count(reader, "context_length", -1, MAX_CONTEXT);
    bool is_local = family->local_period > 0;
    int64_t window = 0; /* written as 0 by converters for models without one */
    if (!gguf_get_int(reader->file, key_reader_key(reader, "attention.sliding_window").text, 2,
                      is_local ? MAX_CONTEXT : shape->n_context, &window))
        return;
    if (!is_local) {
        shape->n_context = (int)window;
        return;
    }
    shape->n_local = (int)window;
    shape->local_period = model_shape_read_period(reader, "attention.sliding_window_pattern",
                                                  family->local_period, shape->n_layers);
}

/* The last layers may have keys and values of others, which are before them: of both kinds. */
static void read_shared_kv(struct key_reader *reader, struct model_shape *shape)
{
    const char *name = "attention.shared_kv_layers";
    shape->n_shared_kv = key_reader_optional_count(reader, name, shape->n_layers);
    int n_own = shape->n_layers - shape->n_shared_kv;
    if (shape->n_shared_kv > 0 && (n_own < 2 || model_shape_is_local(shape, n_own - 1) ||
                                   !model_shape_is_local(shape, n_own - 2)))
        key_reader_fail(reader, name,
                        "does not leave a layer of each kind before those that share");
}

static void read_layer_inputs(struct key_reader *reader, struct model_shape *shape)
{
    const char *name = "embedding_length_per_layer_input";
    shape->n_layer_input = key_reader_optional_count(reader, name, MAX_EMBD / MAX_LAYERS);
}

static void read_scores(struct key_reader *reader, const struct family *family,
                        struct model_shape *shape)
{
    bool is_by_width = shape->n_layers == family->n_layers_scaled_by_width;
    float width =
        is_by_width ? (float)shape->n_embd / (float)shape->n_heads : (float)shape->head_dim_k;
    width = shape->latent.n > 0 ? (float)shape->latent.dim_k : width;
    double scale = family->scores_are_unscaled ? 1 : (double)(1.0F / sqrtf(width));
    scale *= shape->score_magnitude * shape->score_magnitude;
    shape->attention_scale = (float)key_reader_real(reader, "attention.scale", scale, 1e-6, 1e6);
    shape->score_soft_cap = (float)key_reader_real(reader, "attn_logit_softcapping", 0, 0, 1e6);
    shape->logit_soft_cap = (float)key_reader_real(reader, "final_logit_softcapping", 0, 0, 1e6);
    shape->clamp_qkv = (float)key_reader_real(reader, "attention.clamp_kqv", 0, 0, 1e6);
    shape->temperature_scale =
        (float)key_reader_real(reader, "attention.temperature_scale", 0, 0, 1e3);
}

static void read_scales(struct key_reader *reader, const struct family *family,
                        struct model_shape *shape)
{
    double embedding_scale = family->scales_embedding ? sqrt(shape->n_embd) : 1;
    shape->embedding_scale =
        (float)key_reader_real(reader, "embedding_scale", embedding_scale, 1e-6, 1e6);
    shape->residual_scale = (float)key_reader_real(reader, "residual_scale", 1, 1e-6, 1e6);
    double logit_scale = key_reader_real(reader, "logit_scale", 1, 1e-6, 1e6);
    shape->logit_scale = (float)(family->multiplies_logits ? 1 / logit_scale : logit_scale);
}

bool model_shape_has_experts(const struct model_shape *shape, int i)
{
    return shape->n_experts > 0 && i >= shape->n_dense && (i + 1) % shape->expert_period == 0;
}

int model_shape_n_ff(struct key_reader *reader, const struct model_shape *shape, int i)
{
    if (model_shape_has_experts(shape, i))
        return shape->n_ff_shared;
    return key_reader_count_of_layer(reader, "feed_forward_length", shape->n_layers, i, -1, MAX_FF);
}

static void read_feed_forward(struct key_reader *reader, const struct family *family,
                              struct model_shape *shape)
{
    shape->n_experts = key_reader_optional_count(reader, "expert_count", MAX_EXPERTS);
    int64_t missing = shape->n_experts > 0 ? 0 : -1; /* whose lengths have other keys */
    for (int i = 0; i < shape->n_layers; i++) {
        int n_ff = key_reader_count_of_layer(reader, "feed_forward_length", shape->n_layers, i,
                                             missing, MAX_FF);
        shape->n_ff = n_ff > shape->n_ff ? n_ff : shape->n_ff;
    }
    if (shape->n_experts > 0)
        model_shape_read_experts(reader, family, shape);
}

/* The embedding is the one tensor whose shape nothing else tells: it gives the vocabulary. */
static void read_vocabulary(struct key_reader *reader, struct model_shape *shape)
{
    const struct gguf_tensor *embedding = gguf_find_tensor(reader->file, "token_embd.weight");
    if (reader->failed)
        return;
    if (embedding == NULL || embedding->dims[1] > MAX_VOCAB) {
        err_set(reader->err, ERR_FORMAT,
                embedding == NULL ? "the file has no token_embd.weight; it holds no language model"
                                  : "the model's vocabulary is too large");
        reader->failed = true;
        return;
    }
    shape->n_vocab = (int)embedding->dims[1];
}

static void leave_further_layers(struct key_reader *reader, struct model_shape *shape)
{
    const char *name = "nextn_predict_layers";
    shape->n_further_layers = key_reader_optional_count(reader, name, MAX_LAYERS);
    if (shape->n_further_layers >= shape->n_layers)
        key_reader_fail(reader, name, "leaves no layers");
    else
        shape->n_layers -= shape->n_further_layers;
}

bool model_shape_read(struct model_shape *out, const struct gguf *file, const struct family *family,
                      struct err *err)
{
    struct key_reader reader = {.file = file, .architecture = family->architecture, .err = err};
    struct model_shape shape = {.score_magnitude = 1};
    snprintf(shape.architecture, sizeof shape.architecture, "%s", family->architecture);
    shape.n_layers = key_reader_count(&reader, "block_count", -1, MAX_LAYERS);
    if (family->predicts_further)
        leave_further_layers(&reader, &shape);
    shape.n_embd = key_reader_count(&reader, "embedding_length", -1, MAX_EMBD);
    read_feed_forward(&reader, family, &shape);
    model_shape_check_needed_keys(&reader, family);
    model_shape_check_foreign_keys(&reader, family);
    read_context(&reader, family, &shape);
    read_norm(&reader, family, &shape);
    read_shared_kv(&reader, &shape);
    read_heads(&reader, family, &shape);
    if (family->has_delta)
        model_shape_read_delta(&reader, family, &shape);
    if (family->positions == FAMILY_ALIBI)
        read_alibi(&reader, &shape);
    else
        model_shape_read_rope(&reader, family, &shape);
    if (family->has_local_heads)
        read_layer_inputs(&reader, &shape);
    read_scores(&reader, family, &shape);
    read_scales(&reader, family, &shape);
    read_vocabulary(&reader, &shape);

    shape.parallel_residual = true; /* read by GPT-NeoX alone; its default */
    if (key_reader_has(&reader, "use_parallel_residual") &&
        !gguf_get_bool(file, key_reader_key(&reader, "use_parallel_residual").text,
                       &shape.parallel_residual))
        key_reader_fail(&reader, "use_parallel_residual", "is not true or false");
    if (!reader.failed)
        *out = shape;
    return !reader.failed;
}
