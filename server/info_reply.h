/* info_reply.h - what the daemon says about itself: its model. Pure. Thread: any. */
#ifndef SERVER_INFO_REPLY_H
#define SERVER_INFO_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine/engine.h"

struct buf;
struct chat_caps;
struct generation_defaults;

/* One model object, or a list with this one in it. `id` is what the API calls the model. */
void info_reply_model(const struct engine_info *info, const char *id, int64_t created,
                      struct buf *out);
void info_reply_models(const struct engine_info *info, const char *id, int64_t created,
                       struct buf *out);

/* What llama.cpp's clients ask GET /props for. */
void info_reply_props(const struct engine_info *info, const struct tokenizer *tokenizer,
                      const struct chat_caps *caps, const struct generation_defaults *defaults,
                      int max_sessions, struct buf *out);

#endif
