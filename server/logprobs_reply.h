/* logprobs_reply.h - how likely the model held its tokens, in the words of the API. Pure.
 * Thread: any. */
#ifndef SERVER_LOGPROBS_REPLY_H
#define SERVER_LOGPROBS_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "core/text/token_report.h"

struct buf;
struct tokenizer;

/* Of a chat: {"content":[...],"refusal":null}. */
void logprobs_reply_chat(const struct tokenizer *tokenizer, const struct token_report *reports,
                         size_t n, struct buf *out);

/* The same tokens as objects with commas between them. */
void logprobs_reply_tokens(const struct tokenizer *tokenizer, const struct token_report *reports,
                           size_t n, struct buf *out);

/* Of a completion: {"tokens":[...],"token_logprobs":...,"top_logprobs":...,"text_offset":...}.
 * `text` is the part of the answer that begins `text_begin` bytes into it, before which lie
 * n_before characters. */
struct logprobs_text {
    const char *text;
    size_t len;
    size_t text_begin;
    int64_t n_before;
};
void logprobs_reply_completion(const struct tokenizer *tokenizer,
                               const struct token_report *reports, size_t n,
                               const struct logprobs_text *text, struct buf *out);

/* Characters (code points) of UTF-8 text. */
int64_t logprobs_count_characters(const char *text, size_t len);

#endif
