/* endless - figure 5 of the paper: millions of tokens through one session.
 *
 * The text is fed again and again, in chunks, cut so that each sample stands at its end. So all
 * samples score the same words after the same words, and whatever changes from one to the next is
 * the session's doing. At each sample: that loss, the time of tokens that are decoded one by one
 * (and taken back, so that the session goes on with the text), the time per token of the feeding,
 * and the memory that the process holds. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "eval/command.h"
#include "eval/options.h"
#include "eval/progress.h"
#include "eval/report.h"
#include "eval/series.h"
#include "eval/stream.h"
#include "eval/subject.h"
#include "eval/text.h"

enum { DEFAULT_TOKENS = 1000000, N_SCORED = 1024, N_DECODED = 32, N_PARTS = 8, MIN_SHARE = 8 };

struct sample {
    double loss; /* mean, nats */
    double feed_ms;
    double decode_ms; /* median */
    double rss_mib;
};

struct experiment {
    const struct options *options;
    struct subject *subject;
    struct text text;
    struct stream *stream;
    int64_t n_tokens;
    struct series losses, feeds, decodes, memories;
};

static double rss_mib(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long n_pages;
    bool is_read = file != NULL && fscanf(file, "%*d %ld", &n_pages) == 1;
    if (file != NULL)
        fclose(file);
    return is_read ? (double)n_pages * (double)sysconf(_SC_PAGESIZE) / 1048576 : NAN;
}

static double ms_since(int64_t began_ns)
{
    return (double)(clock_now_ns() - began_ns) / 1e6;
}

static void feed_until(struct experiment *experiment, int64_t end)
{
    int32_t ids[SUBJECT_CHUNK];
    for (int64_t at; (at = stream_position(experiment->stream)) < end;) {
        int n = end - at < SUBJECT_CHUNK ? (int)(end - at) : SUBJECT_CHUNK;
        text_copy(&experiment->text, at, n, ids);
        stream_feed(experiment->stream, ids, n);
    }
}

static double score(struct experiment *experiment, int n)
{
    int32_t ids[N_SCORED + 1];
    double losses[N_SCORED], sum = 0;
    text_copy(&experiment->text, stream_position(experiment->stream), n + 1, ids);
    stream_score(experiment->stream, ids, n, losses, NULL);
    for (int i = 0; i < n; i++)
        sum += losses[i];
    return sum / n;
}

static double decode(struct experiment *experiment)
{
    double ms[N_DECODED];
    int32_t id;
    text_copy(&experiment->text, stream_position(experiment->stream), 1, &id);
    for (int i = 0; i < N_DECODED; i++) {
        int64_t began_ns = clock_now_ns();
        float *logits = stream_step(experiment->stream, id);
        id = stream_best(logits, subject_n_vocab(experiment->subject));
        ms[i] = ms_since(began_ns);
    }
    stream_take_back(experiment->stream, N_DECODED);
    struct series series = {.values = ms, .n = N_DECODED, .max = N_DECODED};
    return series_quantile(&series, 0.5);
}

static struct sample take_sample(struct experiment *experiment, int64_t end)
{
    /* The last quarter of the text at most: what is before it fills the window. */
    int n_most = (int)experiment->text.tokens.n / 4;
    int n_scored = n_most < N_SCORED ? n_most : N_SCORED;
    int64_t began = stream_position(experiment->stream);
    int64_t began_ns = clock_now_ns();
    struct sample sample;
    feed_until(experiment, end - n_scored);
    int64_t n_fed = stream_position(experiment->stream) - began;
    sample.feed_ms = n_fed > 0 ? ms_since(began_ns) / (double)n_fed : NAN;
    sample.loss = score(experiment, n_scored);
    sample.decode_ms = decode(experiment);
    sample.rss_mib = rss_mib();
    return sample;
}

static void add_columns(struct report *report)
{
    struct table *table = &report->summary;
    table_add_column(table, "until", "tokens", 0);
    table_add_column(table, "perplexity", "perplexity", 3);
    table_add_column(table, "decode_ms", "decode ms/token", 3);
    table_add_column(table, "decode_p95_ms", "p95", 3);
    table_add_column(table, "feed_ms", "feed ms/token", 3);
    table_add_column(table, "rss_mib", "RSS MiB", 1);
    table = &report->samples;
    table_add_column(table, "position", "position", 0);
    table_add_column(table, "loss", "loss", 4);
    table_add_column(table, "decode_ms", "decode ms", 4);
    table_add_column(table, "feed_ms", "feed ms", 4);
    table_add_column(table, "rss_mib", "RSS MiB", 2);
}

static void add_sample(struct experiment *experiment, struct report *report,
                       const struct sample *sample)
{
    struct table *table = &report->samples;
    table_add_row(table);
    table_put_integer(table, "position", stream_position(experiment->stream));
    table_put_number(table, "loss", sample->loss);
    table_put_number(table, "decode_ms", sample->decode_ms);
    table_put_number(table, "feed_ms", sample->feed_ms);
    table_put_number(table, "rss_mib", sample->rss_mib);
    series_push(&experiment->losses, sample->loss);
    series_push(&experiment->feeds, sample->feed_ms);
    series_push(&experiment->decodes, sample->decode_ms);
    series_push(&experiment->memories, sample->rss_mib);
}

