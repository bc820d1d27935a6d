#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/engine/engine.h"
#include "core/text/chat_template.h"
#include "server/access_log.h"
#include "server/auth.h"
#include "server/chat_routes.h"
#include "server/chat_turn.h"
#include "server/conversations.h"
#include "server/event_loop.h"
#include "server/generation.h"
#include "server/http_server.h"
#include "server/info_routes.h"
#include "server/listener.h"
#include "server/mailbox.h"
#include "server/memory_budget.h"
#include "server/metrics.h"
#include "server/options.h"
#include "server/page_routes.h"
#include "server/routes.h"
#include "server/sd_notify.h"
#include "server/stateful_api.h"
#include "server/text_routes.h"

enum {
    MAX_CORS_ORIGINS = 64,
    MAX_GENERATIONS = 1024,   /* at once, the waiting ones included */
    MAX_CONVERSATIONS = 4096, /* remembered as text */
    MAX_LOG_BYTES = 256 * 1024 * 1024,
    CLOSING_TICK_MS = 20,
    FLUSH_TIMEOUT_MS = 5000, /* for the last bytes of the last replies */
};

struct server {
    const struct options *options;
    struct event_loop *loop;
    struct mailbox *mailbox;
    struct engine *engine;
    struct auth *auth;
    struct stateful_api *stateful;
    struct chat_template *chat_template;
    struct conversations *conversations;
    struct generations *generations;
    struct chat_turns turns;
    struct http_server *http;
    struct routes routes;
    struct info_routes info;
    struct text_routes text;
    struct metrics *metrics;
    struct access_log access_log;
    struct event_timer *drain_timer; /* the end of patience with running answers */
    struct event_timer *flush_timer; /* polls for the last replies to be out */
    int n_flush_ticks;
    char cors_text[OPTIONS_MAX_TEXT];
    const char *cors_origins[MAX_CORS_ORIGINS]; /* parts of cors_text */
    int n_cors_origins;
};

/* ---- the end ---- */

/* All answers are said; what is left are bytes on their way to slow clients. */
static void on_flush_tick(void *arg)
{
    struct server *server = arg;
    bool is_late = ++server->n_flush_ticks > FLUSH_TIMEOUT_MS / CLOSING_TICK_MS;
    if (http_server_n_open(server->http) == 0 || is_late)
        event_loop_stop(server->loop);
}

static void on_all_said(void *arg)
{
    struct server *server = arg;
    event_timer_start(server->flush_timer, 0, CLOSING_TICK_MS);
}

static void on_patience_end(void *arg)
{
    struct server *server = arg;
    generations_stop(server->generations);
}

static void on_signal(void *arg)
{
    struct server *server = arg;
    if (server->routes.is_draining) {
        log_info("stopping at once");
        generations_stop(server->generations);
        return;
    }
    log_info("stopping: %d answers may take up to %d s to end",
             generations_count(server->generations), server->options->drain_seconds);
    sd_notify_send("STOPPING=1");
    server->routes.is_draining = true;
    http_server_quiesce(server->http);
    event_timer_start(server->drain_timer, server->options->drain_seconds * 1000, 0);
    generations_on_empty(server->generations, on_all_said, server);
    if (generations_count(server->generations) == 0)
        on_all_said(server);
}

/* ---- the beginning ---- */

static void on_event(void *arg, struct engine_event *event)
{
    struct server *server = arg;
    generations_on_event(server->generations, event);
}

static void forget(void *arg, uint64_t session)
{
    struct server *server = arg;
    engine_forget(server->engine, session);
}

static bool open_engine(struct server *server, struct err *err)
{
    const struct options *options = server->options;
    struct engine_options engine_options = {
        .model_path = options->model,
        .n_threads = options->threads,
        .n_window = options->window,
        .n_sinks = options->sinks,
        .mode = options->mode,
        .kv_type = options->kv_type,
        .max_requests = MAX_GENERATIONS,
    };
    if (options->model[0] == '\0')
        return err_set(err, ERR_INVALID,
                       "which model? Give a GGUF file with --model FILE (see --help)");
    return mailbox_open(&server->mailbox, server->loop, on_event, server, err) &&
           engine_open(&server->engine, &engine_options, mailbox_post, server->mailbox, err);
}

