#include "server/prometheus.h"

#include <stdio.h>

#include "core/base/buf.h"
#include "core/base/histogram.h"

void prometheus_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_append_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* 15 digits: every count below 10^15 as it is, no noise in decimal fractions. */
void prometheus_sample(struct buf *out, const char *name, const char *labels, double value)
{
    if (labels != NULL)
        buf_append_format(out, "%s{%s} %.15g\n", name, labels, value);
    else
        buf_append_format(out, "%s %.15g\n", name, value);
}

static void append_bucket(struct buf *out, const char *name, const char *labels, const char *bound,
                          uint64_t n)
{
    buf_append_format(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, labels == NULL ? "" : labels,
                      labels == NULL ? "" : ",", bound, (unsigned long long)n);
}

void prometheus_histogram(struct buf *out, const char *name, const char *labels,
                          const struct histogram *histogram)
{
    uint64_t n = 0;
    for (int i = 0; i < histogram->n_bounds; i++) {
        char bound[32];
        snprintf(bound, sizeof bound, "%g", histogram->bounds[i]);
        n += histogram->counts[i];
        append_bucket(out, name, labels, bound, n);
    }
    n += histogram->counts[histogram->n_bounds];
    append_bucket(out, name, labels, "+Inf", n);
    const char *open = labels == NULL ? "" : "{", *close = labels == NULL ? "" : "}";
    const char *inside = labels == NULL ? "" : labels;
    buf_append_format(out, "%s_sum%s%s%s %.15g\n", name, open, inside, close, histogram->sum);
    buf_append_format(out, "%s_count%s%s%s %llu\n", name, open, inside, close,
                      (unsigned long long)n);
}

void prometheus_counter(struct buf *out, const char *name, const char *help, double value)
{
    prometheus_head(out, name, "counter", help);
    prometheus_sample(out, name, NULL, value);
}

void prometheus_gauge(struct buf *out, const char *name, const char *help, double value)
{
    prometheus_head(out, name, "gauge", help);
    prometheus_sample(out, name, NULL, value);
}
