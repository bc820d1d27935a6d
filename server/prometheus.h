/* prometheus.h - Prometheus' text format, version 0.0.4. Pure. Thread: any.
 *
 * Each family of metrics is a head and then its samples. `labels` is the inside of the braces,
 * already escaped ("path=\"/health\""), or NULL for none. */
#ifndef SERVER_PROMETHEUS_H
#define SERVER_PROMETHEUS_H

struct buf;
struct histogram;

/* "# HELP" and "# TYPE"; `type` is counter, gauge or histogram. */
void prometheus_head(struct buf *out, const char *name, const char *type, const char *help);
void prometheus_sample(struct buf *out, const char *name, const char *labels, double value);
/* The samples of one histogram: _bucket, _sum and _count. */
void prometheus_histogram(struct buf *out, const char *name, const char *labels,
                          const struct histogram *histogram);

/* A family of one sample without labels. */
void prometheus_counter(struct buf *out, const char *name, const char *help, double value);
void prometheus_gauge(struct buf *out, const char *name, const char *help, double value);

#endif
