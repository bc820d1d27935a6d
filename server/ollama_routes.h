/* ollama_routes.h - /api/version, /api/tags and /api/show: how editors ask an ollama server which
 * models it has and what they can do, before they chat through /v1/chat/completions.
 *
 * Not here: ollama's own way to chat. Thread: loop. */
#ifndef SERVER_OLLAMA_ROUTES_H
#define SERVER_OLLAMA_ROUTES_H

#include <stdbool.h>

struct err;
struct info_routes;
struct routes;

/* `info` is borrowed. */
bool ollama_routes_add(struct routes *routes, struct info_routes *info, struct err *err);

#endif