/* One row for each part of the way. */
static void add_summary(struct experiment *experiment, struct report *report)
{
    size_t n = experiment->losses.n;
    size_t n_parts = n < N_PARTS ? n : N_PARTS;
    struct table *table = &report->summary;
    for (size_t part = 0; part < n_parts; part++) {
        size_t begin = n * part / n_parts, end = n * (part + 1) / n_parts;
        double loss = 0;
        for (size_t i = begin; i < end; i++)
            loss += experiment->losses.values[i] / (double)(end - begin);
        table_add_row(table);
        table_put_integer(table, "until",
                          json_integer_value(table_get(&report->samples, end - 1, "position")));
        table_put_number(table, "perplexity", exp(loss));
        table_put_number(table, "decode_ms",
                         series_quantile_of(&experiment->decodes, begin, end, 0.5));
        table_put_number(table, "decode_p95_ms",
                         series_quantile_of(&experiment->decodes, begin, end, 0.95));
        table_put_number(table, "feed_ms", series_quantile_of(&experiment->feeds, begin, end, 0.5));
        table_put_number(table, "rss_mib",
                         series_quantile_of(&experiment->memories, begin, end, 1));
    }
}

/* Where sample i (1 .. samples) stands: at the end of the last whole text before its share of the
 * tokens. The text is no longer than such a share, so no two samples stand at one place. */
static int64_t sample_end(const struct experiment *experiment, int i)
{
    int64_t n_bos = experiment->text.has_bos ? 1 : 0;
    int64_t n_text = (int64_t)experiment->text.tokens.n - n_bos;
    int64_t share = (experiment->n_tokens - n_bos) / experiment->options->samples;
    return n_bos + share * i / n_text * n_text;
}

static void measure(struct experiment *experiment, struct report *report)
{
    struct progress progress;
    progress_begin(&progress, "endless", (double)experiment->n_tokens);
    for (int i = 1; i <= experiment->options->samples; i++) {
        int64_t end = sample_end(experiment, i);
        struct sample sample = take_sample(experiment, end);
        add_sample(experiment, report, &sample);
        progress_set(&progress, (double)end);
    }
    progress_end(&progress);
}

static void fill_report(struct experiment *experiment, struct report *report)
{
    add_summary(experiment, report);
    report_note(report,
                "%lld tokens have left the window of this one session. The text has %zu tokens and "
                "is read in a circle.",
                (long long)stream_evicted(experiment->stream), experiment->text.tokens.n);
    report_note(report,
                "All %zu samples score the same words: their perplexities lie between %.3f and "
                "%.3f.",
                experiment->losses.n, exp(series_quantile(&experiment->losses, 0)),
                exp(series_quantile(&experiment->losses, 1)));
    report->plot = (struct plot){
        .title = "one session",
        .x = "position",
        .x_label = "tokens fed",
        .panels = {{.y = "loss", .label = "mean loss (nats)", .from_zero = true},
                   {.y = "decode_ms", .label = "ms per decoded token", .from_zero = true},
                   {.y = "rss_mib", .label = "resident memory (MiB)", .from_zero = true}},
        .n_panels = 3,
    };
}

static bool open_experiment(struct experiment *experiment, struct err *err)
{
    const struct options *options = experiment->options;
    struct stream_shape shape = {
        .mode = SESSION_MODE_STREAMING,
        .n_sinks = options->sinks.items[0],
        .n_window = options_window(options, subject_n_context(experiment->subject)),
        .kv_type = options->kv_type,
    };
    size_t n = (size_t)options->samples;
    experiment->n_tokens = options->tokens > 0 ? options->tokens : DEFAULT_TOKENS;
    if (experiment->n_tokens / options->samples < MIN_SHARE)
        return err_set(err, ERR_INVALID, "%lld tokens are too few for %d samples",
                       (long long)experiment->n_tokens, options->samples);
    return text_init(&experiment->text, experiment->subject, options->text,
                     experiment->n_tokens / options->samples, err) &&
           stream_open(&experiment->stream, experiment->subject, &shape, err) &&
           series_init(&experiment->losses, n, err) && series_init(&experiment->feeds, n, err) &&
           series_init(&experiment->decodes, n, err) && series_init(&experiment->memories, n, err);
}

static void close_experiment(struct experiment *experiment)
{
    series_done(&experiment->losses);
    series_done(&experiment->feeds);
    series_done(&experiment->decodes);
    series_done(&experiment->memories);
    stream_close(&experiment->stream);
    text_done(&experiment->text);
}

static bool run(const struct options *options, struct report *report, struct err *err)
{
    struct subject subject;
    struct experiment experiment = {.options = options, .subject = &subject};
    if (!subject_open(&subject, options->model, options->threads, err))
        return false;
    bool is_done = open_experiment(&experiment, err);
    if (is_done) {
        report_set_subject(report, &subject, options->model);
        report_set_integer(report, "window", options_window(options, subject_n_context(&subject)));
        report_set_integer(report, "sinks", options->sinks.items[0]);
        report_set_text(report, "kv_type", kv_type_name(options->kv_type));
        add_columns(report);
        measure(&experiment, report);
        fill_report(&experiment, report);
    }
    close_experiment(&experiment);
    subject_close(&subject);
    return is_done;
}

const struct command endless_command = {
    .name = "endless",
    .bit = OPTIONS_ENDLESS,
    .summary = "millions of tokens through one session: loss, time, memory",
    .help = "Feeds a text again and again to one streaming session and looks, all along the way, "
            "at the\nperplexity, the time per decoded token and the memory of the process.",
    .run = run,
};
