/* experts.h - which experts each token of a batch goes to, and which tokens each expert gets.
 *
 * Thread: any; different tokens may be chosen for at once. Allocates nothing. Not here: the logits
 * that choices are made by, and what experts compute (forward_experts.c). */
#ifndef CORE_MODEL_EXPERTS_H
#define CORE_MODEL_EXPERTS_H

#include <stdbool.h>

struct expert_choice {
    int expert;
    float weight; /* of what it says, in the sum of those that a token has chosen */
};

/* The n_used largest of n_experts logits, the largest first and of equal ones that with the lower
 * number. Their weights are of a softmax over all experts, or, when they sum to one, over those
 * chosen. A logit that is no number is the smallest. */
void experts_choose(const float *logits, int n_experts, int n_used, bool sums_to_one,
                    struct expert_choice *out_choices);

/* Slots first .. first + n-1 are one expert's. */
struct experts_group {
    int expert;
    int first;
    int n; /* >= 1 */
};

/* The batch as experts see it. Memory is the caller's. */
struct experts_batch {
    struct expert_choice *choices; /* [n_tokens, n_used] */
    int *tokens;                   /* [n_tokens * n_used] of each slot; in a group ascending */
    float *weights;                /* the same: what the token gives its expert */
    struct experts_group *groups;  /* [n_experts]; the first n_groups, by expert, have tokens */
    int n_groups;
};

/* Slots and groups from the choices, of which none of a token is another's expert. */
void experts_group(struct experts_batch *batch, int n_tokens, int n_used, int n_experts);

#endif
