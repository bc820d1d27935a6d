/* How far each pair of a head's entries turns at a position: angles of RoPE, for each step's
 * tokens. */
#include <math.h>

#include "core/model/forward_state.h"

/* The pair that turns n_turns times in YaRN's unscaled context, as a fraction. */
static double pair_of_turns(const struct model_shape *shape, double n_turns)
{
    double n_positions = shape->n_context_unscaled / (2 * M_PI * n_turns); /* for one radian */
    return shape->n_rot * log(n_positions) / (2 * log(shape->rope_base));
}

/* How much of the scaling pair i gets: all of linear scaling; of YaRN more, the slower it turns. */
static double slowed_share(const struct model_shape *shape, int i)
{
    if (!shape->yarn.is_used)
        return 1;
    double fast = pair_of_turns(shape, shape->yarn.n_fast);
    double slow = pair_of_turns(shape, shape->yarn.n_slow);
    fast = fmax(shape->yarn.is_unrounded ? fast : floor(fast), 0);
    slow = fmin(shape->yarn.is_unrounded ? slow : ceil(slow), shape->n_rot - 1);
    return fmin(fmax((i - fast) / fmax(slow - fast, 1e-3), 0), 1);
}

static double divide(double frequency, const float *factors, int i)
{
    return factors == NULL ? frequency : frequency / (double)factors[i];
}

/* RoPE (arXiv 2104.09864): pair i turns by base^(-2i / n_rot) per position. In double, because a
 * position of 1e6 in float is wrong by a twentieth of a radian. */
void forward_fill_frequencies(struct forward *forward)
{
    const struct model *model = forward->model;
    const struct model_shape *shape = &model->shape;
    forward->ropes[MODEL_ROPE].magnitude = shape->rope_magnitude;
    forward->ropes[MODEL_ROPE_LOCAL].magnitude = 1;
    for (int i = 0; i < shape->n_rot / 2; i++) {
        double exponent = -2.0 * i / shape->n_rot;
        double plain = pow(shape->rope_base, exponent);
        double slowed = plain / shape->rope_scale;
        double scaled = plain + (slowed - plain) * slowed_share(shape, i);
        forward->ropes[MODEL_ROPE].frequencies[i] = divide(scaled, model->rope_factors, i);
        if (model->rope_factors_long != NULL)
            forward->ropes[MODEL_ROPE].frequencies_long[i] =
                divide(scaled, model->rope_factors_long, i);
    }
    const struct rope *local = &forward->ropes[MODEL_ROPE_LOCAL];
    for (int i = 0; i < local->n_pairs; i++)
        local->frequencies[i] = pow(shape->rope_local_base, -1.0 * i / local->n_pairs);
}

/* LongRoPE chooses by the window that a conversation has from its start, never by where its text is
 * now: stored keys stay as they are. */
static const double *frequencies_for(const struct forward *forward, const struct rope *rope, int t)
{
    int n_window = kv_cache_shape(forward->tokens[t].cache)->n_window;
    bool is_long =
        rope->frequencies_long != NULL && n_window > forward->model->shape.n_context_unscaled;
    return is_long ? rope->frequencies_long : rope->frequencies;
}

static void fill_rotation(const struct forward *forward, const struct rope *rope,
                          const struct rotations *rotations, int t, int64_t position)
{
    const double *frequencies = frequencies_for(forward, rope, t);
    int n_pairs = rope->n_pairs;
    float *cos_row = rotations->cos + (size_t)t * (size_t)n_pairs;
    float *sin_row = rotations->sin + (size_t)t * (size_t)n_pairs;
    for (int i = 0; i < n_pairs; i++) {
        double angle = (double)position * frequencies[i];
        double angle_sin, angle_cos;
        sincos(angle, &angle_sin, &angle_cos);
        cos_row[i] = (float)(angle_cos * rope->magnitude);
        sin_row[i] = (float)(angle_sin * rope->magnitude);
    }
}

void forward_fill_rotations(const struct forward *forward, int t)
{
    const struct kv_view *view = &forward->views[t];
    for (int i = 0; i < forward->n_ropes; i++) {
        const struct rope *rope = &forward->ropes[i];
        fill_rotation(forward, rope, &rope->ring, t, view->position);
        fill_rotation(forward, rope, &rope->sink, t, view->in_cache);
    }
}
