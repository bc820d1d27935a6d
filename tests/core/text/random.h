/* random.h - the same numbers on every run and every libc. */
#ifndef TESTS_CORE_TEXT_RANDOM_H
#define TESTS_CORE_TEXT_RANDOM_H

#include <stdint.h>

/* 0 .. n-1; the state is any number but 0 (xorshift, Marsaglia 2003). */
static inline int random_below(uint32_t *state, int n)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return (int)((uint64_t)*state * (uint32_t)n >> 32);
}

#endif
