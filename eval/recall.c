/* recall - a test like the paper's StreamEval (figure 9, table 7), whose text is not published.
 *
 * Line after line states the number of a named thing; every few lines the model is asked for the
 * numbers of lines at several distances. A question is taken back before the text goes on, so it
 * leaves no trace and one place serves all distances. Streaming is one session over all lines.
 * Recompute reads the window anew at each place, from the beginning of a text: what the paper
 * measures streaming by. Dense attention sees every line but must begin anew when the trained
 * length is used up; a question reaches no further back than that beginning, for all. */
#include "eval/recall.h"

#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "eval/command.h"
#include "eval/options.h"
#include "eval/progress.h"
#include "eval/report.h"
#include "eval/stream.h"
#include "eval/subject.h"

enum {
    ASK_EVERY = 10, /* lines */
    MAX_QUESTION = 128,
    MAX_LINES = 4096, /* between two beginnings */
    DEFAULT_CONTEXTS = 8,
    N_PLACES = 3,
};

enum mode { STREAMING, DENSE, RECOMPUTE, N_MODES };
static const char *const mode_names[N_MODES] = {"streaming", "dense", "recompute"};
static const char *const loss_names[N_MODES] = {"streaming_loss", "dense_loss", "recompute_loss"};
static const char *const place_names[N_PLACES] = {"inside", "across", "outside"};

int recall_value(int line)
{
    /* SplitMix64's finalizer. */
    uint64_t x = (uint64_t)line + 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return (int)((x ^ (x >> 31)) % 100000);
}

/* Names, not line numbers: small models take one number for another. */
static const char *const colours[] = {
    "amber", "azure", "black", "blue",   "bronze", "brown", "copper", "coral",
    "cream", "gold",  "green", "grey",   "indigo", "ivory", "jade",   "khaki",
    "lemon", "lilac", "lime",  "maroon", "mint",   "navy",  "olive",  "orange",
    "pink",  "plum",  "red",   "rose",   "silver", "teal",  "violet", "white",
};
static const char *const animals[] = {
    "badger", "bear",   "beaver", "camel", "cat",    "crow",  "deer",  "dog",
    "eagle",  "falcon", "fox",    "frog",  "goat",   "hawk",  "heron", "horse",
    "lion",   "lizard", "monkey", "mouse", "otter",  "owl",   "panda", "pigeon",
    "rabbit", "raven",  "salmon", "shark", "spider", "tiger", "trout", "wolf",
};
enum {
    N_COLOURS = sizeof colours / sizeof colours[0],
    N_ANIMALS = sizeof animals / sizeof animals[0],
    STEP = 389, /* odd, so that a power of two of names passes before one comes again */
};

static int format(int line, const char *end, bool has_value, char *out, size_t max)
{
    char value[8] = "";
    int name = (int)((int64_t)line * STEP % (N_COLOURS * N_ANIMALS));
    if (has_value)
        snprintf(value, sizeof value, "%05d", recall_value(line) % 100000);
    return snprintf(out, max, "The REGISTER_CONTENT of the %s %s is <%s%s",
                    colours[name % N_COLOURS], animals[name / N_COLOURS], value, end);
}

int recall_format_fact(int line, char *out, size_t max)
{
    return format(line, ">\n", true, out, max);
}

bool recall_question_init(struct recall_question *question, const struct subject *subject, int line,
                          struct err *err)
{
    char asked[80], answered[80];
    struct token_list *tokens = &question->tokens;
    struct token_list before;
    size_t n_asked = (size_t)format(line, "", false, asked, sizeof asked);
    size_t n_answered = (size_t)format(line, "", true, answered, sizeof answered);
    token_list_init(tokens);
    token_list_init(&before);
    bool is_done = text_encode(subject, asked, n_asked, false, &before, err) &&
                   text_encode(subject, answered, n_answered, false, tokens, err);
    question->n_asked = 0;
    while (question->n_asked < before.n && question->n_asked < tokens->n &&
           before.ids[question->n_asked] == tokens->ids[question->n_asked])
        question->n_asked++;
    if (is_done &&
        (question->n_asked == 0 || question->n_asked == tokens->n || tokens->n > MAX_QUESTION))
        is_done = err_set(err, ERR_UNSUPPORTED, "this vocabulary cannot write the question");
    token_list_done(&before);
    if (!is_done)
        token_list_done(tokens);
    return is_done;
}

