/* stripes_vector.h - reading stripes: the writer is stripes.c, which says where everything lies.
 *
 * A word is four neighbouring elements of each of 16 rows, as unsigned bytes u; w = scale * u +
 * base for each row. Many formats are symmetric: their base is -offset * scale with an offset that
 * they all share. Where the CPU multiplies unsigned bytes of any size, u of these is shifted up
 * until the offset is SIGNED_OFFSET: then they are numbers held signed, whose integer sums lose the
 * offset before they are scaled, by starting at block.start. Included after a simd_*.h. */
#ifndef CORE_KERNELS_STRIPES_VECTOR_H
#define CORE_KERNELS_STRIPES_VECTOR_H

#include "core/kernels/quant_tables.h"
#include "core/kernels/stripes.h"

/* Once for each type that is woven, but IQ2_S, which is woven as IQ2_XS is. */
/* clang-format off */
#define FOR_STRIPE_TYPES(DO)                                                    \
    DO(Q4_0, q4_0) DO(Q4_1, q4_1) DO(Q5_0, q5_0) DO(Q5_1, q5_1) DO(Q8_0, q8_0)  \
    DO(Q2_K, q2_k) DO(Q3_K, q3_k) DO(Q4_K, q4_k) DO(Q5_K, q5_k) DO(Q6_K, q6_k)  \
    DO(IQ4_NL, iq4_nl) DO(IQ4_XS, iq4_xs) DO(IQ1_S, iq1_s) DO(IQ1_M, iq1_m)     \
    DO(IQ2_XXS, iq2_xxs) DO(IQ2_XS, iq2_xs) DO(IQ3_XXS, iq3_xxs) DO(IQ3_S, iq3_s) \
    DO(MXFP4, mxfp4)
/* clang-format on */

/* What the inner loop needs to know of weights; the compiler knows all of it. A unit is read in
 * n_parts equal parts, whose addresses differ and nothing else, of n_groups groups of 32. */
struct traits {
    int max;      /* largest u; 0: held signed, without a base */
    int offset;   /* of a symmetric format, a power of 2; else 0 */
    int n_scales; /* for each group: 1 or 2 */
    int n_bits;   /* of a body for each element, rounded up */
    int n_parts;
    int n_groups;
};

/* The numbers that the codes of IQ2_*, IQ3_XXS, IQ1_M and MXFP4 stand for, and how much less they
 * are. */
enum { GRID_OFFSET = 64, IQ1_M_OFFSET = 16, MXFP4_OFFSET = 16 };
static const uint8_t iq2_numbers[16] = {64 + 8, 64 + 25, 64 + 43, 0, 64 - 8, 64 - 25, 64 - 43};
static const uint8_t iq3_numbers[16] = {
    64 + 4, 64 + 12, 64 + 20, 64 + 28, 64 + 36, 64 + 44, 64 + 52, 64 + 62,
    64 - 4, 64 - 12, 64 - 20, 64 - 28, 64 - 36, 64 - 44, 64 - 52, 64 - 62,
};

static const uint8_t iq1_m_numbers[16] = {16 - 7, 16 + 1, 16 + 9, 0, 16 - 9, 16 - 1, 16 + 7};

static const uint8_t mxfp4_numbers[16] = {
    16, 16 + 1, 16 + 2, 16 + 3, 16 + 4, 16 + 6, 16 + 8, 16 + 12,
    16, 16 - 1, 16 - 2, 16 - 3, 16 - 4, 16 - 6, 16 - 8, 16 - 12,
};

/* As the format has them. */
SIMD struct traits format_traits(enum tensor_type type)
{
    switch (type) {
    case TENSOR_Q4_0:
        return (struct traits){15, 8, 1, 4, 1, 1};
    case TENSOR_Q4_1:
        return (struct traits){15, 0, 1, 4, 1, 1};
    case TENSOR_Q5_0:
        return (struct traits){31, 16, 1, 5, 1, 1};
    case TENSOR_Q5_1:
        return (struct traits){31, 0, 1, 5, 1, 1};
    case TENSOR_IQ1_S:
        return (struct traits){2, 0, 1, 2, 2, 4};
    case TENSOR_IQ1_M:
        return (struct traits){IQ1_M_OFFSET + 9, IQ1_M_OFFSET, 2, 3, 2, 4};
    case TENSOR_IQ2_XXS:
        return (struct traits){GRID_OFFSET + 43, GRID_OFFSET, 1, 3, 2, 4};
    case TENSOR_IQ2_XXS_INDICES:
        return (struct traits){GRID_OFFSET + 43, GRID_OFFSET, 1, 2, 2, 4};
    case TENSOR_IQ2_XS:
    case TENSOR_IQ2_S:
        return (struct traits){GRID_OFFSET + 43, GRID_OFFSET, 2, 3, 2, 4};
    case TENSOR_IQ3_XXS:
        return (struct traits){GRID_OFFSET + 62, GRID_OFFSET, 1, 4, 4, 2};
    case TENSOR_Q2_K:
        return (struct traits){3, 0, 2, 2, 2, 4};
    case TENSOR_Q3_K:
        return (struct traits){7, 4, 2, 3, 2, 4};
    case TENSOR_Q4_K:
    case TENSOR_IQ3_S:
        return (struct traits){15, 0, 1, 4, 4, 2};
    case TENSOR_Q5_K:
        return (struct traits){31, 0, 1, 5, 4, 2};
    case TENSOR_Q6_K:
        return (struct traits){63, 32, 2, 6, 2, 4};
    case TENSOR_MXFP4:
        return (struct traits){MXFP4_OFFSET + 12, MXFP4_OFFSET, 1, 4, 1, 1};
    case TENSOR_IQ4_NL:
        return (struct traits){0, SIGNED_OFFSET, 1, 4, 1, 1};
    case TENSOR_IQ4_XS:
        return (struct traits){0, SIGNED_OFFSET, 1, 4, 8, 1};
    default:
        return (struct traits){0, SIGNED_OFFSET, 1, 8, 1, 1};
    }
}

