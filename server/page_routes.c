#include "server/page_routes.h"

#include <string.h>

#include "core/base/buf.h"
#include "server/http_exchange.h"
#include "server/page_data.h"
#include "server/routes.h"

/* If-None-Match is a list of tags, each perhaps with a W/ before it, or a star (RFC 9110, 13.1.2).
 * A tag is too long to be found in another by chance. */
static bool is_known(const struct http_exchange *exchange)
{
    const char *tags = http_exchange_header(exchange, "If-None-Match");
    return tags != NULL && (strcmp(tags, "*") == 0 || strstr(tags, page_etag) != NULL);
}

static void get_page(void *arg, const struct route_call *call)
{
    (void)arg;
    struct http_exchange *exchange = call->exchange;
    http_exchange_add_header(exchange, "ETag", page_etag);
    http_exchange_add_header(exchange, "Cache-Control", "no-cache"); /* ask each time, by tag */
    http_exchange_add_header(exchange, "Content-Security-Policy", page_policy);
    http_exchange_add_header(exchange, "Cross-Origin-Opener-Policy", "same-origin");
    http_exchange_add_header(exchange, "Referrer-Policy", "no-referrer");
    http_exchange_add_header(exchange, "X-Content-Type-Options", "nosniff");
    http_exchange_add_header(exchange, "X-Frame-Options", "DENY");

    bool is_same = is_known(exchange);
    struct buf body;
    buf_init(&body);
    if (!is_same)
        buf_append(&body, page_html, page_html_len);
    http_exchange_reply(exchange, is_same ? 304 : 200, "text/html; charset=utf-8", &body);
}

bool page_routes_add(struct routes *routes, struct err *err)
{
    static const struct route table[] = {{"GET", "/", get_page, ROUTE_PUBLIC}};
    return routes_add(routes, table, sizeof table / sizeof table[0], NULL, err);
}
