#include "server/generation_prompt.h"

#include <stdlib.h>
#include <string.h>

#include "server/answer_style.h"
#include "server/event_loop.h"
#include "server/generation.h"
#include "server/generations.h"
#include "server/harmony_parser.h"
#include "server/metrics.h"
#include "server/prompt_cut.h"
#include "server/tool_format.h"

bool generation_prompt_init(struct generation_prompt *prompt,
                            const struct generations_options *options, struct generation_ask *ask)
{
    char *id = ask->conversation_id == NULL ? NULL : strdup(ask->conversation_id);
    if (ask->conversation_id != NULL && id == NULL)
        return false;
    *prompt = (struct generation_prompt){
        .options = options,
        .owner = ask->owner,
        .conversation_id = id,
        .group = ask->group,
        .is_ephemeral = ask->is_ephemeral,
        .is_raw = ask->is_raw,
        .messages = ask->messages,
        .text = ask->prompt,
        .tokens = ask->tokens,
        .request = ask->request,
    };
    message_log_init(&ask->messages);
    buf_init(&ask->prompt);
    token_list_init(&ask->tokens);
    ask->request = (struct generation_request){0};
    buf_init(&prompt->answer_start);
    engine_request_init(&prompt->outgoing);
    return true;
}

static void drop_words(struct generation_prompt *prompt)
{
    message_log_done(&prompt->messages);
    buf_done(&prompt->text);
}

void generation_prompt_done(struct generation_prompt *prompt)
{
    if (prompt->has_plan)
        conversations_abandon(prompt->options->conversations, &prompt->plan);
    drop_words(prompt);
    generation_request_done(&prompt->request);
    token_list_done(&prompt->tokens);
    engine_request_done(&prompt->outgoing);
    buf_done(&prompt->answer_start);
    free(prompt->conversation_id);
}

/* ---- the conversation ---- */

/* The model is given the beginning of a call that it must make. */
static void set_answer_start(struct generation_prompt *prompt)
{
    const struct tool_request *tools = &prompt->request.tools;
    const struct tool_format *format = prompt->options->style->format;
    buf_done(&prompt->answer_start);
    if (tools->n == 0 || tools->choice == TOOL_CHOICE_AUTO)
        return;
    buf_append_text(&prompt->answer_start, format->force_open);
    if (tools->n > 1)
        return;
    buf_append_text(&prompt->answer_start, tools->names[0]);
    buf_append_text(&prompt->answer_start, format->force_middle);
}

static enum conversations_status find_by_messages(struct generation_prompt *prompt, struct err *err)
{
    size_t n = prompt->messages.n;
    struct chat_message *messages = calloc(n, sizeof *messages);
    if (messages == NULL) {
        err_no_memory(err, "the conversation");
        return CONVERSATIONS_FAILED;
    }
    for (size_t i = 0; i < n; i++)
        messages[i] = message_log_view(&prompt->messages, i);
    const struct tool_request *tools = &prompt->request.tools;
    const char *kwargs = prompt->request.template_kwargs;
    struct conversation_ask ask = {
        .owner = prompt->owner,
        .id = prompt->conversation_id,
        .group = prompt->group,
        .is_ephemeral = prompt->is_ephemeral,
        .messages = messages,
        .n_messages = n,
        .render =
            {
                .tools = tools->json,
                .tools_len = tools->json_len,
                .kwargs = kwargs,
                .kwargs_len = kwargs == NULL ? 0 : strlen(kwargs),
            },
        .answer_start = buf_text(&prompt->answer_start),
        .call_end = prompt->options->style->format->turn_end,
        .call_close = prompt->options->style->format->force_end,
    };
    enum conversations_status status =
        conversations_begin(prompt->options->conversations, &ask, &prompt->plan, err);
    free(messages);
    return status;
}

/* A thought that the prompt has begun goes on where the grammar lets the model think; else it is
 * closed, for what the grammar says is the answer. */
