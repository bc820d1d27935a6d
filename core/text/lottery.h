/* lottery.h - a draw among all tokens of a vocabulary, each as likely as its weight.
 *
 * Nothing is sorted. Whether a token is among the best that make up some share is known once those
 * better than it are added up: one that is not is left out with all that are worse, and the next is
 * drawn from what is left. Better means a larger weight, and of equals the smaller id. Nothing is
 * allocated but in lottery_init. Any thread. */
#ifndef CORE_TEXT_LOTTERY_H
#define CORE_TEXT_LOTTERY_H

#include <stdbool.h>
#include <stdint.h>

struct err;

struct lottery {
    int n;
    float *weights; /* [n] */
    double *sums;   /* of each block's tokens that are still in */
    float bar;      /* the weight of the last token left out; all that are better are in */
    int32_t bar_id;
};

bool lottery_init(struct lottery *lottery, int n, struct err *err);
void lottery_done(struct lottery *lottery);

/* All in, weighing e^((logit - largest) / temperature): 0 for a logit that is not finite. `largest`
 * is the largest that is. Returns the sum of all weights. */
double lottery_fill(struct lottery *lottery, const float *logits, float largest, float temperature);

/* Leaves out all that weigh less. */
void lottery_drop_lighter(struct lottery *lottery, float weight);

/* The token in [0, 1) of those that are in, in the order of their ids. There must be one. */
int32_t lottery_pick(const struct lottery *lottery, double at);

/* Leaves in only those that are better than the token, and returns the sum of their weights. */
double lottery_keep_better(struct lottery *lottery, int32_t id);

#endif