static bool open_template(struct server *server, struct err *err)
{
    const struct engine_info *info = engine_info(server->engine);
    const char *name = server->options->chat_template;
    struct chat_template **out = &server->chat_template;
    if (strcmp(name, "auto") != 0)
        return chat_template_open_named(out, name, err) || err_prefix(err, "--chat-template");
    if (!chat_template_open(out, info->chat_template, info->chat_template_len, err))
        return false;
    if (chat_template_warning(*out) != NULL)
        log_warning("%s; using %s, choose another with --chat-template",
                    chat_template_warning(*out), chat_template_name(*out));
    return true;
}

static int max_sessions(const struct server *server)
{
    const struct engine_info *info = engine_info(server->engine);
    size_t bytes = server->options->kv_memory_bytes;
    if (bytes == 0)
        bytes = memory_budget_for_sessions(info->file_bytes);
    size_t n = info->session_bytes > 0 ? bytes / info->session_bytes : MAX_GENERATIONS;
    return n < 1 ? 1 : n > MAX_GENERATIONS ? MAX_GENERATIONS : (int)n;
}

static bool open_conversations(struct server *server, struct err *err)
{
    struct conversations_options options = {
        .max_sessions = max_sessions(server),
        .max_conversations = MAX_CONVERSATIONS,
        .max_log_bytes = MAX_LOG_BYTES,
        .forget = forget,
        .arg = server,
    };
    if (!open_template(server, err))
        return false;
    options.chat_template = server->chat_template;
    if (!conversations_open(&server->conversations, &options, err))
        return false;
    const struct engine_info *info = engine_info(server->engine);
    log_info("%s (%s, %.2fB parameters): %s, window %d, sinks %d, template %s, %d threads",
             info->model_name, info->architecture, (double)info->n_parameters / 1e9,
             session_mode_name(info->mode), info->n_window, info->n_sinks,
             chat_template_name(server->chat_template), info->n_threads);
    log_info("memory for %d sessions of %.1f MiB each (%s)", options.max_sessions,
             (double)info->session_bytes / (1024 * 1024), kv_type_name(info->kv_type));
    return true;
}

/* What the API calls the model. */
static const char *model_id(const struct server *server)
{
    return server->options->alias[0] != '\0' ? server->options->alias
                                             : engine_info(server->engine)->model_name;
}

static bool open_generations(struct server *server, struct err *err)
{
    const struct options *options = server->options;
    struct generations_options generations_options = {
        .loop = server->loop,
        .engine = server->engine,
        .conversations = server->conversations,
        .metrics = server->metrics,
        .max = MAX_GENERATIONS,
    };
    if (!generations_open(&server->generations, &generations_options, err))
        return false;
    const struct engine_info *info = engine_info(server->engine);
    server->turns = (struct chat_turns){
        .generations = server->generations,
        .defaults =
            {
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
                .model_names = {model_id(server), info->model_name},
                .is_model_strict = options->strict_model,
            },
        .model_name = model_id(server),
        .tokenizer = engine_tokenizer(server->engine),
        .ping_after_s = options->ping_seconds,
    };
    snprintf(server->turns.fingerprint, sizeof server->turns.fingerprint, "fp_sinkd-%s-%s",
             SINKD_VERSION, kv_type_name(info->kv_type));
    return true;
}

static bool open_auth(struct server *server, struct err *err)
{
    const struct options *options = server->options;
    bool has_keys = options->api_key_file[0] != '\0';
    if (!has_keys && !options->no_auth && !listener_host_is_loopback(options->host))
        return err_set(err, ERR_INVALID,
                       "listening on %.100s lets other machines in: give --api-key-file FILE, or "
                       "--no-auth to serve anyone who can reach it",
                       options->host);
    return auth_open(&server->auth, has_keys ? options->api_key_file : NULL, err);
}

