/* fine_avx512.h - products of signed bytes with numbers of 15 bits, for AVX-512 VNNI.
 *
 * The same words as fine_ymm.h; what a word means is said here. Included only by files that end in
 * _avx512.c. */
#ifndef CORE_KERNELS_FINE_AVX512_H
#define CORE_KERNELS_FINE_AVX512_H

#include "core/kernels/simd_avx512.h"

/* Fine numbers are whole, |x| <= FINE_MAX. They and the bytes are held as the CPU multiplies them
 * best, here as bytes, of which one of two has to be unsigned. A number has two digits of base 256;
 * FINE_MAX is the largest whose high digit is not above 127. Where numbers may be negative, the low
 * digit is -128 .. 127 and stored words are held with SIGNED_OFFSET; else it is 0 .. 255. */
enum fine_sign { FINE_ANY, FINE_POSITIVE };
enum { FINE_MAX = 127 * 257, FINE_WORD_BYTES = 64 };

/* 16 lanes of four bytes each. */
SIMD void fine_store(enum fine_sign sign, uint8_t *p, struct u8x64 a)
{
    u8x64_store(p, sign == FINE_ANY ? u8x64_hold_signed(a) : a);
}

/* Rounds to 32 bytes, 8 for each four; returns the numbers, in any order. */
SIMD struct i32x16 f32x16_to_fine(enum fine_sign sign, uint8_t *p, struct f32x16 a)
{
    const __m512i digits =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 0, 4, 8, 12, 1, 5, 9, 13));
    const __m512i fours = _mm512_setr_epi64(0, 2, 4, 6, 0, 2, 4, 6);
    const __m512i half = _mm512_set1_epi32(128);
    __m512i x = _mm512_cvtps_epi32(a.v), bytes = x;
    if (sign == FINE_ANY) /* a low byte of the sum is 128 more than the digit */
        bytes = _mm512_xor_si512(_mm512_add_epi32(x, half), half);
    bytes = _mm512_permutexvar_epi64(fours, _mm512_shuffle_epi8(bytes, digits));
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_castsi512_si256(bytes));
    return (struct i32x16){x};
}

/* Lane i: the sum of the products of its bytes with fine numbers. */
struct fine_sum {
    __m512i low, high;
};

/* For numbers that add up to `sum`, which matters where they may be negative. The compiler is not
 * to know that many sums begin alike: GCC 12 would let them share a register and move each sum
 * there and back at every step. */
SIMD struct fine_sum fine_sum_start(enum fine_sign sign, int sum)
{
    int offset = sign == FINE_ANY ? -SIGNED_OFFSET * sum : 0;
    struct fine_sum start = {_mm512_set1_epi32(offset), _mm512_setzero_si512()};
    __asm__("" : "+v"(start.low), "+v"(start.high));
    return start;
}

SIMD __m512i fine_dot(enum fine_sign sign, __m512i acc, __m512i word, __m512i four)
{
    return sign == FINE_ANY ? _mm512_dpbusd_epi32(acc, word, four)
                            : _mm512_dpbusd_epi32(acc, four, word);
}

/* For H heads, whose fours lie `stride` bytes apart: adds four numbers times two stored words. */
SIMD void fine_dots(enum fine_sign sign, int H, const uint8_t *word_a, const uint8_t *word_b,
                    const uint8_t *fours, size_t stride, struct fine_sum sums[][2])
{
    __m512i a = _mm512_loadu_si512(word_a), b = _mm512_loadu_si512(word_b);
#pragma GCC unroll 16
    for (int h = 0; h < H; h++) {
        const uint8_t *four = fours + stride * (size_t)h;
        __m512i low = _mm512_set1_epi32((int)load_u32(four));
        __m512i high = _mm512_set1_epi32((int)load_u32(four + 4));
        sums[h][0].low = fine_dot(sign, sums[h][0].low, a, low);
        sums[h][1].low = fine_dot(sign, sums[h][1].low, b, low);
        sums[h][0].high = fine_dot(sign, sums[h][0].high, a, high);
        sums[h][1].high = fine_dot(sign, sums[h][1].high, b, high);
    }
}

SIMD struct f32x16 fine_sum_to_f32(struct fine_sum a)
{
    return (struct f32x16){
        _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32(a.high, 8), a.low))};
}

/* out[j]: of each 16 bytes, elements 4j .. 4j+3 of all four vectors, element by element. */
SIMD void u8x64_interleave4(struct u8x64 out[4], const struct u8x64 in[4])
{
    __m512i low01 = _mm512_unpacklo_epi8(in[0].v, in[1].v);
    __m512i low23 = _mm512_unpacklo_epi8(in[2].v, in[3].v);
    __m512i high01 = _mm512_unpackhi_epi8(in[0].v, in[1].v);
    __m512i high23 = _mm512_unpackhi_epi8(in[2].v, in[3].v);
    out[0].v = _mm512_unpacklo_epi16(low01, low23);
    out[1].v = _mm512_unpackhi_epi16(low01, low23);
    out[2].v = _mm512_unpacklo_epi16(high01, high23);
    out[3].v = _mm512_unpackhi_epi16(high01, high23);
}

#endif
