/* page_routes.h - the chat page at /: one file without secrets, so no key is asked for.
 *
 * Its sources are in server/page/. Thread: loop. */
#ifndef SERVER_PAGE_ROUTES_H
#define SERVER_PAGE_ROUTES_H

#include <stdbool.h>

struct err;
struct routes;

bool page_routes_add(struct routes *routes, struct err *err);

#endif
