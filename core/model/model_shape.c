#include "core/model/model_shape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/model/key_reader.h"

enum {
    MAX_LAYERS = 1024,
    MAX_HEADS = 4096,
    MAX_HEAD_DIM = 4096,
    MAX_EMBD = 1 << 20, /* also of all heads together */
    MAX_FF = 1 << 22,
    MAX_EXPERTS = 1024,
    MAX_VOCAB = 1 << 24,
    MAX_CONTEXT = 1 << 28,
};

bool model_shape_is_local(const struct model_shape *shape, int i)
{
    return shape->n_local > 0 && (i + 1) % shape->local_period != 0;
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

static void read_heads(struct key_reader *reader, const struct family *family,
                       struct model_shape *shape)
{
    shape->n_heads = key_reader_count(reader, "attention.head_count", -1, MAX_HEADS);
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

static bool text_is(struct gguf_text text, const char *wanted)
{
    return text.len == strlen(wanted) && memcmp(text.data, wanted, text.len) == 0;
}

static void fail_unsupported(struct key_reader *reader, const char *problem, const char *what)
{
    if (!reader->failed)
        err_set(reader->err, ERR_UNSUPPORTED,
                "the model scales its positions by %s'%s', and sinkd knows none, linear, yarn (and "
                "the factors of Llama 3 and Phi-3); take a file of the model without it",
                problem, what);
    reader->failed = true;
}

static double yarn_magnitude(double factor, double multiplier)
{
    return factor > 1 ? 0.1 * multiplier * log(factor) + 1 : 1;
}

/* YaRN (arXiv 2309.00071), with the defaults of its authors. */
static void read_yarn(struct key_reader *reader, const struct family *family,
                      struct model_shape *shape)
{
    shape->yarn = (struct model_yarn){
        .is_used = true,
        .n_fast = key_reader_real(reader, "rope.scaling.yarn_beta_fast", 32, 1e-3, 1e6),
        .n_slow = key_reader_real(reader, "rope.scaling.yarn_beta_slow", 1, 1e-3, 1e6),
        .is_unrounded = family->yarn_is_unrounded,
    };
    if (!key_reader_has(reader, "rope.scaling.original_context_length"))
        key_reader_fail(reader, "rope.scaling.original_context_length", "is missing");
    double share = key_reader_real(reader, "rope.scaling.yarn_log_multiplier", 0, 0, 1e3);
    double magnitude = yarn_magnitude(shape->rope_scale, 1);
    if (share > 0) /* a part of it that other models put into the scale of their scores */
        magnitude /= yarn_magnitude(shape->rope_scale, share);
    shape->rope_magnitude =
        key_reader_real(reader, "rope.scaling.yarn_attn_factor", magnitude, 1e-3, 1e3);
    if (!(shape->rope_base > 1))
        key_reader_fail(reader, "rope.freq_base", "is 1, which YaRN cannot scale");
    /* Of models in other families; nobody has proven them here. */
    if (key_reader_real(reader, "rope.scaling.yarn_ext_factor", 1, -1e6, 1e6) != 1)
        fail_unsupported(reader, "an own mix of ", "yarn");
}

/* Linear scaling and YaRN are numbers here. The scaling of Llama 3 and LongRoPE come as tensors of
 * factors. */
static void read_rope_scaling(struct key_reader *reader, const struct family *family,
                              struct model_shape *shape)
{
    shape->rope_magnitude = 1;
    shape->n_context_unscaled = key_reader_count(reader, "rope.scaling.original_context_length",
                                                 shape->n_context, MAX_CONTEXT);
    struct gguf_text type = {.data = "linear", .len = strlen("linear")};
    shape->rope_scale = key_reader_real(reader, "rope.scale_linear", 1, 1e-3, 1e6);
    shape->rope_scale =
        key_reader_real(reader, "rope.scaling.factor", shape->rope_scale, 1e-3, 1e6);
    if (key_reader_has(reader, "rope.scaling.type") &&
        !gguf_get_text(reader->file, key_reader_key(reader, "rope.scaling.type").text, &type))
        key_reader_fail(reader, "rope.scaling.type", "is not a text");
    bool is_long_rope = text_is(type, "longrope") &&
                        gguf_find_tensor(reader->file, "rope_factors_long.weight") != NULL;
    if (text_is(type, "none") || is_long_rope)
        shape->rope_scale = 1;
    else if (text_is(type, "yarn"))
        read_yarn(reader, family, shape);
    else if (!text_is(type, "linear"))
        fail_unsupported(reader, "", gguf_show(type).text);
    shape->rope_magnitude *= key_reader_real(reader, "rope.scaling.attn_factor", 1, 1e-3, 1e3);
}

static void read_rope(struct key_reader *reader, const struct family *family,
                      struct model_shape *shape)
{
    shape->n_rot =
        key_reader_count(reader, "rope.dimension_count", shape->head_dim_k, MAX_HEAD_DIM);
    shape->rope_base = key_reader_real(reader, "rope.freq_base", 10000, 1, 1e12);
    if (shape->n_rot % 2 != 0 || shape->n_rot > shape->head_dim_k)
        key_reader_fail(reader, "rope.dimension_count", "is odd or larger than a head");
    shape->n_rot_local = shape->n_rot;
    if (family->has_local_heads)
        shape->n_rot_local = key_reader_count(reader, "rope.dimension_count_swa",
                                              shape->local_heads.dim_k, MAX_HEAD_DIM);
    if (shape->n_rot_local % 2 != 0 || shape->n_rot_local > shape->local_heads.dim_k)
        key_reader_fail(reader, "rope.dimension_count_swa", "is odd or larger than a head");
    double local_base = family->local_is_unscaled ? shape->rope_base : family->local_rope_base;
    if (shape->n_local > 0)
        shape->rope_local_base = key_reader_real(reader, "rope.freq_base_swa", local_base, 1, 1e12);
    read_rope_scaling(reader, family, shape);
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

/* A number, or for each layer whether it has a sliding window. */
static int read_local_period(struct key_reader *reader, const struct family *family, int n_layers)
{
    const char *name = "attention.sliding_window_pattern";
    struct gguf_array is_local;
    if (!gguf_get_array(reader->file, key_reader_key(reader, name).text, &is_local))
        return key_reader_count(reader, name, family->local_period, MAX_LAYERS);
    bool fits = is_local.type == GGUF_BOOL && is_local.n == (size_t)n_layers;
    int period = 1;
    while (fits && period <= n_layers && gguf_array_int(&is_local, (size_t)period - 1) != 0)
        period++;
    for (int i = 0; i < n_layers && fits; i++)
        fits = (gguf_array_int(&is_local, (size_t)i) != 0) == ((i + 1) % period != 0);
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
    shape->local_period = read_local_period(reader, family, shape->n_layers);
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
    shape->attention_scale = (float)key_reader_real(
        reader, "attention.scale", family->scores_are_unscaled ? 1 : (double)(1.0F / sqrtf(width)),
        1e-6, 1e6);
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

static bool is_unset_or_one(const struct key_reader *reader, const char *name)
{
    return key_reader_is(reader, name, 0) || key_reader_is(reader, name, 1);
}

/* Refuses ways of choosing experts that no family here has; 1 is softmax, one group, no scale. */
static void check_routing(struct key_reader *reader, const struct family *family)
{
    bool is_of_chosen = family->experts == FAMILY_EXPERTS_OF_CHOSEN;
    if (family->experts == FAMILY_EXPERTS_AS_TOLD)
        return;
    gguf_get_bool(reader->file, key_reader_key(reader, "expert_weights_norm").text, &is_of_chosen);
    bool is_known = is_of_chosen == (family->experts == FAMILY_EXPERTS_OF_CHOSEN) &&
                    is_unset_or_one(reader, "expert_gating_func") &&
                    is_unset_or_one(reader, "expert_group_count") &&
                    is_unset_or_one(reader, "expert_weights_scale");
    if (!is_known && !reader->failed)
        err_set(reader->err, ERR_UNSUPPORTED,
                "the model chooses its experts in another way than all models of architecture "
                "'%s' that sinkd knows",
                reader->architecture);
    reader->failed |= !is_known;
}

static void read_routing(struct key_reader *reader, const struct family *family,
                         struct model_shape *shape)
{
    enum { SOFTMAX = 1, SIGMOID = 2, MAX_GROUPS = 64 };
    struct experts_routing *routing = &shape->routing;
    int usual = family->experts_by_sigmoid ? SIGMOID : SOFTMAX;
    bool has_gate = !key_reader_is(reader, "expert_gating_func", 0);
    int gate = has_gate ? key_reader_count(reader, "expert_gating_func", usual, SIGMOID) : usual;
    double scale = key_reader_real(reader, "expert_weights_scale", 1, 0, 1e6);
    *routing = (struct experts_routing){
        .is_sigmoid = gate == SIGMOID,
        .sums_to_one = family->experts_sum_to_one,
        .scale = scale > 0 ? (float)scale : 1,
        .n_groups = key_reader_optional_count(reader, "expert_group_count", MAX_GROUPS),
    };
    gguf_get_bool(reader->file, key_reader_key(reader, "expert_weights_norm").text,
                  &routing->sums_to_one);
    routing->n_groups = routing->n_groups > 0 ? routing->n_groups : 1;
    routing->n_groups_used =
        key_reader_count(reader, "expert_group_used_count", routing->n_groups, routing->n_groups);
    if (shape->n_experts % routing->n_groups != 0 ||
        shape->n_experts_used > shape->n_experts / routing->n_groups * routing->n_groups_used)
        key_reader_fail(reader, "expert_group_count", "does not fit the numbers of its experts");
}

/* Of the feed-forward beside experts: as long as so many experts, or of a length that the file has.
 */
static int read_shared_length(struct key_reader *reader, const struct model_shape *shape)
{
    const char *length = "expert_shared_feed_forward_length", *count = "expert_shared_count";
    int each = key_reader_optional_count(reader, length, MAX_FF);
    int n = key_reader_optional_count(reader, count, MAX_EXPERTS);
    int64_t all = each > 0 ? each : (int64_t)n * shape->n_ff_expert;
    if (all > MAX_FF)
        key_reader_fail(reader, count, "gives a feed-forward that is too large");
    return all > MAX_FF ? 1 : (int)all;
}

static void read_experts(struct key_reader *reader, const struct family *family,
                         struct model_shape *shape)
{
    if (family->experts == FAMILY_NO_EXPERTS && !reader->failed) {
        err_set(reader->err, ERR_UNSUPPORTED,
                "the model is a mixture of experts, which sinkd cannot run in architecture '%s'; "
                "take a dense one",
                reader->architecture);
        reader->failed = true;
    }
    shape->n_dense = key_reader_optional_count(reader, "leading_dense_block_count", MAX_LAYERS);
    shape->expert_period = key_reader_count(reader, "interleave_moe_layer_step", 1, MAX_LAYERS);
    shape->n_experts_used = key_reader_count(reader, "expert_used_count", -1, MAX_EXPERTS);
    shape->n_ff_expert =
        key_reader_count(reader, "expert_feed_forward_length", shape->n_ff, MAX_FF);
    shape->n_ff_shared =
        family->has_ffn_beside_experts ? shape->n_ff : read_shared_length(reader, shape);
    if (shape->n_experts_used > shape->n_experts)
        key_reader_fail(reader, "expert_used_count", "is more than its expert_count");
    check_routing(reader, family);
    if (family->experts == FAMILY_EXPERTS_AS_TOLD)
        read_routing(reader, family, shape);
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
    for (int i = 0; i < shape->n_layers; i++) {
        int n_ff = model_shape_n_ff(reader, shape, i);
        shape->n_ff = n_ff > shape->n_ff ? n_ff : shape->n_ff;
    }
    shape->n_experts = key_reader_optional_count(reader, "expert_count", MAX_EXPERTS);
    if (shape->n_experts > 0)
        read_experts(reader, family, shape);
}

static void check_needed_keys(struct key_reader *reader, const struct family *family)
{
    for (int i = 0; family->needed_keys[i] != NULL; i++) {
        if (!key_reader_has(reader, family->needed_keys[i]))
            key_reader_fail(reader, family->needed_keys[i], "is missing");
    }
}

/* A key that is there to say that there is nothing of its kind. */
static bool says_nothing(const struct gguf *file, const char *key)
{
    int64_t number;
    double real;
    bool truth;
    struct gguf_array list;
    if (gguf_get_array(file, key, &list)) {
        bool is_zero = list.type != GGUF_STRING && list.type != GGUF_F32 && list.type != GGUF_F64;
        for (size_t i = 0; i < list.n && is_zero; i++)
            is_zero = gguf_array_int(&list, i) == 0;
        return is_zero;
    }
    return (gguf_get_int(file, key, INT64_MIN, INT64_MAX, &number) && number == 0) ||
           (gguf_get_float(file, key, &real) && !(real > 0 || real < 0)) ||
           (gguf_get_bool(file, key, &truth) && !truth);
}

static void refuse_unless_nothing(struct key_reader *reader, const char *name)
{
    if (key_reader_has(reader, name) &&
        !says_nothing(reader->file, key_reader_key(reader, name).text))
        key_reader_fail(reader, name, "asks for what sinkd cannot compute in this architecture");
}

/* Where a model sees pictures, pairs of a head turn by three positions, which are one in text, or
 * by a fourth that text has not. */
static void check_sections(struct key_reader *reader, const struct family *family)
{
    const char *name = "rope.dimension_sections";
    struct gguf_array sections;
    bool is_one = family->sees_pictures &&
                  gguf_get_array(reader->file, key_reader_key(reader, name).text, &sections) &&
                  sections.type != GGUF_STRING &&
                  (sections.n <= 3 || gguf_array_int(&sections, 3) == 0);
    if (!is_one)
        refuse_unless_nothing(reader, name);
}

/* Keys of relatives of these families that compute something else, with the same tensors. */
static void check_foreign_keys(struct key_reader *reader, const struct family *family)
{
    static const char *const FOREIGN[] = {
        "rope.scaling.alpha",
        "attention.output_scale",
        "attention.value_scale",
        "attention.temperature_length",
        "hidden_activation",
        "num_loops",
        "swin_norm",
    };
    static const char *const LOCAL_HEADS[] = {
        "rope.dimension_count_swa", "attention.key_length_swa", "attention.value_length_swa",
        "attention.shared_kv_layers", "embedding_length_per_layer_input"};
    bool is_causal = true;
    check_sections(reader, family);
    if (!family->predicts_further)
        refuse_unless_nothing(reader, "nextn_predict_layers");
    for (size_t i = 0; i < sizeof LOCAL_HEADS / sizeof LOCAL_HEADS[0]; i++) {
        if (!family->has_local_heads)
            refuse_unless_nothing(reader, LOCAL_HEADS[i]);
    }
    for (size_t i = 0; i < sizeof FOREIGN / sizeof FOREIGN[0]; i++)
        refuse_unless_nothing(reader, FOREIGN[i]);
    gguf_get_bool(reader->file, key_reader_key(reader, "attention.causal").text, &is_causal);
    if (!is_causal)
        key_reader_fail(reader, "attention.causal",
                        "is false: the model reads texts and cannot write any");
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
    struct model_shape shape = {0};
    snprintf(shape.architecture, sizeof shape.architecture, "%s", family->architecture);
    shape.n_layers = key_reader_count(&reader, "block_count", -1, MAX_LAYERS);
    if (family->predicts_further)
        leave_further_layers(&reader, &shape);
    shape.n_embd = key_reader_count(&reader, "embedding_length", -1, MAX_EMBD);
    read_feed_forward(&reader, family, &shape);
    check_needed_keys(&reader, family);
    check_foreign_keys(&reader, family);
    read_context(&reader, family, &shape);
    read_norm(&reader, family, &shape);
    read_shared_kv(&reader, &shape);
    read_heads(&reader, family, &shape);
    if (family->positions == FAMILY_ALIBI)
        read_alibi(&reader, &shape);
    else
        read_rope(&reader, family, &shape);
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
