#include "server/store_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api_error.h"
#include "server/http_exchange.h"
#include "server/routes.h"

static void call_free(struct store_call *call)
{
    item_list_done(&call->items);
    buf_done(&call->metadata);
    buf_done(&call->reply);
    free(call);
}

static bool copy_id(const char *given, char out[ITEM_ID_SIZE])
{
    if (given == NULL)
        return true;
    return snprintf(out, ITEM_ID_SIZE, "%s", given) < ITEM_ID_SIZE;
}

static void on_gone(void *arg)
{
    struct store_call *call = arg;
    call->exchange = NULL;
}

struct store_call *store_call_new(const struct auth *auth, const struct route_call *route)
{
    struct api_error error;
    struct store_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        api_error_no_memory(&error);
        http_exchange_reply_error(route->exchange, &error);
        return NULL;
    }
    call->exchange = route->exchange;
    call->media = "application/json";
    auth_read_digest(auth, route->owner, &call->owner);
    item_list_init(&call->items);
    buf_init(&call->metadata);
    buf_init(&call->reply);
    if (!copy_id(route->params[0], call->id) || !copy_id(route->params[1], call->item_id)) {
        api_error_set(&error, 404, "not_found", NULL, "There is no object with such an id.");
        store_call_refuse(call, &error);
        return NULL;
    }
    return call;
}

void store_call_refuse(struct store_call *call, const struct api_error *error)
{
    if (call->exchange != NULL)
        http_exchange_reply_error(call->exchange, error);
    call_free(call);
}

static void on_done(void *arg)
{
    struct store_call *call = arg;
    if (call->err.code == ERR_NONE && call->reply.failed)
        err_no_memory(&call->err, "the reply");
    if (call->exchange != NULL && call->err.code == ERR_NONE) {
        http_exchange_reply(call->exchange, 200, call->media, &call->reply);
    } else if (call->exchange != NULL) {
        struct api_error error;
        api_error_from(&error, &call->err);
        http_exchange_reply_error(call->exchange, &error);
    }
    call_free(call);
}

void store_call_start(struct store_call *call, struct store *store, store_work_fn *work)
{
    call->job = (struct store_job){.work = work, .done = on_done, .arg = call};
    http_exchange_on_gone(call->exchange, on_gone, call);
    store_run(store, &call->job);
}
