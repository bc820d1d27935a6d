#include "core/gguf/gguf.h"
#include "core/model/model_shape_parts.h"

bool model_shape_has_state(const struct model_shape *shape, int i)
{
    return shape->delta.period > 0 && (i + 1) % shape->delta.period != 0;
}

/* The last inputs of the convolution, and a matrix for each head. */
static size_t state_of_layer(const struct model_delta *delta)
{
    size_t n_heads = (size_t)delta->n_heads, dim = (size_t)delta->dim;
    size_t n_channels = (2 * (size_t)delta->n_groups + n_heads) * dim;
    return ((size_t)delta->n_taps - 1) * n_channels + n_heads * dim * dim;
}

size_t model_shape_first_state(const struct model_shape *shape, int i)
{
    if (shape->delta.period == 0)
        return 0;
    return (size_t)(i - i / shape->delta.period) * state_of_layer(&shape->delta);
}

/* Which layers have rows: by a list, or each so many-th one. */
static int read_period(struct key_reader *reader, int n_layers)
{
    const char *list = "attention.recurrent_layers";
    if (key_reader_has(reader, list))
        return model_shape_read_period(reader, list, -1, n_layers);
    return key_reader_count(reader, "full_attention_interval", 4, MAX_LAYERS);
}

void model_shape_read_delta(struct key_reader *reader, const struct family *family,
                            struct model_shape *shape)
{
    struct model_delta *delta = &shape->delta;
    delta->is_in_turn = family->has_delta_groups_in_turn;
    delta->period = read_period(reader, shape->n_layers);
    delta->n_heads = key_reader_count(reader, "ssm.time_step_rank", -1, MAX_HEADS);
    delta->n_groups = key_reader_count(reader, "ssm.group_count", -1, MAX_HEADS);
    delta->dim = key_reader_count(reader, "ssm.state_size", -1, MAX_HEAD_DIM);
    delta->n_taps = key_reader_count(reader, "ssm.conv_kernel", -1, MODEL_MAX_TAPS);
    int n_values = key_reader_count(reader, "ssm.inner_size", -1, MAX_EMBD);
    if (reader->failed)
        return;
    if (delta->period > shape->n_layers)
        key_reader_fail(reader, "full_attention_interval", "leaves no layer with attention");
    if (delta->n_heads % delta->n_groups != 0)
        key_reader_fail(reader, "ssm.time_step_rank", "is not a multiple of its group_count");
    if (n_values != delta->n_heads * delta->dim)
        key_reader_fail(reader, "ssm.inner_size", "is not its time_step_rank times its state_size");
    if (shape->head_dim_k != shape->head_dim_v)
        key_reader_fail(reader, "attention.value_length", "is not its key_length");
    if ((2 * delta->n_groups + delta->n_heads) * delta->dim > MAX_EMBD)
        key_reader_fail(reader, "ssm.group_count", "gives heads that are too large together");
}
