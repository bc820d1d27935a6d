#include "server/routes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "server/api_error.h"
#include "server/auth.h"
#include "server/http_exchange.h"

bool routes_add(struct routes *routes, const struct route *table, size_t n, void *arg,
                struct err *err)
{
    if (routes->n_groups == ROUTES_MAX_GROUPS)
        return err_set(err, ERR_INTERNAL, "more than %d tables of endpoints", ROUTES_MAX_GROUPS);
    routes->groups[routes->n_groups].table = table;
    routes->groups[routes->n_groups].n = n;
    routes->groups[routes->n_groups].arg = arg;
    routes->n_groups++;
    return true;
}

void routes_set_error_form(struct routes *routes, api_error_write_fn *write)
{
    routes->groups[routes->n_groups - 1].write_error = write;
}

/* ---- finding one ---- */

struct match {
    const struct route *route;
    void *arg;
    api_error_write_fn *write_error;
    char text[ROUTES_MAX_PATH + 1]; /* the parameters, each with its NUL */
    const char *params[ROUTES_MAX_PARAMS];
    char allow[64]; /* the methods of all that have this path */
};

static const char *skip_slashes(const char *at)
{
    return at + strspn(at, "/");
}

static bool is_param(const char *segment, size_t len)
{
    return len == 2 && memcmp(segment, "{}", 2) == 0;
}

/* Slashes too many are forgiven: clients join a base URL and a path with none, one or two. */
static bool path_matches(const char *path, const char *pattern, struct match *match)
{
    char *text = match->text;
    int n_params = 0;
    for (path = skip_slashes(path), pattern = skip_slashes(pattern); *pattern != '\0';
         path = skip_slashes(path), pattern = skip_slashes(pattern)) {
        size_t pattern_len = strcspn(pattern, "/");
        size_t len = strcspn(path, "/");
        bool is_rest = strcmp(pattern, "{...}") == 0;
        if (is_rest) {
            len = strlen(path);
            while (len > 0 && path[len - 1] == '/')
                len--;
        }
        if (len == 0)
            return false;
        if (is_rest || is_param(pattern, pattern_len)) {
            memcpy(text, path, len);
            text[len] = '\0';
            match->params[n_params++] = text;
            text += len + 1;
        } else if (len != pattern_len || memcmp(path, pattern, len) != 0) {
            return false;
        }
        path += len;
        pattern += pattern_len;
    }
    return *path == '\0';
}

