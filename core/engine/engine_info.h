/* engine_info.h - what the options and a model file make of an engine: limits, window, sinks, and
 * what it says of itself.
 *
 * Inside core/engine only. Thread: any (pure). */
#ifndef CORE_ENGINE_ENGINE_INFO_H
#define CORE_ENGINE_ENGINE_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine/engine.h"
#include "core/model/kv_cache.h"

struct gguf;
struct model;

/* Checks what can be checked without a model, and sets what was left to us; window and sinks are
 * the model's. */
bool engine_options_settle(struct engine_options *options, struct err *err);

/* Options that are settled. Borrows texts of the file. */
bool engine_info_init(struct engine_info *info, const struct engine_options *options,
                      const struct gguf *file, const struct model *model, struct err *err);

/* Of each session's cache. */
struct kv_shape engine_info_shape(const struct engine_info *info, const struct model *model);

/* Of all that a saved session's numbers depend on, down to how this CPU rounds; 0 when none are
 * saved. Reads the file. */
uint64_t engine_info_fingerprint(const struct engine_info *info,
                                 const struct engine_options *options, const struct gguf *file);

#endif
