/* sandbox.h - runs a function in a child process that can compute and nothing else: for what reads
 * bytes that somebody else wrote.
 *
 * The child has no files but standard error and the pipe that its answer goes through, no system
 * calls but those that memory needs (seccomp), and limits of memory and time. Whatever it does to
 * itself, the caller gets a sentence. Owner: the caller. Thread: the only one of the process: the
 * child is a fork. */
#ifndef CORE_BASE_SANDBOX_H
#define CORE_BASE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/* Runs in the child; what it changes is lost with it, but for the result and *err. */
typedef bool sandbox_fn(void *arg, struct err *err);

enum sandbox_confinement {
    SANDBOX_CONFINED,
    SANDBOX_LIMITED, /* the system has no seccomp: the child could call it */
    SANDBOX_ABSENT,  /* there could be no child: fn has not run, and the result is true */
};

/* `max_bytes` of memory beyond what the caller has; `max_seconds` of CPU. False when fn is, and
 * when the child did not live to tell. */
bool sandbox_run(sandbox_fn *fn, void *arg, size_t max_bytes, int max_seconds,
                 enum sandbox_confinement *out_confinement, struct err *err);

#endif
