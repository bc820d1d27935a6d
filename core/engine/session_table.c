#include "core/engine/session_table.h"

#include <stdlib.h>

#include "core/base/err.h"
#include "core/session/session.h"

/* Sessions are megabytes each, so there are thousands at most: fixed buckets keep chains short. */
enum { N_BUCKETS = 4096 };

struct session_table {
    struct session_entry *buckets[N_BUCKETS];
};

/* Callers number sessions as they like, mostly 1, 2, 3: multiply to spread any pattern
 * (Fibonacci hashing, Knuth vol. 3, 6.4). */
static size_t bucket_of(uint64_t id)
{
    return (id * 0x9E3779B97F4A7C15u) >> 52;
}

bool session_table_open(struct session_table **out, struct err *err)
{
    struct session_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return err_no_memory(err, "the session table");
    *out = table;
    return true;
}

void session_table_close(struct session_table **table_ptr)
{
    struct session_table *table = *table_ptr;
    if (table == NULL)
        return;
    for (int i = 0; i < N_BUCKETS; i++) {
        while (table->buckets[i] != NULL)
            session_table_remove(table, table->buckets[i]);
    }
    free(table);
    *table_ptr = NULL;
}

struct session_entry *session_table_find(const struct session_table *table, uint64_t id)
{
    struct session_entry *entry = table->buckets[bucket_of(id)];
    while (entry != NULL && entry->id != id)
        entry = entry->next;
    return entry;
}

struct session_entry *session_table_add(struct session_table *table, uint64_t id, struct err *err)
{
    struct session_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        err_no_memory(err, "a session");
        return NULL;
    }
    struct session_entry **bucket = &table->buckets[bucket_of(id)];
    entry->id = id;
    entry->next = *bucket;
    *bucket = entry;
    return entry;
}

void session_table_remove(struct session_table *table, struct session_entry *entry)
{
    struct session_entry **link = &table->buckets[bucket_of(entry->id)];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    session_close(&entry->session);
    free(entry);
}

struct session_entry *session_table_next(const struct session_table *table,
                                         const struct session_entry *entry)
{
    if (entry != NULL && entry->next != NULL)
        return entry->next;
    size_t bucket = entry == NULL ? 0 : bucket_of(entry->id) + 1;
    while (bucket < N_BUCKETS && table->buckets[bucket] == NULL)
        bucket++;
    return bucket < N_BUCKETS ? table->buckets[bucket] : NULL;
}
