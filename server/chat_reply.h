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
struct engine_usage;
struct generation_delta;
struct generation_end;
struct tokenizer;

/* What all frames of one reply share. */
struct chat_reply {
    char id[48];
    int64_t created; /* Unix time */
    const char *model;
    const char *fingerprint;
    const struct tokenizer *tokenizer; /* for log probabilities */
    bool is_chat;                      /* chat.completion, else text_completion */
    bool include_usage;                /* a stream: all chunks carry "usage" */
    bool has_logprobs;
    bool has_timings; /* in each chunk of a stream, not in the last alone */
};

/* Tokens, of all choices. */
struct chat_reply_usage {
    int64_t n_cached; /* of the prompts, each counted once */
    int64_t n_prompt; /* the others of theirs */
    int n_generated;
    int n_thought; /* of these, thoughts */
};

/* One of the answers, and how much of it has been sent. */
struct chat_reply_choice {
    int index;
    const char *echo; /* the prompt that comes before the answer; "" for none */
    size_t echo_len;
    size_t n_bytes; /* of the answer */
    int64_t n_characters;
};

/* A stream: the first chunk of a choice says who speaks, ... */
void chat_reply_begin(const struct chat_reply *reply, struct chat_reply_choice *choice,
                      struct buf *out);
void chat_reply_delta(const struct chat_reply *reply, struct chat_reply_choice *choice,
                      const struct generation_delta *delta, struct buf *out);
/* ... before any delta, how much of the prompt is read, ... */
void chat_reply_progress(const struct chat_reply *reply, const struct chat_reply_choice *choice,
                         int n_read, const struct engine_usage *usage, struct buf *out);
/* ... the last one why it ended. */
void chat_reply_finish(const struct chat_reply *reply, const struct chat_reply_choice *choice,
                       const struct generation_end *end, struct buf *out);
/* After all choices: the chunk with the usage, if asked for, and [DONE]. */
void chat_reply_close(const struct chat_reply *reply, const struct chat_reply_usage *usage,
                      struct buf *out);
/* A stream that cannot go on: an error frame and [DONE]. */
void chat_reply_fail(const struct api_error *error, struct buf *out);

/* One object: each choice, ... */
void chat_reply_choice(const struct chat_reply *reply, const struct chat_reply_choice *choice,
                       const struct generation_end *end, struct buf *out);
/* ... and around the choices, joined by commas, the rest. `end` is the first choice's. */
void chat_reply_whole_begin(const struct chat_reply *reply, struct buf *out);
void chat_reply_whole_end(const struct chat_reply_usage *usage, struct buf *out);
/* ,"session":{...},"timings":{...} */
void chat_reply_session(const struct generation_end *end, struct buf *out);

#endif
