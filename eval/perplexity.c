/* perplexity - tables 1 and 2 and figure 3 of the paper.
 *
 * One average hides everything: dense attention is best until the trained length and useless after
 * it. So losses are averaged by where their query stands: before the window is full, before the
 * trained length, one length more, beyond. Recomputation is too slow for every token; the modes are
 * compared on the tokens that it scored, all of them on the same ones. */
#include "eval/perplexity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "eval/command.h"
#include "eval/options.h"
#include "eval/progress.h"
#include "eval/report.h"
#include "eval/subject.h"
#include "eval/text.h"

enum { MAX_RUNS = OPTIONS_MAX_LIST * 4, N_SEGMENTS = 4, N_BINS = 64, PIECE = 512 };

struct entry {
    struct perplexity_run run;
    char label[48];
    double *losses; /* [n_losses] */
};

struct experiment {
    struct subject *subject;
    const struct text *text;
    int n_losses;
    int n_window;
    int stride; /* of recompute; 1 where there is none */
    struct entry entries[MAX_RUNS];
    int n_entries;
};

double perplexity_mean(const double *losses, int begin, int end, int *out_n)
{
    double sum = 0;
    int n = 0;
    for (int i = begin; i < end; i++) {
        if (!isnan(losses[i])) {
            sum += losses[i];
            n++;
        }
    }
    if (out_n != NULL)
        *out_n = n;
    return n == 0 ? NAN : sum / n;
}

/* The tokens begin .. begin + n, with line breaks instead of the first n_sinks of the text. A BOS
 * stays: the paper replaces what is text. */
static void take_tokens(const struct text *text, const struct perplexity_run *run, int begin, int n,
                        int32_t *out)
{
    text_copy(text, begin, n + 1, out);
    int first = text->has_bos ? 1 : 0;
    for (int i = begin; i <= begin + n && run->line_break >= 0; i++) {
        if (i >= first && i < run->shape.n_sinks)
            out[i - begin] = run->line_break;
    }
}

static void score_piece(struct stream *stream, const struct perplexity_run *run, const int32_t *ids,
                        int n, double *out)
{
    if (run->stride == 1) {
        stream_score(stream, ids, n, out, NULL);
        return;
    }
    for (int i = 0; i < n; i++) {
        out[i] = NAN;
        if ((stream_position(stream) + 1) % run->stride == 0)
            stream_score(stream, ids + i, 1, out + i, NULL);
        else
            stream_feed(stream, ids + i, 1);
    }
}

bool perplexity_measure(struct subject *subject, const struct text *text,
                        const struct perplexity_run *run, double *out_losses, struct err *err)
{
    struct stream *stream;
    struct progress progress;
    int n_losses = (int)text->tokens.n - 1;
    if (!stream_open(&stream, subject, &run->shape, err))
        return false;
    /* A pass over the window takes long, so there the person who waits hears more often. */
    int piece =
        run->shape.mode == SESSION_MODE_RECOMPUTE && run->stride < PIECE ? run->stride : PIECE;
    progress_begin(&progress, run->progress, n_losses);
    for (int begin = 0; begin < n_losses; begin += piece) {
        int32_t ids[PIECE + 1];
        int n = piece < n_losses - begin ? piece : n_losses - begin;
        take_tokens(text, run, begin, n, ids);
        score_piece(stream, run, ids, n, out_losses + begin);
        progress_set(&progress, begin + n);
    }
    progress_end(&progress);
    stream_close(&stream);
    return true;
}

/* --- what to run -------------------------------------------------------------------------------*/

static bool has_entry(const struct experiment *experiment, const char *label)
{
    for (int i = 0; i < experiment->n_entries; i++) {
        if (strcmp(experiment->entries[i].label, label) == 0)
            return true;
    }
    return false;
}

static void add_entry(struct experiment *experiment, const struct options *options,
                      enum session_mode mode, int n_sinks, int32_t line_break)
{
    bool is_dense = mode == SESSION_MODE_DENSE;
    struct entry entry = {
        .run = {.shape = {.mode = mode,
                          .n_sinks = n_sinks,
                          .n_window = is_dense ? experiment->n_losses : experiment->n_window,
                          .kv_type = options->kv_type},
                .stride = mode == SESSION_MODE_RECOMPUTE ? experiment->stride : 1,
                .line_break = line_break},
    };
    if (line_break >= 0)
        snprintf(entry.label, sizeof entry.label, "newlines %d+%d", n_sinks,
                 experiment->n_window - n_sinks);
    else
        stream_shape_name(&entry.run.shape, entry.label, sizeof entry.label);
    if (!has_entry(experiment, entry.label) && experiment->n_entries < MAX_RUNS)
        experiment->entries[experiment->n_entries++] = entry;
}