void recall_question_done(struct recall_question *question)
{
    token_list_done(&question->tokens);
}

bool recall_is_right(const struct recall_question *question, const bool *is_best)
{
    for (size_t i = question->n_asked; i < question->tokens.n; i++) {
        if (!is_best[i - 1])
            return false;
    }
    return true;
}

double recall_loss(const struct recall_question *question, const double *losses)
{
    double sum = 0;
    for (size_t i = question->n_asked; i < question->tokens.n; i++)
        sum += losses[i - 1];
    return sum / (double)(question->tokens.n - question->n_asked);
}

enum recall_place recall_place_of(int64_t begins_back, int64_t ends_back, int n_recent)
{
    if (begins_back < n_recent)
        return RECALL_INSIDE;
    return ends_back < n_recent ? RECALL_ACROSS : RECALL_OUTSIDE;
}

struct score {
    int n_asked;
    int n_right[N_MODES];
    double loss[N_MODES]; /* summed; nats per token of the answer */
};

struct experiment {
    const struct options *options;
    struct subject *subject;
    struct stream *streams[N_MODES];
    struct token_list start; /* how a text begins: BOS, where there is one */
    struct token_list lines; /* tokens of all that was stated */
    size_t n_longest;        /* tokens of a line; a question has no more */
    int n_window;
    int n_recent;
    int n_context;
    int64_t n_tokens;             /* to feed in all */
    int64_t begins_at[MAX_LINES]; /* positions in the streaming session, since the last beginning */
    int first_line;
    int n_lines;
    struct score scores[OPTIONS_MAX_LIST][N_PLACES];
};

static bool feed_line(struct experiment *experiment, int line, struct err *err)
{
    char text[80];
    struct token_list tokens;
    token_list_init(&tokens);
    size_t n = (size_t)recall_format_fact(line, text, sizeof text);
    bool is_done = text_encode(experiment->subject, text, n, false, &tokens, err);
    if (is_done) {
        experiment->begins_at[experiment->n_lines++] =
            stream_position(experiment->streams[STREAMING]);
        stream_feed(experiment->streams[STREAMING], tokens.ids, (int)tokens.n);
        stream_feed(experiment->streams[DENSE], tokens.ids, (int)tokens.n);
        if (tokens.n > experiment->n_longest)
            experiment->n_longest = tokens.n;
        if (experiment->start.n + experiment->n_longest >= (size_t)experiment->n_window)
            is_done = err_set(err, ERR_INVALID,
                              "a window of %d tokens is too small for this test: a line has %zu",
                              experiment->n_window, experiment->n_longest);
    }
    for (size_t i = 0; i < tokens.n && is_done; i++)
        is_done = token_list_push(&experiment->lines, tokens.ids[i], err);
    token_list_done(&tokens);
    return is_done;
}

/* The beginning of a text, then as many of the last tokens as leave room for a question. */
static void read_window_again(struct experiment *experiment)
{
    struct stream *stream = experiment->streams[RECOMPUTE];
    size_t n_room = (size_t)experiment->n_window - experiment->start.n - experiment->n_longest;
    size_t n = experiment->lines.n < n_room ? experiment->lines.n : n_room;
    stream_clear(stream);
    stream_feed(stream, experiment->start.ids, (int)experiment->start.n);
    stream_feed(stream, experiment->lines.ids + experiment->lines.n - n, (int)n);
}

/* Asks for the line `distance` before the last one, which is distance 0. */
static bool ask(struct experiment *experiment, int distance_idx, struct err *err)
{
    int distance = experiment->options->distances.items[distance_idx];
    int idx = experiment->n_lines - 1 - distance;
    struct recall_question question;
    if (idx < 0)
        return true;
    if (!recall_question_init(&question, experiment->subject, experiment->first_line + idx, err))
        return false;
    int n = (int)question.tokens.n - 1;
    int64_t at = stream_position(experiment->streams[STREAMING]);
    int64_t first_query = at + (int64_t)question.n_asked - 1, last_query = at + n - 1;
    int64_t line_end = experiment->begins_at[idx + 1] - 1;
    enum recall_place place = recall_place_of(last_query - experiment->begins_at[idx],
                                              first_query - line_end, experiment->n_recent);
    struct score *score = &experiment->scores[distance_idx][place];
    score->n_asked++;
    for (int mode = 0; mode < N_MODES; mode++) {
        double losses[MAX_QUESTION];
        bool is_best[MAX_QUESTION];
        stream_score(experiment->streams[mode], question.tokens.ids, n, losses, is_best);
        stream_take_back(experiment->streams[mode], n);
        score->n_right[mode] += recall_is_right(&question, is_best);
        score->loss[mode] += recall_loss(&question, losses);
    }
    recall_question_done(&question);
    return true;
}

