/* clock.h - time that never jumps, for deadlines and measurements. Thread: any. */
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds since an arbitrary start, CLOCK_MONOTONIC. */
int64_t clock_now_ns(void);

/* Nanoseconds that the calling thread has computed: does not go on while others have the CPU. */
int64_t clock_thread_ns(void);

#endif
