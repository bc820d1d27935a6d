#include "server/inference.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/engine/engine.h"
#include "core/text/chat_template.h"
#include "server/auth.h"
#include "server/conversations.h"
#include "server/generations.h"
#include "server/grammar_cache.h"
#include "server/mailbox.h"
#include "server/memory_budget.h"
#include "server/options.h"
#include "server/template_choice.h"

enum {
    MAX_GENERATIONS = 16384,   /* at once, the waiting ones included */
    MAX_CONVERSATIONS = 16384, /* remembered as text */
    MAX_LOG_BYTES = 256 * 1024 * 1024,
    MAX_GRAMMAR_BYTES = 32 * 1024 * 1024, /* compiled ones, kept */
};

/* ---- the engine ---- */

static void on_event(void *arg, struct engine_event *event)
{
    struct inference *inference = arg;
    generations_on_event(inference->generations, event);
}

static bool has_state_dir(const struct inference *inference)
{
    return inference->options->state_dir[0] != '\0';
}

static size_t session_memory(const struct inference *inference)
{
    size_t bytes = inference->options->kv_memory_bytes;
    if (bytes == 0)
        bytes = memory_budget_for_sessions(memory_budget_file_bytes(inference->options->model));
    return bytes > 0 ? bytes : 1; /* one session always fits */
}

static bool open_engine(struct inference *inference, struct err *err)
{
    const struct options *options = inference->options;
    char folder[OPTIONS_MAX_TEXT + 4];
    snprintf(folder, sizeof folder, "%s/kv", options->state_dir);
    struct engine_options engine_options = {
        .model_path = options->model,
        .n_threads = options->threads,
        .n_window = options->window,
        .n_sinks = options->sinks,
        .mode = options->mode,
        .kv_type = options->kv_type,
        .n_drafts = options->draft,
        .max_requests = MAX_GENERATIONS,
        .kv_memory_bytes = session_memory(inference),
        .kv_folder = has_state_dir(inference) ? folder : NULL,
        .kv_file_bytes = options->kv_disk_bytes,
        .kv_meaning = options->chat_template,
    };
    return mailbox_open(&inference->mailbox, inference->loop, on_event, inference, err) &&
           engine_open(&inference->engine, &engine_options, mailbox_post, inference->mailbox, err);
}

int inference_max_sessions(const struct inference *inference)
{
    size_t n = session_memory(inference) / engine_info(inference->engine)->session_bytes;
    return n < 1 ? 1 : n > MAX_GENERATIONS ? MAX_GENERATIONS : (int)n;
}

/* ---- the conversations ---- */

static void forget(void *arg, uint64_t session)
{
    struct inference *inference = arg;
    engine_forget(inference->engine, session);
}

static void note(void *arg, uint64_t session, struct buf *bytes)
{
    struct inference *inference = arg;
    engine_note(inference->engine, session, bytes);
}

static void name_owner(void *arg, int owner, char out[CONVERSATION_OWNER_SIZE])
{
    const struct inference *inference = arg;
    struct auth_digest digest;
    auth_read_digest(inference->auth, owner, &digest);
    snprintf(out, CONVERSATION_OWNER_SIZE, "%s", digest.hex);
}

static int find_owner(void *arg, const char *name)
{
    const struct inference *inference = arg;
    return auth_find_digest(inference->auth, name);
}

/* Those of an earlier run, least recently used first. */
static void restore_conversations(struct inference *inference)
{
    struct engine_saved *next;
    for (struct engine_saved *saved = engine_take_saved(inference->engine); saved != NULL;
         saved = next) {
        next = saved->next;
        if (!conversations_restore(inference->conversations, saved->session, &saved->note))
            engine_forget(inference->engine, saved->session);
        engine_saved_free(saved);
    }
    if (has_state_dir(inference))
        log_info("%d conversations can go on where they stood",
                 conversations_count(inference->conversations));
}

