/* simd_avx512.h - vectors of 64 bytes for AVX-512 F, BW, VL, DQ and VNNI.
 *
 * The same small vocabulary as simd_ymm.h, so that the kernels (*_vector.h) are written once. What
 * a word means is said here. Included only by files that end in _avx512.c. */
#ifndef CORE_KERNELS_SIMD_AVX512_H
#define CORE_KERNELS_SIMD_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kernels/half.h"

#define SIMD static inline __attribute__((always_inline))

struct f32x16 {
    __m512 v;
};
struct i32x16 {
    __m512i v;
};
struct u8x64 {
    __m512i v;
};

/* Sizes of register tiles: 32 registers of one vector each. */
#define SIMD_TILE_TOKENS 16  /* integer product: 16 rows by as many tokens */
#define SIMD_PANEL_TOKENS 64 /* batches from which on unpacking apart pays */
#define SIMD_TILE_ROWS 4     /* float product: rows by as many tokens */
#define SIMD_TILE_HEADS 4    /* attention: heads by two vectors of integers */
#define SIMD_TILE_SUMS 16    /* attention: rows by fours of heads */
#define SIMD_TILE_PAIRS 8    /* attention: heads by two vectors */

/* Some of these CPUs have what simd_vbmi.h needs. */
#define SIMD_MAY_HAVE_GRIDS

SIMD struct f32x16 f32x16_set(float x)
{
    return (struct f32x16){_mm512_set1_ps(x)};
}

SIMD struct f32x16 f32x16_load(const float *p)
{
    return (struct f32x16){_mm512_loadu_ps(p)};
}

SIMD void f32x16_store(float *p, struct f32x16 a)
{
    _mm512_storeu_ps(p, a.v);
}

/* The first n of 16; the others are 0 when loaded and untouched when stored. */
SIMD struct f32x16 f32x16_load_first(const float *p, int n)
{
    return (struct f32x16){_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p)};
}

SIMD void f32x16_store_first(float *p, struct f32x16 a, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a.v);
}

SIMD struct f32x16 f32x16_from_f16(const uint16_t *p)
{
    return (struct f32x16){_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p))};
}

SIMD struct f32x16 f32x16_from_bf16(const uint16_t *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return (struct f32x16){_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}

SIMD struct f32x16 f32x16_from_i8(const int8_t *p)
{
    __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
    return (struct f32x16){_mm512_cvtepi32_ps(wide)};
}

SIMD struct f32x16 f32x16_from_u8x16(__m128i bytes)
{
    return (struct f32x16){_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))};
}

/* p0 p0 p1 p1 ... p7 p7 */
SIMD struct f32x16 f32x16_load_twice(const float *p)
{
    __m512i order = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    __m512 eight = _mm512_castps256_ps512(_mm256_loadu_ps(p));
    return (struct f32x16){_mm512_permutexvar_ps(order, eight)};
}

SIMD void f32x16_to_f16(uint16_t *p, struct f32x16 a)
{
    __m256i halves = _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_storeu_si256((__m256i *)p, halves);
}

SIMD void f32x16_to_bf16(uint16_t *p, struct f32x16 a)
{
    __m512i bits = _mm512_castps_si512(a.v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __mmask16 is_nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
    __m512i rounded = _mm512_mask_or_epi32(up, is_nan, bits, _mm512_set1_epi32(0x400000));
    __m256i halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
    _mm256_storeu_si256((__m256i *)p, halves);
}

/* Rounds to nearest; the caller keeps |a| <= 127. */
SIMD void f32x16_to_i8(int8_t *p, struct f32x16 a)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v)));
}

SIMD struct f32x16 f32x16_add(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm512_add_ps(a.v, b.v)};
}

SIMD struct f32x16 f32x16_sub(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm512_sub_ps(a.v, b.v)};
}

SIMD struct f32x16 f32x16_mul(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm512_mul_ps(a.v, b.v)};
}

SIMD struct f32x16 f32x16_div(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm512_div_ps(a.v, b.v)};
}

/* a * b + c */
SIMD struct f32x16 f32x16_fma(struct f32x16 a, struct f32x16 b, struct f32x16 c)
{
    return (struct f32x16){_mm512_fmadd_ps(a.v, b.v, c.v)};
}

/* c - a * b */
SIMD struct f32x16 f32x16_fnma(struct f32x16 a, struct f32x16 b, struct f32x16 c)
{
    return (struct f32x16){_mm512_fnmadd_ps(a.v, b.v, c.v)};
}

/* A NaN in b comes through; one in a does not. */
SIMD struct f32x16 f32x16_min(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm512_min_ps(a.v, b.v)};
}

