/* item_list.h - items of a conversation as JSON texts with their ids, between the API and the
 * store. Owner: whoever embeds it. Thread: the owner's. */
#ifndef SERVER_ITEM_LIST_H
#define SERVER_ITEM_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum { ITEM_ID_SIZE = 48 }; /* "msg_", 32 hexadecimal digits and the NUL fit */

struct item {
    char id[ITEM_ID_SIZE];
    char *json; /* owned, len bytes and a NUL: one object */
    size_t len;
};

struct item_list {
    struct item *items;
    size_t n;
    size_t max;
    size_t n_bytes; /* of all json */
};

void item_list_init(struct item_list *list);
void item_list_done(struct item_list *list);

/* Copies; false when there is no memory. `id` is shorter than ITEM_ID_SIZE. */
bool item_list_push(struct item_list *list, const char *id, const char *json, size_t len);

/* Moves all of `from` to the end; on false nothing has moved. */
bool item_list_move(struct item_list *list, struct item_list *from);

/* The objects with commas between them. */
void item_list_append(const struct item_list *list, struct buf *out);

#endif
