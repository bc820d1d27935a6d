#include "core/engine/snapshot_store.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/session/session.h"
#include "core/session/snapshot.h"

enum { FINISH_S = 30 };

struct snapshot_store {
    struct snapshot_store_options options;
    struct snapshot_folder *folder;

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t filled;
    struct snapshot_job *first, **last; /* to do */
    struct snapshot_job *done, **last_done;
    bool is_finishing;
    atomic_int_fast64_t deadline_ns; /* of saves, once it finishes */
    atomic_uint_fast64_t n_lost;
    atomic_uint_fast64_t n_moves;
    atomic_int n_jobs;
};

/* ---- jobs ---- */

static void give_back(struct snapshot_store *store, struct snapshot_job *job)
{
    pthread_mutex_lock(&store->lock);
    job->next = NULL;
    *store->last_done = job;
    store->last_done = &job->next;
    pthread_mutex_unlock(&store->lock);
    store->options.on_done(store->options.arg);
}

/* The session's memory is free as soon as its bytes are the kernel's, and the job is given back
 * then: those who wait for memory need not wait for the disk. A load of the same session comes
 * later in the queue, so it meets the file in its place. */
static void save(struct snapshot_store *store, struct snapshot_job *job)
{
    uint64_t name = job->name, n_bytes = snapshot_bytes(job->session);
    int file;
    bool is_written = snapshot_folder_write(store->folder, name, job->session, &file, &job->err);
    job->n_bytes = is_written ? n_bytes : 0;
    session_close(&job->session);
    give_back(store, job);
    if (is_written && !snapshot_folder_keep(store->folder, name, file))
        atomic_fetch_add(&store->n_lost, 1);
}

static void give_up(struct snapshot_store *store, struct snapshot_job *job)
{
    err_set(&job->err, ERR_STOPPED, "there was no time left to save a conversation");
    session_close(&job->session);
    give_back(store, job);
}

static void load(struct snapshot_store *store, struct snapshot_job *job)
{
    snapshot_folder_read(store->folder, job->name, job->session, &job->err);
    give_back(store, job);
}

static void remove_file(struct snapshot_store *store, struct snapshot_job *job)
{
    snapshot_folder_remove(store->folder, job->name);
    give_back(store, job);
}

/* ---- the thread ---- */

static struct snapshot_job *next_job(struct snapshot_store *store)
{
    pthread_mutex_lock(&store->lock);
    while (store->first == NULL && !store->is_finishing)
        pthread_cond_wait(&store->filled, &store->lock);
    struct snapshot_job *job = store->first;
    if (job != NULL) {
        store->first = job->next;
        if (store->first == NULL)
            store->last = &store->first;
    }
    pthread_mutex_unlock(&store->lock);
    return job;
}

static void do_job(struct snapshot_store *store, struct snapshot_job *job)
{
    job->err.code = ERR_NONE;
    if (job->kind == SNAPSHOT_LOAD)
        load(store, job);
    else if (job->kind == SNAPSHOT_REMOVE)
        remove_file(store, job);
    else if (clock_now_ns() < atomic_load(&store->deadline_ns))
        save(store, job);
    else
        give_up(store, job);
}

static void *store_main(void *arg)
{
    struct snapshot_store *store = arg;
    struct snapshot_job *job;
    while ((job = next_job(store)) != NULL) {
        do_job(store, job); /* which is its owner's from now on */
        atomic_fetch_add(&store->n_moves, 1);
        atomic_fetch_sub(&store->n_jobs, 1);
        store->options.on_done(store->options.arg);
    }
    return NULL;
}

void snapshot_store_put(struct snapshot_store *store, struct snapshot_job *job)
{
    if (!store->has_thread) {
        do_job(store, job);
        return;
    }
    job->next = NULL;
    atomic_fetch_add(&store->n_jobs, 1);
    pthread_mutex_lock(&store->lock);
    *store->last = job;
    store->last = &job->next;
    pthread_cond_signal(&store->filled);
    pthread_mutex_unlock(&store->lock);
}

struct snapshot_job *snapshot_store_take(struct snapshot_store *store)
{
    pthread_mutex_lock(&store->lock);
    struct snapshot_job *done = store->done;
    store->done = NULL;
    store->last_done = &store->done;
    pthread_mutex_unlock(&store->lock);
    return done;
}

struct snapshot_progress snapshot_store_progress(const struct snapshot_store *store_const)
{
    struct snapshot_store *store = (struct snapshot_store *)store_const; /* for the atomics only */
    return (struct snapshot_progress){.n_jobs = atomic_load(&store->n_jobs),
                                      .n_moves = atomic_load(&store->n_moves) +
                                                 snapshot_folder_n_moves(store->folder)};
}

uint64_t snapshot_store_n_lost(const struct snapshot_store *store)
{
    return atomic_load(&((struct snapshot_store *)store)->n_lost);
}

bool snapshot_store_list(struct snapshot_store *store, snapshot_found_fn *fn, void *arg,
                         struct err *err)
{
    return snapshot_folder_list(store->folder, fn, arg, err);
}

/* ---- opening and closing ---- */

static bool start_thread(struct snapshot_store *store, struct err *err)
{
    /* Signals belong to the loop thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&store->thread, NULL, store_main, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    store->has_thread = error == 0;
    return error == 0 ||
           err_set(err, ERR_IO, "cannot start the thread that saves: %s", strerror(error));
}

bool snapshot_store_open(struct snapshot_store **out, const struct snapshot_store_options *options,
                         struct err *err)
{
    struct snapshot_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return err_no_memory(err, "saved conversations");
    store->options = *options;
    store->last = &store->first;
    store->last_done = &store->done;
    atomic_store(&store->deadline_ns, INT64_MAX);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->filled, NULL);
    if (!snapshot_folder_open(&store->folder, options->folder, options->fingerprint, err) ||
        !start_thread(store, err)) {
        snapshot_store_close(&store);
        return false;
    }
    *out = store;
    return true;
}

void snapshot_store_finish(struct snapshot_store *store)
{
    if (!store->has_thread)
        return;
    atomic_store(&store->deadline_ns, clock_now_ns() + FINISH_S * (int64_t)1000000000);
    pthread_mutex_lock(&store->lock);
    store->is_finishing = true;
    pthread_cond_signal(&store->filled);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    store->has_thread = false;
    snapshot_folder_sync(store->folder);
}

void snapshot_store_close(struct snapshot_store **store_ptr)
{
    struct snapshot_store *store = *store_ptr;
    if (store == NULL)
        return;
    snapshot_store_finish(store);
    snapshot_folder_close(&store->folder);
    pthread_cond_destroy(&store->filled);
    pthread_mutex_destroy(&store->lock);
    free(store);
    *store_ptr = NULL;
}