static bool split_cors_origins(struct server *server, struct err *err)
{
    memcpy(server->cors_text, server->options->cors_origin, sizeof server->cors_text);
    char *rest = NULL;
    for (char *part = strtok_r(server->cors_text, ", ", &rest); part != NULL;
         part = strtok_r(NULL, ", ", &rest)) {
        if (server->n_cors_origins == MAX_CORS_ORIGINS)
            return err_set(err, ERR_INVALID, "--cors-origin: more than %d origins",
                           (int)MAX_CORS_ORIGINS);
        server->cors_origins[server->n_cors_origins++] = part;
    }
    return true;
}

/* Before the loop runs, so before the first request. */
static bool add_routes(struct server *server, struct err *err)
{
    server->routes.auth = server->auth;
    server->info = (struct info_routes){
        .engine = server->engine,
        .model_id = model_id(server),
        .generations = server->generations,
        .conversations = server->conversations,
        .http = server->http,
        .metrics = server->metrics,
        .defaults = &server->turns.defaults,
        .max_sessions = max_sessions(server),
        .started = (int64_t)time(NULL),
    };
    server->text = (struct text_routes){
        .loop = server->loop,
        .engine = server->engine,
        .chat_template = server->chat_template,
    };
    return chat_routes_add(&server->routes, &server->turns, err) &&
           stateful_api_add_routes(server->stateful, &server->routes, err) &&
           info_routes_add(&server->routes, &server->info, err) &&
           text_routes_add(&server->routes, &server->text, err) &&
           (server->options->no_page || page_routes_add(&server->routes, err));
}

static bool open_http(struct server *server, struct err *err)
{
    struct http_server_options options = {
        .host = server->options->host,
        .port = server->options->port,
        .policy =
            {
                .max_body_bytes = server->options->max_body_bytes,
                .cors_origins = server->cors_origins,
                .n_cors_origins = server->n_cors_origins,
            },
        .on_head = routes_on_head,
        .on_request = routes_on_request,
        .arg = &server->routes,
        .on_done = access_log_on_done,
        .done_arg = &server->access_log,
    };
    server->access_log.metrics = server->metrics;
    return split_cors_origins(server, err) &&
           http_server_open(&server->http, server->loop, &options, err) && add_routes(server, err);
}

static bool open_stopping(struct server *server, struct err *err)
{
    return event_timer_open(&server->drain_timer, server->loop, on_patience_end, server, err) &&
           event_timer_open(&server->flush_timer, server->loop, on_flush_tick, server, err) &&
           event_loop_on_signal(server->loop, SIGTERM, on_signal, server, err) &&
           event_loop_on_signal(server->loop, SIGINT, on_signal, server, err);
}

bool server_open(struct server **out, const struct options *options, struct err *err)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return err_no_memory(err, "the server");
    server->options = options;
    /* What can be refused is refused before the model is read; the model is checked before the
     * network opens. */
    if (!event_loop_open(&server->loop, err) || !metrics_open(&server->metrics, err) ||
        !open_auth(server, err) ||
        !stateful_api_open(&server->stateful, server->loop, options, server->auth, err) ||
        !open_engine(server, err) || !open_conversations(server, err) ||
        !open_generations(server, err) || !open_stopping(server, err) || !open_http(server, err)) {
        server_close(&server);
        return false;
    }
    *out = server;
    return true;
}

void server_close(struct server **server_ptr)
{
    struct server *server = *server_ptr;
    if (server == NULL)
        return;
    http_server_close(&server->http);
    stateful_api_close(&server->stateful);
    if (server->loop != NULL)
        event_loop_finish_work(server->loop); /* it may read what the engine owns */
    conversations_close(&server->conversations);
    chat_template_close(&server->chat_template);
    engine_close(&server->engine);
    mailbox_close(&server->mailbox);
    generations_close(&server->generations);
    event_timer_close(&server->drain_timer);
    event_timer_close(&server->flush_timer);
    event_loop_close(&server->loop);
    auth_close(&server->auth);
    metrics_close(&server->metrics);
    free(server);
    *server_ptr = NULL;
}

int server_port(const struct server *server)
{
    return http_server_port(server->http);
}

void server_run(struct server *server)
{
    const char *host = server->options->host;
    bool is_v6 = strchr(host, ':') != NULL;
    log_info("listening on http://%s%s%s:%d", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
             server_port(server));
    sd_notify_send("READY=1");
    event_loop_run(server->loop);
}
