#include "core/base/histogram.h"

void histogram_init(struct histogram *histogram, const double *bounds, int n_bounds)
{
    *histogram = (struct histogram){
        .bounds = bounds,
        .n_bounds = n_bounds < HISTOGRAM_MAX_BOUNDS ? n_bounds : HISTOGRAM_MAX_BOUNDS,
    };
}

void histogram_add(struct histogram *histogram, double value, uint64_t n)
{
    int i = 0;
    while (i < histogram->n_bounds && value > histogram->bounds[i])
        i++;
    histogram->counts[i] += n;
    histogram->sum += value * (double)n;
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t n = 0;
    for (int i = 0; i <= histogram->n_bounds; i++)
        n += histogram->counts[i];
    return n;
}
