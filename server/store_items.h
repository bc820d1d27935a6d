/* store_items.h - rows in the order of a list: items of one parent, and pages of any list.
 *
 * A parent is a conversation or a response; whose it is has been checked by the caller. Every
 * function runs in the caller's transaction, if there is one. Thread: the store's. */
#ifndef SERVER_STORE_ITEMS_H
#define SERVER_STORE_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/item_list.h"

struct buf;
struct err;
struct store_db;

/* What of a list is wanted. */
struct store_page {
    int limit; /* >= 1 */
    bool is_ascending;
    char after[ITEM_ID_SIZE];  /* only what follows this one in the list; empty: from its start */
    char before[ITEM_ID_SIZE]; /* only what precedes this one: the nearest `limit` of them */
};

/* A page, and whether there is more of the list in the direction that was read. */
struct store_list {
    struct item_list items;
    bool has_more;
};

/* How a list is read. All three are constants; ?1 is the key. */
struct store_list_sql {
    const char *place_of;   /* the place of id ?2 */
    const char *ascending;  /* id, json of places between ?2 and ?3, at most ?4 */
    const char *descending; /* the same, last one first */
};

void store_list_init(struct store_list *list);
void store_list_done(struct store_list *list);

/* ERR_NOT_FOUND when the page's after or before is not in the list. `out` is inited. */
bool store_list_read(struct store_db *db, const struct store_list_sql *sql, const char *key,
                     const struct store_page *page, struct store_list *out, struct err *err);

bool store_items_insert(struct store_db *db, const char *parent, bool is_output,
                        const struct item_list *items, struct err *err);
bool store_items_page(struct store_db *db, const char *parent, const struct store_page *page,
                      struct store_list *out, struct err *err);
/* All of them, first one first. */
bool store_items_read_all(struct store_db *db, const char *parent, struct item_list *out,
                          struct err *err);
/* ERR_NOT_FOUND when the parent has no such item. */
bool store_items_read(struct store_db *db, const char *parent, const char *id, struct buf *out,
                      struct err *err);
bool store_items_delete(struct store_db *db, const char *parent, const char *id, struct err *err);

#endif
