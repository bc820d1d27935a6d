/* session_table.h - sessions by the number that the caller gave them.
 *
 * Owner: the residence. Thread: engine. */
#ifndef CORE_ENGINE_SESSION_TABLE_H
#define CORE_ENGINE_SESSION_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/engine/snapshot_store.h"

struct err;
struct session;
struct session_table;
struct turn;

enum session_place {
    SESSION_IN_MEMORY,
    SESSION_IS_LEAVING, /* on its way to a file */
    SESSION_IN_FILE,
    SESSION_IS_COMING, /* on its way back */
};

struct session_entry {
    uint64_t id; /* not 0 */
    int owner;   /* see struct engine_request */
    enum session_place place;
    struct session *session; /* NULL unless in memory */
    struct turn *turn;       /* the turn it is speaking; NULL when idle */
    bool is_forgotten;       /* to be removed when it is idle and in its place */
    struct session_entry *next;

    /* The rest is residence.c's. */
    TAILQ_ENTRY(session_entry) by_use; /* in its list */
    bool is_listed;
    bool is_held;          /* must stay in memory, though idle */
    bool awaits_note;      /* the same, until its note has come or it is late */
    int64_t released_ns;   /* when its last turn ended */
    uint64_t memory_bytes; /* counted for it */
    uint64_t file_bytes;
    struct snapshot_job job; /* in work while it is leaving or coming */
};

bool session_table_open(struct session_table **out, struct err *err);
/* Closes the sessions too. */
void session_table_close(struct session_table **table);

/* NULL when there is none. */
struct session_entry *session_table_find(const struct session_table *table, uint64_t id);
/* An entry without a session yet; `id` must not be in the table. NULL on ERR_MEMORY. */
struct session_entry *session_table_add(struct session_table *table, uint64_t id, struct err *err);
/* The entry after `entry`, the first after NULL; NULL at the end. In no order. */
struct session_entry *session_table_next(const struct session_table *table,
                                         const struct session_entry *entry);
/* Closes the session and frees the entry. */
void session_table_remove(struct session_table *table, struct session_entry *entry);

#endif
