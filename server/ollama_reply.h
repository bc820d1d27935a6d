/* ollama_reply.h - the model as an ollama server describes one. Pure. Thread: any. */
#ifndef SERVER_OLLAMA_REPLY_H
#define SERVER_OLLAMA_REPLY_H

#include <stdbool.h>
#include <stdint.h>

struct api_error;
struct buf;
struct engine_info;

struct ollama_model {
    const struct engine_info *info;
    const char *id;  /* what the API calls it */
    int64_t created; /* Unix time */
    bool has_tools;  /* it was taught to call them */
    bool thinks;
};

/* The list with this model in it, as /api/tags has it. */
void ollama_reply_tags(const struct ollama_model *model, struct buf *out);
/* All about it, as /api/show has it. */
void ollama_reply_show(const struct ollama_model *model, struct buf *out);

/* An api_error_write_fn: {"error":"..."} */
void ollama_reply_error(const struct api_error *error, struct buf *out);

#endif
