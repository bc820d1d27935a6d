#include "server/store_room.h"

#include "core/base/err.h"
#include "server/store_db.h"

bool store_room_make(struct store_db *db, const struct err *err)
{
    struct err failure;
    struct store_query query;
    if (err->code != ERR_FULL || !store_db_is_in_memory(db))
        return false;
    store_query_begin(&query, db,
                      "DELETE FROM chains WHERE id IN (SELECT id FROM chains ORDER BY "
                      "coalesce(expires, 0), rowid LIMIT 1 + (SELECT count(*) FROM chains) / 8)",
                      &failure);
    return store_query_run(&query) && store_db_changes(db) > 0;
}