/* How far up u is shifted: w = scale * 2^-raise * (u << raise) + base. */
SIMD int stripe_raise(enum tensor_type type)
{
    const unsigned int offset = (unsigned int)format_traits(type).offset;
    return SIGNED_OFFSET > 0 && offset > 0 ? __builtin_ctz((unsigned int)SIGNED_OFFSET / offset)
                                           : 0;
}

SIMD struct traits stripe_traits(enum tensor_type type)
{
    struct traits traits = format_traits(type);
    if (SIGNED_OFFSET > 0 && traits.offset > 0)
        traits.max = 0;
    return traits;
}

SIMD int bundle_units(struct traits traits, int n_left)
{
    const int unit_len = 32 * traits.n_parts * traits.n_groups;
    return (int)stripe_bundle_units((size_t)unit_len, (size_t)n_left);
}

SIMD struct u8x64 word(const uint8_t *p, int i)
{
    return u8x64_load(p + 64 * i);
}

SIMD struct u8x64 bits(struct u8x64 a, int shift, int mask)
{
    return u8x64_and(u8x64_shift(a, shift), u8x64_set((uint8_t)mask));
}

SIMD struct u8x64 nibbles(struct u8x64 a, int is_high, int raise)
{
    return bits(a, 4 * is_high - raise, 15 << raise);
}

/* Codes of 3 bits, in Q3_K's places. */
SIMD struct u8x64 threes(const uint8_t *body, int part, int g, int k, int raise)
{
    return u8x64_or(bits(word(body, 8 + 8 * part + k), 2 * g - raise, 3 << raise),
                    bits(word(body, 4 * part + k / 2), k % 2 * 4 + g - 2 - raise, 4 << raise));
}

/* Codes of 2 bits, and a third one that is the same for eight numbers. */
SIMD struct u8x64 twos_and_eighths(const uint8_t *body, int part, int g, int k)
{
    return u8x64_or(bits(word(body, 4 + 8 * part + k), 2 * g, 3),
                    bits(word(body, 2 * part + k / 4), k / 2 % 2 * 4 + g - 2, 4));
}

SIMD struct u8x64 look_up(const uint8_t *numbers, struct u8x64 codes, int raise)
{
    return u8x64_look_up(u8x64_shift(u8x64_repeat16(numbers), -raise), codes);
}

#ifdef SIMD_HAS_GRIDS
/* The compiler looks all indices of a group up once for its eight words. */
SIMD struct u8x64 iq2_indexed(const uint8_t *body, int part, int g, int k, int raise)
{
    const struct u8x64 numbers = u8x64_shift(u8x64_repeat8(iq2_numbers), -raise);
    struct u8x64 codes = u8x64_look_up256(iq2_xxs_codes[k % 2], word(body, 8 + 4 * part + g));
    struct u8x64 signs = u8x64_shift(word(body, 4 * part + k / 2), k % 2 * 4 + g - 2);
    return u8x64_look_up8(numbers, u8x64_choose(u8x64_spread2(codes, k / 2), signs, 4));
}
#endif

