/* latency - figure 10 of the paper: time per token at several cache sizes.
 *
 * Three ways to get one token when N rows are attended: streaming (N rows cached, one rolls out),
 * ordinary cached decoding (N rows cached, none rolls out: the last token is taken back after each
 * measurement) and recomputation (a fresh pass over N tokens). Caches begin full of made-up rows,
 * and what is measured takes turns, so that a busy minute of the machine falls on all alike. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "eval/command.h"
#include "eval/options.h"
#include "eval/progress.h"
#include "eval/report.h"
#include "eval/series.h"
#include "eval/stream.h"
#include "eval/subject.h"

enum { N_KINDS = 3, MIN_RECOMPUTED = 3 };

static const enum session_mode kinds[N_KINDS] = {SESSION_MODE_STREAMING, SESSION_MODE_DENSE,
                                                 SESSION_MODE_RECOMPUTE};
static const char *const kind_names[N_KINDS] = {"streaming", "dense", "recompute"};

/* One cache size. */
struct station {
    int n_window;
    size_t kv_bytes;
    struct stream *streams[N_KINDS]; /* NULL: not asked for */
    struct series times[N_KINDS];    /* milliseconds */
};

struct experiment {
    struct subject *subject;
    const struct options *options;
    struct station stations[OPTIONS_MAX_LIST];
    int n_stations;
    bool is_wanted[N_KINDS];
};

static int repeats_of(const struct experiment *experiment, int kind)
{
    int n = experiment->options->repeats;
    if (kinds[kind] != SESSION_MODE_RECOMPUTE)
        return n;
    return n / 10 > MIN_RECOMPUTED ? n / 10 : MIN_RECOMPUTED;
}

static bool open_station(struct experiment *experiment, struct station *station, struct err *err)
{
    int n_sinks = experiment->options->sinks.items[0];
    for (int kind = 0; kind < N_KINDS; kind++) {
        struct stream_shape shape = {.mode = kinds[kind],
                                     .n_sinks = n_sinks,
                                     .n_window = station->n_window,
                                     .kv_type = experiment->options->kv_type};
        if (!experiment->is_wanted[kind])
            continue;
        if (!stream_open(&station->streams[kind], experiment->subject, &shape, err) ||
            !series_init(&station->times[kind], (size_t)repeats_of(experiment, kind), err))
            return false;
        stream_pad(station->streams[kind], station->n_window - 1);
        station->kv_bytes = stream_kv_bytes(experiment->subject, &shape);
    }
    return true;
}

static void close_stations(struct experiment *experiment)
{
    for (int i = 0; i < experiment->n_stations; i++) {
        for (int kind = 0; kind < N_KINDS; kind++) {
            stream_close(&experiment->stations[i].streams[kind]);
            series_done(&experiment->stations[i].times[kind]);
        }
    }
}

static double time_token(const struct subject *subject, struct stream *stream, int kind)
{
    int64_t began_ns = clock_now_ns();
    float *logits = stream_step(stream, 0);
    stream_best(logits, subject_n_vocab(subject));
    double ms = (double)(clock_now_ns() - began_ns) / 1e6;
    if (kinds[kind] == SESSION_MODE_DENSE)
        stream_take_back(stream, 1);
    return ms;
}

/* True when a kind that is measured less often than there are rounds has its turn. */
static bool is_due(const struct series *times, int round, int n_rounds)
{
    return times->n * (size_t)n_rounds <= (size_t)round * times->max;
}

static void warm_up(struct experiment *experiment)
{
    for (int i = 0; i < experiment->n_stations; i++) {
        for (int kind = 0; kind < N_KINDS; kind++) {
            struct stream *stream = experiment->stations[i].streams[kind];
            if (stream != NULL && kinds[kind] != SESSION_MODE_RECOMPUTE)
                time_token(experiment->subject, stream, kind);
        }
    }
}

/* Round after round through all sizes and kinds. */
static void measure(struct experiment *experiment)
{
    struct progress progress;
    int n_rounds = experiment->options->repeats;
    if (n_rounds < MIN_RECOMPUTED)
        n_rounds = MIN_RECOMPUTED;
    progress_begin(&progress, "latency", n_rounds);
    warm_up(experiment);
    for (int round = 0; round < n_rounds; round++) {
        for (int i = 0; i < experiment->n_stations; i++) {
            struct station *station = &experiment->stations[i];
            for (int kind = 0; kind < N_KINDS; kind++) {
                struct series *times = &station->times[kind];
                struct stream *stream = station->streams[kind];
                if (stream != NULL && is_due(times, round, n_rounds))
                    series_push(times, time_token(experiment->subject, stream, kind));
            }
            progress_set(&progress, round + (double)i / experiment->n_stations);
        }
    }
    progress_end(&progress);
}

static bool choose_kinds(struct experiment *experiment, struct err *err)
{
    const struct options_list *modes = &experiment->options->modes;
    for (int i = 0; i < modes->n; i++) {
        int mode = modes->items[i];
        if (mode != OPTIONS_MODE_STREAMING && mode != OPTIONS_MODE_DENSE &&
            mode != OPTIONS_MODE_RECOMPUTE)
            return err_set(err, ERR_INVALID,
                           "--modes: latency knows streaming, recompute and dense; a window takes "
                           "as long as streaming");
        experiment->is_wanted[0] |= mode == OPTIONS_MODE_STREAMING;
        experiment->is_wanted[1] |= mode == OPTIONS_MODE_DENSE;
        experiment->is_wanted[2] |= mode == OPTIONS_MODE_RECOMPUTE;
    }
    return true;
}

