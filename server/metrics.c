#include "server/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/histogram.h"
#include "core/engine/engine.h"
#include "server/process_stats.h"
#include "server/prometheus.h"
#include "server/store.h"

enum { MAX_ENDPOINTS = 64, MAX_STATUSES = 256, MAX_MATCHES = 16 };

static const double duration_bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1,   2.5,
                                         5,     10,    30,   60,   120, 300, 600, 1800};
static const double wait_bounds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,   2.5,
                                     5,    10,    20,   40,  80,   160, 320, 640};
static const double gap_bounds[] = {0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08,
                                    0.1,   0.15,  0.2,  0.3,  0.5,  1,    2.5,  10};

static const double sent_bounds[] = {0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01,
                                     0.02,    0.05,   0.1,   0.2,   0.5,   1,     5};

struct endpoint {
    const char *path;
    struct histogram seconds;
};

struct status_count {
    const char *path;
    int status;
    uint64_t n;
};

struct match_count {
    char name[16];
    uint64_t n;
};

struct metrics {
    struct endpoint endpoints[MAX_ENDPOINTS];
    int n_endpoints;
    struct status_count statuses[MAX_STATUSES];
    int n_statuses;
    struct match_count matches[MAX_MATCHES];
    int n_matches;
    uint64_t n_ends[GENERATION_N_OUTCOMES];
    uint64_t n_disconnects[METRICS_N_PHASES];
    struct histogram queue_wait, first_token, token_gap, sent;
};

#define INIT(histogram, bounds) \
    histogram_init(histogram, bounds, (int)(sizeof(bounds) / sizeof *(bounds)))

bool metrics_open(struct metrics **out, struct err *err)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL)
        return err_no_memory(err, "the metrics");
    INIT(&metrics->queue_wait, wait_bounds);
    INIT(&metrics->first_token, wait_bounds);
    INIT(&metrics->token_gap, gap_bounds);
    INIT(&metrics->sent, sent_bounds);
    *out = metrics;
    return true;
}

void metrics_close(struct metrics **metrics)
{
    free(*metrics);
    *metrics = NULL;
}

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

/* ---- requests ---- */

static void count_duration(struct metrics *metrics, const char *path, int64_t duration_ns)
{
    int i = 0;
    while (i < metrics->n_endpoints && metrics->endpoints[i].path != path)
        i++;
    if (i == MAX_ENDPOINTS)
        return;
    if (i == metrics->n_endpoints) {
        metrics->endpoints[i].path = path;
        INIT(&metrics->endpoints[i].seconds, duration_bounds);
        metrics->n_endpoints++;
    }
    histogram_add(&metrics->endpoints[i].seconds, seconds(duration_ns), 1);
}

static void count_status(struct metrics *metrics, const char *path, int status)
{
    int i = 0;
    while (i < metrics->n_statuses &&
           (metrics->statuses[i].path != path || metrics->statuses[i].status != status))
        i++;
    if (i == MAX_STATUSES)
        return;
    if (i == metrics->n_statuses) {
        metrics->statuses[i] = (struct status_count){.path = path, .status = status};
        metrics->n_statuses++;
    }
    metrics->statuses[i].n++;
}

void metrics_request(struct metrics *metrics, const char *endpoint, int status, int64_t duration_ns)
{
    if (metrics == NULL)
        return;
    count_status(metrics, endpoint, status);
    count_duration(metrics, endpoint, duration_ns);
}

/* ---- a generation ---- */

void metrics_first_token(struct metrics *metrics, int64_t wait_ns)
{
    if (metrics != NULL)
        histogram_add(&metrics->first_token, seconds(wait_ns), 1);
}

void metrics_more_tokens(struct metrics *metrics, int n_tokens, int64_t gap_ns)
{
    if (metrics != NULL && n_tokens > 0)
        histogram_add(&metrics->token_gap, seconds(gap_ns) / n_tokens, (uint64_t)n_tokens);
}

void metrics_match(struct metrics *metrics, const char *match)
{
    if (metrics == NULL)
        return;
    int i = 0;
    while (i < metrics->n_matches && strcmp(metrics->matches[i].name, match) != 0)
        i++;
    if (i == MAX_MATCHES)
        return;
    if (i == metrics->n_matches) {
        snprintf(metrics->matches[i].name, sizeof metrics->matches[i].name, "%s", match);
        metrics->n_matches++;
    }
    metrics->matches[i].n++;
}

void metrics_disconnect(struct metrics *metrics, enum metrics_phase phase)
{
    if (metrics != NULL)
        metrics->n_disconnects[phase]++;
}

void metrics_generation(struct metrics *metrics, enum generation_outcome outcome)
{
    if (metrics != NULL)
        metrics->n_ends[outcome]++;
}

void metrics_sent(struct metrics *metrics, int64_t delay_ns)
{
    if (metrics != NULL)
        histogram_add(&metrics->sent, seconds(delay_ns), 1);
}

void metrics_queue_wait(struct metrics *metrics, int64_t wait_ns)
{
    if (metrics != NULL)
        histogram_add(&metrics->queue_wait, seconds(wait_ns > 0 ? wait_ns : 0), 1);
}

