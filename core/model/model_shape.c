#include "core/model/model_shape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"

enum {
    MAX_LAYERS = 1024,
    MAX_HEADS = 4096,
    MAX_HEAD_DIM = 4096,
    MAX_EMBD = 1 << 20, /* also of all heads together */
    MAX_FF = 1 << 22,
    MAX_EXPERTS = 1024,
    MAX_VOCAB = 1 << 24,
    MAX_CONTEXT = 1 << 28,
    MAX_KEY = 96,
};

/* Reads keys "ARCHITECTURE.NAME". The first failure sticks, so that a reader asks once at the end.
 */
struct key_reader {
    const struct gguf *file;
    const char *architecture;
    struct err *err;
    bool failed;
};

struct key {
    char text[MAX_KEY];
};

static struct key full_key(const struct key_reader *reader, const char *name)
{
    struct key key;
    snprintf(key.text, sizeof key.text, "%s.%s", reader->architecture, name);
    return key;
}

static bool has_key(const struct key_reader *reader, const char *name)
{
    return gguf_has(reader->file, full_key(reader, name).text);
}

static void fail(struct key_reader *reader, const char *name, const char *problem)
{
    if (!reader->failed)
        err_set(reader->err, ERR_FORMAT, "the model's %s %s", full_key(reader, name).text, problem);
    reader->failed = true;
}

/* A whole number in 1 .. max, or `missing` without the key; missing < 0: the key must be there. */
static int read_count(struct key_reader *reader, const char *name, int64_t missing, int max)
{
    int64_t value = missing;
    char problem[64];
    if (!has_key(reader, name)) {
        if (missing < 0)
            fail(reader, name, "is missing");
    } else if (!gguf_get_int(reader->file, full_key(reader, name).text, 1, max, &value)) {
        snprintf(problem, sizeof problem, "is not one number in 1 .. %d", max);
        fail(reader, name, problem);
    }
    return reader->failed ? 1 : (int)value;
}

/* The same for a real number in min .. max. */
static double read_real(struct key_reader *reader, const char *name, double missing, double min,
                        double max)
{
    double value = missing;
    char problem[64];
    if (has_key(reader, name) &&
        (!gguf_get_float(reader->file, full_key(reader, name).text, &value) || value < min ||
         value > max)) {
        snprintf(problem, sizeof problem, "is not a number in %g .. %g", min, max);
        fail(reader, name, problem);
    }
    return value;
}

static void read_norm(struct key_reader *reader, const struct family *family,
                      struct model_shape *shape)
{
    const char *name = family->norm == FAMILY_RMS_NORM ? "attention.layer_norm_rms_epsilon"
                                                       : "attention.layer_norm_epsilon";
    if (!has_key(reader, name))
        fail(reader, name, "is missing");
    shape->norm_eps = (float)read_real(reader, name, 0, 0, 1);
}

static void read_heads(struct key_reader *reader, struct model_shape *shape)
{
    shape->n_heads = read_count(reader, "attention.head_count", -1, MAX_HEADS);
    shape->n_kv_heads = read_count(reader, "attention.head_count_kv", shape->n_heads, MAX_HEADS);
    int head_dim = shape->n_embd / shape->n_heads;
    bool divides = shape->n_embd % shape->n_heads == 0;
    shape->head_dim_k =
        read_count(reader, "attention.key_length", divides ? head_dim : -1, MAX_HEAD_DIM);
    shape->head_dim_v =
        read_count(reader, "attention.value_length", shape->head_dim_k, MAX_HEAD_DIM);
    if (shape->n_heads % shape->n_kv_heads != 0)
        fail(reader, "attention.head_count", "is not a multiple of its head_count_kv");
    if (shape->n_heads * shape->head_dim_k > MAX_EMBD ||
        shape->n_heads * shape->head_dim_v > MAX_EMBD)
        fail(reader, "attention.head_count", "gives heads that are too large together");
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
        .n_fast = read_real(reader, "rope.scaling.yarn_beta_fast", 32, 1e-3, 1e6),
        .n_slow = read_real(reader, "rope.scaling.yarn_beta_slow", 1, 1e-3, 1e6),
        .is_unrounded = family->yarn_is_unrounded,
    };
    if (!has_key(reader, "rope.scaling.original_context_length"))
        fail(reader, "rope.scaling.original_context_length", "is missing");
    double share = read_real(reader, "rope.scaling.yarn_log_multiplier", 0, 0, 1e3);
    double magnitude = yarn_magnitude(shape->rope_scale, 1);
    if (share > 0) /* a part of it that other models put into the scale of their scores */
        magnitude /= yarn_magnitude(shape->rope_scale, share);
    shape->rope_magnitude =
        read_real(reader, "rope.scaling.yarn_attn_factor", magnitude, 1e-3, 1e3);
    if (!(shape->rope_base > 1))
        fail(reader, "rope.freq_base", "is 1, which YaRN cannot scale");
    /* Of models in other families; nobody has proven them here. */
    if (read_real(reader, "rope.scaling.yarn_ext_factor", 1, -1e6, 1e6) != 1)
        fail_unsupported(reader, "an own mix of ", "yarn");
}

