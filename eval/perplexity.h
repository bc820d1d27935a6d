/* perplexity.h - how well each token of a long text is predicted, by mode of attention.
 * Thread: main. */
#ifndef EVAL_PERPLEXITY_H
#define EVAL_PERPLEXITY_H

#include <stdbool.h>

#include "eval/stream.h"

struct err;
struct subject;
struct text;

struct perplexity_run {
    struct stream_shape shape;
    int stride;           /* score positions stride - 1, 2 stride - 1, ... */
    int32_t line_break;   /* stands in the place of the sinks; -1: the text's own tokens do */
    const char *progress; /* what is being done, for the person who waits */
};

/* out_losses[i], i = 0 .. text length - 2: -ln p(token i + 1) after token i, in nats; NaN where it
 * is not scored. */
bool perplexity_measure(struct subject *subject, const struct text *text,
                        const struct perplexity_run *run, double *out_losses, struct err *err);

/* The mean over what is scored of begin .. end - 1, and of how many; NaN for none. */
double perplexity_mean(const double *losses, int begin, int end, int *out_n);

#endif
