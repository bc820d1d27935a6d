/* model_shape_parts.h - parts of reading a model's shape, for the model_shape*.c files alone. What
 * is wrong with a key fails its reader. */
#ifndef CORE_MODEL_MODEL_SHAPE_PARTS_H
#define CORE_MODEL_MODEL_SHAPE_PARTS_H

#include "core/model/key_reader.h"
#include "core/model/model_shape.h"

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

/* Positions that are rotations, and how they are scaled. */
void model_shape_read_rope(struct key_reader *reader, const struct family *family,
                           struct model_shape *shape);
/* Of a file that has experts: how many, how long, and how they are chosen. */
void model_shape_read_experts(struct key_reader *reader, const struct family *family,
                              struct model_shape *shape);

/* Layers with a state: which they are, and how large. */
void model_shape_read_delta(struct key_reader *reader, const struct family *family,
                            struct model_shape *shape);
/* Each how many layers one is of another kind: a number, or for each layer whether it is not. */
int model_shape_read_period(struct key_reader *reader, const char *name, int missing, int n_layers);

/* Keys without which the family cannot be computed are there. */
void model_shape_check_needed_keys(struct key_reader *reader, const struct family *family);
/* Keys that ask for what the family does not compute are not, or say nothing. */
void model_shape_check_foreign_keys(struct key_reader *reader, const struct family *family);

#endif