SIMD struct f32x16 f32x16_max(struct f32x16 a, struct f32x16 b)
{
    return (struct f32x16){_mm512_max_ps(a.v, b.v)};
}

SIMD struct f32x16 f32x16_abs(struct f32x16 a)
{
    return (struct f32x16){_mm512_abs_ps(a.v)};
}

SIMD struct f32x16 f32x16_round(struct f32x16 a)
{
    return (struct f32x16){
        _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

/* a * 2^n for whole n in -126 .. 127 */
SIMD struct f32x16 f32x16_scale_by_power(struct f32x16 a, struct f32x16 n)
{
    return (struct f32x16){_mm512_scalef_ps(a.v, n.v)};
}

/* Infinities and NaN become 0. */
SIMD struct f32x16 f32x16_finite(struct f32x16 a)
{
    __mmask16 is_finite =
        _mm512_cmp_ps_mask(_mm512_abs_ps(a.v), _mm512_set1_ps(__builtin_inff()), _CMP_LT_OQ);
    return (struct f32x16){_mm512_maskz_mov_ps(is_finite, a.v)};
}

SIMD float f32x16_sum(struct f32x16 a)
{
    return _mm512_reduce_add_ps(a.v);
}

SIMD float f32x16_largest(struct f32x16 a)
{
    return _mm512_reduce_max_ps(a.v);
}

SIMD bool f32x16_any_above(struct f32x16 a, struct f32x16 b)
{
    return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ) != 0;
}

/* Lanes begin .. end-1; x in place of the others. */
SIMD struct f32x16 f32x16_range(struct f32x16 a, int begin, int end, float x)
{
    __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __mmask16 is_inside = _mm512_mask_cmplt_epi32_mask(
        _mm512_cmpge_epi32_mask(lane, _mm512_set1_epi32(begin)), lane, _mm512_set1_epi32(end));
    return (struct f32x16){_mm512_mask_mov_ps(_mm512_set1_ps(x), is_inside, a.v)};
}

/* Element j of each four, four times. */
SIMD struct f32x16 f32x16_repeat_of_fours(struct f32x16 a, int j)
{
    return (struct f32x16){j == 0   ? _mm512_permute_ps(a.v, 0x00)
                           : j == 1 ? _mm512_permute_ps(a.v, 0x55)
                           : j == 2 ? _mm512_permute_ps(a.v, 0xaa)
                                    : _mm512_permute_ps(a.v, 0xff)};
}

/* Element i of four j becomes element j of four i, fours of all vectors apart. */
SIMD void f32x16_transpose_fours(struct f32x16 out[4], const struct f32x16 in[4])
{
    __m512 low01 = _mm512_unpacklo_ps(in[0].v, in[1].v);
    __m512 low23 = _mm512_unpacklo_ps(in[2].v, in[3].v);
    __m512 high01 = _mm512_unpackhi_ps(in[0].v, in[1].v);
    __m512 high23 = _mm512_unpackhi_ps(in[2].v, in[3].v);
    out[0].v = _mm512_shuffle_ps(low01, low23, 0x44);
    out[1].v = _mm512_shuffle_ps(low01, low23, 0xee);
    out[2].v = _mm512_shuffle_ps(high01, high23, 0x44);
    out[3].v = _mm512_shuffle_ps(high01, high23, 0xee);
}

/* Four i: the sum of the fours of vector i. */
SIMD struct f32x16 f32x16_sum_fours(const struct f32x16 in[4])
{
    __m512 a = _mm512_add_ps(_mm512_shuffle_f32x4(in[0].v, in[1].v, 0x44),
                             _mm512_shuffle_f32x4(in[0].v, in[1].v, 0xee));
    __m512 b = _mm512_add_ps(_mm512_shuffle_f32x4(in[2].v, in[3].v, 0x44),
                             _mm512_shuffle_f32x4(in[2].v, in[3].v, 0xee));
    return (struct f32x16){
        _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd))};
}

/* Lane h of each four: the largest lane of vector h. */
SIMD struct f32x16 f32x16_largest_of_fours(const struct f32x16 in[4])
{
    struct f32x16 lanes[4];
    f32x16_transpose_fours(lanes, in);
    __m512 a =
        _mm512_max_ps(_mm512_max_ps(lanes[0].v, lanes[1].v), _mm512_max_ps(lanes[2].v, lanes[3].v));
    a = _mm512_max_ps(a, _mm512_shuffle_f32x4(a, a, 0x4e));
    return (struct f32x16){_mm512_max_ps(a, _mm512_shuffle_f32x4(a, a, 0xb1))};
}