static bool find_line_break(const struct subject *subject, int32_t *out, struct err *err)
{
    struct token_list list;
    token_list_init(&list);
    bool is_found = text_encode(subject, "\n", 1, false, &list, err);
    if (is_found && list.n == 0)
        is_found = err_set(err, ERR_UNSUPPORTED, "this model's vocabulary has no line break");
    if (is_found)
        *out = list.ids[list.n - 1];
    token_list_done(&list);
    return is_found;
}

static bool add_mode(struct experiment *experiment, const struct options *options,
                     enum options_mode mode, struct err *err)
{
    static const enum session_mode modes[] = {
        [OPTIONS_MODE_STREAMING] = SESSION_MODE_STREAMING,
        [OPTIONS_MODE_WINDOW] = SESSION_MODE_WINDOW,
        [OPTIONS_MODE_RECOMPUTE] = SESSION_MODE_RECOMPUTE,
        [OPTIONS_MODE_DENSE] = SESSION_MODE_DENSE,
        [OPTIONS_MODE_NEWLINES] = SESSION_MODE_STREAMING,
    };
    bool has_sinks = modes[mode] == SESSION_MODE_STREAMING;
    int32_t line_break = -1;
    if (mode == OPTIONS_MODE_NEWLINES && !find_line_break(experiment->subject, &line_break, err))
        return false;
    for (int i = 0; i < (has_sinks ? options->sinks.n : 1); i++) {
        int n_sinks = has_sinks ? options->sinks.items[i] : 0;
        bool is_window = has_sinks && n_sinks == 0;
        add_entry(experiment, options, is_window ? SESSION_MODE_WINDOW : modes[mode], n_sinks,
                  n_sinks == 0 ? -1 : line_break);
    }
    return true;
}

static bool plan(struct experiment *experiment, const struct options *options, struct err *err)
{
    int n_context = subject_n_context(experiment->subject);
    experiment->n_losses = (int)experiment->text->tokens.n - 1;
    experiment->n_window = options_window(options, n_context);
    experiment->stride = 1;
    for (int i = 0; i < options->modes.n; i++) {
        if (options->modes.items[i] == OPTIONS_MODE_RECOMPUTE)
            experiment->stride = options->stride > 0            ? options->stride
                                 : experiment->n_window / 8 > 0 ? experiment->n_window / 8
                                                                : 1;
    }
    for (int i = 0; i < options->modes.n; i++) {
        if (!add_mode(experiment, options, (enum options_mode)options->modes.items[i], err))
            return false;
    }
    return true;
}

/* --- what was found ----------------------------------------------------------------------------*/

struct segments {
    int begin[N_SEGMENTS];
    int end[N_SEGMENTS];
};

static int clip(int64_t value, int low, int high)
{
    return value < low ? low : value > high ? high : (int)value;
}

static struct segments find_segments(const struct experiment *experiment)
{
    int64_t n_context = subject_n_context(experiment->subject);
    int64_t ends[N_SEGMENTS] = {experiment->n_window, n_context, 2 * n_context, INT64_MAX};
    struct segments segments;
    int at = 0;
    for (int i = 0; i < N_SEGMENTS; i++) {
        segments.begin[i] = at;
        at = clip(ends[i], at, experiment->n_losses);
        segments.end[i] = at;
    }
    return segments;
}

static const char *const segment_names[] = {"in_window", "to_context", "to_twice", "beyond"};

static void add_columns(struct report *report, const struct segments *segments)
{
    table_add_column(&report->summary, "mode", "perplexity", 0);
    table_add_column(&report->summary, "every", "every", 0);
    table_add_column(&report->summary, "tokens", "tokens", 0);
    for (int i = 0; i < N_SEGMENTS; i++) {
        char title[40];
        snprintf(title, sizeof title, "%d..%d", segments->begin[i], segments->end[i] - 1);
        table_add_column(&report->summary, segment_names[i],
                         segments->end[i] > segments->begin[i] ? title : "-", 3);
    }
    table_add_column(&report->summary, "all", "all", 3);
    table_add_column(&report->samples, "mode", "mode", 0);
    table_add_column(&report->samples, "position", "position", 0);
    table_add_column(&report->samples, "loss", "loss", 4);
    table_add_column(&report->samples, "tokens", "tokens", 0);
}

