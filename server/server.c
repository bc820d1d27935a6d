#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/thread_priority.h"
#include "core/engine/engine.h"
#include "server/access_log.h"
#include "server/anthropic_routes.h"
#include "server/auth.h"
#include "server/body_reader.h"
#include "server/chat_routes.h"
#include "server/chat_turns.h"
#include "server/drain.h"
#include "server/event_loop.h"
#include "server/generations.h"
#include "server/healthcheck.h"
#include "server/http_server.h"
#include "server/inference.h"
#include "server/info_routes.h"
#include "server/metrics.h"
#include "server/network_options.h"
#include "server/ollama_routes.h"
#include "server/options.h"
#include "server/page_routes.h"
#include "server/resumables.h"
#include "server/routes.h"
#include "server/sd_notify.h"
#include "server/sd_watch.h"
#include "server/stateful_api.h"
#include "server/text_routes.h"

struct server {
    struct options options;
    struct event_loop *loop;
    struct auth *auth;
    struct stateful_api *stateful;
    struct inference *inference;
    struct body_reader reader;
    struct chat_turns turns;
    struct resumables *resumables;
    struct http_server *http;
    struct routes routes;
    struct anthropic_routes anthropic;
    struct info_routes info;
    struct text_routes text;
    struct metrics *metrics;
    struct access_log access_log;
    struct drain *drain;
    struct sd_watch *watch;
    struct listener_options listen; /* with the socket of systemd until it is the listener's ... */
    struct listener listener;       /* ... which the HTTP server's is, once that is open */
    struct network_lists lists;
};

/* ---- the beginning ---- */

static bool open_inference(struct server *server, struct err *err)
{
    struct inference_parts parts = {
        .options = &server->options,
        .loop = server->loop,
        .auth = server->auth,
        .metrics = server->metrics,
    };
    return inference_open(&server->inference, &parts, err);
}

static bool open_turns(struct server *server, struct err *err)
{
    const struct inference *inference = server->inference;
    const struct options *options = &server->options;
    const struct engine_info *info = engine_info(inference->engine);
    if (!resumables_open(&server->resumables, server->loop, options->resume_seconds, err))
        return false;
    server->reader.loop = server->loop;
    server->turns = (struct chat_turns){
        .reader = &server->reader,
        .generations = inference->generations,
        .defaults = inference_read_defaults(inference),
        .model_name = inference_model_id(inference),
        .tokenizer = engine_tokenizer(inference->engine),
        .ping_after_s = options->ping_seconds,
        .conversation_headers = &server->lists.conversation_headers,
        .stall_s = options->stall_seconds,
        .metrics = server->metrics,
        .resumables = server->resumables,
    };
    snprintf(server->turns.fingerprint, sizeof server->turns.fingerprint, "fp_sinkd-%s-%s",
             SINKD_VERSION, kv_type_name(info->kv_type));
    return true;
}

/* ---- the network ---- */

/* Before the loop runs, so before the first request. */
static bool add_routes(struct server *server, struct err *err)
{
    const struct inference *inference = server->inference;
    server->routes.auth = server->auth;
    server->info = (struct info_routes){
        .engine = inference->engine,
        .chat_template = inference->chat_template,
        .model_id = inference_model_id(inference),
        .generations = inference->generations,
        .conversations = inference->conversations,
        .http = server->http,
        .stateful = server->stateful,
        .metrics = server->metrics,
        .defaults = &server->turns.defaults,
        .max_sessions = inference_max_sessions(inference),
        .started = (int64_t)time(NULL),
    };
    server->text = (struct text_routes){
        .loop = server->loop,
        .reader = &server->reader,
        .engine = inference->engine,
        .chat_template = inference->chat_template,
    };
    struct stateful_api_parts parts = {
        .reader = &server->reader,
        .generations = inference->generations,
        .defaults = &server->turns.defaults,
        .text = &server->text,
        .engine = inference->engine,
        .model_name = inference_model_id(inference),
        .metrics = server->metrics,
        .ping_after_s = server->options.ping_seconds,
        .stall_s = server->options.stall_seconds,
    };
    server->anthropic = (struct anthropic_routes){.turns = &server->turns, .text = &server->text};
    return chat_routes_add(&server->routes, &server->turns, err) &&
           anthropic_routes_add(&server->routes, &server->anthropic, err) &&
           stateful_api_add_routes(server->stateful, &parts, &server->routes, err) &&
           info_routes_add(&server->routes, &server->info, err) &&
           ollama_routes_add(&server->routes, &server->info, err) &&
           text_routes_add(&server->routes, &server->text, err) &&
           (server->options.no_page || page_routes_add(&server->routes, err));
}

static bool open_http(struct server *server, struct err *err)
{
    struct http_server_options options = {
        .policy = network_options_policy(&server->options, &server->lists),
        .on_head = routes_on_head,
        .on_request = routes_on_request,
        .arg = &server->routes,
        .on_sent = access_log_on_sent,
        .on_done = access_log_on_done,
        .done_arg = &server->access_log,
    };
    server->access_log.metrics = server->metrics;
    return http_server_open(&server->http, server->loop, &server->listener, &options, err) &&
           add_routes(server, err);
}

/* ---- while it runs ---- */

