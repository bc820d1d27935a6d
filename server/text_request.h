/* text_request.h - the bodies of the endpoints that turn text into tokens, tokens into text and
 * messages into a prompt, without generating.
 *
 * Two servers' shapes are understood, told apart by their keys: llama.cpp's ("content") and vLLM's
 * ("prompt", "messages"). Pure. Thread: any. */
#ifndef SERVER_TEXT_REQUEST_H
#define SERVER_TEXT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/text/tokenizer.h"
#include "server/chat_request.h"
#include "server/message_log.h"

struct api_error;
struct chat_template;
struct err;
struct generation_request;
struct prompt;

struct text_request {
    bool is_chat;                /* messages; else text */
    struct message_log messages; /* at least one */
    char *tools;                 /* owned; JSON array, NULL for none */
    char *kwargs;                /* owned; JSON object for the template, NULL for none */
    bool add_generation_prompt;
    struct buf text;
    bool parse_special; /* control tokens are recognised in the text */
    bool add_special;   /* BOS, where the vocabulary has one */
    bool with_pieces;   /* each token's text too */
    bool is_vllm;       /* the reply has vLLM's shape */
};

/* Each may be followed by text_request_done when it returns true. */
bool text_request_parse_tokenize(const char *body, size_t len, struct text_request *out,
                                 struct api_error *error);
bool text_request_parse_messages(enum chat_api api, const char *body, size_t len,
                                 struct text_request *out, struct api_error *error);
void text_request_done(struct text_request *request);

/* Takes over what goes into a chat's prompt; the rest of *out is as it was. */
void text_request_take(struct text_request *out, struct message_log *messages,
                       struct generation_request *generation);

/* {"tokens": [...]}: ids of 0 .. n_vocab - 1. The caller owns *out. */
bool text_request_parse_detokenize(const char *body, size_t len, int n_vocab,
                                   struct token_list *out, struct api_error *error);

/* What is to be tokenized, or shown as the prompt. */
bool text_request_render(const struct text_request *request, const struct chat_template *template,
                         struct prompt *out, struct err *err);

#endif