static bool method_matches(const char *method, const struct route *route)
{
    return strcmp(method, route->method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void add_allowed(struct match *match, const char *method)
{
    char word[16];
    snprintf(word, sizeof word, "%s, ", method);
    if (strstr(match->allow, word) == NULL)
        strncat(match->allow, word, sizeof match->allow - strlen(match->allow) - 1);
    if (strcmp(method, "GET") == 0)
        add_allowed(match, "HEAD");
}

/* True when the path is known; *match has no route when only the method is wrong. */
static bool find_path(const struct routes *routes, const struct http_exchange *exchange,
                      struct match *match)
{
    const char *method = http_exchange_method(exchange);
    const char *path = skip_slashes(http_exchange_path(exchange));
    if (strncmp(path, "v1/", 3) == 0 && *skip_slashes(path + 3) != '\0')
        path += 3;
    bool is_known = false;
    for (int g = 0; g < routes->n_groups; g++) {
        for (size_t i = 0; i < routes->groups[g].n; i++) {
            const struct route *route = &routes->groups[g].table[i];
            if (!path_matches(path, route->path, match))
                continue;
            is_known = true;
            match->route = route;
            match->arg = routes->groups[g].arg;
            match->write_error = routes->groups[g].write_error;
            if (method_matches(method, route))
                return true;
            add_allowed(match, route->method);
        }
    }
    match->route = NULL;
    add_allowed(match, "OPTIONS");
    match->allow[strlen(match->allow) - 2] = '\0';
    return is_known;
}

static bool find(const struct routes *routes, const struct http_exchange *exchange,
                 struct match *match, struct api_error *error)
{
    const char *method = http_exchange_method(exchange);
    const char *path = http_exchange_path(exchange);
    match->route = NULL;
    match->write_error = NULL;
    match->allow[0] = '\0';
    memset(match->params, 0, sizeof match->params);
    if (strlen(path) > ROUTES_MAX_PATH)
        return api_error_set(error, 414, "uri_too_long", NULL, "The path is longer than %d bytes.",
                             ROUTES_MAX_PATH);
    bool is_known = find_path(routes, exchange, match);
    if (match->route != NULL)
        return true;
    if (is_known)
        return api_error_set(error, 405, "method_not_allowed", NULL,
                             "%.20s is not allowed here; use %s.", method, match->allow);
    match->allow[0] = '\0';
    return api_error_set(error, 404, "unknown_url", NULL, "Unknown request URL: %.20s %.150s.",
                         method, path);
}

/* ---- before the body ---- */

static void answer_options(struct http_exchange *exchange)
{
    static const char methods[] = "GET, HEAD, POST, PUT, DELETE, OPTIONS";
    const char *headers = http_exchange_header(exchange, "Access-Control-Request-Headers");
    http_exchange_add_header(exchange, "Allow", methods);
    http_exchange_add_header(exchange, "Access-Control-Allow-Methods", methods);
    http_exchange_add_header(exchange, "Access-Control-Allow-Headers",
                             headers != NULL ? headers : "Authorization, Content-Type");
    http_exchange_add_header(exchange, "Vary", "Access-Control-Request-Headers");
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

static int find_owner(const struct routes *routes, const struct http_exchange *exchange)
{
    const char *api_key = http_exchange_header(exchange, "X-Api-Key");
    if (api_key == NULL)
        api_key = http_exchange_header(exchange, "api-key");
    return auth_find_owner(routes->auth, http_exchange_header(exchange, "Authorization"), api_key);
}

static bool check_key(const struct routes *routes, struct http_exchange *exchange,
                      const struct route *route, struct api_error *error)
{
    if (route->kind == ROUTE_PUBLIC || find_owner(routes, exchange) >= 0)
        return true;
    http_exchange_add_header(exchange, "WWW-Authenticate", "Bearer");
    return api_error_set(error, 401, "invalid_api_key", NULL,
                         "A valid API key is needed: send it as \"Authorization: Bearer KEY\".");
}

static bool check_draining(const struct routes *routes, const struct route *route,
                           struct api_error *error)
{
    return !routes->is_draining || route->kind != ROUTE_GENERATES ||
           api_error_set(error, 503, "server_shutting_down", NULL, "The server is shutting down.");
}

void routes_on_head(void *routes_arg, struct http_exchange *exchange)
{
    const struct routes *routes = routes_arg;
    http_exchange_allow_origin(exchange); /* only those that may call come this far */
    if (strcmp(http_exchange_method(exchange), "OPTIONS") == 0) {
        answer_options(exchange);
        return;
    }
    struct api_error error;
    struct match match;
    bool is_found = find(routes, exchange, &match, &error);
    http_exchange_set_error_form(exchange, match.write_error);
    if (is_found)
        http_exchange_set_endpoint(exchange, match.route->path);
    if (is_found && check_key(routes, exchange, match.route, &error) &&
        check_encoding(exchange, &error) && check_draining(routes, match.route, &error))
        return;
    if (match.allow[0] != '\0' && match.route == NULL)
        http_exchange_add_header(exchange, "Allow", match.allow);
    http_exchange_reply_error(exchange, &error);
}

void routes_on_request(void *routes_arg, struct http_exchange *exchange)
{
    const struct routes *routes = routes_arg;
    struct api_error error;
    struct match match;
    if (!find(routes, exchange, &match, &error) || !check_draining(routes, match.route, &error)) {
        http_exchange_reply_error(exchange, &error);
        return;
    }
    struct route_call call = {.exchange = exchange, .owner = find_owner(routes, exchange)};
    memcpy(call.params, match.params, sizeof call.params);
    match.route->handle(match.arg, &call);
}
