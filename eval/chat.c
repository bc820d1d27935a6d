/* chat - many questions in one conversation: the multi-round setting of the paper (section 4.4 and
 * its demo), with nothing evicted but what no longer fits.
 *
 * Each answer is sampled by a sampler of its own, or the most likely token is taken. A turn's text
 * is what the model's chat template adds after the answer before it; to find it, the last two turns
 * are rendered and the part that the session has already is cut off. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/text/chat_template.h"
#include "core/text/detokenizer.h"
#include "core/text/prompt.h"
#include "core/text/sampler.h"
#include "core/text/tokenizer.h"
#include "eval/answer.h"
#include "eval/command.h"
#include "eval/options.h"
#include "eval/progress.h"
#include "eval/report.h"
#include "eval/series.h"
#include "eval/stream.h"
#include "eval/subject.h"

/* What the conversation ended with; the beginning of the next turn depends on it. */
struct last_turn {
    struct buf question;
    struct buf answer;
    bool is_none;
};

struct chat {
    const struct options *options;
    struct subject subject;
    struct stream *stream;
    struct chat_template *template;
    json_t *questions; /* array of objects with "turns" */
    struct last_turn last;
    struct token_list answer;
    struct series times; /* ms per decoded token, of the whole conversation */
    int n_answers, n_ended, n_empty, n_leaks, n_repetitive;
    double repetition;
    bool has_ended; /* the last answer, by itself */
};

static bool check_question(json_t *question, size_t line, struct err *err)
{
    json_t *turns = json_object_get(question, "turns");
    size_t i;
    json_t *turn;
    bool is_good = json_array_size(turns) > 0;
    json_array_foreach(turns, i, turn) is_good = is_good && json_is_string(turn);
    return is_good || err_set(err, ERR_FORMAT,
                              "line %zu holds no object with a list \"turns\" of texts", line);
}

/* JSON Lines. */
static bool read_questions(struct chat *chat, struct err *err)
{
    const char *path = chat->options->questions;
    if (path[0] == '\0')
        return err_set(err, ERR_INVALID, "--questions FILE is needed: {\"turns\": [...]} per line");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set(err, ERR_IO, "cannot read the questions %s: %s", path, strerror(errno));
    char *line = NULL;
    size_t max = 0, n_lines = 0;
    bool is_read = true;
    int n_wanted = chat->options->count;
    while (is_read && (n_wanted == 0 || (int)json_array_size(chat->questions) < n_wanted) &&
           getline(&line, &max, file) > 0) {
        n_lines++;
        if (line[strspn(line, " \t\r\n")] == '\0')
            continue;
        json_t *question = json_loads(line, 0, NULL);
        is_read = check_question(question, n_lines, err) || err_prefix(err, "%s", path);
        if (!is_read)
            json_decref(question);
        else if (json_array_append_new(chat->questions, question) != 0)
            is_read = err_no_memory(err, "the questions");
    }
    free(line);
    fclose(file);
    if (is_read && json_array_size(chat->questions) == 0)
        is_read = err_set(err, ERR_FORMAT, "%s holds no questions", path);
    return is_read;
}

/* --- one turn ----------------------------------------------------------------------------------*/

static struct chat_message message_of(enum chat_role role, const char *text, size_t len)
{
    return (struct chat_message){.role = role, .content = text, .len = len};
}

