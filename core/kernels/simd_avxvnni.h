/* simd_avxvnni.h - simd_ymm.h and products of integers for AVX-VNNI, which adds them up in 32 bits
 * as AVX-512 VNNI does.
 *
 * Included only by files that end in _avxvnni.c. */
#ifndef CORE_KERNELS_SIMD_AVXVNNI_H
#define CORE_KERNELS_SIMD_AVXVNNI_H

#include "core/kernels/simd_ymm.h"

SIMD struct i32x16 i32x16_dot(struct i32x16 acc, struct u8x64 u, struct u8x64 s)
{
    return (struct i32x16){_mm256_dpbusd_avx_epi32(acc.low, u.low, s.low),
                           _mm256_dpbusd_avx_epi32(acc.high, u.high, s.high)};
}

enum { SIGNED_OFFSET = 128 };

SIMD struct u8x64 u8x64_hold_signed(struct u8x64 x)
{
    __m256i top = _mm256_set1_epi8((char)0x80);
    return (struct u8x64){_mm256_xor_si256(x.low, top), _mm256_xor_si256(x.high, top)};
}

SIMD struct i32x16 i32x16_dot_signed(struct i32x16 acc, struct u8x64 held, struct u8x64 s)
{
    return i32x16_dot(acc, held, s);
}

struct pairs {
    struct i32x16 v;
};

SIMD int pairs_depth(int max)
{
    (void)max;
    return 8;
}

SIMD struct pairs pairs_zero(void)
{
    return (struct pairs){i32x16_zero()};
}

SIMD struct pairs pairs_dot(struct pairs acc, struct u8x64 u, struct u8x64 s)
{
    return (struct pairs){i32x16_dot(acc.v, u, s)};
}

SIMD struct i32x16 pairs_to(struct i32x16 acc, struct pairs a)
{
    return (struct i32x16){_mm256_add_epi32(acc.low, a.v.low),
                           _mm256_add_epi32(acc.high, a.v.high)};
}

/* Lane i: acc_i + a[2i] b[2i] + a[2i+1] b[2i+1], of 16 bits each. */
SIMD struct i32x16 i32x16_dot_pairs(struct i32x16 acc, struct u8x64 a, struct u8x64 b)
{
    return (struct i32x16){_mm256_dpwssd_avx_epi32(acc.low, a.low, b.low),
                           _mm256_dpwssd_avx_epi32(acc.high, a.high, b.high)};
}

#endif
