#include "server/random_id.h"

#include <stdio.h>
#include <sys/random.h>

#include "core/base/clock.h"

uint64_t random_id_number(void)
{
    uint64_t number = 0;
    /* Requests of up to 256 bytes are never cut short once the pool is ready (getrandom(2)). An
     * error means a kernel or a seccomp filter without the call. */
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        number = (uint64_t)clock_now_ns() * 0x9e3779b97f4a7c15u;
    return number;
}

void random_id_make(char out[RANDOM_ID_SIZE])
{
    snprintf(out, RANDOM_ID_SIZE, "%016llx%016llx", (unsigned long long)random_id_number(),
             (unsigned long long)random_id_number());
}