static void begin_answer(struct generation_prompt *prompt)
{
    const struct answer_style *style = prompt->options->style;
    struct prompt *rendered = &prompt->plan.prompt;
    bool is_thinking =
        answer_style_is_thinking(style, buf_text(&rendered->text), rendered->text.len);
    bool is_cut = prompt->request.grammar != NULL && !prompt->request.grammar_has_thought;
    bool has_start = prompt->answer_start.len > 0 || (is_thinking && is_cut);
    prompt->is_thinking = is_thinking;
    if (is_thinking && !has_start)
        prompt->outgoing.grammar_start = style->think_open;
    if (style->format->has_channels && prompt->plan.is_continuation &&
        prompt->request.grammar_has_thought)
        prompt->outgoing.grammar_start = HARMONY_FINAL HARMONY_MESSAGE;
    if (!has_start)
        return;
    if (is_thinking) {
        struct buf whole;
        buf_init(&whole);
        buf_append_format(&whole, "\n%s\n\n%s", style->think_close,
                          buf_text(&prompt->answer_start));
        buf_done(&prompt->answer_start);
        prompt->answer_start = whole;
    }
    prompt_append_control(rendered, buf_text(&prompt->answer_start), prompt->answer_start.len);
}

enum conversations_status generation_prompt_find(struct generation_prompt *prompt, struct err *err)
{
    enum conversations_status status;
    if (prompt->is_raw) {
        status = conversations_begin_raw(buf_text(&prompt->text), prompt->text.len,
                                         !prompt->is_ephemeral, &prompt->plan, err);
    } else {
        set_answer_start(prompt);
        status = find_by_messages(prompt, err);
    }
    if (status != CONVERSATIONS_READY)
        return status;
    prompt->has_plan = true;
    begin_answer(prompt);
    metrics_match(prompt->options->metrics, conversation_match_name(prompt->plan.match));
    drop_words(prompt);
    return status;
}

/* ---- its tokens ---- */

/* Tokens at the start that are the system's, within its share of the window. */
static int count_system_tokens(const struct generation_prompt *prompt)
{
    const struct engine *engine = prompt->options->engine;
    const struct conversation_plan *plan = &prompt->plan;
    struct token_list system;
    struct err ignored;
    int max = (int)(prompt->options->system_share * (float)engine_info(engine)->n_window);
    int n = 0;
    token_list_init(&system);
    if (max > 0 &&
        tokenizer_encode(engine_tokenizer(engine), &plan->system, 0, true, &system, &ignored)) {
        while (n < max && (size_t)n < system.n && (size_t)n < prompt->tokens.n &&
               system.ids[n] == prompt->tokens.ids[n])
            n++;
    }
    token_list_done(&system);
    return n;
}

/* Leaves out what no token that will be spoken could see. */
static void cut_history(struct generation_prompt *prompt)
{
    const struct engine *engine = prompt->options->engine;
    const struct engine_info *info = engine_info(engine);
    struct conversation_plan *plan = &prompt->plan;
    int64_t n_first = prompt->n_sinks > info->n_sinks ? prompt->n_sinks : info->n_sinks;
    int64_t n_last = (int64_t)prompt->options->reread_windows * (info->n_window - n_first);
    if (plan->is_start && plan->is_history && n_last > 0 && info->mode == SESSION_MODE_STREAMING)
        plan->n_unread =
            prompt_cut_middle(&prompt->tokens, engine_tokenizer(engine), n_first, n_last);
}

/* On a worker thread. Megabytes of text take a second; the loop must not. */
static void tokenize(void *arg)
{
    struct generation_prompt *prompt = arg;
    struct conversation_plan *plan = &prompt->plan;
    bool is_encoded =
        tokenizer_encode(engine_tokenizer(prompt->options->engine), &plan->prompt, plan->begin,
                         plan->is_start, &prompt->tokens, &prompt->tokens_err);
    bool has_system = is_encoded && plan->is_start && plan->system.text.len > 0;
    prompt->n_sinks = has_system ? count_system_tokens(prompt) : 0;
    if (is_encoded)
        cut_history(prompt);
}

static void on_tokenized(void *arg)
{
    struct generation_prompt *prompt = arg;
    prompt->on_tokens(prompt->on_tokens_arg);
}

