#include "core/model/experts.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

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

static void score(const struct experts_routing *routing, float *logits, int n)
{
    float max = -INFINITY, sum = 0;
    for (int i = 0; i < n && !routing->is_sigmoid; i++)
        max = fmaxf(max, rank_of(logits[i]));
    for (int i = 0; i < n; i++) {
        float e = expf(routing->is_sigmoid ? -rank_of(logits[i]) : rank_of(logits[i]) - max);
        logits[i] = routing->is_sigmoid ? 1 / (1 + e) : e;
        sum += logits[i];
    }
    for (int i = 0; i < n && !routing->is_sigmoid; i++)
        logits[i] /= sum;
}

static float biased(const float *scores, const float *bias, int i)
{
    return rank_of(bias == NULL ? scores[i] : scores[i] + bias[i]);
}

enum { BEST_OF_GROUP = 2 };

/* Of a softmax the best score alone is a group's: DeepSeek V2 chooses so, V3 by two sigmoids. */
static float score_of_group(const struct experts_routing *routing, const struct expert_choice *two,
                            int n)
{
    return n > 1 && routing->is_sigmoid ? two[0].weight + two[1].weight : two[0].weight;
}

/* A bit for each group whose experts may be chosen. */
static uint64_t choose_groups(const struct experts_routing *routing, const float *scores,
                              const float *bias, int n_experts)
{
    struct expert_choice best[EXPERTS_MOST_GROUPS];
    int n_each = n_experts / routing->n_groups, n_best = 0;
    uint64_t chosen = 0;
    for (int group = 0; group < routing->n_groups; group++) {
        struct expert_choice two[BEST_OF_GROUP];
        int n = 0;
        for (int i = group * n_each; i < (group + 1) * n_each; i++)
            n = insert(two, n, BEST_OF_GROUP, (struct expert_choice){i, biased(scores, bias, i)});
        n_best = insert(best, n_best, routing->n_groups_used,
                        (struct expert_choice){group, score_of_group(routing, two, n)});
    }
    for (int i = 0; i < n_best; i++)
        chosen |= (uint64_t)1 << best[i].expert;
    return chosen;
}

void experts_choose_by_score(const struct experts_routing *routing, const float *bias,
                             float *logits, int n_experts, int n_used,
                             struct expert_choice *out_choices)
{
    uint64_t groups = UINT64_MAX;
    int n = 0, n_each = n_experts / routing->n_groups;
    score(routing, logits, n_experts);
    if (routing->n_groups_used < routing->n_groups)
        groups = choose_groups(routing, logits, bias, n_experts);
    for (int i = 0; i < n_experts; i++) {
        float rank = groups >> (i / n_each) & 1 ? biased(logits, bias, i) : -INFINITY;
        n = insert(out_choices, n, n_used, (struct expert_choice){i, rank});
    }
    float sum = 0;
    for (int i = 0; i < n_used; i++) {
        out_choices[i].weight = logits[out_choices[i].expert];
        sum += out_choices[i].weight;
    }
    float factor = routing->sums_to_one ? routing->scale / (sum + 1e-20F) : routing->scale;
    for (int i = 0; i < n_used; i++)
        out_choices[i].weight *= factor;
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
