/* thread_pool.h - splits one job into parts and runs them on all threads at once.
 *
 * Owner: the engine. Thread: one caller at a time; the caller works too, as thread 0.
 * Workers own nothing: a part is a slice of somebody's array for the length of one call. Between
 * jobs that follow closely a worker spins, so that a barrier costs about a microsecond; after a
 * short silence it sleeps, so that an idle daemon uses no CPU. Workers have the priority of
 * threads that compute (thread_priority.h), which their caller should have, too. */
#ifndef CORE_BASE_THREAD_POOL_H
#define CORE_BASE_THREAD_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct thread_pool;

/* Runs part `part` of `n_parts`. `thread` is 0 .. n_threads-1 and names per-thread scratch. */
typedef void thread_pool_fn(void *arg, int part, int n_parts, int thread);

/* Starts n_threads - 1 workers; n_threads is 1 .. 256. */
bool thread_pool_open(struct thread_pool **out, int n_threads, struct err *err);
void thread_pool_close(struct thread_pool **pool);

int thread_pool_size(const struct thread_pool *pool);

/* Runs fn for every part 0 .. n_parts-1, less than 2^20, and returns when all are done. Each thread
 * begins with an equal share of neighbouring parts, the same one in every run, and who is done
 * takes parts from others: more parts than threads even out unequal cores. */
void thread_pool_run(struct thread_pool *pool, thread_pool_fn *fn, void *arg, int n_parts);

/* Where part `part` of n things begins, when they are split into n_parts as equal as can be; that
 * of part n_parts is n. */
static inline int thread_pool_part_begin(int n, int part, int n_parts)
{
    return (int)((int64_t)n * part / n_parts);
}

#endif
