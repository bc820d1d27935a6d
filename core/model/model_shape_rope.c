#include <math.h>
#include <string.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/model/model_shape_parts.h"

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
    if (share > 0 && family->has_latent_heads) { /* all of it, and written as a tenth */
        shape->score_magnitude = yarn_magnitude(shape->rope_scale, 10 * share);
        magnitude = 1;
    } else if (share > 0) { /* a part of it that other models put into the scale of their scores */
        magnitude /= yarn_magnitude(shape->rope_scale, share);
    }
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

void model_shape_read_rope(struct key_reader *reader, const struct family *family,
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