/* Linear scaling and YaRN are numbers here. The scaling of Llama 3 and LongRoPE come as tensors of
 * factors. */
static void read_rope_scaling(struct key_reader *reader, const struct family *family,
                              struct model_shape *shape)
{
    shape->rope_magnitude = 1;
    shape->n_context_unscaled =
        read_count(reader, "rope.scaling.original_context_length", shape->n_context, MAX_CONTEXT);
    struct gguf_text type = {.data = "linear", .len = strlen("linear")};
    shape->rope_scale = read_real(reader, "rope.scale_linear", 1, 1e-3, 1e6);
    shape->rope_scale = read_real(reader, "rope.scaling.factor", shape->rope_scale, 1e-3, 1e6);
    if (has_key(reader, "rope.scaling.type") &&
        !gguf_get_text(reader->file, full_key(reader, "rope.scaling.type").text, &type))
        fail(reader, "rope.scaling.type", "is not a text");
    bool is_long_rope = text_is(type, "longrope") &&
                        gguf_find_tensor(reader->file, "rope_factors_long.weight") != NULL;
    if (text_is(type, "none") || is_long_rope)
        shape->rope_scale = 1;
    else if (text_is(type, "yarn"))
        read_yarn(reader, family, shape);
    else if (!text_is(type, "linear"))
        fail_unsupported(reader, "", gguf_show(type).text);
    shape->rope_magnitude *= read_real(reader, "rope.scaling.attn_factor", 1, 1e-3, 1e3);
}

static void read_rope(struct key_reader *reader, const struct family *family,
                      struct model_shape *shape)
{
    shape->n_rot = read_count(reader, "rope.dimension_count", shape->head_dim_k, MAX_HEAD_DIM);
    shape->rope_base = read_real(reader, "rope.freq_base", 10000, 1, 1e12);
    if (shape->n_rot % 2 != 0 || shape->n_rot > shape->head_dim_k)
        fail(reader, "rope.dimension_count", "is odd or larger than a head");
    double local_base = family->local_is_unscaled ? shape->rope_base : family->local_rope_base;
    if (shape->n_local > 0)
        shape->rope_local_base = read_real(reader, "rope.freq_base_swa", local_base, 1, 1e12);
    read_rope_scaling(reader, family, shape);
}

static void read_alibi(struct key_reader *reader, struct model_shape *shape)
{
    shape->n_context_unscaled = shape->n_context;
    shape->rope_scale = 1;
    shape->rope_magnitude = 1;
    shape->alibi_max_bias = (float)read_real(reader, "attention.max_alibi_bias", 0, 0, 1000);
    if (!(shape->alibi_max_bias > 0))
        fail(reader, "attention.max_alibi_bias", "is missing or 0: only ALiBi models can stream");
}