/* Elements 4i .. 4i+3, each four times: from one number per 16 bytes to lanes of dot sums. */
SIMD struct f32x16 f32x16_spread(struct f32x16 a, int i)
{
    __m512i order =
        _mm512_add_epi32(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
                         _mm512_set1_epi32(4 * i));
    return (struct f32x16){_mm512_permutexvar_ps(order, a.v)};
}

/* Even lanes moved to the odd ones, and 0 in their place. */
SIMD struct f32x16 f32x16_even_to_odd(struct f32x16 a)
{
    return (struct f32x16){_mm512_maskz_moveldup_ps(0xaaaa, a.v)};
}

/* even0 odd0 even1 odd1 ... of 32 neighbours, and back. */
SIMD void f32x16_load_pairs(const float *p, struct f32x16 *even, struct f32x16 *odd)
{
    __m512i evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    __m512i odds = _mm512_add_epi32(evens, _mm512_set1_epi32(1));
    __m512 low = _mm512_loadu_ps(p), high = _mm512_loadu_ps(p + 16);
    even->v = _mm512_permutex2var_ps(low, evens, high);
    odd->v = _mm512_permutex2var_ps(low, odds, high);
}

SIMD void f32x16_store_pairs(float *p, struct f32x16 even, struct f32x16 odd)
{
    __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    _mm512_storeu_ps(p, _mm512_permutex2var_ps(even.v, low, odd.v));
    _mm512_storeu_ps(p + 16, _mm512_permutex2var_ps(even.v, high, odd.v));
}

SIMD struct i32x16 i32x16_zero(void)
{
    return (struct i32x16){_mm512_setzero_si512()};
}

SIMD struct i32x16 i32x16_set(int32_t x)
{
    return (struct i32x16){_mm512_set1_epi32(x)};
}

SIMD struct f32x16 i32x16_to_f32(struct i32x16 a)
{
    return (struct f32x16){_mm512_cvtepi32_ps(a.v)};
}

/* Lane i of the result: acc_i + u[4i] s[4i] + ... + u[4i+3] s[4i+3], u unsigned, s signed. Here any
 * u will do; where the instruction saturates, u must stay below 128 or be SIGNED, see below. */
SIMD struct i32x16 i32x16_dot(struct i32x16 acc, struct u8x64 u, struct u8x64 s)
{
    return (struct i32x16){_mm512_dpbusd_epi32(acc.v, u.v, s.v)};
}

/* Signed numbers are held as the CPU likes best: here unsigned with this offset, u = x +
 * SIGNED_OFFSET. An offset of 0 says that they are held as they are. */
enum { SIGNED_OFFSET = 128 };

SIMD struct u8x64 u8x64_hold_signed(struct u8x64 x)
{
    return (struct u8x64){_mm512_xor_si512(x.v, _mm512_set1_epi8((char)0x80))};
}

SIMD struct i32x16 i32x16_dot_signed(struct i32x16 acc, struct u8x64 held, struct u8x64 s)
{
    return i32x16_dot(acc, held, s);
}

/* Products on their way to i32x16, in as many bits as the CPU adds most cheaply. Here that is 32
 * already; where it is 16, a sum holds pairs_depth(max) dots of u <= max before pairs_to must be
 * called. */
struct pairs {
    __m512i v;
};

SIMD int pairs_depth(int max)
{
    (void)max;
    return 8;
}

SIMD struct pairs pairs_zero(void)
{
    return (struct pairs){_mm512_setzero_si512()};
}

SIMD struct pairs pairs_dot(struct pairs acc, struct u8x64 u, struct u8x64 s)
{
    return (struct pairs){_mm512_dpbusd_epi32(acc.v, u.v, s.v)};
}

SIMD struct i32x16 pairs_to(struct i32x16 acc, struct pairs a)
{
    return (struct i32x16){_mm512_add_epi32(acc.v, a.v)};
}

SIMD struct i32x16 i32x16_load(const void *p)
{
    return (struct i32x16){_mm512_loadu_si512(p)};
}

SIMD struct i32x16 i32x16_or(struct i32x16 a, struct i32x16 b)
{
    return (struct i32x16){_mm512_or_si512(a.v, b.v)};
}

/* n bits of each lane, from bit `first` on. */
SIMD struct i32x16 i32x16_bits(struct i32x16 a, int first, int n)
{
    return (struct i32x16){_mm512_and_si512(_mm512_srli_epi32(a.v, (unsigned int)first),
                                            _mm512_set1_epi32((1 << n) - 1))};
}

SIMD struct i32x16 i32x16_shift_left(struct i32x16 a, int n)
{
    return (struct i32x16){_mm512_slli_epi32(a.v, (unsigned int)n)};
}

