/* thread_priority.h - who comes first when more threads are ready than there are CPUs.
 *
 * The threads that compute keep all CPUs busy, for seconds; the one that answers has a little to
 * do, often, and somebody waits for it. Most of this needs no privilege (RLIMIT_NICE allows more),
 * and what the system refuses is done without. Thread: each call is about the calling one, once. */
#ifndef CORE_BASE_THREAD_PRIORITY_H
#define CORE_BASE_THREAD_PRIORITY_H

/* Computes for long: comes after the process's other threads, in longer pieces. */
void thread_priority_compute(void);

/* Answers: may begin as soon as it has something to do. Threads that it starts later would be like
 * it. */
void thread_priority_answer(void);

#endif
