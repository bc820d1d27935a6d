#include "server/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "server/answer_style.h"
#include "server/api_error.h"
#include "server/conversations.h"
#include "server/generation_state.h"
#include "server/generations.h"
#include "server/message_extra.h"
#include "server/tool_format.h"

enum {
    MAX_ANSWER_BYTES = 64 * 1024 * 1024,
    LOCKED_RETRY_S = 1,
};

static void generation_free(struct generation *one)
{
    generations_remove(one);
    generation_prompt_done(&one->prompt);
    buf_done(&one->text);
    token_report_list_done(&one->reports);
    if (one->has_parser)
        answer_parser_done(&one->parser);
    free(one);
}

struct generation *generation_new(struct generations *all, struct generation_ask *ask,
                                  struct api_error *error)
{
    const struct generations_options *options = generations_options_of(all);
    if (!generations_admit(all, ask->owner, error))
        return NULL;
    struct generation *one = calloc(1, sizeof *one);
    if (one == NULL || !generation_prompt_init(&one->prompt, options, ask)) {
        free(one);
        generations_refuse(all, error);
        return NULL;
    }
    one->options = options;
    one->listener = ask->listener;
    one->arg = ask->arg;
    snprintf(one->request_id, sizeof one->request_id, "%s", ask->request_id);
    buf_init(&one->text);
    generation_meter_begin(&one->meter, options->metrics);
    generations_add(all, one);
    return one;
}

/* ---- what the listener hears ---- */

/* The last that it hears. */
static void tell_failure(struct generation *one, const struct api_error *error)
{
    const struct generation_listener *listener = one->listener;
    one->listener = NULL;
    if (listener != NULL)
        listener->on_fail(one->arg, error);
}

static void refuse(struct generation *one, const struct api_error *error)
{
    generation_meter_end(&one->meter, GENERATION_FAILED, NULL);
    tell_failure(one, error);
    generation_free(one);
}

static void refuse_err(struct generation *one, const struct err *err)
{
    struct api_error error;
    api_error_from(&error, err);
    refuse(one, &error);
}

static void tell_delta(void *arg, const struct answer_delta *piece);

static bool is_tool(void *arg, const char *name, size_t len)
{
    const struct generation *one = arg;
    return tool_request_has(&one->prompt.request.tools, name, len);
}

/* A prompt without a template is answered in raw text. */
static void open_parser(struct generation *one)
{
    const struct answer_style *style = one->options->style;
    struct answer_parser_options options = {.is_tool = is_tool, .emit = tell_delta, .arg = one};
    const struct generation_prompt *prompt = &one->prompt;
    if (!prompt->is_raw && !prompt->plan.is_continuation) {
        options.think_open = style->think_open;
        options.think_close = style->think_close;
        options.is_thinking = prompt->is_thinking;
    }
    if (!prompt->is_raw && style->format->has_channels) {
        options.think_open = style->think_open;
        options.has_channels = true;
        options.is_continued = prompt->plan.is_continuation;
    }
    bool has_calls = prompt->request.tools.n > 0 || style->format->words_mark != NULL;
    if (!prompt->is_raw && has_calls)
        options.format = style->format;
    answer_parser_init(&one->parser, &options);
    one->has_parser = true;
}

/* What the model was given is part of its answer. */
static void begin_answer(struct generation *one)
{
    if (one->has_begun_answer)
        return;
    one->has_begun_answer = true;
    const struct buf *given = &one->prompt.answer_start;
    answer_parser_push(&one->parser, buf_text(given), given->len);
}

/* Tokens of the text that the session was not given count as cached, for they cost nothing, and as
 * evicted, for nothing sees them. */
static struct engine_usage usage_of_text(const struct generation *one,
                                         const struct engine_event *event)
{
    struct engine_usage usage = event->usage;
    usage.n_cached += one->prompt.plan.n_unread;
    usage.n_evicted += one->prompt.plan.n_unread;
    return usage;
}

/* May free the generation, when it does not speak. */
static void tell_start(struct generation *one)
{
    if (one->has_started || one->listener == NULL)
        return;
    one->has_started = true;
    /* A token sees the window's other tokens and itself; what lies further back is evicted. */
    int64_t n_evicted = one->prompt.plan.keep + one->prompt.n_fed -
                        (engine_info(one->options->engine)->n_window - 1);
    struct generation_start start = {
        .conversation_id = conversation_plan_id(&one->prompt.plan),
        .match = conversation_match_name(one->prompt.plan.match),
        .n_cached = one->prompt.plan.keep + one->prompt.plan.n_unread,
        .n_new = one->prompt.n_fed,
        .n_evicted = (n_evicted > 0 ? n_evicted : 0) + one->prompt.plan.n_unread,
    };
    one->listener->on_start(one->arg, &start);
}

