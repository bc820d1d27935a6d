/* simd_ymm.h - vectors of 64 bytes, as two registers each, for AVX2 with FMA and F16C.
 *
 * The vocabulary is explained in simd_avx512.h, but for products of integers, in which the CPUs
 * with these registers differ. Included only by simd_avx2.h and simd_avxvnni.h, which have them. */
#ifndef CORE_KERNELS_SIMD_YMM_H
#define CORE_KERNELS_SIMD_YMM_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/kernels/half.h"

#define SIMD static inline __attribute__((always_inline))

struct f32x16 {
    __m256 low, high;
};
struct i32x16 {
    __m256i low, high;
};
struct u8x64 {
    __m256i low, high;
};

/* 16 registers, two for a vector. */
#define SIMD_TILE_TOKENS 4  /* integer product: 16 rows by as many tokens */
#define SIMD_PANEL_TOKENS 8 /* batches from which on unpacking apart pays */
#define SIMD_TILE_ROWS 2    /* float product: rows by as many tokens */
#define SIMD_TILE_HEADS 2   /* attention: heads by two vectors of integers */
#define SIMD_TILE_SUMS 4    /* attention: rows by fours of heads */
#define SIMD_TILE_PAIRS 2   /* attention: heads by two vectors */

SIMD struct f32x16 f32x16_set(float x)
{
    return (struct f32x16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

SIMD struct f32x16 f32x16_load(const float *p)
{
    return (struct f32x16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

SIMD void f32x16_store(float *p, struct f32x16 a)
{
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
}

/* All bits set in the first n of 8 lanes. */
SIMD __m256i mask_first(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

SIMD struct f32x16 f32x16_load_first(const float *p, int n)
{
    return (struct f32x16){_mm256_maskload_ps(p, mask_first(n)),
                           _mm256_maskload_ps(p + 8, mask_first(n - 8))};
}

SIMD void f32x16_store_first(float *p, struct f32x16 a, int n)
{
    _mm256_maskstore_ps(p, mask_first(n), a.low);
    _mm256_maskstore_ps(p + 8, mask_first(n - 8), a.high);
}

SIMD struct f32x16 f32x16_from_f16(const uint16_t *p)
{
    return (struct f32x16){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                           _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)))};
}

SIMD __m256 eight_from_bf16(const uint16_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

SIMD struct f32x16 f32x16_from_bf16(const uint16_t *p)
{
    return (struct f32x16){eight_from_bf16(p), eight_from_bf16(p + 8)};
}

SIMD struct f32x16 f32x16_from_i8(const int8_t *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return (struct f32x16){
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}

SIMD struct f32x16 f32x16_from_u8x16(__m128i bytes)
{
    return (struct f32x16){
        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}

SIMD struct f32x16 eight_twice(__m256 eight)
{
    return (struct f32x16){
        _mm256_permutevar8x32_ps(eight, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)),
        _mm256_permutevar8x32_ps(eight, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7))};
}

SIMD struct f32x16 f32x16_load_twice(const float *p)
{
    return eight_twice(_mm256_loadu_ps(p));
}

SIMD void f32x16_to_f16(uint16_t *p, struct f32x16 a)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a.low, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(a.high, _MM_FROUND_TO_NEAREST_INT));
}

SIMD __m256i eight_to_bf16(__m256 a)
{
    __m256i bits = _mm256_castps_si256(a);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_blendv_epi8(up, quiet, is_nan), 16);
}

SIMD void f32x16_to_bf16(uint16_t *p, struct f32x16 a)
{
    __m256i mixed = _mm256_packus_epi32(eight_to_bf16(a.low), eight_to_bf16(a.high));
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(mixed, 0xd8));
}

SIMD void f32x16_to_i8(int8_t *p, struct f32x16 a)
{
    __m256i mixed = _mm256_packs_epi32(_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high));
    __m256i words = _mm256_permute4x64_epi64(mixed, 0xd8);
    _mm_storeu_si128((__m128i *)p, _mm_packs_epi16(_mm256_castsi256_si128(words),
                                                   _mm256_extracti128_si256(words, 1)));
}

