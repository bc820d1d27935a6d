/* chat_reply.h - what the model says as the bytes of the API: chunks of a stream, or one object.
 *
 * Frames are single lines of JSON with every key that known clients insist on. Pure.
 * Thread: any. */
#ifndef SERVER_CHAT_REPLY_H
#define SERVER_CHAT_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_error;
struct buf;
struct generation_end;

/* What all frames of one reply share. */
struct chat_reply {
    char id[48];
    int64_t created; /* Unix time */
    const char *model;
    const char *fingerprint;
    bool is_chat;       /* chat.completion, else text_completion */
    bool include_usage; /* a stream: all chunks carry "usage" */
};

/* The first chunk: says who speaks. */
void chat_reply_begin(const struct chat_reply *reply, struct buf *out);
void chat_reply_text(const struct chat_reply *reply, const char *text, size_t len, struct buf *out);
/* The chunk with the finish reason, the one with the usage if asked for, and [DONE]. */
void chat_reply_finish(const struct chat_reply *reply, const struct generation_end *end,
                       struct buf *out);
/* A stream that cannot go on: an error frame and [DONE]. */
void chat_reply_fail(const struct api_error *error, struct buf *out);

/* The whole reply as one object. */
void chat_reply_whole(const struct chat_reply *reply, const struct generation_end *end,
                      struct buf *out);

#endif
