/* model_shape.h - reads a model's hyper-parameters, with a range for each. For model.c alone.
 *
 * Ranges keep every product that follows inside int; binding the weights then proves that the
 * numbers are those of the tensors. */
#ifndef CORE_MODEL_MODEL_SHAPE_H
#define CORE_MODEL_MODEL_SHAPE_H

#include "core/model/family.h"
#include "core/model/model.h"

struct key_reader;

bool model_shape_read(struct model_shape *out, const struct gguf *file, const struct family *family,
                      struct err *err);

/* Whether layer i has a sliding window. */
bool model_shape_is_local(const struct model_shape *shape, int i);
/* Whether layer i has a convolution and no attention. */
bool model_shape_is_convolution(const struct key_reader *reader, const struct model_shape *shape,
                                int i);
/* Whether layer i carries a state from token to token. */
bool model_shape_has_state(const struct model_shape *shape, int i);
/* How many numbers the states of the layers before layer i have. */
size_t model_shape_first_state(const struct model_shape *shape, int i);
/* Whether layer i has experts. */
bool model_shape_has_experts(const struct model_shape *shape, int i);
/* The length of layer i's feed-forward for all tokens; 0 for none. */
int model_shape_n_ff(struct key_reader *reader, const struct model_shape *shape, int i);

#endif