static bool open_conversations(struct inference *inference, struct err *err)
{
    struct conversations_options options = {
        .max_conversations = MAX_CONVERSATIONS,
        .max_log_bytes = MAX_LOG_BYTES,
        .pins_system = inference->options->pin_system_prompt,
        .forget = forget,
        .note = has_state_dir(inference) ? note : NULL,
        .name_owner = name_owner,
        .find_owner = find_owner,
        .arg = inference,
    };
    if (!template_choice_open(&inference->chat_template, inference->options, inference->engine,
                              err))
        return false;
    options.chat_template = inference->chat_template;
    if (!conversations_open(&inference->conversations, &options, err))
        return false;
    const struct engine_info *info = engine_info(inference->engine);
    log_info("%s (%s, %.2fB parameters): %s, window %d, sinks %d, template %s, %d threads",
             info->model_name, info->architecture, (double)info->n_parameters / 1e9,
             session_mode_name(info->mode), info->n_window, info->n_sinks,
             chat_template_name(inference->chat_template), info->n_threads);
    log_info("memory for %d sessions of %.1f MiB each (%s)", inference_max_sessions(inference),
             (double)info->session_bytes / (1024 * 1024), kv_type_name(info->kv_type));
    restore_conversations(inference);
    return true;
}

/* ---- the generations ---- */

static bool open_generations(struct inference *inference, struct err *err)
{
    const struct options *options = inference->options;
    const struct engine_info *info = engine_info(inference->engine);
    size_t len;
    const char *jinja = chat_template_text(inference->chat_template, &len);
    if (jinja == NULL) { /* a built-in style: the model's own template still tells its ways */
        jinja = info->chat_template;
        len = info->chat_template_len;
    }
    if (!answer_style_init(&inference->style, jinja, len, engine_tokenizer(inference->engine),
                           options->tool_format, options->splits_reasoning, err))
        return false;
    struct generations_options generations_options = {
        .loop = inference->loop,
        .engine = inference->engine,
        .conversations = inference->conversations,
        .style = &inference->style,
        .metrics = inference->metrics,
        .system_share = inference->options->system_share,
        .reread_windows = inference->options->reread_windows,
        .max = options->max_requests,
        .max_per_owner = options->max_per_key,
    };
    return generations_open(&inference->generations, &generations_options, err) &&
           grammar_cache_new(&inference->grammars, MAX_GRAMMAR_BYTES, err);
}

const char *inference_model_id(const struct inference *inference)
{
    return inference->options->alias[0] != '\0' ? inference->options->alias
                                                : engine_info(inference->engine)->model_name;
}

struct generation_defaults inference_read_defaults(const struct inference *inference)
{
    const struct options *options = inference->options;
    const struct engine_info *info = engine_info(inference->engine);
    return (struct generation_defaults){
        .max_tokens = options->max_tokens,
        .sampling =
            {
                .temperature = options->temperature,
                .top_p = options->top_p,
                .min_p = options->min_p,
                .top_k = options->top_k,
                .repetition_penalty = options->repeat_penalty,
            },
        .n_vocab = info->n_vocab,
        .tokenizer = engine_tokenizer(inference->engine),
        .model_names = {inference_model_id(inference), info->model_name},
        .is_model_strict = options->strict_model,
        .tool_format = inference->style.format,
        .think_open = inference->style.think_open,
        .think_close = inference->style.think_close,
        .grammars = inference->grammars,
    };
}

/* ---- opening and closing ---- */

bool inference_open(struct inference **out, const struct inference_parts *parts, struct err *err)
{
    struct inference *inference = calloc(1, sizeof *inference);
    if (inference == NULL)
        return err_no_memory(err, "the server");
    inference->options = parts->options;
    inference->loop = parts->loop;
    inference->auth = parts->auth;
    inference->metrics = parts->metrics;
    if (!open_engine(inference, err) || !open_conversations(inference, err) ||
        !open_generations(inference, err)) {
        inference_close(&inference);
        return false;
    }
    *out = inference;
    return true;
}

void inference_close(struct inference **inference_ptr)
{
    struct inference *inference = *inference_ptr;
    if (inference == NULL)
        return;
    conversations_close(&inference->conversations);
    chat_template_close(&inference->chat_template);
    engine_close(&inference->engine);
    mailbox_close(&inference->mailbox);
    generations_close(&inference->generations);
    grammar_cache_free(&inference->grammars);
    free(inference);
    *inference_ptr = NULL;
}