static void begin_anew(struct experiment *experiment, int line)
{
    stream_clear(experiment->streams[DENSE]);
    stream_feed(experiment->streams[DENSE], experiment->start.ids, (int)experiment->start.n);
    experiment->first_line = line;
    experiment->n_lines = 0;
}

static bool ask_all(struct experiment *experiment, struct err *err)
{
    bool is_done = true;
    read_window_again(experiment);
    for (int i = 0; is_done && i < experiment->options->distances.n; i++)
        is_done = ask(experiment, i, err);
    return is_done;
}

static bool measure(struct experiment *experiment, struct err *err)
{
    struct progress progress;
    progress_begin(&progress, "recall", (double)experiment->n_tokens);
    struct stream *streaming = experiment->streams[STREAMING];
    bool is_done = text_encode(experiment->subject, "", 0, true, &experiment->start, err);
    if (is_done) {
        stream_feed(streaming, experiment->start.ids, (int)experiment->start.n);
        begin_anew(experiment, 1);
    }
    for (int line = 1; is_done && stream_position(streaming) < experiment->n_tokens; line++) {
        int64_t n_dense = stream_position(experiment->streams[DENSE]);
        if (n_dense + 2 * MAX_QUESTION > experiment->n_context || experiment->n_lines == MAX_LINES)
            begin_anew(experiment, line);
        is_done =
            feed_line(experiment, line, err) && (line % ASK_EVERY != 0 || ask_all(experiment, err));
        progress_set(&progress, (double)stream_position(streaming));
    }
    progress_end(&progress);
    return is_done;
}

static void add_columns(struct report *report)
{
    table_add_column(&report->summary, "place", "the line lies", 0);
    table_add_column(&report->summary, "distance", "lines back", 0);
    table_add_column(&report->summary, "asked", "asked", 0);
    table_add_column(&report->summary, "streaming", "streaming %", 1);
    table_add_column(&report->summary, "recompute", "recompute %", 1);
    table_add_column(&report->summary, "dense", "dense %", 1);
    table_add_column(&report->summary, "streaming_loss", "streaming loss", 3);
    table_add_column(&report->summary, "recompute_loss", "recompute loss", 3);
    table_add_column(&report->summary, "dense_loss", "dense loss", 3);
    table_add_column(&report->samples, "mode", "mode", 0);
    table_add_column(&report->samples, "distance", "distance", 0);
    table_add_column(&report->samples, "accuracy", "accuracy", 4);
    table_add_column(&report->samples, "loss", "loss", 4);
    table_add_column(&report->samples, "asked", "asked", 0);
}

static void add_summary(struct report *report, const struct experiment *experiment, int place)
{
    for (int i = 0; i < experiment->options->distances.n; i++) {
        const struct score *score = &experiment->scores[i][place];
        if (score->n_asked == 0)
            continue;
        table_add_row(&report->summary);
        table_put_text(&report->summary, "place", place_names[place]);
        table_put_integer(&report->summary, "distance", experiment->options->distances.items[i]);
        table_put_integer(&report->summary, "asked", score->n_asked);
        for (int mode = 0; mode < N_MODES; mode++) {
            table_put_number(&report->summary, mode_names[mode],
                             100.0 * score->n_right[mode] / score->n_asked);
            table_put_number(&report->summary, loss_names[mode],
                             score->loss[mode] / score->n_asked);
        }
    }
}

