/* store.h - the thread that keeps what must not be lost: a queue of jobs over one database.
 *
 * A job is embedded in what it works for, so that putting it into the queue cannot fail. From
 * store_run until `done` the job's owner leaves alone what `work` touches, and does not free it.
 * Owner: the daemon. Thread: loop, but for `work`. */
#ifndef SERVER_STORE_H
#define SERVER_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/event_loop.h"
#include "server/store_db.h"

struct err;
struct store;

typedef void store_work_fn(struct store_db *db, void *arg);

struct store_job {
    struct store_job *next; /* the store's */
    store_work_fn *work;    /* on the store's thread, in the order of store_run */
    event_fn *done;         /* then on the loop's; the job is its owner's again */
    void *arg;
};

struct store_options {
    struct store_db_options db;
    store_work_fn *prepare;   /* once, before the first job; NULL for none */
    store_work_fn *housekeep; /* now and then; NULL for none */
    int housekeep_seconds;
};

bool store_open(struct store **out, struct event_loop *loop, const struct store_options *options,
                struct err *err);
/* Does all jobs that were put in, and calls their `done`. */
void store_close(struct store **store);

void store_run(struct store *store, struct store_job *job);

/* For /metrics. */
struct store_counters {
    int n_pending; /* jobs that are not done ... */
    uint64_t n_done;
    uint64_t n_commits;
    uint64_t n_failures; /* of writes, by the disk */
};
void store_read_counters(const struct store *store, struct store_counters *out);

#endif