bool generation_prompt_tokenize(struct generation_prompt *prompt, void (*fn)(void *arg), void *arg,
                                struct err *err)
{
    bool has_tokens = prompt->tokens.n > 0;
    prompt->on_tokens = fn;
    prompt->on_tokens_arg = arg;
    if (prompt->plan.replay >= 0) {
        if (!token_list_push(&prompt->tokens, prompt->plan.replay, err))
            return false;
        has_tokens = true;
    }
    if (!has_tokens)
        return event_loop_work(prompt->options->loop, tokenize, on_tokenized, prompt, err);
    fn(arg);
    return true;
}

/* ---- to the engine ---- */

/* Stop strings are of what the client sees as content, and a call that must be has none. */
static void shelter_from_stops(const struct generation_prompt *prompt, struct engine_request *out)
{
    const struct tool_request *tools = &prompt->request.tools;
    const struct answer_style *style = prompt->options->style;
    bool is_all_content = style->format->has_channels && prompt->plan.is_continuation;
    if (prompt->is_raw || is_all_content)
        return;
    if (tools->n > 0 && tools->choice != TOOL_CHOICE_AUTO) {
        out->shelters[0] = (struct stop_shelter){.open = ""};
        out->n_shelters = 1;
        return;
    }
    bool is_thinking = prompt->is_thinking && prompt->answer_start.len == 0;
    bool has_calls = tools->n > 0 || style->format->words_mark != NULL;
    out->n_shelters = answer_style_shelters(style, is_thinking, has_calls, out->shelters);
}

/* What was asked for, moved out of it: limits, sampling, stop strings. */
static void move_settings(struct generation_prompt *prompt)
{
    struct engine_request *out = &prompt->outgoing;
    struct generation_request *asked = &prompt->request;
    const struct answer_style *style = prompt->options->style;
    out->max_tokens = asked->max_tokens;
    out->min_tokens = asked->min_tokens;
    out->ignore_end = asked->ignore_end;
    out->sampling = asked->sampling;
    out->stops = asked->stops;
    out->n_stops = asked->n_stops;
    shelter_from_stops(prompt, out);
    out->biases = asked->biases;
    out->n_biases = asked->n_biases;
    out->grammar = asked->grammar;
    out->wants_reports = asked->wants_logprobs;
    out->n_top = asked->n_top;
    out->wants_progress = asked->wants_progress;
    out->n_shown = prompt->is_raw ? 0 : asked->tools.n == 0 ? style->n_think : style->n_shown;
    memcpy(out->shown, style->shown, sizeof out->shown);

    asked->stops = NULL;
    asked->n_stops = 0;
    asked->biases = NULL;
    asked->n_biases = 0;
    asked->grammar = NULL;
    prompt->has_outgoing = true;
}

bool generation_prompt_submit(struct generation_prompt *prompt, uint64_t id, struct err *err)
{
    struct engine_request *request = &prompt->outgoing;
    if (prompt->tokens_err.code != ERR_NONE) {
        *err = prompt->tokens_err;
        return false;
    }
    prompt->n_fed = (int64_t)prompt->tokens.n;
    prompt->last_token = prompt->tokens.n > 0 ? prompt->tokens.ids[prompt->tokens.n - 1] : -1;
    conversations_take_session(prompt->options->conversations, &prompt->plan);

    if (!prompt->has_outgoing)
        move_settings(prompt);
    request->id = id;
    request->owner = prompt->owner;
    request->session = prompt->plan.session;
    request->source = prompt->plan.source;
    request->keep = prompt->plan.keep;
    request->n_sinks = prompt->n_sinks;
    request->tokens = prompt->tokens;
    token_list_init(&prompt->tokens);
    return engine_submit(prompt->options->engine, request, err);
}

bool generation_prompt_recover(struct generation_prompt *prompt, struct engine_event *event)
{
    bool is_lost = event->err.code == ERR_NOT_FOUND ||
                   (event->err.code == ERR_INVALID && prompt->plan.source != 0);
    if (!is_lost || prompt->has_recovered)
        return false;
    prompt->has_recovered = true;
    prompt->outgoing = event->returned;
    token_list_done(&prompt->outgoing.tokens);
    engine_request_init(&event->returned);
    conversations_lost(prompt->options->conversations, &prompt->plan);
    metrics_match(prompt->options->metrics, conversation_match_name(prompt->plan.match));
    return true;
}
