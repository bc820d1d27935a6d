/* simd_vbmi.h - simd_avx512.h and the words that need AVX-512 VBMI, too: looking up in large
 * tables.
 *
 * Included only by files that end in _vbmi.c. */
#ifndef CORE_KERNELS_SIMD_VBMI_H
#define CORE_KERNELS_SIMD_VBMI_H

#include "core/kernels/simd_avx512.h"

#define SIMD_HAS_GRIDS

/* table[index] */
SIMD struct u8x64 u8x64_look_up256(const uint8_t table[256], struct u8x64 index)
{
    __m512i low = _mm512_permutex2var_epi8(_mm512_loadu_si512(table), index.v,
                                           _mm512_loadu_si512(table + 64));
    __m512i high = _mm512_permutex2var_epi8(_mm512_loadu_si512(table + 128), index.v,
                                            _mm512_loadu_si512(table + 192));
    return (struct u8x64){_mm512_mask_blend_epi8(_mm512_movepi8_mask(index.v), low, high)};
}

/* 8 bytes, eight times. */
SIMD struct u8x64 u8x64_repeat8(const void *p)
{
    return (struct u8x64){_mm512_broadcastq_epi64(_mm_loadl_epi64(p))};
}

/* table[index % 8] of a table that was repeated. */
SIMD struct u8x64 u8x64_look_up8(struct u8x64 table, struct u8x64 index)
{
    return (struct u8x64){_mm512_permutexvar_epi8(index.v, table.v)};
}

/* Of each four bytes byte i, whose bits 2j and 2j + 1 become the lowest of byte j; all others may
 * be anything. */
SIMD struct u8x64 u8x64_spread2(struct u8x64 a, int i)
{
    const long long first = 0x2624222006040200 + 0x0808080808080808 * i;
    return (struct u8x64){_mm512_multishift_epi64_epi8(_mm512_set1_epi64(first), a.v)};
}

/* Bits of b where `mask` has them, else of a. */
SIMD struct u8x64 u8x64_choose(struct u8x64 a, struct u8x64 b, int mask)
{
    enum { FIRST_CHOOSES = 0xca };
    return (struct u8x64){
        _mm512_ternarylogic_epi64(_mm512_set1_epi8((char)mask), b.v, a.v, FIRST_CHOOSES)};
}

#endif
