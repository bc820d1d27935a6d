#include "server/conversation_routes.h"

#include <stdlib.h>
#include <time.h>

#include "server/api_error.h"
#include "server/body_reader.h"
#include "server/http_exchange.h"
#include "server/item.h"
#include "server/json_fields.h"
#include "server/json_text.h"
#include "server/list_reply.h"
#include "server/metadata.h"
#include "server/routes.h"
#include "server/store_call.h"
#include "server/store_conversations.h"

enum { MAX_NEW_ITEMS = 1000 }; /* at once */

/* ---- on the store's thread ---- */

static void write_conversation(const struct store_conversation *one, struct buf *out)
{
    buf_append_text(out, "{\"id\":");
    json_text_append_string(out, one->id);
    buf_append_format(out, ",\"object\":\"conversation\",\"created_at\":%lld,\"metadata\":",
                      (long long)one->created);
    buf_append(out, one->metadata.data, one->metadata.len);
    buf_append_char(out, '}');
}

static void work_create(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    struct store_conversation one;
    store_conversation_init(&one);
    item_make_id("conv", one.id);
    one.created = (int64_t)time(NULL);
    one.metadata = call->metadata;
    buf_init(&call->metadata);
    if (store_conversation_insert(db, &call->owner, &one, &call->items, &call->err))
        write_conversation(&one, &call->reply);
    store_conversation_done(&one);
}

static void work_get(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    struct store_conversation one;
    store_conversation_init(&one);
    if (store_conversation_read(db, &call->owner, call->id, &one, &call->err))
        write_conversation(&one, &call->reply);
    store_conversation_done(&one);
}

static void work_update(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    if (store_conversation_set_metadata(db, &call->owner, call->id, &call->metadata, &call->err))
        work_get(db, call);
}

static void work_delete(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    if (!store_conversation_delete(db, &call->owner, call->id, &call->err))
        return;
    buf_append_text(&call->reply, "{\"id\":");
    json_text_append_string(&call->reply, call->id);
    buf_append_text(&call->reply, ",\"object\":\"conversation.deleted\",\"deleted\":true}");
}

static void work_list(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    struct store_list list;
    store_list_init(&list);
    if (store_conversation_list(db, &call->owner, &call->page, &list, &call->err))
        list_reply_write(&list.items, list.has_more, &call->reply);
    store_list_done(&list);
}

static void work_list_items(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    struct store_list list;
    store_list_init(&list);
    if (store_conversation_page(db, &call->owner, call->id, &call->page, &list, &call->err))
        list_reply_write(&list.items, list.has_more, &call->reply);
    store_list_done(&list);
}

static void work_add_items(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    if (store_conversation_add_items(db, &call->owner, call->id, &call->items, &call->err))
        list_reply_write(&call->items, false, &call->reply);
}

static void work_get_item(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    store_conversation_read_item(db, &call->owner, call->id, call->item_id, &call->reply,
                                 &call->err);
}

static void work_delete_item(struct store_db *db, void *arg)
{
    struct store_call *call = arg;
    if (store_conversation_delete_item(db, &call->owner, call->id, call->item_id, &call->err))
        work_get(db, call);
}

/* ---- on the loop's thread ---- */

static bool check_items(const struct item_list *items, struct api_error *error)
{
    if (items->n > MAX_NEW_ITEMS)
        return api_error_set(error, 400, "array_above_max_length", "items",
                             "'items' may have at most %d items at once.", (int)MAX_NEW_ITEMS);
    for (size_t i = 0; i < items->n; i++) {
        if (item_is_reference(&items->items[i]))
            return api_error_set(error, 400, "unsupported_value", "items",
                                 "'items' must be whole items, not references.");
    }
    return true;
}

enum { NEEDS_ITEMS = 1, NEEDS_METADATA = 2 };

static bool read_fields(const json_t *body, int needs, struct store_call *call,
                        struct api_error *error)
{
    static const struct {
        int need;
        const char *name;
    } fields[] = {{NEEDS_ITEMS, "items"}, {NEEDS_METADATA, "metadata"}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if ((needs & fields[i].need) != 0 && json_fields_get(body, fields[i].name) == NULL)
            return api_error_set(error, 400, "missing_required_parameter", fields[i].name,
                                 "Missing required parameter: '%s'.", fields[i].name);
    }
    const json_t *items = json_fields_get(body, "items");
    return metadata_read(body, &call->metadata, error) &&
           (items == NULL || item_read_array(items, "items", &call->items, error)) &&
           check_items(&call->items, error);
}

