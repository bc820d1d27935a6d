#include "server/info_routes.h"

#include <string.h>

#include "core/base/buf.h"
#include "core/engine/engine.h"
#include "core/text/chat_template.h"
#include "server/api_error.h"
#include "server/conversations.h"
#include "server/generations.h"
#include "server/http_exchange.h"
#include "server/http_server.h"
#include "server/info_reply.h"
#include "server/metrics.h"
#include "server/routes.h"
#include "server/stateful_api.h"
#include "server/store.h"

static const char json_media[] = "application/json";

static void get_models(void *arg, const struct route_call *call)
{
    const struct info_routes *info = arg;
    struct buf body;
    buf_init(&body);
    info_reply_models(engine_info(info->engine), info->model_id, info->started, &body);
    http_exchange_reply(call->exchange, 200, json_media, &body);
}

static void get_model(void *arg, const struct route_call *call)
{
    const struct info_routes *info = arg;
    const struct engine_info *engine = engine_info(info->engine);
    const char *name = call->params[0];
    if (strcmp(name, info->model_id) != 0 && strcmp(name, engine->model_name) != 0) {
        struct api_error error;
        api_error_set(&error, 404, "model_not_found", "model",
                      "The model '%.100s' does not exist; this server has '%s'.", name,
                      info->model_id);
        http_exchange_reply_error(call->exchange, &error);
        return;
    }
    struct buf body;
    buf_init(&body);
    info_reply_model(engine, info->model_id, info->started, &body);
    http_exchange_reply(call->exchange, 200, json_media, &body);
}

static void get_health(void *arg, const struct route_call *call)
{
    (void)arg;
    struct buf body;
    buf_init(&body);
    buf_append_text(&body, "{\"status\":\"ok\"}");
    http_exchange_reply(call->exchange, 200, json_media, &body);
}

static void get_ready(void *arg, const struct route_call *call)
{
    const struct info_routes *info = arg;
    if (!info->routes->is_leaving) {
        get_health(arg, call);
        return;
    }
    struct api_error error;
    api_error_set(&error, 503, "server_shutting_down", NULL, "The server is shutting down.");
    http_exchange_reply_error(call->exchange, &error);
}

static void get_metrics(void *arg, const struct route_call *call)
{
    const struct info_routes *info = arg;
    struct engine_counters counters;
    engine_read_counters(info->engine, &counters);
    struct store_counters store;
    stateful_api_read_counters(info->stateful, &store);
    struct metrics_now now = {
        .engine = engine_info(info->engine),
        .counters = &counters,
        .store = &store,
        .n_requests = http_server_n_open(info->http),
        .n_connections = http_server_n_connections(info->http),
        .n_generations = generations_count(info->generations),
        .n_waiting = generations_count_waiting(info->generations),
        .n_conversations = conversations_count(info->conversations),
        .is_draining = info->routes->is_draining,
        .started = (double)info->started,
    };
    struct buf body;
    buf_init(&body);
    metrics_write(info->metrics, &now, &body);
    http_exchange_reply(call->exchange, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static void get_props(void *arg, const struct route_call *call)
{
    const struct info_routes *info = arg;
    struct buf body;
    buf_init(&body);
    const struct chat_caps caps = chat_template_caps(info->chat_template);
    info_reply_props(engine_info(info->engine), engine_tokenizer(info->engine), &caps,
                     info->defaults, info->max_sessions, &body);
    http_exchange_reply(call->exchange, 200, json_media, &body);
}

static void get_version(void *arg, const struct route_call *call)
{
    (void)arg;
    struct buf body;
    buf_init(&body);
    buf_append_text(&body, "{\"version\":\"" SINKD_VERSION "\"}");
    http_exchange_reply(call->exchange, 200, json_media, &body);
}

/* What other servers of this API have and a chat model on a CPU does badly or not at all. 400,
 * because clients repeat a request that was answered with 5xx. */
static void refuse(void *arg, const struct route_call *call)
{
    (void)arg;
    struct api_error error;
    api_error_set(&error, 400, "unsupported_endpoint", NULL,
                  "This server generates text only; it does not support %.100s.",
                  http_exchange_path(call->exchange));
    http_exchange_reply_error(call->exchange, &error);
}

bool info_routes_add(struct routes *routes, struct info_routes *info, struct err *err)
{
    static const struct route table[] = {
        {"GET", "/models", get_models, ROUTE_KEYED},
        {"GET", "/models/{...}", get_model, ROUTE_KEYED},
        {"GET", "/health", get_health, ROUTE_PUBLIC},
        {"GET", "/healthz", get_health, ROUTE_PUBLIC},
        {"GET", "/livez", get_health, ROUTE_PUBLIC},
        {"GET", "/readyz", get_ready, ROUTE_PUBLIC},
        {"GET", "/metrics", get_metrics, ROUTE_KEYED},
        {"GET", "/props", get_props, ROUTE_KEYED},
        {"GET", "/version", get_version, ROUTE_PUBLIC},
        {"POST", "/embeddings", refuse, ROUTE_KEYED},
        {"POST", "/embedding", refuse, ROUTE_KEYED},
        {"POST", "/rerank", refuse, ROUTE_KEYED},
        {"POST", "/moderations", refuse, ROUTE_KEYED},
        {"POST", "/images/{...}", refuse, ROUTE_KEYED},
        {"POST", "/audio/{...}", refuse, ROUTE_KEYED},
        {"POST", "/infill", refuse, ROUTE_KEYED},
    };
    info->routes = routes;
    return routes_add(routes, table, sizeof table / sizeof table[0], info, err);
}