static void apply_options(struct server *server)
{
    const struct options *options = &server->options;
    log_set_level(options->log_level);
    log_set_format(options->log_format);
    generations_limit_owners(server->inference->generations, options->max_per_key);
    server->turns.ping_after_s = options->ping_seconds;
    server->turns.stall_s = options->stall_seconds;
    resumables_set_seconds(server->resumables, options->resume_seconds);
    stateful_api_set_patience(server->stateful, options);
    server->turns.defaults = inference_read_defaults(server->inference);
    network_options_read_lists(options, &server->lists, NULL); /* known to be good */
    struct http_policy policy = network_options_policy(&server->options, &server->lists);
    http_server_set_policy(server->http, &policy);
}

/* True when `fresh`, and then the keys, could be read; the keys are then in use. */
static bool read_again(struct options *fresh, struct auth *auth, struct err *err)
{
    struct network_lists lists;
    return options_reload(fresh, err) && network_options_read_lists(fresh, &lists, err) &&
           auth_reload(auth, err);
}

/* All of it or nothing: a fault in one place must not leave half of a change in force. */
static bool reload(struct server *server, struct err *err)
{
    struct options *fresh = malloc(sizeof *fresh);
    if (fresh == NULL)
        return err_no_memory(err, "the options");
    *fresh = server->options;
    bool is_good = read_again(fresh, server->auth, err);
    if (is_good) {
        server->options = *fresh;
        apply_options(server);
    }
    free(fresh);
    return is_good;
}

static void on_hangup(void *arg)
{
    struct server *server = arg;
    struct err err;
    if (reload(server, &err))
        log_info("read the configuration again: %d keys", auth_n_keys(server->auth));
    else
        log_error("cannot read the configuration again: %s", err.text);
}

static bool open_signals(struct server *server, struct err *err)
{
    struct drain_parts parts = {
        .loop = server->loop,
        .generations = server->inference->generations,
        .http = server->http,
        .routes = &server->routes,
        .options = &server->options,
    };
    return drain_open(&server->drain, &parts, err) &&
           sd_watch_open(&server->watch, server->loop, server->inference->engine, server->stateful,
                         err) &&
           event_loop_on_signal(server->loop, SIGTERM, drain_signal, server->drain, err) &&
           event_loop_on_signal(server->loop, SIGINT, drain_signal, server->drain, err) &&
           event_loop_on_signal(server->loop, SIGHUP, on_hangup, server, err);
}

/* The file is untrusted, and so far nothing is open that it could reach. */
static bool check_model(const struct options *options, struct err *err)
{
    bool is_confined = true;
    if (options->model[0] == '\0')
        return err_set(err, ERR_INVALID,
                       "which model? Give a GGUF file with --model FILE (see --help)");
    if (!engine_check(options->model, &is_confined, err))
        return false;
    if (!is_confined)
        log_warning("this system has no seccomp for us: the model file was checked without it");
    return true;
}

/* What can be refused is refused before the model is read. */
static bool open_access(struct server *server, struct err *err)
{
    int inherited_fd;
    return listener_take_inherited(&inherited_fd, err) &&
           network_options_read_listener(&server->options, inherited_fd, &server->listen, err) &&
           network_options_open_auth(&server->options, &server->listen, &server->auth, err) &&
           network_options_read_lists(&server->options, &server->lists, err);
}

/* A port that is taken is found before a model is loaded in vain, and who comes while it is loaded
 * waits instead of being refused, as behind a socket of systemd. */
static bool open_listener(struct server *server, struct err *err)
{
    if (!listener_open(&server->listener, &server->listen, err))
        return false;
    server->listen.inherited_fd = -1;
    return true;
}

bool server_open(struct server **out, const struct options *options, struct err *err)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return err_no_memory(err, "the server");
    server->options = *options;
    server->listen.inherited_fd = server->listener.fd = -1;
    /* The model is checked before a thread starts and before the network opens. */
    if (!event_loop_open(&server->loop, err) || !metrics_open(&server->metrics, err) ||
        !open_access(server, err) || !check_model(options, err) || !open_listener(server, err) ||
        !stateful_api_open(&server->stateful, server->loop, &server->options, server->auth, err) ||
        !open_inference(server, err) || !open_turns(server, err) || !open_http(server, err) ||
        !open_signals(server, err)) {
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
    if (server->drain != NULL)
        drain_end(server->drain);
    http_server_close(&server->http);
    resumables_close(&server->resumables);
    if (server->loop != NULL)
        event_loop_finish_work(server->loop); /* it may read what the engine owns */
    inference_close(&server->inference);
    stateful_api_close(&server->stateful);
    drain_close(&server->drain);
    sd_watch_close(&server->watch);
    event_loop_close(&server->loop);
    listener_close(&server->listener);
    if (server->listen.inherited_fd >= 0)
        close(server->listen.inherited_fd);
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
    log_info("listening on %s", http_server_name(server->http));
    sd_notify_send("READY=1");
    thread_priority_answer();
    event_loop_run(server->loop);
}

/* ---- without running ---- */

bool server_check(const struct options *options, struct err *err)
{
    struct listener_options listen;
    struct auth *auth = NULL;
    struct network_lists lists;
    bool is_good = network_options_read_listener(options, -1, &listen, err) &&
                   network_options_open_auth(options, &listen, &auth, err) &&
                   network_options_read_lists(options, &lists, err);
    auth_close(&auth);
    return is_good && check_model(options, err);
}

bool server_ask(const struct options *options, struct err *err)
{
    struct listener_options listen;
    return network_options_read_listener(options, -1, &listen, err) &&
           healthcheck_ask(&listen, err);
}
