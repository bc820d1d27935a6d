/* snapshot_store.h - moves sessions to files and back, on a thread of its own.
 *
 * A file may vanish at any time: its session is then read again from text. Reading one back removes
 * it: it would soon tell of the past.
 * Owner: the batcher. Thread: engine; jobs are done on the store's own, in the order they came. */
#ifndef CORE_ENGINE_SNAPSHOT_STORE_H
#define CORE_ENGINE_SNAPSHOT_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/engine/snapshot_folder.h"

struct session;
struct snapshot_store;

enum snapshot_job_kind {
    SNAPSHOT_SAVE,   /* writes `session`, an idle one, and closes it, whatever comes of it */
    SNAPSHOT_LOAD,   /* fills in `session`, a fresh one; when that fails it is empty */
    SNAPSHOT_REMOVE, /* the file, if there is one */
};

/* Embedded in what it works for, so that handing it over cannot fail. */
struct snapshot_job {
    struct snapshot_job *next;
    enum snapshot_job_kind kind;
    uint64_t name; /* of the session */
    struct session *session;
    uint64_t n_bytes; /* of the file; set by a save that succeeded */
    struct err err;   /* ERR_NONE: done */
    void *arg;        /* the caller's */
};

struct snapshot_store_options {
    const char *folder; /* made if its parent is there; for one engine alone */
    uint64_t fingerprint;
    void (*on_done)(void *arg); /* called on the store's thread: jobs can be taken */
    void *arg;
};

bool snapshot_store_open(struct snapshot_store **out, const struct snapshot_store_options *options,
                         struct err *err);
/* Does what is queued, but begins no save after half a minute, then ends the thread: jobs that come
 * later are done at once. */
void snapshot_store_finish(struct snapshot_store *store);
/* Finishes; all jobs must have been taken. */
void snapshot_store_close(struct snapshot_store **store);

/* As snapshot_folder_list. Before the first job only. */
bool snapshot_store_list(struct snapshot_store *store, snapshot_found_fn *fn, void *arg,
                         struct err *err);

/* The job is the store's until snapshot_store_take gives it back. */
void snapshot_store_put(struct snapshot_store *store, struct snapshot_job *job);
/* Jobs that are done, in order; NULL for none. */
struct snapshot_job *snapshot_store_take(struct snapshot_store *store);

/* Whether the thread gets on: jobs that it has not finished, and a number that grows while it
 * works, with each piece of a file and each job. Any thread; on_done is called after each change of
 * n_jobs.
 */
struct snapshot_progress {
    int n_jobs;
    uint64_t n_moves;
};
struct snapshot_progress snapshot_store_progress(const struct snapshot_store *store);

/* Saves that failed after their job was given back: the file is not there. Any thread. */
uint64_t snapshot_store_n_lost(const struct snapshot_store *store);

#endif
