/* prefetch.h - bytes that will be read soon, line by line into first-level cache. Any address will
 * do: what is not there is not fetched. Included by files for one instruction set. */
#ifndef CORE_KERNELS_PREFETCH_H
#define CORE_KERNELS_PREFETCH_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* How far ahead of its use a byte of weights is fetched; of units that are fetched as a whole. */
enum { WEIGHTS_AHEAD = 6144, UNITS_AHEAD = 4608 };

static inline __attribute__((always_inline)) void prefetch(const uint8_t *p, size_t n_bytes)
{
#pragma GCC unroll 1
    for (size_t i = 0; i < n_bytes; i += 64)
        _mm_prefetch((const void *)((uintptr_t)p + i), _MM_HINT_T0);
}

#endif