/* Word k of group g of a part. */
SIMD struct u8x64 stripe_word(enum tensor_type type, const uint8_t *body, int part, int g, int k)
{
    const int at = 8 * part + k, raise = stripe_raise(type);
    switch (type) {
    case TENSOR_Q4_0:
    case TENSOR_Q4_1:
        return nibbles(word(body, k % 4), k / 4, raise);
    case TENSOR_Q5_0:
    case TENSOR_Q5_1:
        return u8x64_or(nibbles(word(body, 1 + k % 4), k / 4, raise),
                        bits(word(body, 0), k - 4 - raise, 16 << raise));
    case TENSOR_Q2_K:
    case TENSOR_IQ1_S:
        return bits(word(body, at), 2 * g, 3);
    case TENSOR_Q3_K:
        return threes(body, part, g, k, raise);
    case TENSOR_IQ2_XXS:
    case TENSOR_IQ2_XS:
    case TENSOR_IQ2_S:
        return look_up(iq2_numbers, threes(body, part, g, k, 0), raise);
    case TENSOR_IQ1_M:
        return look_up(iq1_m_numbers, twos_and_eighths(body, part, g, k), raise);
#ifdef SIMD_HAS_GRIDS
    case TENSOR_IQ2_XXS_INDICES:
        return iq2_indexed(body, part, g, k, raise);
#endif
    case TENSOR_IQ3_XXS:
        return look_up(iq3_numbers, nibbles(word(body, at), g, 0), raise);
    case TENSOR_Q4_K:
    case TENSOR_IQ3_S:
        return nibbles(word(body, at), g, 0);
    case TENSOR_Q5_K:
        return u8x64_or(nibbles(word(body, 8 + at), g, 0),
                        bits(word(body, 2 * part + k / 4), k % 4 * 2 + g - 4, 16));
    case TENSOR_Q6_K:
        return u8x64_or(nibbles(word(body, 16 + 8 * (2 * part + g % 2) + k), g / 2, raise),
                        bits(word(body, at), 2 * g - 4 - raise, 0x30 << raise));
    case TENSOR_MXFP4:
        return look_up(mxfp4_numbers, nibbles(word(body, k % 4), k / 4, 0), raise);
    case TENSOR_IQ4_NL:
    case TENSOR_IQ4_XS:
        return u8x64_look_up(u8x64_hold_signed(u8x64_repeat16(iq4_values)),
                             nibbles(word(body, 4 * part + k % 4), k / 4, 0));
    default:
        return u8x64_hold_signed(word(body, k));
    }
}

/* Of all groups of one unit; with two scales for a group, the second base is the difference to the
 * first, so that it goes with the sum of the last 16 elements. No bases of what is held signed. */
struct unit_scales {
    struct f32x16 scale[16];
    struct f32x16 base[16];
};

SIMD struct f32x16 halves(const uint8_t *head, int i)
{
    return f32x16_from_f16((const uint16_t *)(const void *)(head + 32 * i));
}

/* The factor of all scales, for what is shifted up and `size` times too small. */
SIMD struct f32x16 unit_factor(enum tensor_type type, const uint8_t *head, float size)
{
    const float factor = size / (float)(1 << stripe_raise(type));
    struct f32x16 d = type == TENSOR_MXFP4 ? f32x16_from_bf16((const uint16_t *)(const void *)head)
                                           : halves(head, 0);
    return factor == 1 ? d : f32x16_mul(d, f32x16_set(factor));
}

/* Number i of 16 that have 6 bits each. */
SIMD struct f32x16 six_bits(const uint8_t *p, int i)
{
    if (i < 15)
        return i32x16_to_f32(i32x16_bits(i32x16_load(p + 64 * (i / 5)), 6 * (i % 5), 6));
    struct i32x16 low = i32x16_bits(i32x16_load(p), 30, 2);
    struct i32x16 middle = i32x16_bits(i32x16_load(p + 64), 30, 2);
    struct i32x16 high = i32x16_bits(i32x16_load(p + 128), 30, 2);
    return i32x16_to_f32(
        i32x16_or(low, i32x16_or(i32x16_shift_left(middle, 2), i32x16_shift_left(high, 4))));
}

SIMD void read_scales_q2_k(const uint8_t *head, struct unit_scales *out)
{
    const __m128i low4 = _mm_set1_epi8(15);
    struct f32x16 d = halves(head, 0), minus_dmin = f32x16_sub(f32x16_set(0), halves(head, 1));
    struct f32x16 before = f32x16_set(0);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        __m128i both = _mm_loadu_si128((const __m128i *)(const void *)(head + 64 + 16 * i));
        __m128i high = _mm_and_si128(_mm_srli_epi16(both, 4), low4);
        struct f32x16 min = f32x16_mul(f32x16_from_u8x16(high), minus_dmin);
        out->scale[i] = f32x16_mul(f32x16_from_u8x16(_mm_and_si128(both, low4)), d);
        out->base[i] = i % 2 == 0 ? min : f32x16_sub(min, before);
        before = min;
    }
}

SIMD void read_scales_k(const uint8_t *head, struct unit_scales *out)
{
    struct f32x16 d = halves(head, 0), minus_dmin = f32x16_sub(f32x16_set(0), halves(head, 1));
#pragma GCC unroll 16
    for (int i = 0; i < 8; i++) {
        out->scale[i] = f32x16_mul(six_bits(head + 64, i), d);
        out->base[i] = f32x16_mul(six_bits(head + 64, i + 8), minus_dmin);
    }
}

