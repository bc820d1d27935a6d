/* json_load.h - the one way in for JSON text: jansson's parser, safe when memory ends.
 *
 * Jansson (2.14) does not look whether a string that it collects has found room; what it copies out
 * of it then runs past its end. Here an allocation that fails makes all later ones of the same
 * parse fail too, so that it gives up before it copies. And it calls a text invalid that has a
 * larger integer than it can hold, as schemas of numbers without a sign do. Thread: any. */
#ifndef SERVER_JSON_LOAD_H
#define SERVER_JSON_LOAD_H

#include <jansson.h>
#include <stdbool.h>

/* json_loadb, but integers beyond 64 bits become decimals. */
json_t *json_load_text(const char *text, size_t len, size_t flags, json_error_t *error);
/* Whether this thread's last json_load_text failed for want of memory. */
bool json_load_lacked_memory(void);

#endif