/* A number, or for each layer whether it has a sliding window. */
static int read_local_period(struct key_reader *reader, const struct family *family, int n_layers)
{
    const char *name = "attention.sliding_window_pattern";
    struct gguf_array is_local;
    if (!gguf_get_array(reader->file, full_key(reader, name).text, &is_local))
        return read_count(reader, name, family->local_period, MAX_LAYERS);
    bool fits = is_local.type == GGUF_BOOL && is_local.n == (size_t)n_layers;
    int period = 1;
    while (fits && period <= n_layers && gguf_array_int(&is_local, (size_t)period - 1) != 0)
        period++;
    for (int i = 0; i < n_layers && fits; i++)
        fits = (gguf_array_int(&is_local, (size_t)i) != 0) == ((i + 1) % period != 0);
    if (!fits)
        fail(reader, name, "is not one truth for each layer, in a pattern that repeats");
    return period;
}

/* A model that was trained with a sliding window in every layer has never seen more than that at
 * once. */
static void read_context(struct key_reader *reader, const struct family *family,
                         struct model_shape *shape)
{
    shape->n_context = read_count(reader, "context_length", -1, MAX_CONTEXT);
    bool is_local = family->local_period > 0;
    int64_t window = 0; /* written as 0 by converters for models without one */
    if (!gguf_get_int(reader->file, full_key(reader, "attention.sliding_window").text, 2,
                      is_local ? MAX_CONTEXT : shape->n_context, &window))
        return;
    if (!is_local) {
        shape->n_context = (int)window;
        return;
    }
    shape->n_local = (int)window;
    shape->local_period = read_local_period(reader, family, shape->n_layers);
}

static void read_scores(struct key_reader *reader, const struct family *family,
                        struct model_shape *shape)
{
    bool is_by_width = shape->n_layers == family->n_layers_scaled_by_width;
    float width =
        is_by_width ? (float)shape->n_embd / (float)shape->n_heads : (float)shape->head_dim_k;
    shape->attention_scale =
        (float)read_real(reader, "attention.scale", (double)(1.0F / sqrtf(width)), 1e-6, 1e6);
    shape->score_soft_cap = (float)read_real(reader, "attn_logit_softcapping", 0, 0, 1e6);
    shape->logit_soft_cap = (float)read_real(reader, "final_logit_softcapping", 0, 0, 1e6);
    shape->clamp_qkv = (float)read_real(reader, "attention.clamp_kqv", 0, 0, 1e6);
    shape->temperature_scale = (float)read_real(reader, "attention.temperature_scale", 0, 0, 1e3);
}

static void read_scales(struct key_reader *reader, const struct family *family,
                        struct model_shape *shape)
{
    double embedding_scale = family->scales_embedding ? sqrt(shape->n_embd) : 1;
    shape->embedding_scale =
        (float)read_real(reader, "embedding_scale", embedding_scale, 1e-6, 1e6);
    shape->residual_scale = (float)read_real(reader, "residual_scale", 1, 1e-6, 1e6);
    double logit_scale = read_real(reader, "logit_scale", 1, 1e-6, 1e6);
    shape->logit_scale = (float)(family->multiplies_logits ? 1 / logit_scale : logit_scale);
}

/* Or not there. */
static bool is_number(const struct key_reader *reader, const char *name, double wanted)
{
    double value;
    int64_t whole;
    struct key key = full_key(reader, name);
    if (gguf_get_float(reader->file, key.text, &value))
        return value == wanted;
    if (gguf_get_int(reader->file, key.text, INT64_MIN, INT64_MAX, &whole))
        return (double)whole == wanted;
    return !gguf_has(reader->file, key.text);
}

static bool is_unset_or_one(const struct key_reader *reader, const char *name)
{
    return is_number(reader, name, 0) || is_number(reader, name, 1);
}

