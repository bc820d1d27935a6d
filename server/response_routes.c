#include "server/response_routes.h"

#include <stdlib.h>
#include <string.h>

#include "server/api_error.h"
#include "server/http_exchange.h"
#include "server/json_text.h"
#include "server/list_reply.h"
#include "server/response_record.h"
#include "server/response_replay.h"
#include "server/response_reply.h"
#include "server/response_request.h"
#include "server/response_turn.h"
#include "server/resumables.h"
#include "server/routes.h"
#include "server/sse_stream.h"
#include "server/store_call.h"
#include "server/text_routes.h"

/* ---- on the store's thread ---- */

/* One that is not finished and not being made has been lost. */
static void settle(struct response_row *row)
{
    if (row->status > RESPONSE_IN_PROGRESS)
        return;
    row->status = RESPONSE_FAILED;
    response_reply_write_error("server_error", "The response was lost before it was complete.",
                               &row->error);
}

static bool read(struct store_db *db, struct store_call *call, struct response_row *row)
{
    if (!store_response_read(db, &call->owner, call->id, row, &call->err))
        return false;
    settle(row);
    return true;
}

static void work_get(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    struct response_row row;
    response_row_init(&row);
    if (read(db, call, &row))
        response_reply_write(&row, &call->reply);
    response_row_done(&row);
}

static void work_replay(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    struct response_row row;
    response_row_init(&row);
    if (read(db, call, &row) && !response_replay_write(&row, call->number, &call->reply))
        err_no_memory(&call->err, "the events");
    response_row_done(&row);
}

static void work_delete(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    if (!store_response_delete(db, &call->owner, call->id, &call->err))
        return;
    buf_append_text(&call->reply, "{\"id\":");
    json_text_append_string(&call->reply, call->id);
    buf_append_text(&call->reply, ",\"object\":\"response\",\"deleted\":true}");
}

/* Only one that is being made can be cancelled; to cancel it twice is no error. */
static void work_cancel(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    struct response_row row;
    response_row_init(&row);
    if (read(db, call, &row) && row.status != RESPONSE_CANCELLED)
        err_set(&call->err, ERR_INVALID, "A response that is %s cannot be cancelled.",
                response_status_name(row.status));
    else if (call->err.code == ERR_NONE)
        response_reply_write(&row, &call->reply);
    response_row_done(&row);
}

static void work_list_input(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    struct store_list list;
    store_list_init(&list);
    if (store_response_input_page(db, &call->owner, call->id, &call->page, &list, &call->err))
        list_reply_write(&list.items, list.has_more, &call->reply);
    store_list_done(&list);
}

/* ---- on the loop's thread ---- */

static struct response_turn *find_running(const struct response_routes *api,
                                          const struct route_call *route)
{
    struct auth_digest owner;
    auth_read_digest(api->turns.auth, route->owner, &owner);
    return response_turns_find(&api->turns, &owner, route->params[0]);
}

static void start(struct response_routes *api, const struct route_call *route, store_work_fn *work)
{
    struct store_call *call = store_call_new(api->turns.auth, route);
    if (call != NULL)
        store_call_start(call, api->turns.store, work);
}

static void create(void *api, const struct route_call *route)
{
    response_turns_start(&((struct response_routes *)api)->turns, route->exchange, route->owner);
}

/* ?stream=true&starting_after=N */
static bool read_stream(const struct http_exchange *exchange, bool *out_is_stream,
                        int64_t *out_after, struct api_error *error)
{
    const char *stream = http_exchange_query(exchange, "stream");
    /* Of a HEAD libmicrohttpd would send the end of a stream. */
    bool is_head = strcmp(http_exchange_method(exchange), "HEAD") == 0;
    *out_is_stream = !is_head && stream != NULL && (stream[0] == 't' || stream[0] == '1');
    *out_after = -1;
    const char *seen = http_exchange_header(exchange, "Last-Event-ID");
    size_t len;
    if (seen != NULL)
        resumables_parse_event_id(seen, &len, out_after);
    return sse_stream_read_after(exchange, out_after, error);
}

static void replay(struct response_routes *api, const struct route_call *route, int64_t after)
{
    struct store_call *call = store_call_new(api->turns.auth, route);
    if (call == NULL)
        return;
    call->media = "text/event-stream; charset=utf-8";
    call->number = after;
    store_call_start(call, api->turns.store, work_replay);
}

