/* sinks - figure 2 of the paper as numbers: the share of attention that the first rows get.
 *
 * The text is read with dense attention and a float cache; each eighth query of its second half is
 * watched: its scores are computed once more from the keys that it is about to attend to. */
#include "eval/sinks.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/kernels/kernels.h"
#include "core/model/forward.h"
#include "core/model/model.h"
#include "eval/command.h"
#include "eval/options.h"
#include "eval/progress.h"
#include "eval/report.h"
#include "eval/stream.h"
#include "eval/subject.h"
#include "eval/text.h"

enum { WATCH_EVERY = 8, DEFAULT_FIRST = 4, MAX_SHOWN = 8 };

struct watch {
    struct sinks_mass *mass;
    int n_heads;
    int64_t begins_at;    /* position of the batch's first token */
    int64_t from;         /* watch queries from here on */
    double n_rows;        /* seen by all watched queries, in all layers and heads */
    double n_queries;     /* these */
    pthread_mutex_t lock; /* observers run on several threads */
    bool failed;
};

static double score_of(const struct forward_sight *sight, int head,
                       const struct attention_rows *rows, int row)
{
    const struct attention_query *query = sight->query;
    const float *q = (rows->is_sink ? query->q_sink : query->q_ring) + head * query->head_dim;
    const float *k = (const float *)rows->k + (size_t)row * (size_t)query->head_dim;
    double dot = 0;
    for (int i = 0; i < query->head_dim; i++)
        dot += (double)(q[i] * k[i]);
    double score = dot * (double)query->scale;
    if (query->slopes != NULL)
        score -= (double)query->slopes[head] * (rows->first_distance - row);
    if (query->soft_cap > 0)
        score = (double)query->soft_cap * tanh(score / (double)query->soft_cap);
    return score;
}

static int count_rows(const struct forward_sight *sight)
{
    int n = 0;
    for (int i = 0; i < sight->n_segments; i++)
        n += sight->rows[i].n_rows;
    return n;
}

/* scores = softmax over all rows, which lie in the order of the text in a dense cache, and the
 * layer's score without a row. */
static void attend(const struct forward_sight *sight, int head, double *scores, int n)
{
    double extra = sight->sink_scores == NULL
                       ? -INFINITY
                       : (double)sight->sink_scores[sight->first_head + head];
    double max = extra, sum;
    double *score = scores;
    for (int i = 0; i < sight->n_segments; i++) {
        for (int row = 0; row < sight->rows[i].n_rows; row++)
            *score++ = score_of(sight, head, &sight->rows[i], row);
    }
    for (int i = 0; i < n; i++)
        max = fmax(max, scores[i]);
    sum = exp(extra - max);
    for (int i = 0; i < n; i++)
        sum += scores[i] = exp(scores[i] - max);
    for (int i = 0; i < n; i++)
        scores[i] /= sum;
}

/* Adds what one head of one query gave to the first rows. Row 0 of the text is not among what it
 * saw in a layer with a sliding window. */
static void count(struct watch *watch, const struct forward_sight *sight, int head,
                  const double *shares, int64_t first_row)
{
    struct sinks_mass *mass = watch->mass;
    int n = count_rows(sight);
    pthread_mutex_lock(&watch->lock);
    for (int64_t row = first_row; row < mass->n_first && row - first_row < n; row++) {
        mass->first[sight->layer * mass->n_first + row] += shares[row - first_row];
        mass->head[sight->layer * watch->n_heads + head] += shares[row - first_row];
    }
    watch->n_rows += n;
    watch->n_queries++;
    pthread_mutex_unlock(&watch->lock);
}

static void observe(void *arg, const struct forward_sight *sight)
{
    struct watch *watch = arg;
    int64_t position = watch->begins_at + sight->token;
    if (position < watch->from || position % WATCH_EVERY != 0)
        return;
    int n = count_rows(sight);
    double *shares = malloc((size_t)n * sizeof shares[0]);
    for (int head = 0; head < sight->query->n_heads && shares != NULL; head++) {
        attend(sight, head, shares, n);
        count(watch, sight, sight->first_head + head, shares,
              position - sight->rows[0].first_distance);
    }
    if (shares == NULL) {
        pthread_mutex_lock(&watch->lock);
        watch->failed = true;
        pthread_mutex_unlock(&watch->lock);
    }
    free(shares);
}

