/* fine_ymm.h - products of signed bytes with numbers of 15 bits, for AVX2: as 16 bits both, in
 * pairs.
 *
 * The same words as fine_avx512.h, where their meaning is said. Included after simd_avx2.h or
 * simd_avxvnni.h. */
#ifndef CORE_KERNELS_FINE_YMM_H
#define CORE_KERNELS_FINE_YMM_H

enum fine_sign { FINE_ANY, FINE_POSITIVE };
enum { FINE_MAX = 127 * 257, FINE_WORD_BYTES = 128 };

SIMD __m256i half_even(__m256i a)
{
    return _mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8);
}

SIMD void fine_store(enum fine_sign sign, uint8_t *p, struct u8x64 a)
{
    (void)sign;
    u8x64_store(p, (struct u8x64){half_even(a.low), half_even(a.high)});
    u8x64_store(p + 64, (struct u8x64){_mm256_srai_epi16(a.low, 8), _mm256_srai_epi16(a.high, 8)});
}

/* Of each four 16 bits each, in the order 0, 2, 1, 3: that of even and odd bytes of a word. */
SIMD struct i32x16 f32x16_to_fine(enum fine_sign sign, uint8_t *p, struct f32x16 a)
{
    (void)sign;
    __m256i low = _mm256_cvtps_epi32(_mm256_shuffle_ps(a.low, a.low, 0xd8));
    __m256i high = _mm256_cvtps_epi32(_mm256_shuffle_ps(a.high, a.high, 0xd8));
    __m256i mixed = _mm256_packs_epi32(low, high);
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(mixed, 0xd8));
    return (struct i32x16){low, high};
}

struct fine_sum {
    struct i32x16 v;
};

SIMD struct fine_sum fine_sum_start(enum fine_sign sign, int sum)
{
    (void)sign;
    (void)sum;
    return (struct fine_sum){i32x16_zero()};
}

SIMD void fine_dots(enum fine_sign sign, int H, const uint8_t *word_a, const uint8_t *word_b,
                    const uint8_t *fours, size_t stride, struct fine_sum sums[][2])
{
    (void)sign;
#pragma GCC unroll 2
    for (int odd = 0; odd < 2; odd++) {
        struct u8x64 a = u8x64_load(word_a + 64 * odd), b = u8x64_load(word_b + 64 * odd);
#pragma GCC unroll 16
        for (int h = 0; h < H; h++) {
            struct u8x64 two = u8x64_repeat4(fours + stride * (size_t)h + 4 * odd);
            sums[h][0].v = i32x16_dot_pairs(sums[h][0].v, a, two);
            sums[h][1].v = i32x16_dot_pairs(sums[h][1].v, b, two);
        }
    }
}

SIMD struct f32x16 fine_sum_to_f32(struct fine_sum a)
{
    return i32x16_to_f32(a.v);
}

SIMD void half_interleave4(__m256i out[4], __m256i a, __m256i b, __m256i c, __m256i d)
{
    __m256i low01 = _mm256_unpacklo_epi8(a, b), high01 = _mm256_unpackhi_epi8(a, b);
    __m256i low23 = _mm256_unpacklo_epi8(c, d), high23 = _mm256_unpackhi_epi8(c, d);
    out[0] = _mm256_unpacklo_epi16(low01, low23);
    out[1] = _mm256_unpackhi_epi16(low01, low23);
    out[2] = _mm256_unpacklo_epi16(high01, high23);
    out[3] = _mm256_unpackhi_epi16(high01, high23);
}

SIMD void u8x64_interleave4(struct u8x64 out[4], const struct u8x64 in[4])
{
    __m256i low[4], high[4];
    half_interleave4(low, in[0].low, in[1].low, in[2].low, in[3].low);
    half_interleave4(high, in[0].high, in[1].high, in[2].high, in[3].high);
    for (int j = 0; j < 4; j++)
        out[j] = (struct u8x64){low[j], high[j]};
}

#endif
