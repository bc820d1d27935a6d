#include "server/routes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/buf.h"
#include "core/engine/engine.h"
#include "server/api_error.h"
#include "server/auth.h"
#include "server/chat_request.h"
#include "server/chat_turn.h"
#include "server/conversations.h"
#include "server/http_exchange.h"
#include "server/http_server.h"
#include "server/info_reply.h"

static const char json_media[] = "application/json";

typedef void handler_fn(struct routes *routes, struct http_exchange *exchange, const char *rest);

struct route {
    const char *method; /* GET serves HEAD too */
    const char *path;   /* without /v1; ends with a slash: more may follow */
    handler_fn *handler;
    bool is_public;     /* no key is asked for */
    bool is_generation; /* refused while draining */
};

/* ---- handlers ---- */

/* The client's name for its conversation: *out is NULL when there is none. Which of the headers it
 * uses depends on the client. */
static bool find_conversation_id(struct http_exchange *exchange, const char **out,
                                 struct api_error *error)
{
    static const char *const names[] = {
        "X-Conversation-Id",    "X-Session-Id", "X-OpenWebUI-Chat-Id", "ChatUI-Conversation-ID",
        "X-Litellm-Session-Id", "session-id",   "thread-id",           "x-opencode-session",
    };
    *out = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && *out == NULL; i++) {
        const char *value = http_exchange_header(exchange, names[i]);
        if (value == NULL || value[0] == '\0')
            continue;
        if (!chat_request_id_is_valid(value))
            return api_error_set(error, 400, "invalid_value", names[i],
                                 "The header %s must be 1 to %d visible ASCII characters.",
                                 names[i], CHAT_REQUEST_MAX_ID);
        *out = value;
    }
    return true;
}

static int find_owner(const struct routes *routes, const struct http_exchange *exchange)
{
    const char *api_key = http_exchange_header(exchange, "X-Api-Key");
    if (api_key == NULL)
        api_key = http_exchange_header(exchange, "api-key");
    return auth_find_owner(routes->auth, http_exchange_header(exchange, "Authorization"), api_key);
}

static void generate(struct routes *routes, struct http_exchange *exchange, bool is_chat)
{
    const char *id;
    struct api_error error;
    if (!find_conversation_id(exchange, &id, &error))
        http_exchange_reply_error(exchange, &error);
    else
        chat_turns_start(routes->turns, exchange, is_chat, find_owner(routes, exchange), id);
}

static void post_chat(struct routes *routes, struct http_exchange *exchange, const char *rest)
{
    (void)rest;
    generate(routes, exchange, true);
}

static void post_completion(struct routes *routes, struct http_exchange *exchange, const char *rest)
{
    (void)rest;
    generate(routes, exchange, false);
}

static void get_models(struct routes *routes, struct http_exchange *exchange, const char *rest)
{
    (void)rest;
    struct buf body;
    buf_init(&body);
    info_reply_models(engine_info(routes->engine), routes->started, &body);
    http_exchange_reply(exchange, 200, json_media, &body);
}

static void get_model(struct routes *routes, struct http_exchange *exchange, const char *rest)
{
    const struct engine_info *info = engine_info(routes->engine);
    if (strcmp(rest, info->model_name) != 0) {
        struct api_error error;
        api_error_set(&error, 404, "model_not_found", "model",
                      "The model '%.100s' does not exist; this server has '%s'.", rest,
                      info->model_name);
        http_exchange_reply_error(exchange, &error);
        return;
    }
    struct buf body;
    buf_init(&body);
    info_reply_model(info, routes->started, &body);
    http_exchange_reply(exchange, 200, json_media, &body);
}

static void get_health(struct routes *routes, struct http_exchange *exchange, const char *rest)
{
    (void)routes;
    (void)rest;
    struct buf body;
    buf_init(&body);
    buf_append_text(&body, "{\"status\":\"ok\"}");
    http_exchange_reply(exchange, 200, json_media, &body);
}

static void shutting_down(struct http_exchange *exchange)
{
    struct api_error error;
    api_error_set(&error, 503, "server_shutting_down", NULL, "The server is shutting down.");
    http_exchange_reply_error(exchange, &error);
}

static void get_ready(struct routes *routes, struct http_exchange *exchange, const char *rest)
{
    if (routes->is_draining)
        shutting_down(exchange);
    else
        get_health(routes, exchange, rest);
}

static void get_metrics(struct routes *routes, struct http_exchange *exchange, const char *rest)
{
    (void)rest;
    struct engine_counters counters;
    engine_read_counters(routes->engine, &counters);
    struct info_counts counts = {
        .n_connections_open = http_server_n_open(routes->http),
        .n_turns = chat_turns_count(routes->turns),
        .n_turns_waiting = chat_turns_count_waiting(routes->turns),
        .n_conversations = conversations_count(routes->conversations),
    };
    struct buf body;
    buf_init(&body);
    info_reply_metrics(&counters, &counts, &body);
    http_exchange_reply(exchange, 200, "text/plain; version=0.0.4", &body);
}

