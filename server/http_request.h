/* http_request.h - a request as it comes in: its head is checked before any of its body is taken,
 * the body grows up to its limit, then the handlers have it.
 *
 * Thread: loop. Not here: what a head must be (http_policy.h), and the reply. */
#ifndef SERVER_HTTP_REQUEST_H
#define SERVER_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

struct http_exchange;

/* There may be a reply already: then it is to be sent without reading the body. */
void http_request_take_head(struct http_exchange *exchange, const char *version);
/* False when so much has come that the connection is to be cut. */
bool http_request_take_body(struct http_exchange *exchange, const char *data, size_t len);
/* All is there. */
void http_request_dispatch(struct http_exchange *exchange);

#endif
