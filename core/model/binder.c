#include "core/model/binder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/kernels/quant.h"

enum { MAX_NAME = 80 };

struct full_name {
    char text[MAX_NAME];
};

static struct full_name full_name(const struct binder *binder, const char *name)
{
    struct full_name full;
    if (binder->layer < 0)
        snprintf(full.text, sizeof full.text, "%s", name);
    else
        snprintf(full.text, sizeof full.text, "blk.%d.%s", binder->layer, name);
    return full;
}

static bool is_vector(const struct gguf_tensor *tensor)
{
    return tensor->dims[1] == 1 && tensor->dims[2] == 1 && tensor->dims[3] == 1;
}

/* Vectors, or one of each expert behind each other. */
static bool holds_vectors(const struct gguf_tensor *tensor)
{
    static const char SUFFIX[] = "_exps.bias";
    const size_t n = sizeof SUFFIX - 1;
    return is_vector(tensor) || (tensor->name.len > n &&
                                 memcmp(tensor->name.data + tensor->name.len - n, SUFFIX, n) == 0);
}

/* Floats needed to widen every vector that is not F32. */
static size_t count_widened(const struct gguf *file)
{
    size_t n = 0;
    for (size_t i = 0; i < gguf_n_tensors(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        if (holds_vectors(tensor) && tensor->type != TENSOR_F32) /* the file holds them, so the */
            n += (size_t)(tensor->dims[0] * tensor->dims[1]);    /* sum cannot overflow */
    }
    return n;
}

bool binder_init(struct binder *binder, const struct gguf *file, const struct model_shape *shape,
                 struct err *err)
{
    size_t n = count_widened(file);
    int n_ones =
        shape->head_dim_v > shape->local_heads.dim_v ? shape->head_dim_v : shape->local_heads.dim_v;
    *binder = (struct binder){.file = file, .shape = shape, .layer = -1, .n_vectors = n};
    binder->is_bound = calloc(gguf_n_tensors(file) + 1, sizeof binder->is_bound[0]);
    binder->vectors = calloc(n + (size_t)n_ones, sizeof binder->vectors[0]);
    if (binder->is_bound == NULL || binder->vectors == NULL)
        return err_no_memory(err, "the model's vectors");
    for (int i = 0; i < n_ones; i++)
        binder->vectors[n + (size_t)i] = 1;
    binder->ones = binder->vectors + n;
    return true;
}

void binder_done(struct binder *binder)
{
    free(binder->is_bound);
    free(binder->vectors);
    *binder = (struct binder){0};
}

static const struct gguf_tensor *find(const struct binder *binder, const char *name)
{
    return gguf_find_tensor(binder->file, full_name(binder, name).text);
}

bool binder_has(const struct binder *binder, const char *name)
{
    return find(binder, name) != NULL;
}

static bool fail_missing(const struct binder *binder, const char *name, struct err *err)
{
    return err_set(
        err, ERR_FORMAT,
        "the model has no tensor '%s'; the file is incomplete or of another architecture "
        "than it says",
        full_name(binder, name).text);
}

static bool fail_shape(const struct binder *binder, const char *name,
                       const struct gguf_tensor *tensor, struct matrix wanted, int n,
                       struct err *err)
{
    int64_t n_more = tensor->dims[2] * tensor->dims[3];
    return err_set(err, ERR_FORMAT,
                   "tensor '%s' is %lld x %lld x %lld, but the metadata asks for %d x %d x %d",
                   full_name(binder, name).text, (long long)tensor->dims[0],
                   (long long)tensor->dims[1], (long long)n_more, wanted.n_in, wanted.n_out, n);
}

static void mark_bound(struct binder *binder, const struct gguf_tensor *tensor)
{
    binder->is_bound[tensor - gguf_tensor_at(binder->file, 0)] = true;
}

bool bind_matrices(struct binder *binder, const char *name, struct matrix shape, int n,
                   struct matrix *out, struct err *err)
{
    const struct gguf_tensor *tensor = find(binder, name);
    if (tensor == NULL)
        return fail_missing(binder, name, err);
    if (tensor->dims[0] != shape.n_in || tensor->dims[1] != shape.n_out || tensor->dims[2] != n ||
        tensor->dims[3] != 1)
        return fail_shape(binder, name, tensor, shape, n, err);
    mark_bound(binder, tensor);
    *out = shape;
    out->type = (enum tensor_type)tensor->type;
    out->data = tensor->data;
    return true;
}

bool bind_matrix(struct binder *binder, const char *name, int n_out, int n_in, struct matrix *out,
                 struct err *err)
{
    return bind_matrices(binder, name, (struct matrix){.n_out = n_out, .n_in = n_in}, 1, out, err);
}

/* n_vectors of n floats; *out is the first. */
static bool bind_vectors(struct binder *binder, const char *name, int n_vectors, int n_each,
                         const float **out, struct err *err)
{
    const struct gguf_tensor *tensor = find(binder, name);
    size_t n = (size_t)n_vectors * (size_t)n_each;
    if (tensor == NULL)
        return fail_missing(binder, name, err);
    if (tensor->dims[0] != n_each || tensor->dims[1] != n_vectors || tensor->dims[2] != 1 ||
        tensor->dims[3] != 1)
        return fail_shape(binder, name, tensor, (struct matrix){.n_in = n_each, .n_out = n_vectors},
                          1, err);
    mark_bound(binder, tensor);
    if (tensor->type == TENSOR_F32) {
        *out = tensor->data;
        return true;
    }
    if (n > binder->n_vectors - binder->n_vectors_put)
        return err_set(err, ERR_INTERNAL, "tensor '%s' was bound twice",
                       full_name(binder, name).text);
    float *widened = binder->vectors + binder->n_vectors_put;
    dequantize_row((enum tensor_type)tensor->type, tensor->data, widened, n);
    binder->n_vectors_put += n;
    *out = widened;
    return true;
}

bool bind_vector(struct binder *binder, const char *name, int n, const float **out, struct err *err)
{
    return bind_vectors(binder, name, 1, n, out, err);
}

bool bind_optional_vector(struct binder *binder, const char *name, int n, const float **out,
                          struct err *err)
{
    *out = NULL;
    return !binder_has(binder, name) || bind_vector(binder, name, n, out, err);
}

struct matrix matrix_slice(const struct matrix *whole, size_t first_row, int n_rows)
{
    const struct tensor_format *format = tensor_format(whole->type);
    size_t row_bytes = (size_t)whole->n_in / format->block_len * format->block_bytes;
    struct matrix slice = *whole;
    slice.data = (const char *)whole->data + first_row * row_bytes;
    slice.n_out = n_rows;
    return slice;
}

static bool bind_fused_qkv(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    struct kv_heads heads = layer->heads;
    int n_q = shape->n_heads * heads.dim_k, n_k = heads.n * heads.dim_k,
        n_v = heads.n * heads.dim_v;
    struct matrix whole;
    const float *bias;
    if (!bind_matrix(binder, "attn_qkv.weight", n_q + n_k + n_v, shape->n_embd, &whole, err) ||
        !bind_optional_vector(binder, "attn_qkv.bias", n_q + n_k + n_v, &bias, err))
        return false;
    layer->q = matrix_slice(&whole, 0, n_q);
    layer->k = matrix_slice(&whole, (size_t)n_q, n_k);
    layer->v = matrix_slice(&whole, (size_t)(n_q + n_k), n_v);
    if (bias != NULL) {
        layer->q_b = bias;
        layer->k_b = bias + n_q;
        layer->v_b = bias + n_q + n_k;
    }
    return true;
}

static bool bind_split_qkv(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    struct kv_heads heads = layer->heads;
    int n_q = shape->n_heads * heads.dim_k, n_k = heads.n * heads.dim_k,
        n_v = heads.n * heads.dim_v;
    return bind_matrix(binder, "attn_q.weight", n_q, shape->n_embd, &layer->q, err) &&
           bind_matrix(binder, "attn_k.weight", n_k, shape->n_embd, &layer->k, err) &&
           bind_matrix(binder, "attn_v.weight", n_v, shape->n_embd, &layer->v, err) &&
           bind_optional_vector(binder, "attn_q.bias", n_q, &layer->q_b, err) &&
           bind_optional_vector(binder, "attn_k.bias", n_k, &layer->k_b, err) &&
           bind_optional_vector(binder, "attn_v.bias", n_v, &layer->v_b, err);
}

bool bind_attention(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    bool is_fused = binder_has(binder, "attn_qkv.weight");
    if (is_fused ? !bind_fused_qkv(binder, layer, err) : !bind_split_qkv(binder, layer, err))
        return false;
    return bind_matrix(binder, "attn_output.weight", shape->n_embd,
                       shape->n_heads * layer->heads.dim_v, &layer->out, err) &&
           bind_optional_vector(binder, "attn_output.bias", shape->n_embd, &layer->out_b, err);
}

static bool bind_down(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    return bind_matrix(binder, "ffn_down.weight", shape->n_embd, layer->n_ff, &layer->down, err) &&
           bind_optional_vector(binder, "ffn_down.bias", shape->n_embd, &layer->down_b, err);
}

static bool bind_fused_gate(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    struct matrix whole;
    if (!bind_matrix(binder, "ffn_up.weight", 2 * layer->n_ff, shape->n_embd, &whole, err))
        return false;
    layer->gate = matrix_slice(&whole, 0, layer->n_ff);
    layer->up = matrix_slice(&whole, (size_t)layer->n_ff, layer->n_ff);
    return bind_down(binder, layer, err);
}

/* Of each expert a slice of two tensors: its gate and up follow each other in one. */
static bool bind_fused_experts(struct binder *binder, struct layer *layer, struct expert one,
                               struct err *err)
{
    int n = binder->shape->n_experts;
    size_t n_ff = (size_t)one.gate.n_out, n_embd = (size_t)one.down.n_out;
    struct matrix both = one.gate, all_both, all_down;
    both.n_out *= 2;
    if (!bind_matrices(binder, "ffn_gate_up_exps.weight", both, n, &all_both, err) ||
        !bind_matrices(binder, "ffn_down_exps.weight", one.down, n, &all_down, err))
        return false;
    for (size_t i = 0; i < (size_t)n; i++)
        layer->experts[i] = (struct expert){
            .gate = matrix_slice(&all_both, 2 * i * n_ff, one.gate.n_out),
            .up = matrix_slice(&all_both, (2 * i + 1) * n_ff, one.up.n_out),
            .down = matrix_slice(&all_down, i * n_embd, one.down.n_out),
        };
    return true;
}

/* Of each expert a slice of three tensors. */
static bool bind_joint_experts(struct binder *binder, struct layer *layer, struct expert one,
                               struct err *err)
{
    int n = binder->shape->n_experts;
    struct expert all;
    if (binder_has(binder, "ffn_gate_up_exps.weight"))
        return bind_fused_experts(binder, layer, one, err);
    if (!bind_matrices(binder, "ffn_gate_exps.weight", one.gate, n, &all.gate, err) ||
        !bind_matrices(binder, "ffn_up_exps.weight", one.up, n, &all.up, err) ||
        !bind_matrices(binder, "ffn_down_exps.weight", one.down, n, &all.down, err))
        return false;
    for (int i = 0; i < n; i++)
        layer->experts[i] = (struct expert){
            .gate = matrix_slice(&all.gate, (size_t)i * (size_t)one.gate.n_out, one.gate.n_out),
            .up = matrix_slice(&all.up, (size_t)i * (size_t)one.up.n_out, one.up.n_out),
            .down = matrix_slice(&all.down, (size_t)i * (size_t)one.down.n_out, one.down.n_out),
        };
    return true;
}

/* Of each expert three tensors, as files of Mixtral had them before April 2024. */
static bool bind_single_experts(struct binder *binder, struct layer *layer, struct expert one,
                                struct err *err)
{
    for (int i = 0; i < binder->shape->n_experts; i++) {
        char gate[MAX_NAME / 2], up[MAX_NAME / 2], down[MAX_NAME / 2];
        struct expert *expert = &layer->experts[i];
        snprintf(gate, sizeof gate, "ffn_gate.%d.weight", i);
        snprintf(up, sizeof up, "ffn_up.%d.weight", i);
        snprintf(down, sizeof down, "ffn_down.%d.weight", i);
        if (!bind_matrices(binder, gate, one.gate, 1, &expert->gate, err) ||
            !bind_matrices(binder, up, one.up, 1, &expert->up, err) ||
            !bind_matrices(binder, down, one.down, 1, &expert->down, err))
            return false;
    }
    return true;
}

/* The feed-forward that all tokens share, where there is one. */
static bool bind_shared_expert(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    if (layer->n_ff == 0)
        return true;
    return bind_matrix(binder, "ffn_gate_shexp.weight", layer->n_ff, shape->n_embd, &layer->gate,
                       err) &&
           bind_matrix(binder, "ffn_up_shexp.weight", layer->n_ff, shape->n_embd, &layer->up,
                       err) &&
           bind_matrix(binder, "ffn_down_shexp.weight", shape->n_embd, layer->n_ff, &layer->down,
                       err);
}

bool bind_routed_experts(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    const struct expert one = {
        .gate = {.n_out = shape->n_ff_expert, .n_in = shape->n_embd},
        .up = {.n_out = shape->n_ff_expert, .n_in = shape->n_embd},
        .down = {.n_out = shape->n_embd, .n_in = shape->n_ff_expert},
    };
    bool chooses_by_score = shape->routing.n_groups > 0;
    if (!bind_matrix(binder, "ffn_gate_inp.weight", shape->n_experts, shape->n_embd, &layer->router,
                     err) ||
        (chooses_by_score && !bind_optional_vector(binder, "exp_probs_b.bias", shape->n_experts,
                                                   &layer->choice_b, err)))
        return false;
    return binder_has(binder, "ffn_gate.0.weight") ? bind_single_experts(binder, layer, one, err)
                                                   : bind_joint_experts(binder, layer, one, err);
}

bool bind_expert_biases(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    int n = shape->n_experts, n_embd = shape->n_embd, n_ff = shape->n_ff_expert;
    const float *gate, *up, *down;
    if (!bind_vector(binder, "ffn_gate_inp.bias", n, &layer->router_b, err) ||
        !bind_vectors(binder, "ffn_gate_exps.bias", n, n_ff, &gate, err) ||
        !bind_vectors(binder, "ffn_up_exps.bias", n, n_ff, &up, err) ||
        !bind_vectors(binder, "ffn_down_exps.bias", n, n_embd, &down, err))
        return false;
    for (int i = 0; i < n; i++) {
        layer->experts[i].gate_b = gate + (ptrdiff_t)i * n_ff;
        layer->experts[i].up_b = up + (ptrdiff_t)i * n_ff;
        layer->experts[i].down_b = down + (ptrdiff_t)i * n_embd;
    }
    return true;
}

bool bind_gated_ffn(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    if (layer->experts != NULL)
        return bind_routed_experts(binder, layer, err) && bind_shared_expert(binder, layer, err);
    if (!binder_has(binder, "ffn_gate.weight"))
        return bind_fused_gate(binder, layer, err);
    return bind_matrix(binder, "ffn_gate.weight", layer->n_ff, shape->n_embd, &layer->gate, err) &&
           bind_optional_vector(binder, "ffn_gate.bias", layer->n_ff, &layer->gate_b, err) &&
           bind_plain_ffn(binder, layer, err);
}

bool bind_plain_ffn(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    return bind_matrix(binder, "ffn_up.weight", layer->n_ff, shape->n_embd, &layer->up, err) &&
           bind_optional_vector(binder, "ffn_up.bias", layer->n_ff, &layer->up_b, err) &&
           bind_down(binder, layer, err);
}

bool bind_norm(struct binder *binder, const char *name, const float **out_weight,
               const float **out_bias, struct err *err)
{
    char weight[MAX_NAME / 2], bias[MAX_NAME / 2];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    return bind_vector(binder, weight, binder->shape->n_embd, out_weight, err) &&
           bind_optional_vector(binder, bias, binder->shape->n_embd, out_bias, err);
}

bool bind_head_norms(struct binder *binder, struct layer *layer, struct err *err)
{
    int head_dim = layer->heads.dim_k;
    return bind_vector(binder, "attn_q_norm.weight", head_dim, &layer->q_norm, err) &&
           bind_vector(binder, "attn_k_norm.weight", head_dim, &layer->k_norm, err);
}

bool bind_norms_of_all_heads(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    int n_q = shape->n_heads * layer->heads.dim_k, n_k = layer->heads.n * layer->heads.dim_k;
    return bind_vector(binder, "attn_q_norm.weight", n_q, &layer->q_norm, err) &&
           bind_vector(binder, "attn_k_norm.weight", n_k, &layer->k_norm, err);
}

bool bind_post_norms(struct binder *binder, struct layer *layer, struct err *err)
{
    int n_embd = binder->shape->n_embd;
    return bind_vector(binder, "post_attention_norm.weight", n_embd, &layer->post_attn_norm, err) &&
           bind_vector(binder, "post_ffw_norm.weight", n_embd, &layer->post_ffn_norm, err);
}

bool bind_layer_input(struct binder *binder, struct layer *layer, struct err *err)
{
    int n = binder->shape->n_layer_input, n_embd = binder->shape->n_embd;
    return n == 0 || (bind_matrix(binder, "inp_gate.weight", n, n_embd, &layer->input_gate, err) &&
                      bind_matrix(binder, "proj.weight", n_embd, n, &layer->input_up, err) &&
                      bind_vector(binder, "post_norm.weight", n_embd, &layer->input_norm, err));
}

bool bind_gated_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           bind_attention(binder, layer, err) &&
           bind_norm(binder, "ffn_norm", &layer->ffn_norm, &layer->ffn_norm_b, err) &&
           bind_gated_ffn(binder, layer, err);
}

