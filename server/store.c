#include "server/store.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/err.h"

enum { TEND_SECONDS = 1 };

struct job_list {
    struct store_job *first;
    struct store_job **end; /* where the next one is linked */
};

struct store {
    struct store_options options;
    struct store_db *db; /* the thread's */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job_list waiting; /* under lock */
    struct job_list done;    /* under lock */
    bool is_stopping;        /* under lock */
    struct event_wake *wake;
    int n_pending; /* the loop's ... */
    uint64_t n_done;
};

static void list_init(struct job_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void list_push(struct job_list *list, struct store_job *job)
{
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
}

static struct store_job *list_take(struct job_list *list)
{
    struct store_job *job = list->first;
    if (job != NULL) {
        list->first = job->next;
        if (list->first == NULL)
            list->end = &list->first;
    }
    return job;
}

/* ---- the store's thread ---- */

/* The next job, or NULL when a second has passed without one, or when the end has come. */
static struct store_job *wait_for_job(struct store *store, bool *out_is_stopping)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TEND_SECONDS;
    pthread_mutex_lock(&store->lock);
    int status = 0;
    while (store->waiting.first == NULL && !store->is_stopping && status == 0)
        status = pthread_cond_timedwait(&store->changed, &store->lock, &until);
    struct store_job *job = list_take(&store->waiting);
    *out_is_stopping = store->is_stopping;
    pthread_mutex_unlock(&store->lock);
    return job;
}

static void work(struct store *store, struct store_job *job)
{
    job->work(store->db, job->arg);
    pthread_mutex_lock(&store->lock);
    bool was_empty = store->done.first == NULL;
    list_push(&store->done, job);
    pthread_mutex_unlock(&store->lock);
    if (was_empty)
        event_wake_send(store->wake);
}

/* What is due by the clock, however busy the queue is. */
struct due {
    time_t tend, housekeep; /* seconds of the monotonic clock */
};

static void do_what_is_due(struct store *store, struct due *due)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec >= due->tend) {
        store_db_tend(store->db);
        due->tend = now.tv_sec + TEND_SECONDS;
    }
    if (store->options.housekeep != NULL && now.tv_sec >= due->housekeep) {
        store->options.housekeep(store->db, NULL);
        due->housekeep = now.tv_sec + store->options.housekeep_seconds;
    }
}

static void *run(void *arg)
{
    struct store *store = arg;
    struct due due = {0};
    bool is_stopping = false;
    for (;;) {
        struct store_job *job = wait_for_job(store, &is_stopping);
        if (job != NULL)
            work(store, job);
        else if (is_stopping)
            break;
        do_what_is_due(store, &due);
    }
    store_db_tend(store->db);
    return NULL;
}

/* ---- the loop's thread ---- */

static void on_wake(void *arg)
{
    struct store *store = arg;
    for (;;) {
        pthread_mutex_lock(&store->lock);
        struct store_job *job = list_take(&store->done);
        pthread_mutex_unlock(&store->lock);
        if (job == NULL)
            return;
        store->n_pending--;
        store->n_done++;
        job->done(job->arg);
    }
}

static bool start_thread(struct store *store, struct err *err)
{
    /* Signals are the loop's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    store->has_thread = pthread_create(&store->thread, NULL, run, store) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return store->has_thread || err_set(err, ERR_IO, "cannot start the store's thread");
}

static void init_locks(struct store *store)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&store->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&store->lock, NULL);
}

bool store_open(struct store **out, struct event_loop *loop, const struct store_options *options,
                struct err *err)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return err_no_memory(err, "the store");
    store->options = *options;
    list_init(&store->waiting);
    list_init(&store->done);
    init_locks(store);
    if (!store_db_open(&store->db, &options->db, err) ||
        !event_wake_open(&store->wake, loop, on_wake, store, err)) {
        store_close(&store);
        return false;
    }
    if (options->prepare != NULL)
        options->prepare(store->db, NULL);
    if (!start_thread(store, err)) {
        store_close(&store);
        return false;
    }
    *out = store;
    return true;
}

void store_close(struct store **store_ptr)
{
    struct store *store = *store_ptr;
    if (store == NULL)
        return;
    pthread_mutex_lock(&store->lock);
    store->is_stopping = true;
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->lock);
    if (store->has_thread)
        pthread_join(store->thread, NULL);
    store->has_thread = false;
    on_wake(store); /* what was done since the loop stopped */
    event_wake_close(&store->wake);
    store_db_close(&store->db);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->lock);
    free(store);
    *store_ptr = NULL;
}

void store_run(struct store *store, struct store_job *job)
{
    store->n_pending++;
    if (!store->has_thread) { /* a job that follows another one, while the store closes */
        work(store, job);
        return;
    }
    pthread_mutex_lock(&store->lock);
    list_push(&store->waiting, job);
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->lock);
}

void store_read_counters(const struct store *store, struct store_counters *out)
{
    out->n_pending = store->n_pending;
    out->n_done = store->n_done;
    store_db_read_counters(store->db, &out->n_commits, &out->n_failures);
}
