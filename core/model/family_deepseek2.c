/* family_deepseek2.c - DeepSeek V2 and V3 (arXiv 2405.04434, 2412.19437), and what is made like
 * them: Moonlight, Kimi K2, GLM-4.7-Flash. Keys and values of all heads are products of one latent
 * vector (multi-head latent attention), which alone is cached: forward_latent.c. Experts as in
 * family_deepseek.c, of the later ones by sigmoids, with a bias and in groups. */
#include <stdlib.h>

#include "core/base/err.h"
#include "core/kernels/half.h"
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_queries(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    const struct model_latent *latent = &shape->latent;
    int n_q = shape->n_heads * latent->dim_k;
    if (latent->n_query == 0)
        return bind_matrix(binder, "attn_q.weight", n_q, shape->n_embd, &layer->q, err);
    return bind_matrix(binder, "attn_q_a.weight", latent->n_query, shape->n_embd, &layer->q_down,
                       err) &&
           bind_vector(binder, "attn_q_a_norm.weight", latent->n_query, &layer->q_down_norm, err) &&
           bind_matrix(binder, "attn_q_b.weight", n_q, latent->n_query, &layer->q, err);
}

static bool bind_split_heads(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    struct latent_head all = {
        .key = {.n_out = shape->latent.n, .n_in = shape->latent.dim_k - shape->n_rot},
        .value = {.n_out = shape->latent.dim_v, .n_in = shape->latent.n},
    };
    if (!bind_matrices(binder, "attn_k_b.weight", all.key, shape->n_heads, &all.key, err) ||
        !bind_matrices(binder, "attn_v_b.weight", all.value, shape->n_heads, &all.value, err))
        return false;
    for (size_t i = 0; i < (size_t)shape->n_heads; i++)
        layer->latent_heads[i] = (struct latent_head){
            .key = matrix_slice(&all.key, i * (size_t)all.key.n_out, all.key.n_out),
            .value = matrix_slice(&all.value, i * (size_t)all.value.n_out, all.value.n_out),
        };
    return true;
}

/* to[i, j] = from[j, i], in floats of 32 or 16 bits. */
static void turn(struct matrix *to, const struct matrix *from, float *row)
{
    size_t n = (size_t)to->n_in;
    for (int j = 0; j < from->n_out; j++) {
        matrix_get_row(from, j, row);
        for (size_t i = 0; i < (size_t)from->n_in; i++) {
            if (to->type == TENSOR_F32)
                ((float *)to->data)[i * n + (size_t)j] = row[i];
            else
                ((uint16_t *)to->data)[i * n + (size_t)j] = f16_from_float(row[i]);
        }
    }
}

/* Files from before April 2025 have one tensor, in which each head's rows make its key of a latent
 * vector and then its value. Queries meet the first the other way round. */
static bool bind_joint_heads(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    const struct model_latent *latent = &shape->latent;
    int n_key = latent->dim_k - shape->n_rot, n_both = n_key + latent->dim_v;
    struct matrix whole;
    if (!bind_matrix(binder, "attn_kv_b.weight", shape->n_heads * n_both, latent->n, &whole, err))
        return false;
    bool is_exact = whole.type == TENSOR_F32;
    size_t each = (size_t)n_key * (size_t)latent->n * (is_exact ? sizeof(float) : sizeof(uint16_t));
    float *row = malloc((size_t)latent->n * sizeof *row);
    layer->turned = calloc((size_t)shape->n_heads, each);
    if (row == NULL || layer->turned == NULL) {
        free(row);
        return err_no_memory(err, "the model's keys");
    }
    for (size_t i = 0; i < (size_t)shape->n_heads; i++) {
        struct matrix key = matrix_slice(&whole, i * (size_t)n_both, n_key);
        struct latent_head *head = &layer->latent_heads[i];
        head->key = (struct matrix){.type = is_exact ? TENSOR_F32 : TENSOR_F16,
                                    .n_out = latent->n,
                                    .n_in = n_key,
                                    .data = (char *)layer->turned + i * each};
        head->value = matrix_slice(&whole, i * (size_t)n_both + (size_t)n_key, latent->dim_v);
        turn(&head->key, &key, row);
    }
    free(row);
    return true;
}

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_shape *shape = binder->shape;
    const struct model_latent *latent = &shape->latent;
    bool is_joint = binder_has(binder, "attn_kv_b.weight");
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           bind_queries(binder, layer, err) &&
           bind_matrix(binder, "attn_kv_a_mqa.weight", latent->n + shape->n_rot, shape->n_embd,
                       &layer->k, err) &&
           bind_vector(binder, "attn_kv_a_norm.weight", latent->n, &layer->latent_norm, err) &&
           (is_joint ? bind_joint_heads(binder, layer, err)
                     : bind_split_heads(binder, layer, err)) &&
           bind_matrix(binder, "attn_output.weight", shape->n_embd, shape->n_heads * latent->dim_v,
                       &layer->out, err) &&
           bind_norm(binder, "ffn_norm", &layer->ffn_norm, &layer->ffn_norm_b, err) &&
           bind_gated_ffn(binder, layer, err);
}

const struct family family_deepseek2 = {
    .architecture = "deepseek2",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_AS_TOLD,
    .has_latent_heads = true,
    .experts_by_sigmoid_if_biased = true,
    .predicts_further = true,
    .needed_keys = {"attention.kv_lora_rank", "rope.dimension_count"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