static void get(void *arg, const struct route_call *route)
{
    struct response_routes *api = arg;
    struct response_turn *turn = find_running(api, route);
    struct api_error error;
    int64_t after;
    bool is_stream;
    if (!read_stream(route->exchange, &is_stream, &after, &error))
        http_exchange_reply_error(route->exchange, &error);
    else if (turn == NULL && is_stream)
        replay(api, route, after);
    else if (turn == NULL)
        start(api, route, work_get);
    else if (!is_stream)
        response_turn_show(turn, route->exchange);
    else if (response_turn_keeps_events(turn))
        response_turn_follow(turn, route->exchange, after);
    else {
        api_error_set(
            &error, 400, "invalid_value", "stream",
            "Before its end only a response in the background can be streamed again, or one "
            "whose client gave a conversation or an Idempotency-Key.");
        http_exchange_reply_error(route->exchange, &error);
    }
}

static void delete (void *arg, const struct route_call *route)
{
    struct response_routes *api = arg;
    if (find_running(api, route) == NULL) {
        start(api, route, work_delete);
        return;
    }
    struct api_error error;
    api_error_set(&error, 400, "invalid_value", NULL,
                  "The response is still being made; cancel it first.");
    http_exchange_reply_error(route->exchange, &error);
}

static void cancel(void *arg, const struct route_call *route)
{
    struct response_routes *api = arg;
    struct response_turn *turn = find_running(api, route);
    if (turn != NULL)
        response_turn_cancel(turn, route->exchange);
    else
        start(api, route, work_cancel);
}

static void list_input(void *arg, const struct route_call *route)
{
    struct response_routes *api = arg;
    struct api_error error;
    struct store_call *call = store_call_new(api->turns.auth, route);
    if (call == NULL)
        return;
    if (list_reply_read_page(call->exchange, &call->page, &error))
        store_call_start(call, api->turns.store, work_list_input);
    else
        store_call_refuse(call, &error);
}

/* ---- how many tokens would go in ---- */

struct count {
    struct store_job job;
    const struct text_routes *text;
    struct http_exchange *exchange; /* NULL: the client is gone */
    struct response_record record;
    struct generation_request generation; /* the tools, the template's variables */
};

static void on_count_gone(void *arg)
{
    ((struct count *)arg)->exchange = NULL;
}

static void work_load(struct store_db *db, void *arg)
{
    response_record_load(&((struct count *)arg)->record, db, false, 0);
}

static void on_loaded(void *arg)
{
    struct count *count = arg;
    struct api_error error;
    if (count->exchange != NULL && count->record.err.code == ERR_NONE) {
        text_routes_count(count->text, count->exchange, &count->record.messages,
                          &count->generation);
    } else if (count->exchange != NULL) {
        response_record_explain(&count->record, &error);
        http_exchange_reply_error(count->exchange, &error);
    }
    response_record_done(&count->record);
    generation_request_done(&count->generation);
    free(count);
}

static void count_input(void *arg, const struct route_call *route)
{
    struct response_routes *api = arg;
    const struct buf *body = http_exchange_body(route->exchange);
    struct response_request request;
    struct auth_digest owner;
    struct api_error error;
    if (!response_request_parse(buf_text(body), body->len, api->turns.defaults,
                                api->turns.model_name, &request, &error)) {
        http_exchange_reply_error(route->exchange, &error);
        return;
    }
    struct count *count = calloc(1, sizeof *count);
    if (count == NULL) {
        response_request_done(&request);
        api_error_no_memory(&error);
        http_exchange_reply_error(route->exchange, &error);
        return;
    }
    auth_read_digest(api->turns.auth, route->owner, &owner);
    response_record_init(&count->record, &request, &owner);
    count->generation = request.generation;
    request.generation = (struct generation_request){0};
    response_request_done(&request);
    count->text = api->text;
    count->exchange = route->exchange;
    count->job = (struct store_job){.work = work_load, .done = on_loaded, .arg = count};
    http_exchange_on_gone(route->exchange, on_count_gone, count);
    store_run(api->turns.store, &count->job);
}

bool response_routes_add(struct routes *routes, struct response_routes *api, struct err *err)
{
    static const struct route table[] = {
        {"POST", "/responses", create, ROUTE_GENERATES},
        {"POST", "/responses/input_tokens", count_input, ROUTE_KEYED},
        {"GET", "/responses/{}", get, ROUTE_KEYED},
        {"DELETE", "/responses/{}", delete, ROUTE_KEYED},
        {"POST", "/responses/{}/cancel", cancel, ROUTE_KEYED},
        {"GET", "/responses/{}/input_items", list_input, ROUTE_KEYED},
    };
    return routes_add(routes, table, sizeof table / sizeof table[0], api, err);
}
