#include "core/base/thread_priority.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    /* A thread that answers gets three times the share of one that computes, and where it may have
     * more, nine times: then hardly ever one that computes is owed the CPU when there is something
     * to answer. */
    COMPUTE_NICE = 5,
    ANSWER_NICE = -5,
    MOST_NICE = 19,
    LEAST_NICE = -20,
    /* The kernel's bounds are 0.1 ms and 100 ms. Who asks for short pieces interrupts who asked for
     * long ones (from Linux 6.12 on; older kernels overlook it). */
    COMPUTE_PIECE_US = 20000,
    ANSWER_PIECE_US = 100,
};

static bool set(int nice, int piece_us)
{
    struct sched_attr attr = {
        .size = sizeof attr,
        .sched_policy = SCHED_NORMAL,
        .sched_nice = nice,
        .sched_runtime = (uint64_t)piece_us * 1000,
    };
    /* A policy that somebody chose for the whole daemon (CPUSchedulingPolicy=, chrt) is kept. */
    return (syscall(SYS_sched_getscheduler, 0) == SCHED_NORMAL &&
            syscall(SYS_sched_setattr, 0, &attr, 0) == 0) ||
           setpriority(PRIO_PROCESS, 0, nice) == 0;
}

void thread_priority_compute(void)
{
    int nice = getpriority(PRIO_PROCESS, 0) + COMPUTE_NICE;
    set(nice < MOST_NICE ? nice : MOST_NICE, COMPUTE_PIECE_US);
}

void thread_priority_answer(void)
{
    int before = getpriority(PRIO_PROCESS, 0);
    int nice = before + ANSWER_NICE;
    if (!set(nice > LEAST_NICE ? nice : LEAST_NICE, ANSWER_PIECE_US))
        set(before, ANSWER_PIECE_US);
}
