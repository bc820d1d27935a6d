#include "core/text/token_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/text/candidates.h"

enum { BLOCK = 512 }; /* weights that are added up in float */

void token_report_list_init(struct token_report_list *list)
{
    *list = (struct token_report_list){0};
}

void token_report_list_done(struct token_report_list *list)
{
    free(list->items);
    token_report_list_init(list);
}

bool token_report_list_append(struct token_report_list *list, const struct token_report *items,
                              size_t n)
{
    if (n == 0)
        return true;
    if (n > list->max - list->n) {
        size_t max = list->max * 2 > list->n + n ? list->max * 2 : list->n + n;
        struct token_report *more = reallocarray(list->items, max, sizeof *more);
        if (more == NULL)
            return false;
        list->items = more;
        list->max = max;
    }
    memcpy(list->items + list->n, items, n * sizeof *items);
    list->n += n;
    return true;
}

/* log(sum(exp(logits))), from the largest so that nothing overflows; -infinity for nothing finite.
 */
static double log_sum_exp(const float *logits, int n)
{
    float weights[BLOCK];
    int32_t best = candidates_best(logits, n);
    if (best < 0)
        return -INFINITY;
    double sum = 0.0;
    for (int i = 0; i < n; i += BLOCK) {
        int len = n - i < BLOCK ? n - i : BLOCK;
        sum += (double)kernels->weigh(weights, logits + i, len, logits[best], 1);
    }
    return (double)logits[best] + log(sum);
}

static float logprob(float logit, double all)
{
    double value = (double)logit - all;
    return value > (double)TOKEN_REPORT_UNLIKELY ? (value < 0 ? (float)value : 0.0F)
                                                 : TOKEN_REPORT_UNLIKELY;
}

static int by_weight(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static void find_top(struct token_report *report, const float *logits, int n_vocab, int n_top,
                     double all)
{
    struct candidate best[CANDIDATES_ROOM(TOKEN_REPORT_MAX_TOP)];
    report->n_top = n_top == 0 ? 0 : candidates_collect(best, logits, n_vocab, n_top);
    qsort(best, (size_t)report->n_top, sizeof *best, by_weight);
    for (int i = 0; i < report->n_top; i++)
        report->top[i] = (struct token_likelihood){best[i].id, logprob(best[i].weight, all)};
}

void token_report_measure(struct token_report *report, const float *logits, int n_vocab, int32_t id,
                          int n_top)
{
    double all = log_sum_exp(logits, n_vocab);
    report->chosen = (struct token_likelihood){id, logprob(logits[id], all)};
    find_top(report, logits, n_vocab, n_top, all);
}
