#include "core/base/thread_pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/thread_priority.h"

enum {
    MAX_THREADS = 256,
    CACHE_LINE = 64,
    /* About 50 us of pause instructions: longer than the gap between two products of one step. */
    SPINS_BEFORE_SLEEP = 4000,
};

struct worker {
    struct thread_pool *pool;
    pthread_t handle;
    int thread;
};

/* A part is claimed by a compare-and-swap on `ticket`: the job's number and how many of its parts
 * are unclaimed. While one is, the job cannot end, so fn, arg and n_parts stay as they are until
 * the claimed part is done. A run thus waits for parts, never for a worker that was not scheduled
 * in time; when such a worker comes late, there is nothing to claim. */
struct thread_pool {
    _Alignas(CACHE_LINE) _Atomic uint32_t job; /* number of the newest job: what sleepers watch */
    _Atomic uint32_t n_sleeping;
    _Alignas(CACHE_LINE) _Atomic uint64_t ticket; /* job << 32 | unclaimed parts */
    _Alignas(CACHE_LINE) _Atomic int n_done;      /* parts of this job */
    _Alignas(CACHE_LINE) thread_pool_fn *fn;
    void *arg;
    int n_parts;
    int n_threads;
    int n_started; /* workers whose thread runs; less than n_threads - 1 only while opening fails */
    atomic_bool is_stopping;
    struct worker workers[];
};

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void run_parts(struct thread_pool *pool, int thread)
{
    uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    while ((uint32_t)ticket > 0) {
        if (!atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket - 1,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        int part = pool->n_parts - (int)(uint32_t)ticket;
        pool->fn(pool->arg, part, pool->n_parts, thread);
        atomic_fetch_add_explicit(&pool->n_done, 1, memory_order_release);
        ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    }
}

static void sleep_until_changed(struct thread_pool *pool, uint32_t seen)
{
    atomic_fetch_add(&pool->n_sleeping, 1);
    while (atomic_load(&pool->job) == seen)
        syscall(SYS_futex, &pool->job, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    atomic_fetch_sub(&pool->n_sleeping, 1);
}

static uint32_t wait_for_job(struct thread_pool *pool, uint32_t seen)
{
    for (int i = 0; i < SPINS_BEFORE_SLEEP; i++) {
        uint32_t job = atomic_load_explicit(&pool->job, memory_order_acquire);
        if (job != seen)
            return job;
        cpu_relax();
    }
    sleep_until_changed(pool, seen);
    return atomic_load_explicit(&pool->job, memory_order_acquire);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct thread_pool *pool = worker->pool;
    uint32_t seen = 0;
    thread_priority_compute();
    for (;;) {
        seen = wait_for_job(pool, seen);
        if (atomic_load(&pool->is_stopping))
            return NULL;
        run_parts(pool, worker->thread);
    }
}

static void publish_job(struct thread_pool *pool)
{
    /* Sequentially consistent on both sides: either the sleeper sees the new job before it waits,
     * or we see the sleeper and wake it. */
    atomic_fetch_add(&pool->job, 1);
    if (atomic_load(&pool->n_sleeping) > 0)
        syscall(SYS_futex, &pool->job, FUTEX_WAKE_PRIVATE, MAX_THREADS, NULL, NULL, 0);
}

bool thread_pool_open(struct thread_pool **out, int n_threads, struct err *err)
{
    if (n_threads < 1 || n_threads > MAX_THREADS)
        return err_set(err, ERR_INVALID, "threads is %d; it must be 1 to %d", n_threads,
                       (int)MAX_THREADS);

    size_t bytes = sizeof(struct thread_pool) + sizeof(struct worker) * (size_t)n_threads;
    struct thread_pool *pool =
        aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    if (pool == NULL)
        return err_no_memory(err, "the thread pool");
    memset(pool, 0, bytes);
    pool->n_threads = n_threads;

    /* Signals belong to the loop thread; a worker must never be the one that takes them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    while (error == 0 && pool->n_started < n_threads - 1) {
        struct worker *worker = &pool->workers[pool->n_started];
        worker->pool = pool;
        worker->thread = pool->n_started + 1;
        error = pthread_create(&worker->handle, NULL, worker_main, worker);
        if (error == 0)
            pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    if (error != 0) {
        thread_pool_close(&pool);
        return err_set(err, ERR_IO, "cannot start %d threads: %s", n_threads, strerror(error));
    }
    *out = pool;
    return true;
}

void thread_pool_close(struct thread_pool **pool_ptr)
{
    struct thread_pool *pool = *pool_ptr;
    if (pool == NULL)
        return;
    atomic_store(&pool->is_stopping, true);
    publish_job(pool);
    for (int i = 0; i < pool->n_started; i++)
        pthread_join(pool->workers[i].handle, NULL);
    free(pool);
    *pool_ptr = NULL;
}

int thread_pool_size(const struct thread_pool *pool)
{
    return pool->n_threads;
}

void thread_pool_run(struct thread_pool *pool, thread_pool_fn *fn, void *arg, int n_parts)
{
    if (pool->n_started == 0 || n_parts <= 1) {
        for (int part = 0; part < n_parts; part++)
            fn(arg, part, n_parts, 0);
        return;
    }
    pool->fn = fn;
    pool->arg = arg;
    pool->n_parts = n_parts;
    atomic_store_explicit(&pool->n_done, 0, memory_order_relaxed);
    uint64_t job = atomic_load_explicit(&pool->job, memory_order_relaxed) + (uint64_t)1;
    atomic_store_explicit(&pool->ticket, job << 32 | (uint32_t)n_parts, memory_order_release);
    publish_job(pool);

    run_parts(pool, 0);
    for (int i = 0; atomic_load_explicit(&pool->n_done, memory_order_acquire) < n_parts; i++) {
        if (i < SPINS_BEFORE_SLEEP)
            cpu_relax();
        else
            sched_yield();
    }
}