bool bind_head_normed_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_gated_layer(binder, layer, err) && bind_head_norms(binder, layer, err);
}

bool bind_ungated_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           bind_attention(binder, layer, err) &&
           bind_norm(binder, "ffn_norm", &layer->ffn_norm, &layer->ffn_norm_b, err) &&
           bind_plain_ffn(binder, layer, err);
}

bool binder_is_left_aside(const struct gguf_tensor *tensor, const struct model_shape *shape)
{
    for (int i = 0; i < shape->n_further_layers; i++) {
        char begin[32];
        int len = snprintf(begin, sizeof begin, "blk.%d.", shape->n_layers + i);
        if (tensor->name.len > (size_t)len && memcmp(tensor->name.data, begin, (size_t)len) == 0)
            return true;
    }
    return false;
}

bool binder_check_all_bound(const struct binder *binder, struct err *err)
{
    for (size_t i = 0; i < gguf_n_tensors(binder->file); i++) {
        if (!binder->is_bound[i] &&
            !binder_is_left_aside(gguf_tensor_at(binder->file, i), binder->shape))
            return err_set(err, ERR_UNSUPPORTED,
                           "the model has a tensor '%s' that sinkd has no use for in this "
                           "architecture, so its answers would be wrong",
                           gguf_show(gguf_tensor_at(binder->file, i)->name).text);
    }
    return true;
}