static void feed_watched(struct watch *watch, struct subject *subject, struct stream *stream,
                         const int32_t *ids, int n)
{
    struct progress progress;
    progress_begin(&progress, "sinks", n);
    forward_observe(subject->forward, observe, watch);
    for (int done = 0; done < n;) {
        int chunk = n - done < SUBJECT_CHUNK ? n - done : SUBJECT_CHUNK;
        watch->begins_at = done;
        stream_feed(stream, ids + done, chunk);
        done += chunk;
        progress_set(&progress, done);
    }
    forward_observe(subject->forward, NULL, NULL);
    progress_end(&progress);
}

static void average(struct watch *watch)
{
    struct sinks_mass *mass = watch->mass;
    int n_layer_heads = mass->n_layers * watch->n_heads;
    double n = watch->n_queries > 0 ? watch->n_queries / n_layer_heads : 1;
    for (int i = 0; i < mass->n_layers * mass->n_first; i++)
        mass->first[i] /= n * watch->n_heads;
    for (int i = 0; i < n_layer_heads; i++)
        mass->head[i] /= n;
    mass->n_seen = watch->n_rows / (n * n_layer_heads);
}

bool sinks_measure(struct subject *subject, const int32_t *ids, int n, int n_first,
                   struct sinks_mass *out, struct err *err)
{
    const struct model_shape *shape = &subject->model->shape;
    struct stream_shape dense = {.mode = SESSION_MODE_DENSE, .n_window = n, .kv_type = KV_F32};
    struct stream *stream;
    struct sinks_mass mass = {.n_layers = shape->n_layers, .n_first = n_first};
    size_t n_layers = (size_t)shape->n_layers;
    mass.first = calloc(n_layers * (size_t)n_first, sizeof mass.first[0]);
    mass.head = calloc(n_layers * (size_t)shape->n_heads, sizeof mass.head[0]);
    struct watch watch = {
        .mass = &mass, .n_heads = shape->n_heads, .from = n / 2, .lock = PTHREAD_MUTEX_INITIALIZER};
    bool is_done = (mass.first != NULL && mass.head != NULL) || err_no_memory(err, "the shares");
    if (is_done && (is_done = stream_open(&stream, subject, &dense, err))) {
        feed_watched(&watch, subject, stream, ids, n);
        stream_close(&stream);
        average(&watch);
        is_done = !watch.failed || err_no_memory(err, "a query's attention");
    }
    pthread_mutex_destroy(&watch.lock);
    if (is_done)
        *out = mass;
    else
        sinks_mass_done(&mass);
    return is_done;
}

void sinks_mass_done(struct sinks_mass *mass)
{
    free(mass->first);
    free(mass->head);
    *mass = (struct sinks_mass){0};
}

static void add_columns(struct report *report, int n_first)
{
    table_add_column(&report->summary, "layer", "layer", 0);
    for (int i = 0; i < n_first && i < MAX_SHOWN; i++) {
        char name[32], title[32];
        snprintf(name, sizeof name, "row_%d", i);
        snprintf(title, sizeof title, "row %d %%", i);
        table_add_column(&report->summary, name, title, 1);
    }
    table_add_column(&report->summary, "together", "together %", 1);
    table_add_column(&report->summary, "heads_above_half", "heads above 50 %", 0);
    table_add_column(&report->samples, "rows", "rows", 0);
    table_add_column(&report->samples, "layer", "layer", 0);
    table_add_column(&report->samples, "share", "share", 2);
}

static void add_sample(struct report *report, const char *rows, int layer, double share)
{
    table_add_row(&report->samples);
    table_put_text(&report->samples, "rows", rows);
    table_put_integer(&report->samples, "layer", layer);
    table_put_number(&report->samples, "share", 100 * share);
}

static double sum_of(const double *values, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += values[i];
    return sum;
}

