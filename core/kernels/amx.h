/* amx.h - may this process use the matrix unit of Intel's server CPUs (AMX INT8)? Apart from
 * panel_amx.c, which only CPUs that have it can run. */
#ifndef CORE_KERNELS_AMX_H
#define CORE_KERNELS_AMX_H

#include <stdbool.h>

/* True when the CPU has the unit and Linux lets this process use it, which must be asked for.
 * Thread: main, at start; threads made later may use it too. */
bool amx_allow(void);

#endif