/* A call whose body is being read. */
struct reading {
    struct store *store;
    struct store_call *call;
    store_work_fn *work;
    int needs;
    bool is_good;
    struct api_error error; /* when it is not */
};

/* On any thread. An empty body is {}. */
static void read_body(void *arg, const struct buf *body)
{
    struct reading *reading = arg;
    json_t *root;
    if (!json_fields_parse(body->len == 0 ? "{}" : body->data, body->len == 0 ? 2 : body->len,
                           &root, &reading->error))
        return;
    reading->is_good = read_fields(root, reading->needs, reading->call, &reading->error);
    json_decref(root);
}

static void on_read(void *arg, struct http_exchange *exchange)
{
    struct reading *reading = arg;
    reading->call->exchange = exchange;
    if (exchange != NULL && reading->is_good)
        store_call_start(reading->call, reading->store, reading->work);
    else
        store_call_refuse(reading->call, &reading->error);
    free(reading);
}

static void start_with_body(struct conversation_routes *api, const struct route_call *route,
                            int needs, store_work_fn *work)
{
    struct api_error error;
    struct store_call *call = store_call_new(api->auth, route);
    if (call == NULL)
        return;
    struct reading *reading = calloc(1, sizeof *reading);
    if (reading == NULL) {
        api_error_no_memory(&error);
        store_call_refuse(call, &error);
        return;
    }
    *reading = (struct reading){.store = api->store, .call = call, .work = work, .needs = needs};
    body_reader_read(api->reader, route->exchange,
                     &(struct body_reading){read_body, on_read, reading});
}

static void start_with_page(struct conversation_routes *api, const struct route_call *route,
                            store_work_fn *work)
{
    struct api_error error;
    struct store_call *call = store_call_new(api->auth, route);
    if (call == NULL)
        return;
    if (list_reply_read_page(call->exchange, &call->page, &error))
        store_call_start(call, api->store, work);
    else
        store_call_refuse(call, &error);
}

static void start(struct conversation_routes *api, const struct route_call *route,
                  store_work_fn *work)
{
    struct store_call *call = store_call_new(api->auth, route);
    if (call != NULL)
        store_call_start(call, api->store, work);
}

static void create(void *api, const struct route_call *route)
{
    start_with_body(api, route, 0, work_create);
}

static void list(void *api, const struct route_call *route)
{
    start_with_page(api, route, work_list);
}

static void get(void *api, const struct route_call *route)
{
    start(api, route, work_get);
}

static void update(void *api, const struct route_call *route)
{
    start_with_body(api, route, NEEDS_METADATA, work_update);
}

static void delete (void *api, const struct route_call *route)
{
    start(api, route, work_delete);
}

static void add_items(void *api, const struct route_call *route)
{
    start_with_body(api, route, NEEDS_ITEMS, work_add_items);
}

static void list_items(void *api, const struct route_call *route)
{
    start_with_page(api, route, work_list_items);
}

static void get_item(void *api, const struct route_call *route)
{
    start(api, route, work_get_item);
}

static void delete_item(void *api, const struct route_call *route)
{
    start(api, route, work_delete_item);
}

bool conversation_routes_add(struct routes *routes, struct conversation_routes *api,
                             struct err *err)
{
    static const struct route table[] = {
        {"POST", "/conversations", create, ROUTE_KEYED},
        {"GET", "/conversations", list, ROUTE_KEYED},
        {"GET", "/conversations/{}", get, ROUTE_KEYED},
        {"POST", "/conversations/{}", update, ROUTE_KEYED},
        {"DELETE", "/conversations/{}", delete, ROUTE_KEYED},
        {"POST", "/conversations/{}/items", add_items, ROUTE_KEYED},
        {"GET", "/conversations/{}/items", list_items, ROUTE_KEYED},
        {"GET", "/conversations/{}/items/{}", get_item, ROUTE_KEYED},
        {"DELETE", "/conversations/{}/items/{}", delete_item, ROUTE_KEYED},
    };
    return routes_add(routes, table, sizeof table / sizeof table[0], api, err);
}