static void add_layer(struct report *report, const struct sinks_mass *mass, int layer, int n_heads)
{
    const double *first = mass->first + layer * mass->n_first;
    int n_above = 0;
    for (int head = 0; head < n_heads; head++)
        n_above += mass->head[layer * n_heads + head] > 0.5;
    table_add_row(&report->summary);
    table_put_integer(&report->summary, "layer", layer);
    for (int i = 0; i < mass->n_first && i < MAX_SHOWN; i++) {
        char name[32];
        snprintf(name, sizeof name, "row_%d", i);
        table_put_number(&report->summary, name, 100 * first[i]);
    }
    table_put_number(&report->summary, "together", 100 * sum_of(first, mass->n_first));
    table_put_integer(&report->summary, "heads_above_half", n_above);
}

/* The two lowest layers attend to what is near, in every model that the paper looks at. */
static void add_verdict(struct report *report, const struct sinks_mass *mass)
{
    int from = mass->n_layers > 2 ? 2 : 0;
    int n = (mass->n_layers - from) * mass->n_first;
    double share = sum_of(mass->first + from * mass->n_first, n) / (mass->n_layers - from);
    double uniform = mass->n_first / mass->n_seen;
    report_note(report,
                "From layer %d up the first %d rows get %.1f %% of all attention; spread evenly it "
                "would be %.1f %%.",
                from, mass->n_first, 100 * share, 100 * uniform);
    report_note(report, share < 0.1 ? "This model has no sinks to speak of: a plain window may do "
                                      "as well."
                                    : "This model has attention sinks: a plain window that evicts "
                                      "them will not do.");
}

static void fill_report(struct report *report, const struct subject *subject,
                        const struct sinks_mass *mass)
{
    int n_heads = subject->model->shape.n_heads;
    add_columns(report, mass->n_first);
    for (int layer = 0; layer < mass->n_layers; layer++)
        add_layer(report, mass, layer, n_heads);
    for (int layer = 0; layer < mass->n_layers; layer++)
        add_sample(report, "row 0", layer, mass->first[layer * mass->n_first]);
    char rows[32];
    snprintf(rows, sizeof rows, "first %d rows", mass->n_first);
    for (int layer = 0; layer < mass->n_layers; layer++)
        add_sample(report, rows, layer, sum_of(mass->first + layer * mass->n_first, mass->n_first));
    add_verdict(report, mass);
    report->plot = (struct plot){
        .title = "attention on the first rows",
        .x = "layer",
        .x_label = "layer",
        .group = "rows",
        .panels = {{.y = "share", .label = "share of attention (%)", .from_zero = true}},
        .n_panels = 1,
    };
}

static bool run(const struct options *options, struct report *report, struct err *err)
{
    struct subject subject;
    struct text text;
    struct sinks_mass mass;
    if (!subject_open(&subject, options->model, options->threads, err))
        return false;
    int n_window = options_window(options, subject_n_context(&subject));
    int n_first = options->sinks.items[0] > 0 ? options->sinks.items[0] : DEFAULT_FIRST;
    int64_t n_tokens = options->tokens > 0 ? options->tokens : n_window;
    bool is_done = text_init(&text, &subject, options->text, n_tokens, err);
    if (is_done) {
        int n = (int)text.tokens.n;
        is_done = n >= 2 * WATCH_EVERY
                      ? sinks_measure(&subject, text.tokens.ids, n, n_first, &mass, err)
                      : err_set(err, ERR_INVALID, "%d tokens are too few", n);
        if (is_done) {
            report_set_subject(report, &subject, options->model);
            report_set_integer(report, "tokens", n);
            fill_report(report, &subject, &mass);
            sinks_mass_done(&mass);
        }
        text_done(&text);
    }
    subject_close(&subject);
    return is_done;
}

const struct command sinks_command = {
    .name = "sinks",
    .bit = OPTIONS_SINKS,
    .summary = "the share of attention that the first rows get, by layer",
    .help = "Reads a text with dense attention and says, layer by layer, how much of it goes to "
            "the first rows\n(--sinks of them): whether this model has sinks that a window must "
            "keep.",
    .run = run,
};