SIMD struct f32x16 f32x16_add(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

SIMD struct f32x16 f32x16_sub(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

SIMD struct f32x16 f32x16_mul(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

SIMD struct f32x16 f32x16_div(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

SIMD struct f32x16 f32x16_fma(struct f32x16 a, struct f32x16 b, struct f32x16 c)
{
    return (struct f32x16){_mm256_fmadd_ps(a.low, b.low, c.low),
                           _mm256_fmadd_ps(a.high, b.high, c.high)};
}

SIMD struct f32x16 f32x16_fnma(struct f32x16 a, struct f32x16 b, struct f32x16 c)
{
    return (struct f32x16){_mm256_fnmadd_ps(a.low, b.low, c.low),
                           _mm256_fnmadd_ps(a.high, b.high, c.high)};
}

SIMD struct f32x16 f32x16_min(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}

SIMD struct f32x16 f32x16_max(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

SIMD struct f32x16 f32x16_abs(struct f32x16 a)
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    return (struct f32x16){_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}

SIMD struct f32x16 f32x16_round(struct f32x16 a)
{
    return (struct f32x16){_mm256_round_ps(a.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                           _mm256_round_ps(a.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

SIMD __m256 eight_power(__m256 n)
{
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

SIMD struct f32x16 f32x16_scale_by_power(struct f32x16 a, struct f32x16 n)
{
    return (struct f32x16){_mm256_mul_ps(a.low, eight_power(n.low)),
                           _mm256_mul_ps(a.high, eight_power(n.high))};
}

SIMD struct f32x16 f32x16_finite(struct f32x16 a)
{
    __m256 infinity = _mm256_set1_ps(__builtin_inff());
    struct f32x16 size = f32x16_abs(a);
    return (struct f32x16){_mm256_and_ps(a.low, _mm256_cmp_ps(size.low, infinity, _CMP_LT_OQ)),
                           _mm256_and_ps(a.high, _mm256_cmp_ps(size.high, infinity, _CMP_LT_OQ))};
}

SIMD float f32x16_sum(struct f32x16 a)
{
    __m256 eight = _mm256_add_ps(a.low, a.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

SIMD float f32x16_largest(struct f32x16 a)
{
    __m256 eight = _mm256_max_ps(a.low, a.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

SIMD bool f32x16_any_above(struct f32x16 a, struct f32x16 b)
{
    __m256 low = _mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ);
    __m256 high = _mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ);
    return _mm256_movemask_ps(_mm256_or_ps(low, high)) != 0;
}

SIMD struct f32x16 f32x16_range(struct f32x16 a, int begin, int end, float x)
{
    __m256i low = _mm256_andnot_si256(mask_first(begin), mask_first(end));
    __m256i high = _mm256_andnot_si256(mask_first(begin - 8), mask_first(end - 8));
    __m256 xs = _mm256_set1_ps(x);
    return (struct f32x16){_mm256_blendv_ps(xs, a.low, _mm256_castsi256_ps(low)),
                           _mm256_blendv_ps(xs, a.high, _mm256_castsi256_ps(high))};
}

SIMD struct f32x16 f32x16_repeat_of_fours(struct f32x16 a, int j)
{
    struct f32x16 all[4] = {{_mm256_permute_ps(a.low, 0x00), _mm256_permute_ps(a.high, 0x00)},
                            {_mm256_permute_ps(a.low, 0x55), _mm256_permute_ps(a.high, 0x55)},
                            {_mm256_permute_ps(a.low, 0xaa), _mm256_permute_ps(a.high, 0xaa)},
                            {_mm256_permute_ps(a.low, 0xff), _mm256_permute_ps(a.high, 0xff)}};
    return all[j];
}

SIMD void half_transpose_fours(__m256 out[4], __m256 a, __m256 b, __m256 c, __m256 d)
{
    __m256 low01 = _mm256_unpacklo_ps(a, b), high01 = _mm256_unpackhi_ps(a, b);
    __m256 low23 = _mm256_unpacklo_ps(c, d), high23 = _mm256_unpackhi_ps(c, d);
    out[0] = _mm256_shuffle_ps(low01, low23, 0x44);
    out[1] = _mm256_shuffle_ps(low01, low23, 0xee);
    out[2] = _mm256_shuffle_ps(high01, high23, 0x44);
    out[3] = _mm256_shuffle_ps(high01, high23, 0xee);
}

SIMD void f32x16_transpose_fours(struct f32x16 out[4], const struct f32x16 in[4])
{
    __m256 low[4], high[4];
    half_transpose_fours(low, in[0].low, in[1].low, in[2].low, in[3].low);
    half_transpose_fours(high, in[0].high, in[1].high, in[2].high, in[3].high);
    for (int j = 0; j < 4; j++)
        out[j] = (struct f32x16){low[j], high[j]};
}

/* Both halves of a and of b, added up. */
SIMD __m256 half_sum_fours(struct f32x16 a, struct f32x16 b)
{
    __m256 x = _mm256_add_ps(a.low, a.high), y = _mm256_add_ps(b.low, b.high);
    return _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31));
}

SIMD struct f32x16 f32x16_sum_fours(const struct f32x16 in[4])
{
    return (struct f32x16){half_sum_fours(in[0], in[1]), half_sum_fours(in[2], in[3])};
}

SIMD struct f32x16 f32x16_largest_of_fours(const struct f32x16 in[4])
{
    struct f32x16 lanes[4];
    f32x16_transpose_fours(lanes, in);
    struct f32x16 four = f32x16_max(f32x16_max(lanes[0], lanes[1]), f32x16_max(lanes[2], lanes[3]));
    __m256 a = _mm256_max_ps(four.low, four.high);
    a = _mm256_max_ps(a, _mm256_permute2f128_ps(a, a, 0x01));
    return (struct f32x16){a, a};
}

SIMD struct f32x16 f32x16_spread(struct f32x16 a, int i)
{
    __m256 half = i < 2 ? a.low : a.high;
    __m256i first = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    __m256i order = _mm256_add_epi32(first, _mm256_set1_epi32(i % 2 * 4));
    __m256i next = _mm256_add_epi32(order, _mm256_set1_epi32(2));
    return (struct f32x16){_mm256_permutevar8x32_ps(half, order),
                           _mm256_permutevar8x32_ps(half, next)};
}

SIMD struct f32x16 f32x16_even_to_odd(struct f32x16 a)
{
    __m256 zero = _mm256_setzero_ps();
    return (struct f32x16){_mm256_blend_ps(zero, _mm256_moveldup_ps(a.low), 0xaa),
                           _mm256_blend_ps(zero, _mm256_moveldup_ps(a.high), 0xaa)};
}

SIMD void eight_pairs(const float *p, __m256 *even, __m256 *odd)
{
    __m256 a = _mm256_loadu_ps(p), b = _mm256_loadu_ps(p + 8);
    __m256 evens = _mm256_shuffle_ps(a, b, 0x88), odds = _mm256_shuffle_ps(a, b, 0xdd);
    *even = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(evens), 0xd8));
    *odd = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(odds), 0xd8));
}

SIMD void f32x16_load_pairs(const float *p, struct f32x16 *even, struct f32x16 *odd)
{
    eight_pairs(p, &even->low, &odd->low);
    eight_pairs(p + 16, &even->high, &odd->high);
}

SIMD void eight_store_pairs(float *p, __m256 even, __m256 odd)
{
    __m256 low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
    _mm256_storeu_ps(p, _mm256_permute2f128_ps(low, high, 0x20));
    _mm256_storeu_ps(p + 8, _mm256_permute2f128_ps(low, high, 0x31));
}

SIMD void f32x16_store_pairs(float *p, struct f32x16 even, struct f32x16 odd)
{
    eight_store_pairs(p, even.low, odd.low);
    eight_store_pairs(p + 16, even.high, odd.high);
}

SIMD struct i32x16 i32x16_zero(void)
{
    return (struct i32x16){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

SIMD struct i32x16 i32x16_set(int32_t x)
{
    return (struct i32x16){_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}

SIMD struct f32x16 i32x16_to_f32(struct i32x16 a)
{
    return (struct f32x16){_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)};
}

SIMD struct i32x16 i32x16_load(const void *p)
{
    return (struct i32x16){_mm256_loadu_si256(p), _mm256_loadu_si256((const __m256i *)p + 1)};
}

SIMD struct i32x16 i32x16_or(struct i32x16 a, struct i32x16 b)
{
    return (struct i32x16){_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}

SIMD struct i32x16 i32x16_bits(struct i32x16 a, int first, int n)
{
    __m256i mask = _mm256_set1_epi32((1 << n) - 1);
    return (struct i32x16){_mm256_and_si256(_mm256_srli_epi32(a.low, first), mask),
                           _mm256_and_si256(_mm256_srli_epi32(a.high, first), mask)};
}

SIMD struct i32x16 i32x16_shift_left(struct i32x16 a, int n)
{
    return (struct i32x16){_mm256_slli_epi32(a.low, n), _mm256_slli_epi32(a.high, n)};
}

SIMD struct u8x64 u8x64_set(uint8_t x)
{
    return (struct u8x64){_mm256_set1_epi8((char)x), _mm256_set1_epi8((char)x)};
}

SIMD struct u8x64 u8x64_load_halves(const void *p, const void *q)
{
    return (struct u8x64){_mm256_loadu_si256(p), _mm256_loadu_si256(q)};
}

SIMD struct u8x64 u8x64_load(const void *p)
{
    return u8x64_load_halves(p, (const char *)p + 32);
}

SIMD void u8x64_store(void *p, struct u8x64 a)
{
    _mm256_storeu_si256(p, a.low);
    _mm256_storeu_si256((__m256i *)p + 1, a.high);
}

SIMD struct u8x64 u8x64_repeat4(const void *p)
{
    __m256i four = _mm256_set1_epi32((int)load_u32(p));
    return (struct u8x64){four, four};
}

SIMD struct u8x64 u8x64_repeat16(const void *p)
{
    __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128(p));
    return (struct u8x64){twice, twice};
}

SIMD struct u8x64 u8x64_look_up(struct u8x64 table, struct u8x64 index)
{
    return (struct u8x64){_mm256_shuffle_epi8(table.low, index.low),
                          _mm256_shuffle_epi8(table.high, index.high)};
}

SIMD struct u8x64 u8x64_and(struct u8x64 a, struct u8x64 b)
{
    return (struct u8x64){_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}

SIMD struct u8x64 u8x64_add(struct u8x64 a, struct u8x64 b)
{
    return (struct u8x64){_mm256_add_epi8(a.low, b.low), _mm256_add_epi8(a.high, b.high)};
}

SIMD struct u8x64 u8x64_sub(struct u8x64 a, struct u8x64 b)
{
    return (struct u8x64){_mm256_sub_epi8(a.low, b.low), _mm256_sub_epi8(a.high, b.high)};
}

SIMD struct u8x64 u8x64_from_words(const uint64_t low[4], const uint64_t high[4])
{
    return (struct u8x64){_mm256_setr_epi64x((long long)low[0], (long long)low[1],
                                             (long long)low[2], (long long)low[3]),
                          _mm256_setr_epi64x((long long)high[0], (long long)high[1],
                                             (long long)high[2], (long long)high[3])};
}

SIMD struct u8x64 u8x64_xor(struct u8x64 a, struct u8x64 b)
{
    return (struct u8x64){_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)};
}

SIMD struct u8x64 u8x64_or(struct u8x64 a, struct u8x64 b)
{
    return (struct u8x64){_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}

SIMD __m256i half_shift(__m256i a, int count)
{
    return count < 0 ? _mm256_slli_epi16(a, -count) : _mm256_srli_epi16(a, count);
}

SIMD struct u8x64 u8x64_shift(struct u8x64 a, int count)
{
    return (struct u8x64){half_shift(a.low, count), half_shift(a.high, count)};
}

/* 8 rows of 32 bytes to 8 columns of four bytes; columns lie 64 bytes apart. */
SIMD void transpose_quarter(uint8_t *out, const uint8_t *in, size_t stride)
{
    __m256i a[8], b[8];
    for (int i = 0; i < 8; i++)
        a[i] = _mm256_loadu_si256((const __m256i *)(in + (size_t)i * stride));
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        a[i] = _mm256_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm256_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm256_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    for (int c = 0; c < 4; c++) {
        _mm256_storeu_si256((__m256i *)(out + 64 * c),
                            _mm256_permute2x128_si256(a[c], a[4 + c], 0x20));
        _mm256_storeu_si256((__m256i *)(out + 64 * (4 + c)),
                            _mm256_permute2x128_si256(a[c], a[4 + c], 0x31));
    }
}

SIMD void u8x64_transpose(uint8_t *out, const uint8_t *in, size_t stride)
{
    for (int row = 0; row < 2; row++)
        for (int column = 0; column < 2; column++)
            transpose_quarter(out + column * 8 * 64 + row * 32,
                              in + (size_t)row * 8 * stride + column * 32, stride);
}

#endif
