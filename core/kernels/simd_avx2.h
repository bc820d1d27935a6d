/* simd_avx2.h - simd_ymm.h and products of integers for AVX2, which adds them up in 16 bits first.
 *
 * Included only by files that end in _avx2.c. */
#ifndef CORE_KERNELS_SIMD_AVX2_H
#define CORE_KERNELS_SIMD_AVX2_H

#include "core/kernels/simd_ymm.h"

SIMD __m256i eight_dot(__m256i acc, __m256i u, __m256i s)
{
    __m256i pairs = _mm256_maddubs_epi16(u, s);
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

SIMD struct i32x16 i32x16_dot(struct i32x16 acc, struct u8x64 u, struct u8x64 s)
{
    return (struct i32x16){eight_dot(acc.low, u.low, s.low), eight_dot(acc.high, u.high, s.high)};
}

/* Pairs of products of full 8-bit numbers overflow 16 bits, those of 7-bit sizes do not: the
 * element gives its size, the other factor takes over its sign. */
enum { SIGNED_OFFSET = 0 };

SIMD struct u8x64 u8x64_hold_signed(struct u8x64 x)
{
    return x;
}

SIMD struct i32x16 i32x16_dot_signed(struct i32x16 acc, struct u8x64 held, struct u8x64 s)
{
    struct u8x64 sizes = {_mm256_abs_epi8(held.low), _mm256_abs_epi8(held.high)};
    struct u8x64 signs = {_mm256_sign_epi8(s.low, held.low), _mm256_sign_epi8(s.high, held.high)};
    return i32x16_dot(acc, sizes, signs);
}

/* Sums of neighbouring products in 16 bits. */
struct pairs {
    __m256i low, high;
};

SIMD int pairs_depth(int max)
{
    return INT16_MAX / (2 * 127 * max);
}

SIMD struct pairs pairs_zero(void)
{
    return (struct pairs){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

SIMD struct pairs pairs_dot(struct pairs acc, struct u8x64 u, struct u8x64 s)
{
    acc.low = _mm256_add_epi16(acc.low, _mm256_maddubs_epi16(u.low, s.low));
    acc.high = _mm256_add_epi16(acc.high, _mm256_maddubs_epi16(u.high, s.high));
    /* Left alone, GCC computes all products first, for which there are not the registers. */
    __asm__("" : "+x"(acc.low), "+x"(acc.high));
    return acc;
}

SIMD struct i32x16 pairs_to(struct i32x16 acc, struct pairs a)
{
    __m256i ones = _mm256_set1_epi16(1);
    return (struct i32x16){_mm256_add_epi32(acc.low, _mm256_madd_epi16(a.low, ones)),
                           _mm256_add_epi32(acc.high, _mm256_madd_epi16(a.high, ones))};
}

/* Lane i: acc_i + a[2i] b[2i] + a[2i+1] b[2i+1], of 16 bits each. */
SIMD struct i32x16 i32x16_dot_pairs(struct i32x16 acc, struct u8x64 a, struct u8x64 b)
{
    return (struct i32x16){_mm256_add_epi32(acc.low, _mm256_madd_epi16(a.low, b.low)),
                           _mm256_add_epi32(acc.high, _mm256_madd_epi16(a.high, b.high))};
}

#endif
