/* store_room.h - a database in memory makes room by forgetting the responses that were used least
 * recently; conversations are never forgotten unasked. Thread: the store's. */
#ifndef SERVER_STORE_ROOM_H
#define SERVER_STORE_ROOM_H

#include <stdbool.h>

struct err;
struct store_db;

/* After a write has failed with *err: true when it should be tried again. */
bool store_room_make(struct store_db *db, const struct err *err);

#endif