/* Ends it as soon as that is possible. May free it. */
static void wind_up(struct generation *one)
{
    switch (one->state) {
    case GENERATION_IS_NEW:
    case GENERATION_AWAITS_CONVERSATION:
        generation_free(one);
        return;
    case GENERATION_TOKENIZES:
        conversations_leave(&one->prompt.plan);
        return;
    case GENERATION_SPEAKS:
        conversations_leave(&one->prompt.plan);
        engine_cancel(one->options->engine, one->id);
        return;
    }
}

/* ---- from the words to the engine ---- */

/* Without memory now it is told with the next tick. */
static void tell_park(struct generation *one)
{
    if (one->state == GENERATION_SPEAKS && one->is_parked != one->is_park_told &&
        engine_park(one->options->engine, one->id, one->is_parked))
        one->is_park_told = one->is_parked;
}

static void speak(struct generation *one)
{
    struct err err;
    if (!generation_prompt_submit(&one->prompt, one->id, &err)) {
        struct api_error error;
        api_error_from(&error, &err);
        if (err.code == ERR_LIMIT)
            generations_refuse(one->all, &error);
        refuse(one, &error);
        return;
    }
    one->state = GENERATION_SPEAKS;
    one->is_park_told = false;
    tell_park(one);
    generation_meter_submitted(&one->meter);
    tell_start(one);
}

static void on_tokens(void *arg)
{
    struct generation *one = arg;
    struct generations *all = one->all;
    if (one->listener == NULL)
        generation_free(one);
    else
        speak(one);
    generations_settle(all);
}

static void make_tokens(struct generation *one)
{
    struct err err;
    one->state = GENERATION_TOKENIZES;
    if (!generation_prompt_tokenize(&one->prompt, on_tokens, one, &err))
        refuse_err(one, &err);
}

void generation_begin(struct generation *one)
{
    struct err err;
    struct api_error error;
    switch (generation_prompt_find(&one->prompt, &err)) {
    case CONVERSATIONS_READY:
        open_parser(one);
        make_tokens(one);
        break;
    case CONVERSATIONS_LEAVING:
        one->state = GENERATION_AWAITS_CONVERSATION;
        break;
    case CONVERSATIONS_BUSY:
        api_error_set(&error, 409, "conversation_locked", NULL,
                      "Another request is speaking in this conversation; wait for its end.");
        error.retry_after_s = LOCKED_RETRY_S;
        refuse(one, &error);
        break;
    case CONVERSATIONS_FAILED:
        refuse_err(one, &err);
        break;
    }
}

void generation_run(struct generation *one)
{
    struct generations *all = one->all;
    generation_begin(one);
    generations_settle(all);
}

void generation_park(struct generation *one, bool is_parked)
{
    one->is_parked = is_parked;
    tell_park(one);
}

void generation_tick(struct generation *one)
{
    tell_park(one);
    if (one->listener != NULL)
        one->listener->on_tick(one->arg);
}

void generation_stop(struct generation *one, const struct api_error *error)
{
    tell_failure(one, error);
    wind_up(one);
}

void generation_leave(struct generation *one)
{
    struct generations *all = one->all;
    one->listener = NULL;
    generation_meter_left(&one->meter);
    wind_up(one);
    generations_settle(all);
}

/* ---- from the engine to the listener ---- */

/* An answer_delta_fn. Reports go with the first piece that is told after them. */
static void tell_delta(void *arg, const struct answer_delta *piece)
{
    struct generation *one = arg;
    if (one->listener == NULL)
        return;
    struct generation_delta delta = {
        .part = piece->part,
        .text = piece->text,
        .len = piece->len,
        .call = piece->call,
        .call_id = piece->call_id,
        .n_reports = one->reports.n - one->n_told,
        .usage = &one->usage,
    };
    if (delta.n_reports > 0)
        delta.reports = &one->reports.items[one->n_told];
    one->n_told = one->reports.n;
    one->listener->on_delta(one->arg, &delta);
}

static void tell_last_reports(struct generation *one)
{
    if (one->reports.n > one->n_told)
        tell_delta(one, &(struct answer_delta){.part = ANSWER_CONTENT, .text = ""});
}

static void on_text(struct generation *one, const struct engine_event *event)
{
    buf_append(&one->text, event->text.data, event->text.len);
    generation_meter_text(&one->meter, event->n_tokens);
    one->usage = usage_of_text(one, event);
    if (!token_report_list_append(&one->reports, event->reports.items, event->reports.n))
        one->text.failed = true;
    if (one->text.failed || one->text.len > MAX_ANSWER_BYTES)
        engine_cancel(one->options->engine, one->id);
    begin_answer(one);
    if (answer_parser_is_thinking(&one->parser))
        one->n_thought += event->n_tokens;
    answer_parser_push(&one->parser, buf_text(&event->text), event->text.len);
}

