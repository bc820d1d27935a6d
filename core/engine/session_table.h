/* session_table.h - sessions by the number that the caller gave them.
 *
 * Owner: the batcher. Thread: engine. */
#ifndef CORE_ENGINE_SESSION_TABLE_H
#define CORE_ENGINE_SESSION_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct session;
struct session_table;
struct turn;

struct session_entry {
    uint64_t id; /* not 0 */
    int owner;   /* see struct engine_request */
    struct session *session;
    struct turn *turn; /* the turn it is speaking; NULL when idle */
    bool is_forgotten; /* to be removed when its turn ends */
    struct session_entry *next;
};

bool session_table_open(struct session_table **out, struct err *err);
/* Closes the sessions too. */
void session_table_close(struct session_table **table);

/* NULL when there is none. */
struct session_entry *session_table_find(const struct session_table *table, uint64_t id);
/* Takes `session` over on success; `id` must not be in the table. NULL on ERR_MEMORY. */
struct session_entry *session_table_add(struct session_table *table, uint64_t id,
                                        struct session *session, struct err *err);
/* The entry after `entry`, the first after NULL; NULL at the end. In no order. */
struct session_entry *session_table_next(const struct session_table *table,
                                         const struct session_entry *entry);
/* Closes the session and frees the entry. */
void session_table_remove(struct session_table *table, struct session_entry *entry);

int session_table_count(const struct session_table *table);

#endif