/* Refuses ways of choosing experts that no family here has; 1 is softmax, one group, no scale. */
static void check_routing(struct key_reader *reader, const struct family *family)
{
    bool is_of_chosen = family->experts == FAMILY_EXPERTS_OF_CHOSEN;
    gguf_get_bool(reader->file, full_key(reader, "expert_weights_norm").text, &is_of_chosen);
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

/* Converters write 0 for none. */
static int read_optional_count(struct key_reader *reader, const char *name, int max)
{
    return is_number(reader, name, 0) ? 0 : read_count(reader, name, 0, max);
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
    shape->n_experts_used = read_count(reader, "expert_used_count", -1, MAX_EXPERTS);
    shape->n_ff_expert = read_count(reader, "expert_feed_forward_length", shape->n_ff, MAX_FF);
    shape->n_ff = read_optional_count(reader, "expert_shared_feed_forward_length", MAX_FF);
    if (shape->n_experts_used > shape->n_experts)
        fail(reader, "expert_used_count", "is more than its expert_count");
    check_routing(reader, family);
}

static void read_feed_forward(struct key_reader *reader, const struct family *family,
                              struct model_shape *shape)
{
    shape->n_ff = read_count(reader, "feed_forward_length", -1, MAX_FF);
    shape->n_experts = read_optional_count(reader, "expert_count", MAX_EXPERTS);
    if (shape->n_experts > 0)
        read_experts(reader, family, shape);
}

static void check_needed_keys(struct key_reader *reader, const struct family *family)
{
    for (int i = 0; family->needed_keys[i] != NULL; i++) {
        if (!has_key(reader, family->needed_keys[i]))
            fail(reader, family->needed_keys[i], "is missing");
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
    if (has_key(reader, name) && !says_nothing(reader->file, full_key(reader, name).text))
        fail(reader, name, "asks for what sinkd cannot compute in this architecture");
}

/* Where a model sees pictures, pairs of a head turn by three positions, which are one in text, or
 * by a fourth that text has not. */
static void check_sections(struct key_reader *reader, const struct family *family)
{
    const char *name = "rope.dimension_sections";
    struct gguf_array sections;
    bool is_one = family->sees_pictures &&
                  gguf_get_array(reader->file, full_key(reader, name).text, &sections) &&
                  sections.type != GGUF_STRING &&
                  (sections.n <= 3 || gguf_array_int(&sections, 3) == 0);
    if (!is_one)
        refuse_unless_nothing(reader, name);
}

/* Keys of relatives of these families that compute something else, with the same tensors. */
static void check_foreign_keys(struct key_reader *reader, const struct family *family)
{
    static const char *const FOREIGN[] = {
        "rope.dimension_count_swa",
        "rope.scaling.alpha",
        "attention.key_length_swa",
        "attention.value_length_swa",
        "attention.output_scale",
        "attention.value_scale",
        "attention.temperature_length",
        "attention.shared_kv_layers",
        "nextn_predict_layers",
        "hidden_activation",
        "num_loops",
        "swin_norm",
    };
    bool is_causal = true;
    check_sections(reader, family);
    for (size_t i = 0; i < sizeof FOREIGN / sizeof FOREIGN[0]; i++)
        refuse_unless_nothing(reader, FOREIGN[i]);
    gguf_get_bool(reader->file, full_key(reader, "attention.causal").text, &is_causal);
    if (!is_causal)
        fail(reader, "attention.causal", "is false: the model reads texts and cannot write any");
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

bool model_shape_read(struct model_shape *out, const struct gguf *file, const struct family *family,
                      struct err *err)
{
    struct key_reader reader = {.file = file, .architecture = family->architecture, .err = err};
    struct model_shape shape = {0};
    snprintf(shape.architecture, sizeof shape.architecture, "%s", family->architecture);
    shape.n_layers = read_count(&reader, "block_count", -1, MAX_LAYERS);
    shape.n_embd = read_count(&reader, "embedding_length", -1, MAX_EMBD);
    read_feed_forward(&reader, family, &shape);
    check_needed_keys(&reader, family);
    check_foreign_keys(&reader, family);
    read_context(&reader, family, &shape);
    read_norm(&reader, family, &shape);
    read_heads(&reader, &shape);
    if (family->positions == FAMILY_ALIBI)
        read_alibi(&reader, &shape);
    else
        read_rope(&reader, family, &shape);
    read_scores(&reader, family, &shape);
    read_scales(&reader, family, &shape);
    read_vocabulary(&reader, &shape);

    shape.parallel_residual = true; /* read by GPT-NeoX alone; its default */
    if (has_key(&reader, "use_parallel_residual") &&
        !gguf_get_bool(file, full_key(&reader, "use_parallel_residual").text,
                       &shape.parallel_residual))
        fail(&reader, "use_parallel_residual", "is not true or false");
    if (!reader.failed)
        *out = shape;
    return !reader.failed;
}