/* ---- the text ---- */

static void write_requests(const struct metrics *metrics, struct buf *out)
{
    char labels[256];
    prometheus_head(out, "sinkd_requests_total", "counter",
                    "HTTP requests by endpoint and status; 499: the client left first.");
    for (int i = 0; i < metrics->n_statuses; i++) {
        snprintf(labels, sizeof labels, "endpoint=\"%s\",status=\"%d\"", metrics->statuses[i].path,
                 metrics->statuses[i].status);
        prometheus_sample(out, "sinkd_requests_total", labels, (double)metrics->statuses[i].n);
    }
    prometheus_head(out, "sinkd_request_duration_seconds", "histogram",
                    "From a request's head to the last byte of its reply.");
    for (int i = 0; i < metrics->n_endpoints; i++) {
        snprintf(labels, sizeof labels, "endpoint=\"%s\"", metrics->endpoints[i].path);
        prometheus_histogram(out, "sinkd_request_duration_seconds", labels,
                             &metrics->endpoints[i].seconds);
    }
}

static void write_labelled(struct buf *out, const char *name, const char *label, const char *value,
                           uint64_t n)
{
    char labels[64];
    snprintf(labels, sizeof labels, "%s=\"%s\"", label, value);
    prometheus_sample(out, name, labels, (double)n);
}

static void write_generations(const struct metrics *metrics, struct buf *out)
{
    static const char *const ends[] = {"stop", "length", "cancelled", "failed"};
    static const char *const phases[] = {"waiting", "prompt", "answer"};
    prometheus_head(out, "sinkd_generations_total", "counter", "Generations that ended, by how.");
    for (int i = 0; i < GENERATION_N_OUTCOMES; i++)
        write_labelled(out, "sinkd_generations_total", "finish", ends[i], metrics->n_ends[i]);
    prometheus_head(out, "sinkd_client_disconnects_total", "counter",
                    "Clients that left a generation, by what it was doing.");
    for (int i = 0; i < METRICS_N_PHASES; i++)
        write_labelled(out, "sinkd_client_disconnects_total", "phase", phases[i],
                       metrics->n_disconnects[i]);
    prometheus_head(out, "sinkd_session_match_total", "counter",
                    "Generations by how their session was found.");
    for (int i = 0; i < metrics->n_matches; i++)
        write_labelled(out, "sinkd_session_match_total", "kind", metrics->matches[i].name,
                       metrics->matches[i].n);

    prometheus_head(out, "sinkd_queue_wait_seconds", "histogram",
                    "From a request to its first step.");
    prometheus_histogram(out, "sinkd_queue_wait_seconds", NULL, &metrics->queue_wait);
    prometheus_head(out, "sinkd_time_to_first_token_seconds", "histogram",
                    "From a request to the first text of its answer.");
    prometheus_histogram(out, "sinkd_time_to_first_token_seconds", NULL, &metrics->first_token);
    prometheus_head(out, "sinkd_inter_token_latency_seconds", "histogram",
                    "Between the tokens of one answer.");
    prometheus_histogram(out, "sinkd_inter_token_latency_seconds", NULL, &metrics->token_gap);
    prometheus_head(out, "sinkd_send_delay_seconds", "histogram",
                    "From the engine, which has the text, to its client's socket.");
    prometheus_histogram(out, "sinkd_send_delay_seconds", NULL, &metrics->sent);
}

static void write_now(const struct metrics_now *now, struct buf *out)
{
    const struct engine_counters *counters = now->counters;
    prometheus_gauge(out, "sinkd_connections", "Open connections.", now->n_connections);
    prometheus_gauge(out, "sinkd_requests_in_flight", "HTTP requests with an unfinished reply.",
                     now->n_requests);
    prometheus_gauge(out, "sinkd_generations_open", "Generations accepted and not finished.",
                     now->n_generations);
    prometheus_gauge(out, "sinkd_requests_active", "Generations being computed.",
                     counters->n_active);
    prometheus_gauge(out, "sinkd_requests_parked",
                     "Generations that wait for a client that reads too slowly.",
                     counters->n_parked);
    prometheus_gauge(out, "sinkd_queue_depth", "Generations waiting for their first step.",
                     counters->n_waiting + now->n_waiting);
    prometheus_gauge(out, "sinkd_sessions", "Sessions held in memory.", counters->n_sessions);
    prometheus_gauge(out, "sinkd_kv_bytes", "Memory in use by sessions or promised to answers.",
                     (double)counters->kv_memory_bytes);
    prometheus_gauge(out, "sinkd_sessions_saved", "Sessions that are in files.",
                     counters->n_saved_sessions);
    prometheus_gauge(out, "sinkd_kv_file_bytes", "Disk in use by these.",
                     (double)counters->kv_file_bytes);
    prometheus_gauge(out, "sinkd_conversations", "Conversations remembered as text.",
                     now->n_conversations);
    prometheus_gauge(out, "sinkd_draining", "1 while the daemon ends its last answers.",
                     now->is_draining);
}