/* Appends what must be fed so that the model answers `question`. */
static bool render_turn(const struct chat *chat, const char *question, struct prompt *out,
                        struct err *err)
{
    const struct last_turn *last = &chat->last;
    const struct chat_render_options options = {.add_generation_prompt = true};
    struct chat_message messages[] = {
        message_of(CHAT_USER, buf_text(&last->question), last->question.len),
        message_of(CHAT_ASSISTANT, buf_text(&last->answer), last->answer.len),
        message_of(CHAT_USER, question, strlen(question)),
    };
    if (last->is_none)
        return chat_template_render(chat->template, &messages[2], 1, &options, out, err);
    struct prompt whole, known;
    prompt_init(&whole);
    prompt_init(&known);
    bool is_rendered = chat_template_render(chat->template, messages, 1, &options, &known, err) &&
                       chat_template_render(chat->template, messages, 3, &options, &whole, err);
    /* The cached tokens stand for `known` and the answer's text. */
    size_t begin = known.text.len + last->answer.len;
    if (begin > whole.text.len)
        begin = whole.text.len;
    prompt_append_slice(out, &whole, begin, whole.text.len);
    prompt_done(&whole);
    prompt_done(&known);
    return is_rendered && (!prompt_failed(out) || err_no_memory(err, "a prompt"));
}

/* Feeds the question; out_logits are of its last token. */
static bool ask(struct chat *chat, const char *question, float **out_logits, struct err *err)
{
    struct prompt prompt;
    struct token_list tokens;
    prompt_init(&prompt);
    token_list_init(&tokens);
    bool is_done =
        render_turn(chat, question, &prompt, err) &&
        tokenizer_encode(chat->subject.tokenizer, &prompt, 0, chat->last.is_none, &tokens, err);
    if (is_done && tokens.n == 0)
        is_done = err_set(err, ERR_UNSUPPORTED, "the chat template makes nothing of a question");
    if (is_done) {
        stream_feed(chat->stream, tokens.ids, (int)tokens.n - 1);
        *out_logits = stream_step(chat->stream, tokens.ids[tokens.n - 1]);
    }
    token_list_done(&tokens);
    prompt_done(&prompt);
    return is_done;
}

static bool open_sampler(const struct chat *chat, struct sampler **out, struct err *err)
{
    struct sampler_settings settings = {
        .temperature = (float)chat->options->temperature,
        .top_p = 1,
        .repetition_penalty = 1,
        .seed = (uint64_t)chat->options->seed + (uint64_t)chat->n_answers,
    };
    return sampler_open(out, &settings, subject_n_vocab(&chat->subject), err);
}

/* Tokens until one ends the turn or there are enough. The one that ends it is not fed: the template
 * writes that mark when the next turn begins. */
