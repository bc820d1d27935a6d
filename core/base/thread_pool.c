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

/* Parts of a job that nobody has begun, begin .. end-1, in one word that changes by
 * compare-and-swap: job << 40 | begin << 20 | end, of the job's number the last 24 bits. */
enum { PART_BITS = 20, MAX_PARTS = (1 << PART_BITS) - 1 };
typedef uint64_t share_t;

struct thread {
    _Alignas(CACHE_LINE) _Atomic share_t share;
    struct thread_pool *pool;
    pthread_t handle; /* none for thread 0, the caller */
    int number;
};

/* Every thread has a share of a job's parts and does them in order, because neighbouring parts read
 * neighbouring memory, which a core fetches ahead. One that has none left takes the later half of
 * the largest share. While a part is unclaimed, the job cannot end, so fn, arg and n_parts stay as
 * they are until the claimed part is done. A run thus waits for parts, never for a worker that was
 * not scheduled in time; when such a worker comes late, no share is of its job. */
struct thread_pool {
    _Alignas(CACHE_LINE) _Atomic uint32_t job; /* number of the newest job: what sleepers watch */
    _Atomic uint32_t n_sleeping;
    _Alignas(CACHE_LINE) _Atomic int n_done; /* parts of this job */
    _Alignas(CACHE_LINE) thread_pool_fn *fn;
    void *arg;
    int n_parts;
    int n_threads;
    int n_started; /* workers whose thread runs; less than n_threads - 1 only while opening fails */
    atomic_bool is_stopping;
    struct thread threads[];
};

static share_t make_share(uint32_t job, int begin, int end)
{
    return (share_t)job << 2 * PART_BITS | (share_t)begin << PART_BITS | (share_t)end;
}

static int share_begin(share_t share)
{
    return (int)(share >> PART_BITS) & MAX_PARTS;
}

/* 0 if it is of another job. */
static int share_size(share_t share, uint32_t job)
{
    bool is_of_job = share >> 2 * PART_BITS == make_share(job, 0, 0) >> 2 * PART_BITS;
    return is_of_job ? (int)(share & MAX_PARTS) - share_begin(share) : 0;
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* The next part of the thread's own share; -1 if there is none. */
static int take_next(struct thread *thread, uint32_t job)
{
    share_t share = atomic_load_explicit(&thread->share, memory_order_acquire);
    while (share_size(share, job) > 0) {
        if (atomic_compare_exchange_weak_explicit(&thread->share, &share, share + (1 << PART_BITS),
                                                  memory_order_acq_rel, memory_order_acquire))
            return share_begin(share);
    }
    return -1;
}

static struct thread *largest_share(struct thread_pool *pool, uint32_t job, share_t *out)
{
    struct thread *largest = NULL;
    int most = 0;
    for (int i = 0; i < pool->n_threads; i++) {
        share_t share = atomic_load_explicit(&pool->threads[i].share, memory_order_acquire);
        if (share_size(share, job) > most) {
            largest = &pool->threads[i];
            most = share_size(share, job);
            *out = share;
        }
    }
    return largest;
}

/* A part of someone else's share, of which the thread's own becomes the later half; -1 if all parts
 * are claimed. The own one is empty: nobody else changes it meanwhile. */
static int steal(struct thread *thread, uint32_t job)
{
    share_t share;
    struct thread *from;
    while ((from = largest_share(thread->pool, job, &share)) != NULL) {
        int half = (share_size(share, job) + 1) / 2, end = (int)(share & MAX_PARTS);
        if (!atomic_compare_exchange_strong_explicit(&from->share, &share, share - (share_t)half,
                                                     memory_order_acq_rel, memory_order_relaxed))
            continue;
        atomic_store_explicit(&thread->share, make_share(job, end - half + 1, end),
                              memory_order_release);
        return end - half;
    }
    return -1;
}

/* The thread's own share, from a part on that it has claimed. */
static void run_share(struct thread *thread, uint32_t job, int part)
{
    struct thread_pool *pool = thread->pool;
    int n = 0;
    for (; part >= 0; part = take_next(thread, job), n++)
        pool->fn(pool->arg, part, pool->n_parts, thread->number);
    atomic_fetch_add_explicit(&pool->n_done, n, memory_order_release);
}

static void run_parts(struct thread *thread, uint32_t job)
{
    int part = take_next(thread, job);
    if (part >= 0)
        run_share(thread, job, part);
    while ((part = steal(thread, job)) >= 0)
        run_share(thread, job, part);
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
    struct thread *thread = arg;
    struct thread_pool *pool = thread->pool;
    uint32_t seen = 0;
    thread_priority_compute();
    for (;;) {
        seen = wait_for_job(pool, seen);
        if (atomic_load(&pool->is_stopping))
            return NULL;
        run_parts(thread, seen);
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

    size_t bytes = sizeof(struct thread_pool) + sizeof(struct thread) * (size_t)n_threads;
    struct thread_pool *pool = aligned_alloc(CACHE_LINE, bytes);
    if (pool == NULL)
        return err_no_memory(err, "the thread pool");
    memset(pool, 0, bytes);
    pool->n_threads = n_threads;
    for (int i = 0; i < n_threads; i++) {
        pool->threads[i].pool = pool;
        pool->threads[i].number = i;
    }

    /* Signals belong to the loop thread; a worker must never be the one that takes them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    while (error == 0 && pool->n_started < n_threads - 1) {
        struct thread *thread = &pool->threads[pool->n_started + 1];
        error = pthread_create(&thread->handle, NULL, worker_main, thread);
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
    for (int i = 1; i <= pool->n_started; i++)
        pthread_join(pool->threads[i].handle, NULL);
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
    uint32_t job = atomic_load_explicit(&pool->job, memory_order_relaxed) + 1;
    for (int i = 0; i < pool->n_threads; i++)
        atomic_store_explicit(&pool->threads[i].share,
                              make_share(job, thread_pool_part_begin(n_parts, i, pool->n_threads),
                                         thread_pool_part_begin(n_parts, i + 1, pool->n_threads)),
                              memory_order_release);
    publish_job(pool);

    run_parts(&pool->threads[0], job);
    for (int i = 0; atomic_load_explicit(&pool->n_done, memory_order_acquire) < n_parts; i++) {
        if (i < SPINS_BEFORE_SLEEP)
            cpu_relax();
        else
            sched_yield();
    }
}