static void write_engine(const struct engine_counters *counters, struct buf *out)
{
    prometheus_counter(out, "sinkd_steps_total", "Batched forward steps.",
                       (double)counters->n_steps);
    prometheus_head(out, "sinkd_step_seconds", "histogram", "Time of a step.");
    prometheus_histogram(out, "sinkd_step_seconds", NULL, &counters->step_seconds);
    prometheus_head(out, "sinkd_step_tokens", "histogram", "Tokens of a step, of all sessions.");
    prometheus_histogram(out, "sinkd_step_tokens", NULL, &counters->step_tokens);
    prometheus_counter(out, "sinkd_prompt_tokens_total", "Prompt tokens computed.",
                       (double)counters->n_prompt_tokens);
    prometheus_counter(out, "sinkd_cached_tokens_total",
                       "Prompt tokens that were in their session already.",
                       (double)counters->n_cached_tokens);
    prometheus_counter(out, "sinkd_copied_tokens_total",
                       "Of these, tokens copied from another session.",
                       (double)counters->n_copied_tokens);
    prometheus_counter(out, "sinkd_sessions_spilled_total", "Sessions saved to make room.",
                       (double)counters->n_spilled);
    prometheus_counter(out, "sinkd_sessions_restored_total", "Sessions brought back from files.",
                       (double)counters->n_restored);
    prometheus_counter(out, "sinkd_sessions_lost_total",
                       "Saved sessions that were damaged, missing or made room on the disk.",
                       (double)counters->n_lost_sessions);
    prometheus_counter(out, "sinkd_session_save_errors_total", "Sessions that no file could take.",
                       (double)counters->n_save_errors);
    prometheus_counter(out, "sinkd_generated_tokens_total", "Tokens generated.",
                       (double)counters->n_generated_tokens);
    prometheus_counter(out, "sinkd_drafted_tokens_total", "Tokens guessed ahead.",
                       (double)counters->n_drafted_tokens);
    prometheus_counter(out, "sinkd_accepted_tokens_total", "Of these, came to be generated.",
                       (double)counters->n_accepted_tokens);
    prometheus_counter(out, "sinkd_evicted_tokens_total", "Tokens that left a session's window.",
                       (double)counters->n_evicted_tokens);
}

static void append_label(struct buf *out, const char *name, const char *value)
{
    buf_append_format(out, "%s%s=\"", out->len > 0 ? "," : "", name);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            buf_append_text(out, "\\");
        if ((unsigned char)*c >= ' ')
            buf_append(out, c, 1);
    }
    buf_append_text(out, "\"");
}

static void write_store(const struct store_counters *store, struct buf *out)
{
    prometheus_gauge(out, "sinkd_store_jobs", "Jobs of the store that are not done.",
                     store->n_pending);
    prometheus_counter(out, "sinkd_store_commits_total", "Transactions of the store.",
                       (double)store->n_commits);
    prometheus_counter(out, "sinkd_store_failures_total",
                       "Writes of the store that the disk refused.", (double)store->n_failures);
}

static void write_build(const struct engine_info *info, struct buf *out)
{
    struct buf labels;
    buf_init(&labels);
    append_label(&labels, "version", SINKD_VERSION);
    append_label(&labels, "model", info->model_name);
    append_label(&labels, "architecture", info->architecture);
    append_label(&labels, "kv_type", kv_type_name(info->kv_type));
    prometheus_head(out, "sinkd_build_info", "gauge", "What runs here; always 1.");
    prometheus_sample(out, "sinkd_build_info", buf_text(&labels), 1);
    buf_done(&labels);
    prometheus_gauge(out, "sinkd_window_tokens", "Tokens attended at once.", info->n_window);
    prometheus_gauge(out, "sinkd_sink_tokens", "Of these, first tokens that stay.", info->n_sinks);
    prometheus_gauge(out, "sinkd_threads", "Threads that compute.", info->n_threads);
}

static void write_process(double started, struct buf *out)
{
    struct process_stats stats;
    process_stats_read(&stats);
    prometheus_counter(out, "process_cpu_seconds_total", "User and system time.",
                       stats.cpu_seconds);
    prometheus_gauge(out, "process_resident_memory_bytes", "Memory in use.",
                     (double)stats.resident_bytes);
    prometheus_gauge(out, "process_virtual_memory_bytes", "Address space in use.",
                     (double)stats.virtual_bytes);
    prometheus_gauge(out, "process_threads", "Threads.", stats.n_threads);
    prometheus_gauge(out, "process_open_fds", "Open files and sockets.", stats.n_open_files);
    prometheus_gauge(out, "process_max_fds", "Most that may be open.",
                     (double)stats.max_open_files);
    prometheus_gauge(out, "process_start_time_seconds", "Start, in seconds since 1970.", started);
}

void metrics_write(const struct metrics *metrics, const struct metrics_now *now, struct buf *out)
{
    write_build(now->engine, out);
    write_now(now, out);
    write_engine(now->counters, out);
    if (now->store != NULL)
        write_store(now->store, out);
    if (metrics != NULL) {
        write_requests(metrics, out);
        write_generations(metrics, out);
    }
    write_process(now->started, out);
}
