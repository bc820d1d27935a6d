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

/* Where each expert's slots begin; of those without tokens, too. */
static void place_groups(struct experts_batch *batch, int n_choices, int n_experts,
                         experts_pad_fn *pad)
{
    int first = 0;
    for (int i = 0; i < n_experts; i++)
        batch->groups[i] = (struct experts_group){.expert = i};
    for (int i = 0; i < n_choices; i++)
        batch->groups[batch->choices[i].expert].n_padded++;
    for (int i = 0; i < n_experts; i++) {
        struct experts_group *group = &batch->groups[i];
        group->n_padded = pad(group->n_padded);
        group->first = first;
        first += group->n_padded;
    }
}

static void put(struct experts_batch *batch, int slot, int token, float weight)
{
    batch->tokens[slot] = token;
    batch->weights[slot] = weight;
}

void experts_group(struct experts_batch *batch, int n_tokens, int n_used, int n_experts,
                   experts_pad_fn *pad)
{
    place_groups(batch, n_tokens * n_used, n_experts, pad);
    for (int i = 0; i < n_tokens * n_used; i++) {
        struct experts_group *group = &batch->groups[batch->choices[i].expert];
        put(batch, group->first + group->n++, i / n_used, batch->choices[i].weight);
    }
    batch->n_groups = 0;
    for (int i = 0; i < n_experts; i++) {
        struct experts_group group = batch->groups[i];
        for (int slot = group.first + group.n; slot < group.first + group.n_padded; slot++)
            put(batch, slot, batch->tokens[group.first], 0);
        if (group.n > 0)
            batch->groups[batch->n_groups++] = group;
    }
}