/* d (s - 32): n scales of 6 bits. */
SIMD void read_signed_sixes(enum tensor_type type, const uint8_t *head, int n,
                            struct unit_scales *out)
{
    struct f32x16 d = unit_factor(type, head, 1);
#pragma GCC unroll 16
    for (int i = 0; i < n; i++)
        out->scale[i] = f32x16_mul(f32x16_sub(six_bits(head + 32, i), f32x16_set(32)), d);
}

SIMD void read_scales_q6_k(const uint8_t *head, struct unit_scales *out)
{
    struct f32x16 d = unit_factor(TENSOR_Q6_K, head, 1);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        out->scale[i] = f32x16_mul(f32x16_from_i8((const int8_t *)(head + 32 + 16 * i)), d);
}

/* d (s + 1/2) size: n scales of 4 bits. */
SIMD void read_grid_scales(enum tensor_type type, const uint8_t *head, int n, float size,
                           struct unit_scales *out)
{
    struct f32x16 d = unit_factor(type, head, size);
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) {
        struct i32x16 four = i32x16_bits(i32x16_load(head + 32 + 64 * (i / 8)), i % 8 * 4, 4);
        out->scale[i] = f32x16_mul(f32x16_add(i32x16_to_f32(four), f32x16_set(0.5f)), d);
    }
}

/* d (2s + 1) with s of 3 bits; the fourth chooses between -9/8 and -7/8 of it. */
SIMD void read_scales_iq1_s(const uint8_t *head, struct unit_scales *out)
{
    struct i32x16 words = i32x16_load(head + 32);
    struct f32x16 d = halves(head, 0);
#pragma GCC unroll 16
    for (int i = 0; i < 8; i++) {
        struct f32x16 s = i32x16_to_f32(i32x16_bits(words, 4 * i, 3));
        struct f32x16 is_less = i32x16_to_f32(i32x16_bits(words, 4 * i + 3, 1));
        out->scale[i] = f32x16_mul(f32x16_fma(s, f32x16_set(2), f32x16_set(1)), d);
        out->base[i] =
            f32x16_mul(out->scale[i], f32x16_fma(is_less, f32x16_set(-0.25f), f32x16_set(-0.875f)));
    }
}

/* base = -offset * scale for n groups. */
SIMD void fill_bases(struct unit_scales *out, int n, int n_scales, float offset)
{
#pragma GCC unroll 16
    for (int i = 0; i < n * n_scales; i++) {
        struct f32x16 scale =
            i % n_scales == 0 ? out->scale[i] : f32x16_sub(out->scale[i], out->scale[i - 1]);
        out->base[i] = f32x16_mul(scale, f32x16_set(-offset));
    }
}

SIMD void read_scales(enum tensor_type type, const uint8_t *head, struct unit_scales *out)
{
    const struct traits traits = stripe_traits(type);
    switch (type) {
    case TENSOR_Q2_K:
        read_scales_q2_k(head, out);
        break;
    case TENSOR_Q3_K:
        read_signed_sixes(type, head, 16, out);
        break;
    case TENSOR_Q4_K:
    case TENSOR_Q5_K:
        read_scales_k(head, out);
        break;
    case TENSOR_Q6_K:
        read_scales_q6_k(head, out);
        break;
    case TENSOR_IQ4_XS:
        read_signed_sixes(type, head, 8, out);
        break;
    case TENSOR_IQ1_S:
        read_scales_iq1_s(head, out);
        break;
    case TENSOR_IQ2_XXS:
    case TENSOR_IQ2_XXS_INDICES:
        read_grid_scales(type, head, 8, 0.25f, out);
        break;
    case TENSOR_IQ1_M:
    case TENSOR_IQ2_XS:
    case TENSOR_IQ2_S:
        read_grid_scales(type, head, 16, 0.25f, out);
        break;
    case TENSOR_IQ3_XXS:
        read_grid_scales(type, head, 8, 0.5f, out);
        break;
    case TENSOR_IQ3_S: /* 2u - 15 */
        read_grid_scales(type, head, 8, 4, out);
        fill_bases(out, 8, 1, 7.5f);
        break;
    case TENSOR_Q4_1:
    case TENSOR_Q5_1:
        out->scale[0] = halves(head, 0);
        out->base[0] = halves(head, 1);
        break;
    default:
        out->scale[0] = unit_factor(type, head, 1);
        break;
    }
    if (traits.max > 0 && traits.offset > 0)
        fill_bases(out, traits.n_parts * traits.n_groups, traits.n_scales, (float)traits.offset);
}

#endif
