#include "server/ollama_routes.h"

#include <jansson.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/engine/engine.h"
#include "core/text/chat_template.h"
#include "server/api_error.h"
#include "server/generation_request.h"
#include "server/http_exchange.h"
#include "server/info_routes.h"
#include "server/json_fields.h"
#include "server/ollama_reply.h"
#include "server/routes.h"

/* The version of ollama whose answers these are: editors refuse an older one. */
#define OLLAMA_VERSION "0.6.4"

static const char json_media[] = "application/json";

static struct ollama_model describe(const struct info_routes *info)
{
    return (struct ollama_model){
        .info = engine_info(info->engine),
        .id = info->model_id,
        .created = info->started,
        .has_tools = chat_template_caps(info->chat_template).has_tools,
        .thinks = info->defaults->think_open != NULL,
    };
}

static void get_version(void *arg, const struct route_call *call)
{
    (void)arg;
    struct buf body;
    buf_init(&body);
    buf_append_text(&body, "{\"version\":\"" OLLAMA_VERSION "\"}");
    http_exchange_reply(call->exchange, 200, json_media, &body);
}

static void get_tags(void *arg, const struct route_call *call)
{
    const struct ollama_model model = describe(arg);
    struct buf body;
    buf_init(&body);
    ollama_reply_tags(&model, &body);
    http_exchange_reply(call->exchange, 200, json_media, &body);
}

/* The name may have a tag, of which there is one: "name:latest". */
static bool is_named(const char *given, const char *name)
{
    size_t len = strlen(name);
    return strncmp(given, name, len) == 0 &&
           (given[len] == '\0' || strcmp(given + len, ":latest") == 0);
}

static bool check_name(const struct info_routes *info, const struct buf *body,
                       struct api_error *error)
{
    json_t *root;
    const char *name = NULL;
    if (!json_fields_parse(buf_text(body), body->len, &root, error))
        return false;
    bool is_good = json_fields_string(root, "name", &name, error) &&
                   json_fields_string(root, "model", &name, error);
    if (is_good && name == NULL)
        is_good = json_fields_missing("model", error);
    if (is_good && !is_named(name, info->model_id) &&
        !is_named(name, engine_info(info->engine)->model_name))
        is_good = api_error_set(error, 404, "model_not_found", "model",
                                "model '%.100s' not found; this server has '%.100s'", name,
                                info->model_id);
    json_decref(root);
    return is_good;
}

static void post_show(void *arg, const struct route_call *call)
{
    const struct ollama_model model = describe(arg);
    struct api_error error;
    if (!check_name(arg, http_exchange_body(call->exchange), &error)) {
        http_exchange_reply_error(call->exchange, &error);
        return;
    }
    struct buf body;
    buf_init(&body);
    ollama_reply_show(&model, &body);
    http_exchange_reply(call->exchange, 200, json_media, &body);
}

bool ollama_routes_add(struct routes *routes, struct info_routes *info, struct err *err)
{
    static const struct route table[] = {
        {"GET", "/api/version", get_version, ROUTE_PUBLIC},
        {"GET", "/api/tags", get_tags, ROUTE_KEYED},
        {"POST", "/api/show", post_show, ROUTE_KEYED},
    };
    if (!routes_add(routes, table, sizeof table / sizeof table[0], info, err))
        return false;
    routes_set_error_form(routes, ollama_reply_error);
    return true;
}