static void add_samples(struct report *report, const struct experiment *experiment, int mode)
{
    for (int i = 0; i < experiment->options->distances.n; i++) {
        int n_asked = 0, n_right = 0;
        double loss = 0;
        for (int place = 0; place < N_PLACES; place++) {
            n_asked += experiment->scores[i][place].n_asked;
            n_right += experiment->scores[i][place].n_right[mode];
            loss += experiment->scores[i][place].loss[mode];
        }
        if (n_asked == 0)
            continue;
        table_add_row(&report->samples);
        table_put_text(&report->samples, "mode", mode_names[mode]);
        table_put_integer(&report->samples, "distance", experiment->options->distances.items[i]);
        table_put_number(&report->samples, "accuracy", 100.0 * n_right / n_asked);
        table_put_number(&report->samples, "loss", loss / n_asked);
        table_put_integer(&report->samples, "asked", n_asked);
    }
}

static void fill_report(struct report *report, const struct experiment *experiment)
{
    add_columns(report);
    for (int place = 0; place < N_PLACES; place++)
        add_summary(report, experiment, place);
    for (int mode = 0; mode < N_MODES; mode++)
        add_samples(report, experiment, mode);
    report_note(report, "Loss is per token of the right answer; one who guesses digits has ln 10 = "
                        "2.303.");
    report_note(report, "The streaming session read %lld tokens, of which %lld have left it.",
                (long long)stream_position(experiment->streams[STREAMING]),
                (long long)stream_evicted(experiment->streams[STREAMING]));
    report->plot = (struct plot){
        .title = "recall of a fact by distance",
        .x = "distance",
        .x_label = "lines back",
        .group = "mode",
        .panels = {{.y = "accuracy", .label = "exact answers (%)", .from_zero = true},
                   {.y = "loss", .label = "loss of the answer (nats/token)", .from_zero = true}},
        .n_panels = 2,
    };
}

static bool open_streams(struct experiment *experiment, int n_window, struct err *err)
{
    int n_sinks = experiment->options->sinks.items[0];
    struct stream_shape shapes[N_MODES] = {
        [STREAMING] = {.mode = SESSION_MODE_STREAMING, .n_sinks = n_sinks, .n_window = n_window},
        [DENSE] = {.mode = SESSION_MODE_DENSE, .n_window = experiment->n_context},
        /* A dense pass over each window, begun by read_window_again. */
        [RECOMPUTE] = {.mode = SESSION_MODE_DENSE, .n_window = n_window},
    };
    for (int mode = 0; mode < N_MODES; mode++) {
        shapes[mode].kv_type = experiment->options->kv_type;
        if (!stream_open(&experiment->streams[mode], experiment->subject, &shapes[mode], err))
            return false;
    }
    experiment->n_window = n_window;
    experiment->n_recent = n_window - n_sinks;
    return true;
}

static bool run(const struct options *options, struct report *report, struct err *err)
{
    struct subject subject;
    struct experiment experiment = {.options = options, .subject = &subject};
    if (!subject_open(&subject, options->model, options->threads, err))
        return false;
    experiment.n_context = subject_n_context(&subject);
    experiment.n_tokens =
        options->tokens > 0 ? options->tokens : (int64_t)DEFAULT_CONTEXTS * experiment.n_context;
    int n_window = options_window(options, experiment.n_context);
    bool is_done =
        experiment.n_context >= 4 * MAX_QUESTION ||
        err_set(err, ERR_UNSUPPORTED, "a model trained for %d tokens is too small for this test",
                experiment.n_context);
    is_done = is_done && open_streams(&experiment, n_window, err) && measure(&experiment, err);
    if (is_done) {
        report_set_subject(report, &subject, options->model);
        report_set_integer(report, "window", n_window);
        report_set_integer(report, "sinks", options->sinks.items[0]);
        report_set_text(report, "kv_type", kv_type_name(options->kv_type));
        fill_report(report, &experiment);
    }
    for (int mode = 0; mode < N_MODES; mode++)
        stream_close(&experiment.streams[mode]);
    token_list_done(&experiment.start);
    token_list_done(&experiment.lines);
    subject_close(&subject);
    return is_done;
}

const struct command recall_command = {
    .name = "recall",
    .bit = OPTIONS_RECALL,
    .summary = "facts asked for some lines later: streaming beside recompute and dense",
    .help = "Lines state numbers; every tenth line the numbers of earlier lines are asked for, in "
            "a streaming\nsession, with a fresh pass over its window, and with dense attention up "
            "to the "
            "trained length.\nWhat has left the window is gone: streaming must know nothing of it.",
    .run = run,
};
