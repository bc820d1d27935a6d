#include "core/model/experts.h"

#include <math.h>

static float rank_of(float logit)
{
    return isnan(logit) ? -INFINITY : logit;
}

/* Puts an expert in its place among the n best so far, of which there may be n_used. */
static int insert(struct expert_choice *best, int n, int n_used, struct expert_choice one)
{
    int at = n < n_used ? n++ : n_used;
    for (; at > 0 && best[at - 1].weight < one.weight; at--) {
        if (at < n_used)
            best[at] = best[at - 1];
    }
    if (at < n_used)
        best[at] = one;
    return n;
}

void experts_choose(const float *logits, int n_experts, int n_used, bool sums_to_one,
                    struct expert_choice *out_choices)
{
    int n = 0;
    for (int i = 0; i < n_experts; i++)
        n = insert(out_choices, n, n_used, (struct expert_choice){i, rank_of(logits[i])});

    float max = out_choices[0].weight, sum = 0;
    for (int i = 0; i < n_experts && !sums_to_one; i++)
        sum += expf(rank_of(logits[i]) - max);
    for (int i = 0; i < n_used; i++) {
        out_choices[i].weight = expf(out_choices[i].weight - max);
        if (sums_to_one)
            sum += out_choices[i].weight;
    }
    for (int i = 0; i < n_used; i++)
        out_choices[i].weight /= sum;
}

static void count_tokens(struct experts_batch *batch, int n_slots, int n_experts)
{
    for (int i = 0; i < n_experts; i++)
        batch->groups[i] = (struct experts_group){.expert = i};
    for (int i = 0; i < n_slots; i++)
        batch->groups[batch->choices[i].expert].n++;
    for (int i = 1; i < n_experts; i++)
        batch->groups[i].first = batch->groups[i - 1].first + batch->groups[i - 1].n;
}

void experts_group(struct experts_batch *batch, int n_tokens, int n_used, int n_experts)
{
    int n_slots = n_tokens * n_used;
    count_tokens(batch, n_slots, n_experts);
    for (int i = 0; i < n_experts; i++)
        batch->groups[i].n = 0;
    for (int i = 0; i < n_slots; i++) {
        struct experts_group *group = &batch->groups[batch->choices[i].expert];
        int slot = group->first + group->n++;
        batch->tokens[slot] = i / n_used;
        batch->weights[slot] = batch->choices[i].weight;
    }
    batch->n_groups = 0;
    for (int i = 0; i < n_experts; i++) {
        if (batch->groups[i].n > 0)
            batch->groups[batch->n_groups++] = batch->groups[i];
    }
}
