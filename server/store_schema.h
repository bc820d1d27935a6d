/* store_schema.h - the tables of the database, one step per version.
 *
 * A step that has been released is never changed: a database of any older version is brought up to
 * date by the steps that it lacks. The version is SQLite's user_version. Thread: the store's. */
#ifndef SERVER_STORE_SCHEMA_H
#define SERVER_STORE_SCHEMA_H

#include <stdbool.h>

struct err;
struct store_db;

enum { STORE_SCHEMA_VERSION = 2 };

/* ERR_FORMAT when the file is not a database of ours, or a newer one. `version` is less than the
 * current one only in tests. */
bool store_schema_upgrade(struct store_db *db, int version, struct err *err);

#endif