static const struct route table[] = {
    {"POST", "/chat/completions", post_chat, false, true},
    {"POST", "/completions", post_completion, false, true},
    {"GET", "/models", get_models, false, false},
    {"GET", "/models/", get_model, false, false},
    {"GET", "/health", get_health, true, false},
    {"GET", "/healthz", get_health, true, false},
    {"GET", "/livez", get_health, true, false},
    {"GET", "/readyz", get_ready, true, false},
    {"GET", "/metrics", get_metrics, false, false},
};

/* ---- finding one ---- */

static bool path_matches(const char *path, const char *pattern, const char **out_rest)
{
    size_t len = strlen(pattern);
    if (strncmp(path, pattern, len) != 0)
        return false;
    *out_rest = path + len;
    if (pattern[len - 1] == '/')
        return path[len] != '\0';
    return path[len] == '\0' || strcmp(path + len, "/") == 0; /* a slash too many is forgiven */
}

static bool method_matches(const char *method, const struct route *route)
{
    return strcmp(method, route->method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* NULL and *error when there is none; *out_allow is set when only the method is wrong. */
static const struct route *find(const struct http_exchange *exchange, const char **out_rest,
                                const char **out_allow, struct api_error *error)
{
    const char *method = http_exchange_method(exchange);
    const char *path = http_exchange_path(exchange);
    const char *short_path = strncmp(path, "/v1/", 4) == 0 ? path + 3 : path;
    *out_allow = NULL;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!path_matches(short_path, table[i].path, out_rest))
            continue;
        if (method_matches(method, &table[i]))
            return &table[i];
        *out_allow = strcmp(table[i].method, "GET") == 0 ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
    }
    if (*out_allow != NULL)
        api_error_set(error, 405, "method_not_allowed", NULL, "%.20s is not allowed here; use %s.",
                      method, *out_allow);
    else
        api_error_set(error, 404, "unknown_url", NULL, "Unknown request URL: %.20s %.150s.", method,
                      path);
    return NULL;
}

/* ---- before the body ---- */

/* Only allowed origins come this far (http_policy). */
static void add_cors_headers(struct http_exchange *exchange)
{
    const char *origin = http_exchange_header(exchange, "Origin");
    if (origin == NULL)
        return;
    http_exchange_add_header(exchange, "Access-Control-Allow-Origin", origin);
    http_exchange_add_header(exchange, "Vary", "Origin");
    http_exchange_add_header(exchange, "Access-Control-Expose-Headers",
                             "X-Request-Id, X-Conversation-Id, X-Sinkd-Session, Retry-After");
}

static void answer_options(struct http_exchange *exchange)
{
    const char *headers = http_exchange_header(exchange, "Access-Control-Request-Headers");
    http_exchange_add_header(exchange, "Allow", "GET, HEAD, POST, OPTIONS");
    http_exchange_add_header(exchange, "Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS");
    http_exchange_add_header(exchange, "Access-Control-Allow-Headers",
                             headers != NULL ? headers : "Authorization, Content-Type");
    http_exchange_add_header(exchange, "Access-Control-Max-Age", "86400");
    if (http_exchange_header(exchange, "Access-Control-Request-Private-Network") != NULL)
        http_exchange_add_header(exchange, "Access-Control-Allow-Private-Network", "true");
    struct buf empty;
    buf_init(&empty);
    http_exchange_reply(exchange, 204, "text/plain", &empty);
}

static bool check_encoding(const struct http_exchange *exchange, struct api_error *error)
{
    const char *encoding = http_exchange_header(exchange, "Content-Encoding");
    return encoding == NULL || strcasecmp(encoding, "identity") == 0 ||
           api_error_set(error, 415, "unsupported_media_type", NULL,
                         "A compressed request body is not supported.");
}

static bool check_key(const struct routes *routes, struct http_exchange *exchange,
                      const struct route *route, struct api_error *error)
{
    if (route->is_public || find_owner(routes, exchange) >= 0)
        return true;
    http_exchange_add_header(exchange, "WWW-Authenticate", "Bearer");
    return api_error_set(error, 401, "invalid_api_key", NULL,
                         "A valid API key is needed: send it as \"Authorization: Bearer KEY\".");
}

void routes_on_head(void *routes_arg, struct http_exchange *exchange)
{
    struct routes *routes = routes_arg;
    add_cors_headers(exchange);
    if (strcmp(http_exchange_method(exchange), "OPTIONS") == 0) {
        answer_options(exchange);
        return;
    }
    struct api_error error;
    const char *rest, *allow;
    const struct route *route = find(exchange, &rest, &allow, &error);
    if (route == NULL) {
        if (allow != NULL)
            http_exchange_add_header(exchange, "Allow", allow);
        http_exchange_reply_error(exchange, &error);
    } else if (!check_key(routes, exchange, route, &error) || !check_encoding(exchange, &error)) {
        http_exchange_reply_error(exchange, &error);
    } else if (route->is_generation && routes->is_draining) {
        shutting_down(exchange);
    }
}

void routes_on_request(void *routes_arg, struct http_exchange *exchange)
{
    struct api_error error;
    const char *rest, *allow;
    const struct route *route = find(exchange, &rest, &allow, &error);
    if (route == NULL) /* cannot be: the head was found */
        http_exchange_reply_error(exchange, &error);
    else if (route->is_generation && ((struct routes *)routes_arg)->is_draining)
        shutting_down(exchange);
    else
        route->handler(routes_arg, exchange, rest);
}
