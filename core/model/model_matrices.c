/* The matrices of a model one after the other, for whoever goes through all of them. */
#include "core/model/model.h"

enum { SHARED_IN_LAYER = 15, OF_ALL = 2, IN_EXPERT = 3, IN_LATENT_HEAD = 2 };

static int count_in_latent_heads(const struct model *model)
{
    return model->latent_heads == NULL ? 0 : IN_LATENT_HEAD * model->shape.n_heads;
}

static int count_in_layer(const struct model *model)
{
    return SHARED_IN_LAYER + IN_EXPERT * model->shape.n_experts + count_in_latent_heads(model);
}

int model_n_matrices(const struct model *model)
{
    return model->shape.n_layers * count_in_layer(model) + OF_ALL;
}

/* Layers without experts have those of a layer with them, all without data. */
static const struct matrix *matrix_of_layer(const struct model *model, int layer_index, int i)
{
    const struct layer *layer = &model->layers[layer_index];
    int n_latent = count_in_latent_heads(model);
    if (i >= SHARED_IN_LAYER + n_latent) {
        i -= SHARED_IN_LAYER + n_latent;
        const struct expert *expert =
            &model->experts[layer_index * model->shape.n_experts + i / IN_EXPERT];
        const struct matrix *const own[IN_EXPERT] = {&expert->gate, &expert->up, &expert->down};
        return own[i % IN_EXPERT];
    }
    if (i >= SHARED_IN_LAYER) {
        const struct latent_head *head =
            &layer->latent_heads[(i - SHARED_IN_LAYER) / IN_LATENT_HEAD];
        return (i - SHARED_IN_LAYER) % IN_LATENT_HEAD == 0 ? &head->key : &head->value;
    }
    const struct matrix *const shared[SHARED_IN_LAYER] = {
        &layer->q,          &layer->k,          &layer->v,          &layer->out,
        &layer->gate,       &layer->up,         &layer->down,       &layer->input_gate,
        &layer->input_up,   &layer->q_down,     &layer->mix,        &layer->delta.qkv,
        &layer->delta.gate, &layer->delta.beta, &layer->delta.alpha};
    return shared[i];
}

const struct matrix *model_matrix(const struct model *model, int i)
{
    if (i == model_n_matrices(model) - 1)
        return &model->output;
    if (i == model_n_matrices(model) - 2)
        return &model->layer_projection;
    return matrix_of_layer(model, i / count_in_layer(model), i % count_in_layer(model));
}
