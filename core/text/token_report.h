/* token_report.h - how likely the model held a chosen token, and its best alternatives.
 *
 * Log probabilities are those of the model's own distribution (log-softmax of the raw logits):
 * temperature, penalties, biases and grammar do not change them. Pure. Thread: any. */
#ifndef CORE_TEXT_TOKEN_REPORT_H
#define CORE_TEXT_TOKEN_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOKEN_REPORT_MAX_TOP = 20 };

struct token_likelihood {
    int32_t id;
    float logprob; /* <= 0; TOKEN_REPORT_UNLIKELY at the least */
};

/* What the API writes for "very unlikely", a probability of zero included. */
#define TOKEN_REPORT_UNLIKELY (-9999.0F)

struct token_report {
    struct token_likelihood chosen;
    int n_top;
    struct token_likelihood top[TOKEN_REPORT_MAX_TOP]; /* most likely first */
    /* Where its text lies in the text of the turn, in bytes; equal when it has none. An incomplete
     * UTF-8 sequence counts to the tokens that its bytes came in. */
    size_t text_begin, text_end;
};

/* Growable; the owner frees it with token_report_list_done. */
struct token_report_list {
    struct token_report *items;
    size_t n, max;
};
void token_report_list_init(struct token_report_list *list);
void token_report_list_done(struct token_report_list *list);
/* Copies; false when there is no memory. */
bool token_report_list_append(struct token_report_list *list, const struct token_report *items,
                              size_t n);

/* Fills in chosen and top (n_top 0 .. TOKEN_REPORT_MAX_TOP, fewer if not so many are finite) from
 * raw logits [n_vocab] for the token `id`. NaN counts as -infinity. */
void token_report_measure(struct token_report *report, const float *logits, int n_vocab, int32_t id,
                          int n_top);

#endif