static void add_summary(struct report *report, const struct experiment *experiment,
                        const struct segments *segments, const struct entry *entry, int every)
{
    /* Only what recompute scores too. */
    double *losses = malloc((size_t)experiment->n_losses * sizeof losses[0]);
    if (losses == NULL) {
        report->failed = true;
        return;
    }
    for (int i = 0; i < experiment->n_losses; i++)
        losses[i] = (i + 1) % every == 0 ? entry->losses[i] : NAN;
    struct table *table = &report->summary;
    int n;
    double all = perplexity_mean(losses, 0, experiment->n_losses, &n);
    table_add_row(table);
    table_put_text(table, "mode", entry->label);
    table_put_integer(table, "every", every);
    table_put_integer(table, "tokens", n);
    for (int i = 0; i < N_SEGMENTS; i++)
        table_put_number(table, segment_names[i],
                         exp(perplexity_mean(losses, segments->begin[i], segments->end[i], NULL)));
    table_put_number(table, "all", exp(all));
    free(losses);
}

static void add_samples(struct report *report, const struct experiment *experiment,
                        const struct entry *entry)
{
    int bin = (experiment->n_losses + N_BINS - 1) / N_BINS;
    for (int begin = 0; begin < experiment->n_losses; begin += bin) {
        int end = clip((int64_t)begin + bin, 0, experiment->n_losses);
        int n;
        double loss = perplexity_mean(entry->losses, begin, end, &n);
        if (n == 0)
            continue;
        table_add_row(&report->samples);
        table_put_text(&report->samples, "mode", entry->label);
        table_put_integer(&report->samples, "position", end);
        table_put_number(&report->samples, "loss", loss);
        table_put_integer(&report->samples, "tokens", n);
    }
}

static void fill_report(struct report *report, const struct experiment *experiment)
{
    struct segments segments = find_segments(experiment);
    add_columns(report, &segments);
    for (int i = 0; i < experiment->n_entries; i++) {
        if (experiment->entries[i].run.stride == 1)
            add_summary(report, experiment, &segments, &experiment->entries[i], 1);
        add_samples(report, experiment, &experiment->entries[i]);
    }
    for (int i = 0; i < experiment->n_entries && experiment->stride > 1; i++)
        add_summary(report, experiment, &segments, &experiment->entries[i], experiment->stride);
    if (experiment->stride > 1)
        report_note(report, "Compare recompute with the rows of the same \"every\": they score the "
                            "same tokens.");
    report->plot = (struct plot){
        .title = "log perplexity over the length of a text",
        .x = "position",
        .x_label = "token",
        .group = "mode",
        .panels = {{.y = "loss", .label = "mean loss (nats)"}},
        .n_panels = 1,
    };
}

static bool measure_all(struct experiment *experiment, struct err *err)
{
    for (int i = 0; i < experiment->n_entries; i++) {
        struct entry *entry = &experiment->entries[i];
        entry->run.progress = entry->label;
        entry->losses = calloc((size_t)experiment->n_losses, sizeof entry->losses[0]);
        if (entry->losses == NULL)
            return err_no_memory(err, "the losses");
        if (!perplexity_measure(experiment->subject, experiment->text, &entry->run, entry->losses,
                                err))
            return err_prefix(err, "%s", entry->label);
    }
    return true;
}

static bool run(const struct options *options, struct report *report, struct err *err)
{
    struct subject subject;
    struct text text;
    struct experiment experiment = {.subject = &subject, .text = &text};
    if (!subject_open(&subject, options->model, options->threads, err))
        return false;
    bool is_done = text_init(&text, &subject, options->text, options->tokens, err);
    if (is_done) {
        is_done = plan(&experiment, options, err) && measure_all(&experiment, err);
        if (is_done) {
            report_set_subject(report, &subject, options->model);
            report_set_integer(report, "window", experiment.n_window);
            report_set_text(report, "kv_type", kv_type_name(options->kv_type));
            report_set_integer(report, "tokens", (int64_t)text.tokens.n);
            fill_report(report, &experiment);
        }
        for (int i = 0; i < experiment.n_entries; i++)
            free(experiment.entries[i].losses);
        text_done(&text);
    }
    subject_close(&subject);
    return is_done;
}

const struct command perplexity_command = {
    .name = "perplexity",
    .bit = OPTIONS_PERPLEXITY,
    .summary = "a long text in four modes of attention, by stretch of the text",
    .help = "Perplexity of a long text under streaming, window, recompute and dense attention, "
            "averaged over\nthe stretches [0, window), [window, context), [context, 2 contexts) "
            "and beyond.\nSinks 0 is the plain window.",
    .run = run,
};
