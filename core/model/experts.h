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

enum { EXPERTS_MOST_GROUPS = 64 };

/* How experts are chosen by scores instead: a softmax of all logits, or the sigmoid of each. */
struct experts_routing {
    bool is_sigmoid;
    bool sums_to_one;  /* weights are divided by the sum of those chosen */
    float scale;       /* and multiplied by it */
    int n_groups;      /* 1 .. EXPERTS_MOST_GROUPS, of neighbours; only experts of the best */
    int n_groups_used; /* n_groups_used are chosen, by the sum of the two best sigmoids in each, or
                          by the best score of a softmax */
};

/* The n_used largest of scores + bias (or of scores, NULL); their weights are scores (arXiv
 * 2412.19437, section 2.1.2). `logits` become scores. */
void experts_choose_by_score(const struct experts_routing *routing, const float *bias,
                             float *logits, int n_experts, int n_used,
                             struct expert_choice *out_choices);

/* Slots first .. first + n-1 are one expert's, as are those up to n_padded, which hold nobody. */
struct experts_group {
    int expert;
    int first;
    int n; /* >= 1 */
    int n_padded;
};

/* The batch as experts see it. Memory is the caller's. */
struct experts_batch {
    struct expert_choice *choices; /* [n_tokens, n_used] */
    int *tokens;                   /* [n_slots] in a group ascending; nobody is a token again */
    float *weights;                /* [n_slots] what the token gives its expert; nobody nothing */
    struct experts_group *groups;  /* [n_experts]; the first n_groups, by expert, have tokens */
    int n_groups;
};

/* How many slots a group of n tokens gets: n or up to EXPERTS_MOST_PADDING more. */
typedef int experts_pad_fn(int n);
enum { EXPERTS_MOST_PADDING = 3 };

/* Slots and groups from the choices; each token has chosen n_used different experts. */
void experts_group(struct experts_batch *batch, int n_tokens, int n_used, int n_experts,
                   experts_pad_fn *pad);

#endif
