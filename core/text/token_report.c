#include "core/text/token_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/candidates.h"

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
    int32_t best = candidates_best(logits, n);
    float largest = best < 0 ? -INFINITY : logits[best];
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        if (isfinite(logits[i]))
            sum += (double)expf(logits[i] - largest);
    }
    return (double)largest + log(sum);
}

static float logprob(float logit, double all)
{
    double value = (double)logit - all;
    return value > (double)TOKEN_REPORT_UNLIKELY ? (value < 0 ? (float)value : 0.0F)
                                                 : TOKEN_REPORT_UNLIKELY;
}

/* Keeps the n_top largest in order by insertion: nearly all logits fail the first comparison. */
static void find_top(struct token_report *report, const float *logits, int n_vocab, int n_top)
{
    struct token_likelihood *top = report->top;
    int n = 0;
    for (int32_t id = 0; id < n_vocab; id++) {
        float logit = isnan(logits[id]) ? -INFINITY : logits[id];
        if (n == n_top && (n == 0 || !(logit > top[n - 1].logprob)))
            continue;
        int place = n < n_top ? n++ : n - 1;
        while (place > 0 && logit > top[place - 1].logprob) {
            top[place] = top[place - 1];
            place--;
        }
        top[place] = (struct token_likelihood){id, logit};
    }
    report->n_top = n;
}

void token_report_measure(struct token_report *report, const float *logits, int n_vocab, int32_t id,
                          int n_top)
{
    double all = log_sum_exp(logits, n_vocab);
    report->chosen = (struct token_likelihood){id, logprob(logits[id], all)};
    find_top(report, logits, n_vocab, n_top);
    for (int i = 0; i < report->n_top; i++)
        report->top[i].logprob = logprob(report->top[i].logprob, all);
}
