/* memory_budget.h - how much memory sessions may use when the operator does not say.
 * Thread: any. */
#ifndef SERVER_MEMORY_BUDGET_H
#define SERVER_MEMORY_BUDGET_H

#include <stddef.h>

/* Half of what the machine, or the container's memory.max, has left beside a model of
 * `model_bytes`. */
size_t memory_budget_for_sessions(size_t model_bytes);
/* Length of a file, 0 when there is none. */
size_t memory_budget_file_bytes(const char *path);

#endif