static void on_progress(struct generation *one, const struct engine_event *event)
{
    struct engine_usage usage = usage_of_text(one, event);
    if (one->listener != NULL && one->listener->on_progress != NULL)
        one->listener->on_progress(one->arg, event->n_read, &usage);
}

static void tell_end(struct generation *one, const struct engine_event *event)
{
    const struct engine_info *info = engine_info(one->options->engine);
    struct generation_end end = {
        .finish = event->finish,
        .stop = event->stop,
        .usage = usage_of_text(one, event),
        .conversation_id = conversation_plan_id(&one->prompt.plan),
        .match = conversation_match_name(one->prompt.plan.match),
        .n_window = info->n_window,
        .n_sinks = event->usage.n_sinks,
        .text = buf_text(&one->parser.answer.content),
        .len = one->parser.answer.content.len,
        .answer = &one->parser.answer,
        .n_thought = one->parser.answer.reasoning.len > 0 ? one->n_thought : 0,
        .reports = one->reports.items,
        .n_reports = one->reports.n,
    };
    const struct generation_listener *listener = one->listener;
    one->listener = NULL;
    if (listener != NULL)
        listener->on_finish(one->arg, &end);
}

static void log_end(const struct generation *one, const struct engine_event *event)
{
    const struct engine_usage *usage = &event->usage;
    static const char *const ends[] = {"stop", "length", "cancelled"};
    /* Who still listens says it in the line about the request. */
    log_write(one->listener == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
              "%s: %s, %lld tokens cached, %d read in %.0f ms, %d generated at %.1f/s, %s",
              one->request_id, conversation_match_name(one->prompt.plan.match),
              (long long)usage->n_cached, usage->n_prompt, (double)usage->prefill_ns / 1e6,
              usage->n_generated,
              usage->decode_ns > 0 ? usage->n_generated * 1e9 / (double)usage->decode_ns : 0,
              ends[event->finish]);
}

static bool is_plain(const struct generation *one)
{
    const struct buf *content = &one->parser.answer.content;
    return one->prompt.answer_start.len == 0 && content->len == one->text.len &&
           memcmp(buf_text(content), buf_text(&one->text), content->len) == 0;
}

static void end_conversation(struct generation *one, const struct engine_event *event)
{
    struct conversations *conversations = one->options->conversations;
    const struct answer *answer = &one->parser.answer;
    bool has_failed;
    char *extra = message_extra_of_answer(answer, &has_failed);
    struct conversation_result result = {
        .usage = &event->usage,
        .n_fed = one->prompt.n_fed,
        .last_token = one->prompt.last_token,
        .answer =
            {
                .content = buf_text(&answer->content),
                .len = answer->content.len,
                .extra = extra,
                .extra_len = extra == NULL ? 0 : strlen(extra),
                .reasoning = buf_text(&answer->reasoning),
                .reasoning_len = answer->reasoning.len,
            },
        .raw = buf_text(&one->text),
        .n_raw = one->text.len,
        .is_plain = is_plain(one),
        .is_cancelled = event->finish == ENGINE_FINISH_CANCELLED,
    };
    one->prompt.has_plan = false;
    if (one->text.failed || answer->failed || has_failed)
        conversations_fail(conversations, &one->prompt.plan);
    else
        conversations_end(conversations, &one->prompt.plan, &result);
    free(extra);
}

static void on_finished(struct generation *one, const struct engine_event *event)
{
    log_end(one, event);
    generations_note_end(one->all);
    generation_meter_end(&one->meter, (enum generation_outcome)event->finish, &event->usage);
    begin_answer(one);
    answer_parser_end(&one->parser);
    tell_last_reports(one);
    tell_end(one, event);
    end_conversation(one, event);
    generation_free(one);
}

static bool try_again(struct generation *one, struct engine_event *event)
{
    if (one->listener == NULL || !generation_prompt_recover(&one->prompt, event))
        return false;
    log_info("%s: %s; reading the conversation again", one->request_id, event->err.text);
    make_tokens(one);
    return true;
}

static void on_failed(struct generation *one, struct engine_event *event)
{
    if (try_again(one, event))
        return;
    log_info("%s: failed: %s", one->request_id, event->err.text);
    bool is_unharmed = event->err.code != ERR_MEMORY && event->err.code != ERR_INTERNAL;
    if (!is_unharmed) {
        one->prompt.has_plan = false;
        conversations_fail(one->options->conversations, &one->prompt.plan);
    }
    refuse_err(one, &event->err);
}

void generation_on_event(struct generation *one, struct engine_event *event)
{
    switch (event->kind) {
    case ENGINE_EVENT_TEXT:
        on_text(one, event);
        break;
    case ENGINE_EVENT_PROGRESS:
        on_progress(one, event);
        break;
    case ENGINE_EVENT_FINISHED:
        on_finished(one, event);
        break;
    case ENGINE_EVENT_FAILED:
        on_failed(one, event);
        break;
    }
}
