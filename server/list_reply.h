/* list_reply.h - lists of the API: which page a client asks for, and how it is sent.
 * Thread: loop. */
#ifndef SERVER_LIST_REPLY_H
#define SERVER_LIST_REPLY_H

#include <stdbool.h>

struct api_error;
struct buf;
struct http_exchange;
struct item_list;
struct store_page;

/* The query's limit (1..100, 20), order (asc, desc: the default), after and before. */
bool list_reply_read_page(const struct http_exchange *exchange, struct store_page *out,
                          struct api_error *error);

/* {"object":"list","data":[...],"first_id":...,"last_id":...,"has_more":...} */
void list_reply_write(const struct item_list *items, bool has_more, struct buf *out);

#endif
