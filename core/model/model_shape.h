/* model_shape.h - reads a model's hyper-parameters, with a range for each. For model.c alone.
 *
 * Ranges keep every product that follows inside int; binding the weights then proves that the
 * numbers are those of the tensors. */
#ifndef CORE_MODEL_MODEL_SHAPE_H
#define CORE_MODEL_MODEL_SHAPE_H

#include "core/model/family.h"
#include "core/model/model.h"

bool model_shape_read(struct model_shape *out, const struct gguf *file, const struct family *family,
                      struct err *err);

#endif
