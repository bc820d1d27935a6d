/* chat_reply.h - what the model says as the bytes of the API: chunks of a stream, or one object.
 *
 * Frames are single lines of JSON with every key that known clients insist on. Pure.
 * Thread: any. */
#ifndef SERVER_CHAT_REPLY_H
#define SERVER_CHAT_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/tool_parser.h"

struct api_error;
struct buf;
struct engine_usage;
struct generation_delta;
struct generation_end;
struct generation_start;
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
    /* Anthropic's: the blocks that have begun, and if the last one has not ended, what it is. */
    int n_blocks;
    bool is_in_block;
    enum answer_part block;
};

/* How one API writes what all of them say. */
struct chat_form {
    /* A stream: the first chunk of a choice says who speaks, ... */
    void (*begin)(const struct chat_reply *reply, struct chat_reply_choice *choice,
                  const struct generation_start *start, struct buf *out);
    void (*delta)(const struct chat_reply *reply, struct chat_reply_choice *choice,
                  const struct generation_delta *delta, struct buf *out);
    /* ... before any delta, how much of the prompt is read (NULL: that is never asked for), ... */
    void (*progress)(const struct chat_reply *reply, const struct chat_reply_choice *choice,
                     int n_read, const struct engine_usage *usage, struct buf *out);
    /* ... the last one why it ended. */
    void (*finish)(const struct chat_reply *reply, struct chat_reply_choice *choice,
                   const struct generation_end *end, struct buf *out);
    /* After all choices. */
    void (*close)(const struct chat_reply *reply, const struct chat_reply_usage *usage,
                  struct buf *out);
    /* A stream that cannot go on. */
    void (*fail)(const struct api_error *error, struct buf *out);
    /* One object: each choice, ... */
    void (*choice)(const struct chat_reply *reply, const struct chat_reply_choice *choice,
                   const struct generation_end *end, struct buf *out);
    /* ... and around the choices, joined by commas, the rest but for the last brace. */
    void (*whole_begin)(const struct chat_reply *reply, struct buf *out);
    void (*whole_end)(const struct chat_reply_usage *usage, struct buf *out);
};

/* OpenAI's, of chats and of completions. */
extern const struct chat_form chat_reply_form;

/* ,"session":{...},"timings":{...} */
void chat_reply_session(const struct generation_end *end, struct buf *out);

#endif
