#include "server/access_log.h"

#include <stdio.h>
#include <string.h>

#include "server/generation.h"
#include "server/http_exchange.h"
#include "server/metrics.h"

enum { MAX_FIELDS = 16, MAX_REFUSALS_PER_SECOND = 20 };

/* What asks every few seconds whether all is well is worth a line only when it is not. */
static bool is_probe(const char *endpoint)
{
    static const char *const probes[] = {"/health", "/healthz", "/livez", "/readyz", "/metrics"};
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        if (strcmp(endpoint, probes[i]) == 0)
            return true;
    }
    return false;
}

static enum log_level level_of(int status, const char *endpoint)
{
    if (status >= 500 && status != 503)
        return LOG_LEVEL_WARNING;
    return status < 400 && is_probe(endpoint) ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

void access_log_on_sent(void *log_arg, int64_t delay_ns)
{
    struct access_log *log = log_arg;
    metrics_sent(log->metrics, delay_ns);
}

void access_log_on_done(void *log_arg, struct http_exchange *exchange)
{
    struct access_log *log = log_arg;
    int status = http_exchange_status(exchange);
    int64_t age_ns = http_exchange_age_ns(exchange);
    const char *endpoint = http_exchange_endpoint(exchange);
    metrics_request(log->metrics, endpoint, status, age_ns);
    if (status >= 400 && !log_limit_take(&log->refusals, MAX_REFUSALS_PER_SECOND))
        return;

    char message[160];
    snprintf(message, sizeof message, "%.10s %.140s", http_exchange_method(exchange),
             http_exchange_path(exchange));
    struct log_field fields[MAX_FIELDS] = {
        {.key = "status", .number = status},
        {.key = "ms", .number = age_ns / 1000000},
        {.key = "request", .text = http_exchange_request_id(exchange)},
    };
    size_t n = 3;
    for (size_t i = 0; i < http_exchange_n_notes(exchange) && n < MAX_FIELDS; i++)
        fields[n++] = http_exchange_note_at(exchange, i);
    log_event(level_of(status, endpoint), message, fields, n);
}

void access_log_note_generation(struct http_exchange *exchange, const struct generation_end *end)
{
    static const char *const finishes[] = {"stop", "length", "cancelled"};
    const struct engine_usage *usage = &end->usage;
    http_exchange_note(exchange, "match", end->match, 0);
    http_exchange_note(exchange, "cached", NULL, usage->n_cached);
    http_exchange_note(exchange, "prompt", NULL, usage->n_prompt);
    http_exchange_note(exchange, "generated", NULL, usage->n_generated);
    http_exchange_note(exchange, "evicted", NULL, usage->n_evicted);
    http_exchange_note(exchange, "prefill_ms", NULL, usage->prefill_ns / 1000000);
    http_exchange_note(exchange, "decode_ms", NULL, usage->decode_ns / 1000000);
    http_exchange_note(exchange, "finish", finishes[end->finish], 0);
}
