/* harmony_parser.h - an answer in Harmony, the format of gpt-oss, taken apart as it comes.
 *
 * An answer is one or more messages, each a header, its text and an end. The header names a channel
 * (analysis: thoughts; final: content; commentary: content, or a call) and, for a call, a
 * recipient, before the channel or behind it:
 *
 *     <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...
 *     <|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{...}
 *
 * The prompt ends behind "<|start|>assistant". Text is never lost: what has no header is content.
 * Pure. Owner: an answer_parser (embedded). Thread: the owner's. */
#ifndef SERVER_HARMONY_PARSER_H
#define SERVER_HARMONY_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "server/tool_parser.h"

#define HARMONY_START "<|start|>"
#define HARMONY_CHANNEL "<|channel|>"
#define HARMONY_CONSTRAIN "<|constrain|>"
#define HARMONY_MESSAGE "<|message|>"
#define HARMONY_END "<|end|>" /* of a message; the last one's is the answer's */
#define HARMONY_ANALYSIS HARMONY_CHANNEL "analysis" HARMONY_MESSAGE
#define HARMONY_FINAL HARMONY_CHANNEL "final"

enum { HARMONY_N_MARKS = 5 };
extern const char *const harmony_marks[HARMONY_N_MARKS];

struct harmony_parser {
    /* The caller's to set before. */
    bool keeps_thoughts; /* they are content */
    bool has_tools;      /* what is sent to a function is a call */
    answer_part_fn *emit;
    void *arg;

    bool is_in_text;       /* of a message, else in a header, or before it */
    struct buf held;       /* a header, or what may be the beginning of a mark */
    enum answer_part part; /* what the message's text is */
    bool is_apart;         /* its first text comes after that of another message */
    bool has_said[2];      /* ANSWER_CONTENT, ANSWER_REASONING */
    bool has_answered;     /* some message is no thought */
    bool lacks_arguments;  /* a call has none so far */
};

/* `is_begun`: the prompt's end is the content's beginning. */
void harmony_parser_init(struct harmony_parser *parser, bool is_begun);
void harmony_parser_done(struct harmony_parser *parser);

void harmony_parser_push(struct harmony_parser *parser, const char *text, size_t len);
void harmony_parser_end(struct harmony_parser *parser);

/* True while nothing but thoughts has come. */
bool harmony_parser_is_thinking(const struct harmony_parser *parser);

#endif
