#include "server/list_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "server/http_exchange.h"
#include "server/item_list.h"
#include "server/json_text.h"
#include "server/store_items.h"

enum { DEFAULT_LIMIT = 20, MAX_LIMIT = 100 };

static bool read_limit(const char *text, int *out, struct api_error *error)
{
    char *end;
    long limit = strtol(text, &end, 10);
    if (end == text || *end != '\0' || limit < 1 || limit > MAX_LIMIT)
        return api_error_set(error, 400, "invalid_value", "limit",
                             "'limit' must be an integer from 1 to %d.", (int)MAX_LIMIT);
    *out = (int)limit;
    return true;
}

static bool read_cursor(const char *text, const char *param, char out[ITEM_ID_SIZE],
                        struct api_error *error)
{
    if (strlen(text) >= ITEM_ID_SIZE)
        return api_error_set(error, 404, "not_found", param, "There is no '%.64s' in this list.",
                             text);
    snprintf(out, ITEM_ID_SIZE, "%s", text);
    return true;
}

bool list_reply_read_page(const struct http_exchange *exchange, struct store_page *out,
                          struct api_error *error)
{
    const char *limit = http_exchange_query(exchange, "limit");
    const char *order = http_exchange_query(exchange, "order");
    const char *after = http_exchange_query(exchange, "after");
    const char *before = http_exchange_query(exchange, "before");
    *out = (struct store_page){.limit = DEFAULT_LIMIT};
    if (order != NULL && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0)
        return api_error_set(error, 400, "invalid_value", "order",
                             "'order' must be 'asc' or 'desc'.");
    out->is_ascending = order != NULL && strcmp(order, "asc") == 0;
    return (limit == NULL || read_limit(limit, &out->limit, error)) &&
           (after == NULL || read_cursor(after, "after", out->after, error)) &&
           (before == NULL || read_cursor(before, "before", out->before, error));
}

void list_reply_write(const struct item_list *items, bool has_more, struct buf *out)
{
    buf_append_text(out, "{\"object\":\"list\",\"data\":[");
    item_list_append(items, out);
    buf_append_text(out, "],\"first_id\":");
    json_text_append_string(out, items->n > 0 ? items->items[0].id : NULL);
    buf_append_text(out, ",\"last_id\":");
    json_text_append_string(out, items->n > 0 ? items->items[items->n - 1].id : NULL);
    buf_append_format(out, ",\"has_more\":%s}", has_more ? "true" : "false");
}
