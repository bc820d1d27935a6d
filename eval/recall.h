/* recall.h - the parts of the recall test that can be judged alone. Thread: any (pure). */
#ifndef EVAL_RECALL_H
#define EVAL_RECALL_H

#include <stdbool.h>
#include <stddef.h>

#include "eval/text.h"

/* The five digits that line `line` states: the same for ever, unrelated between lines. */
int recall_value(int line);
/* "The REGISTER_CONTENT of the green otter is <01234>\n": the name is the line's, and no line
 * within a thousand has the same. Returns its length, like snprintf. */
int recall_format_fact(int line, char *out, size_t max);

/* A question about a line with its right answer, in tokens. */
struct recall_question {
    struct token_list tokens;
    size_t n_asked; /* tokens before the answer */
};
bool recall_question_init(struct recall_question *question, const struct subject *subject, int line,
                          struct err *err);
void recall_question_done(struct recall_question *question);

/* Right when each token of the answer was the model's first choice after what is before it; that
 * is what decoding the most likely tokens would have said. is_best[i] is about tokens.ids[i + 1].
 */
bool recall_is_right(const struct recall_question *question, const bool *is_best);

/* The mean loss of the answer's tokens; losses[i] is about tokens.ids[i + 1]. A measure for models
 * too weak to be right. */
double recall_loss(const struct recall_question *question, const double *losses);

/* Where the line that was asked for lies: all of its tokens inside the window of all of the
 * answer's, none of them in any, or between. Its first token is begins_back before the last query
 * of the answer, its last token ends_back before the first one; the window holds n_recent tokens
 * beside the sinks. */
enum recall_place { RECALL_INSIDE, RECALL_ACROSS, RECALL_OUTSIDE };
enum recall_place recall_place_of(int64_t begins_back, int64_t ends_back, int n_recent);

#endif