SIMD struct u8x64 u8x64_set(uint8_t x)
{
    return (struct u8x64){_mm512_set1_epi8((char)x)};
}

SIMD struct u8x64 u8x64_load(const void *p)
{
    return (struct u8x64){_mm512_loadu_si512(p)};
}

SIMD void u8x64_store(void *p, struct u8x64 a)
{
    _mm512_storeu_si512(p, a.v);
}

/* Four bytes, sixteen times. */
SIMD struct u8x64 u8x64_repeat4(const void *p)
{
    return (struct u8x64){_mm512_set1_epi32((int)load_u32(p))};
}

/* 16 bytes, four times. */
SIMD struct u8x64 u8x64_repeat16(const void *p)
{
    return (struct u8x64){_mm512_broadcast_i32x4(_mm_loadu_si128(p))};
}

/* table[index] within each 16 bytes; indices are 0 .. 15. */
SIMD struct u8x64 u8x64_look_up(struct u8x64 table, struct u8x64 index)
{
    return (struct u8x64){_mm512_shuffle_epi8(table.v, index.v)};
}

SIMD struct u8x64 u8x64_and(struct u8x64 a, struct u8x64 b)
{
    return (struct u8x64){_mm512_and_si512(a.v, b.v)};
}

SIMD struct u8x64 u8x64_add(struct u8x64 a, struct u8x64 b)
{
    return (struct u8x64){_mm512_add_epi8(a.v, b.v)};
}

SIMD struct u8x64 u8x64_sub(struct u8x64 a, struct u8x64 b)
{
    return (struct u8x64){_mm512_sub_epi8(a.v, b.v)};
}

/* Eight bytes from each of eight words, the lowest first. */
SIMD struct u8x64 u8x64_from_words(const uint64_t low[4], const uint64_t high[4])
{
    return (struct u8x64){_mm512_setr_epi64(
        (long long)low[0], (long long)low[1], (long long)low[2], (long long)low[3],
        (long long)high[0], (long long)high[1], (long long)high[2], (long long)high[3])};
}

SIMD struct u8x64 u8x64_xor(struct u8x64 a, struct u8x64 b)
{
    return (struct u8x64){_mm512_xor_si512(a.v, b.v)};
}

SIMD struct u8x64 u8x64_or(struct u8x64 a, struct u8x64 b)
{
    return (struct u8x64){_mm512_or_si512(a.v, b.v)};
}

/* To the right, or to the left when negative. Bits cross bytes: mask afterwards. */
SIMD struct u8x64 u8x64_shift(struct u8x64 a, int count)
{
    return (struct u8x64){count < 0 ? _mm512_slli_epi16(a.v, -count)
                                    : _mm512_srli_epi16(a.v, count)};
}

/* Quarter q: the 16 bytes at p + q * stride. Loads into masked quarters take no shuffle. */
SIMD __m512i load_quarters(const uint8_t *p, size_t stride)
{
    __m512i a = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)p));
    for (int q = 1; q < 4; q++) {
        __m128i quarter = _mm_loadu_si128((const __m128i *)(p + stride * (size_t)q));
        a = _mm512_mask_broadcast_i32x4(a, (__mmask16)(0xf << 4 * q), quarter);
    }
    return a;
}

/* 16 rows of 64 bytes, `stride` bytes apart, to 16 columns of four bytes: out[c][r] = in[r][c]. */
SIMD void u8x64_transpose(uint8_t *out, const uint8_t *in, size_t stride)
{
    for (int c = 0; c < 4; c++, in += 16, out += 4 * 64) {
        __m512i a[4]; /* quarter q of a[i]: columns 4c .. 4c+3 of row 4q + i */
        for (int i = 0; i < 4; i++)
            a[i] = load_quarters(in + stride * (size_t)i, 4 * stride);
        __m512i low01 = _mm512_unpacklo_epi32(a[0], a[1]);
        __m512i low23 = _mm512_unpacklo_epi32(a[2], a[3]);
        __m512i high01 = _mm512_unpackhi_epi32(a[0], a[1]);
        __m512i high23 = _mm512_unpackhi_epi32(a[2], a[3]);
        _mm512_storeu_si512(out, _mm512_unpacklo_epi64(low01, low23));
        _mm512_storeu_si512(out + 64, _mm512_unpackhi_epi64(low01, low23));
        _mm512_storeu_si512(out + 128, _mm512_unpacklo_epi64(high01, high23));
        _mm512_storeu_si512(out + 192, _mm512_unpackhi_epi64(high01, high23));
    }
}

#endif
