/* item.h - one item of a conversation as the API writes it: a message, a function call, its
 * output, a reasoning.
 *
 * Clients write items in many ways ("content" as a string, no "type"); stored and sent back is one,
 * with every key that strict clients read, under an id that nobody can guess. Pure; fuzzed.
 * Thread: any. */
#ifndef SERVER_ITEM_H
#define SERVER_ITEM_H

#include <jansson.h>
#include <stdbool.h>

#include "server/item_list.h"

struct api_error;
struct buf;

/* Writes "msg_..." and the like. `prefix` without the underscore, at most 8 characters. */
void item_make_id(const char *prefix, char out[ITEM_ID_SIZE]);

/* Reads the array of items a client sends and adds them, with new ids. `param` names the array in
 * errors. A reference to an item stays as it is: {"type":"item_reference","id":...}. */
bool item_read_array(const json_t *array, const char *param, struct item_list *out,
                     struct api_error *error);

/* Adds a user's message. */
bool item_add_text(const char *text, size_t len, struct item_list *out, struct api_error *error);

/* True for a reference, whose id is then the item's. */
bool item_is_reference(const struct item *item);

#endif
