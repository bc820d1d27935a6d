#include "eval/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"

bool series_init(struct series *series, size_t max, struct err *err)
{
    *series = (struct series){.max = max};
    series->values = calloc(max > 0 ? max : 1, sizeof series->values[0]);
    return series->values != NULL || err_no_memory(err, "measurements");
}

void series_done(struct series *series)
{
    free(series->values);
    *series = (struct series){0};
}

void series_push(struct series *series, double value)
{
    if (series->n < series->max)
        series->values[series->n++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double series_quantile_of(const struct series *series, size_t begin, size_t end, double part)
{
    size_t n = end > begin ? end - begin : 0;
    double *sorted = n == 0 ? NULL : malloc(n * sizeof sorted[0]);
    if (sorted == NULL)
        return NAN;
    memcpy(sorted, series->values + begin, n * sizeof sorted[0]);
    qsort(sorted, n, sizeof sorted[0], compare);
    double at = part * (double)(n - 1);
    size_t low = (size_t)at;
    size_t high = low + 1 < n ? low + 1 : low;
    double value = sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
    free(sorted);
    return value;
}

double series_quantile(const struct series *series, double part)
{
    return series_quantile_of(series, 0, series->n, part);
}