static bool answer(struct chat *chat, float *logits, struct err *err)
{
    const struct detokenizer_stops none = {0};
    struct detokenizer detokenizer;
    struct sampler *sampler;
    if (!open_sampler(chat, &sampler, err))
        return false;
    if (!detokenizer_init(&detokenizer, chat->subject.tokenizer, &none, err)) {
        sampler_close(&sampler);
        return false;
    }
    bool is_done = true;
    buf_clear(&chat->last.answer);
    chat->answer.n = 0;
    chat->has_ended = false;
    while (is_done && (int)chat->answer.n < chat->options->max_tokens) {
        int32_t id = sampler_choose(sampler, logits);
        chat->has_ended = tokenizer_is_end(chat->subject.tokenizer, id);
        if (chat->has_ended)
            break;
        is_done = token_list_push(&chat->answer, id, err);
        detokenizer_push(&detokenizer, id, &chat->last.answer);
        int64_t began_ns = clock_now_ns();
        logits = stream_step(chat->stream, id);
        series_push(&chat->times, (double)(clock_now_ns() - began_ns) / 1e6);
    }
    detokenizer_flush(&detokenizer, &chat->last.answer);
    detokenizer_done(&detokenizer);
    sampler_close(&sampler);
    return is_done && (!chat->last.answer.failed || err_no_memory(err, "an answer"));
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* A control token that does not end the turn has no text but is a leak like its name. */
static bool has_control_token(const struct chat *chat)
{
    for (size_t i = 0; i < chat->answer.n; i++) {
        if (tokenizer_is_control(chat->subject.tokenizer, chat->answer.ids[i]))
            return true;
    }
    return false;
}

static void judge(struct chat *chat, struct report *report, json_t *question, size_t turn,
                  size_t times_begin)
{
    const double much = 0.3;
    const char *text = buf_text(&chat->last.answer);
    const char *leak = has_control_token(chat) ? "control token" : answer_leak(text);
    double repetition = answer_repetition(chat->answer.ids, chat->answer.n);
    chat->n_answers++;
    chat->n_ended += chat->has_ended;
    chat->n_empty += is_blank(text);
    chat->n_leaks += leak != NULL;
    chat->n_repetitive += repetition > much;
    chat->repetition += repetition;

    struct table *table = &report->samples;
    const json_t *id = json_object_get(question, "question_id");
    table_add_row(table);
    table_put_integer(table, "answer", chat->n_answers);
    table_put_integer(table, "question", json_integer_value(id));
    table_put_integer(table, "turn", (int64_t)turn + 1);
    table_put_integer(table, "tokens", (int64_t)chat->answer.n);
    table_put_integer(table, "ended", chat->has_ended);
    table_put_number(table, "repetition", repetition);
    table_put_text(table, "leak", leak == NULL ? "" : leak);
    table_put_number(table, "ms",
                     series_quantile_of(&chat->times, times_begin, chat->times.n, 0.5));
    table_put_integer(table, "position", stream_position(chat->stream));
    table_put_text(table, "text", text);
}

static bool take_turn(struct chat *chat, struct report *report, json_t *question, size_t turn,
                      struct err *err)
{
    const char *text = json_string_value(json_array_get(json_object_get(question, "turns"), turn));
    float *logits;
    size_t times_begin = chat->times.n;
    if (!ask(chat, text, &logits, err))
        return false;
    buf_clear(&chat->last.question);
    buf_append_text(&chat->last.question, text);
    chat->last.is_none = false;
    if (!answer(chat, logits, err))
        return false;
    judge(chat, report, question, turn, times_begin);
    return !chat->last.question.failed || err_no_memory(err, "a question");
}

static bool talk(struct chat *chat, struct report *report, struct err *err)
{
    struct progress progress;
    size_t i;
    json_t *question;
    bool is_done = true;
    progress_begin(&progress, "chat", (double)json_array_size(chat->questions));
    json_array_foreach(chat->questions, i, question)
    {
        size_t n_turns = json_array_size(json_object_get(question, "turns"));
        for (size_t turn = 0; turn < n_turns && is_done; turn++)
            is_done = take_turn(chat, report, question, turn, err);
        progress_set(&progress, (double)(i + 1));
    }
    progress_end(&progress);
    return is_done;
}

/* --- the report --------------------------------------------------------------------------------*/

static void add_columns(struct report *report)
{
    table_add_column(&report->summary, "what", "all answers", 0);
    table_add_column(&report->summary, "value", "", 2);
    table_add_column(&report->samples, "answer", "answer", 0);
    table_add_column(&report->samples, "question", "question", 0);
    table_add_column(&report->samples, "turn", "turn", 0);
    table_add_column(&report->samples, "tokens", "tokens", 0);
    table_add_column(&report->samples, "ended", "ended", 0);
    table_add_column(&report->samples, "repetition", "repetition", 3);
    table_add_column(&report->samples, "leak", "leak", 0);
    table_add_column(&report->samples, "ms", "ms", 3);
    table_add_column(&report->samples, "position", "position", 0);
}

static void add_count(struct report *report, const char *what, int64_t value)
{
    table_add_row(&report->summary);
    table_put_text(&report->summary, "what", what);
    table_put_integer(&report->summary, "value", value);
}

static void add_number(struct report *report, const char *what, double value)
{
    table_add_row(&report->summary);
    table_put_text(&report->summary, "what", what);
    table_put_number(&report->summary, "value", value);
}

static void fill_report(const struct chat *chat, struct report *report)
{
    double n = chat->n_answers;
    size_t n_times = chat->times.n;
    add_count(report, "answers", chat->n_answers);
    add_count(report, "ended by the model itself", chat->n_ended);
    add_count(report, "empty", chat->n_empty);
    add_count(report, "with a template's marks in them", chat->n_leaks);
    add_count(report, "repetitive (over 30 % of 4-grams)", chat->n_repetitive);
    add_number(report, "repeated 4-grams, mean %", 100 * chat->repetition / n);
    add_number(report, "tokens per answer, mean", (double)n_times / n);
    add_number(report, "ms per token, first quarter",
               series_quantile_of(&chat->times, 0, n_times / 4, 0.5));
    add_number(report, "ms per token, last quarter",
               series_quantile_of(&chat->times, n_times - n_times / 4, n_times, 0.5));
    add_count(report, "tokens in the session", stream_position(chat->stream));
    add_count(report, "of these, evicted", stream_evicted(chat->stream));
    report->plot = (struct plot){
        .title = "one conversation",
        .x = "answer",
        .x_label = "answer",
        .panels = {{.y = "ms", .label = "ms per token", .from_zero = true},
                   {.y = "tokens", .label = "tokens of the answer", .from_zero = true},
                   {.y = "repetition", .label = "repeated 4-grams", .from_zero = true}},
        .n_panels = 3,
    };
}

static bool open_chat(struct chat *chat, struct err *err)
{
    const struct options *options = chat->options;
    struct stream_shape shape = {
        .mode = SESSION_MODE_STREAMING,
        .n_sinks = options->sinks.items[0],
        .n_window = options_window(options, subject_n_context(&chat->subject)),
        .kv_type = options->kv_type,
    };
    if (!read_questions(chat, err) || !stream_open(&chat->stream, &chat->subject, &shape, err))
        return false;
    size_t n_turns = 0, i;
    json_t *question;
    json_array_foreach(chat->questions, i, question) n_turns +=
        json_array_size(json_object_get(question, "turns"));
    struct gguf_text jinja = {0};
    gguf_get_text(chat->subject.file, "tokenizer.chat_template", &jinja);
    const struct chat_template_source source = {.jinja = jinja.data, .jinja_len = jinja.len};
    if (!chat_template_open(&chat->template, &source, err))
        return false;
    return series_init(&chat->times, n_turns * (size_t)options->max_tokens, err);
}

static void close_chat(struct chat *chat)
{
    series_done(&chat->times);
    token_list_done(&chat->answer);
    buf_done(&chat->last.question);
    buf_done(&chat->last.answer);
    stream_close(&chat->stream);
    chat_template_close(&chat->template);
    json_decref(chat->questions);
    subject_close(&chat->subject);
}

static bool run(const struct options *options, struct report *report, struct err *err)
{
    struct chat chat = {.options = options, .questions = json_array(), .last.is_none = true};
    if (!subject_open(&chat.subject, options->model, options->threads, err)) {
        json_decref(chat.questions);
        return false;
    }
    buf_init(&chat.last.question);
    buf_init(&chat.last.answer);
    token_list_init(&chat.answer);
    bool is_done = open_chat(&chat, err);
    if (is_done) {
        report_set_subject(report, &chat.subject, options->model);
        report_set_integer(report, "window",
                           options_window(options, subject_n_context(&chat.subject)));
        report_set_integer(report, "sinks", options->sinks.items[0]);
        report_set_text(report, "kv_type", kv_type_name(options->kv_type));
        report_set_text(report, "template", chat_template_name(chat.template));
        add_columns(report);
        is_done = talk(&chat, report, err);
        if (is_done)
            fill_report(&chat, report);
    }
    close_chat(&chat);
    return is_done;
}

const struct command chat_command = {
    .name = "chat",
    .bit = OPTIONS_CHAT,
    .summary = "many questions in one conversation: ends, repetition, leaks, time",
    .help = "Asks all questions of a file in one streaming session and counts what goes wrong: "
            "answers that do not\nend, repeat themselves, are empty or show the chat template's "
            "marks; and whether tokens get slower.",
    .run = run,
};
