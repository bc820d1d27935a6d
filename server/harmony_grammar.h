/* harmony_grammar.h - answer_grammar.h for models that answer in Harmony (harmony_parser.h), which
 * has all that stands around an answer in messages of its own. Pure. Thread: any. */
#ifndef SERVER_HARMONY_GRAMMAR_H
#define SERVER_HARMONY_GRAMMAR_H

#include <stdbool.h>

struct answer_frame;
struct buf;
struct err;

/* As those of answer_grammar.h. */
bool harmony_grammar_write(const struct answer_frame *frame, struct buf *out, struct err *err);
bool harmony_grammar_write_calls(const struct answer_frame *frame, struct buf *out,
                                 struct err *err);

#endif
