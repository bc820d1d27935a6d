/* failing_memory.h - allocations of sinkd's own code that fail when a test wants it (the linker
 * puts these in place of malloc and the like: Makefile). Thread: any. */
#ifndef TESTS_SUPPORT_FAILING_MEMORY_H
#define TESTS_SUPPORT_FAILING_MEMORY_H

#include <stdbool.h>

/* Allocation number `n`, from 1, fails; with `stays` all that follow, too. 0: none does. Counts
 * from 0 again. */
void failing_memory_set(long n, bool stays);
/* Allocations since then, the failed ones too. */
long failing_memory_count(void);

#endif