static bool plan(struct experiment *experiment, struct report *report, struct err *err)
{
    const struct options *options = experiment->options;
    int n_context = subject_n_context(experiment->subject);
    for (int i = 0; i < options->windows.n; i++) {
        int n_window = options->windows.items[i];
        if (n_window > n_context && !options->is_forced) {
            report_note(report,
                        "Cache %d left out: the model is trained for %d; --force measures it.",
                        n_window, n_context);
            continue;
        }
        experiment->stations[experiment->n_stations++].n_window = n_window;
    }
    if (experiment->n_stations == 0)
        return err_set(err, ERR_INVALID,
                       "all cache sizes are above the trained context of %d tokens: choose others "
                       "with --windows, or add --force",
                       n_context);
    for (int i = 0; i < experiment->n_stations; i++) {
        if (!open_station(experiment, &experiment->stations[i], err))
            return false;
    }
    return true;
}

static void add_columns(struct report *report)
{
    table_add_column(&report->summary, "cache", "cache", 0);
    table_add_column(&report->summary, "streaming_ms", "streaming ms", 2);
    table_add_column(&report->summary, "streaming_p95_ms", "p95", 2);
    table_add_column(&report->summary, "dense_ms", "dense ms", 2);
    table_add_column(&report->summary, "dense_p95_ms", "p95", 2);
    table_add_column(&report->summary, "recompute_ms", "recompute ms", 1);
    table_add_column(&report->summary, "recompute_p95_ms", "p95", 1);
    table_add_column(&report->summary, "speed_up", "recompute/streaming", 1);
    table_add_column(&report->summary, "dense_ratio", "dense/streaming", 2);
    table_add_column(&report->summary, "kv_mib", "KV MiB", 1);
    table_add_column(&report->samples, "mode", "mode", 0);
    table_add_column(&report->samples, "cache", "cache", 0);
    table_add_column(&report->samples, "ms", "ms", 3);
    table_add_column(&report->samples, "p95_ms", "p95", 3);
    table_add_column(&report->samples, "tokens", "tokens", 0);
}

static void add_station(struct report *report, struct station *station)
{
    struct table *table = &report->summary;
    double median[N_KINDS];
    table_add_row(table);
    table_put_integer(table, "cache", station->n_window);
    for (int kind = 0; kind < N_KINDS; kind++) {
        struct series *times = &station->times[kind];
        median[kind] = series_quantile(times, 0.5);
        char name[40];
        snprintf(name, sizeof name, "%s_ms", kind_names[kind]);
        table_put_number(table, name, median[kind]);
        snprintf(name, sizeof name, "%s_p95_ms", kind_names[kind]);
        table_put_number(table, name, series_quantile(times, 0.95));
        if (times->n == 0)
            continue;
        table_add_row(&report->samples);
        table_put_text(&report->samples, "mode", kind_names[kind]);
        table_put_integer(&report->samples, "cache", station->n_window);
        table_put_number(&report->samples, "ms", median[kind]);
        table_put_number(&report->samples, "p95_ms", series_quantile(times, 0.95));
        table_put_integer(&report->samples, "tokens", (int64_t)times->n);
    }
    table_put_number(table, "speed_up", median[2] / median[0]);
    table_put_number(table, "dense_ratio", median[1] / median[0]);
    table_put_number(table, "kv_mib", (double)station->kv_bytes / 1048576);
}

static void fill_report(struct report *report, struct experiment *experiment)
{
    report_set_subject(report, experiment->subject, experiment->options->model);
    report_set_integer(report, "sinks", experiment->options->sinks.items[0]);
    report_set_text(report, "kv_type", kv_type_name(experiment->options->kv_type));
    add_columns(report);
    for (int i = 0; i < experiment->n_stations; i++)
        add_station(report, &experiment->stations[i]);
    report_note(report, "The speed-up is against recomputation. Against ordinary cached decoding "
                        "(dense) there is none to have: see dense/streaming.");
    report->plot = (struct plot){
        .title = "time per token",
        .x = "cache",
        .x_label = "rows in the cache",
        .x_is_log = true,
        .group = "mode",
        .panels = {{.y = "ms", .label = "ms per token (median)", .is_log = true}},
        .n_panels = 1,
    };
}

static bool run(const struct options *options, struct report *report, struct err *err)
{
    struct subject subject;
    struct experiment experiment = {.subject = &subject, .options = options};
    if (!subject_open(&subject, options->model, options->threads, err))
        return false;
    bool is_done = choose_kinds(&experiment, err) && plan(&experiment, report, err);
    if (is_done) {
        measure(&experiment);
        fill_report(report, &experiment);
    }
    close_stations(&experiment);
    subject_close(&subject);
    return is_done;
}

const struct command latency_command = {
    .name = "latency",
    .bit = OPTIONS_LATENCY,
    .summary = "time per token at several cache sizes: streaming, cached, recomputed",
    .help = "Median and 95th percentile of the time per token when so many rows are cached: "
            "streaming, ordinary\ncached decoding (dense) and recomputation of the whole window "
            "for each token.",
    .run = run,
};
