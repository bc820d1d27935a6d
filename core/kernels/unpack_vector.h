/* unpack_vector.h - every quantized format in one canonical form.
 *
 * A unit is 256 neighbouring elements of one row, in order, as w = scale * u + base with one scale
 * and base for each 16: u are unsigned bytes small enough for i32x16_dot, or, for formats that need
 * all 8 bits, what u8x64_hold_signed makes of them. Formats with 32 elements to a scale say the
 * same scale twice. Reading is in whole units: the caller copies the last blocks of a row that is
 * not a whole number of units to a place of its own. Included after a simd_*.h. */
#ifndef CORE_KERNELS_UNPACK_VECTOR_H
#define CORE_KERNELS_UNPACK_VECTOR_H

#include "core/kernels/quant_tables.h"
#include "core/kernels/tensor_type.h"

enum { UNIT = 256 };

struct unit {
    struct u8x64 u[4];
    struct f32x16 scale;
    struct f32x16 base;
};

SIMD float unpack_f16(const uint8_t *p)
{
    return _cvtsh_ss(load_u16(p));
}

/* Four bits for each element of two blocks; elements 0..15 in the low nibbles. */
SIMD struct u8x64 unpack_nibbles(const uint8_t *p, const uint8_t *q)
{
    struct u8x64 shifted = u8x64_shift_odd_quarters(u8x64_load_quarters(p, q));
    return u8x64_and(shifted, u8x64_set(15));
}

SIMD struct unit unpack_q4_0(const uint8_t *p)
{
    enum { BYTES = 18 };
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++, p += 2 * BYTES)
        unit.u[i] = unpack_nibbles(p + 2, p + BYTES + 2);
    unit.scale = f32x16_from_f16_twice(p - 8 * BYTES, BYTES);
    unit.base = f32x16_mul(unit.scale, f32x16_set(-8));
    return unit;
}

SIMD struct unit unpack_q4_1(const uint8_t *p)
{
    enum { BYTES = 20 };
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++, p += 2 * BYTES)
        unit.u[i] = unpack_nibbles(p + 4, p + BYTES + 4);
    unit.scale = f32x16_from_f16_twice(p - 8 * BYTES, BYTES);
    unit.base = f32x16_from_f16_twice(p - 8 * BYTES + 2, BYTES);
    return unit;
}

SIMD struct u8x64 unpack_five_bits(const uint8_t *p, const uint8_t *q)
{
    uint64_t high = load_u32(p) | (uint64_t)load_u32(q) << 32;
    return u8x64_or(unpack_nibbles(p + 4, q + 4), u8x64_from_bits(high, 16));
}

SIMD struct unit unpack_q5_0(const uint8_t *p)
{
    enum { BYTES = 22 };
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++, p += 2 * BYTES)
        unit.u[i] = unpack_five_bits(p + 2, p + BYTES + 2);
    unit.scale = f32x16_from_f16_twice(p - 8 * BYTES, BYTES);
    unit.base = f32x16_mul(unit.scale, f32x16_set(-16));
    return unit;
}

SIMD struct unit unpack_q5_1(const uint8_t *p)
{
    enum { BYTES = 24 };
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++, p += 2 * BYTES)
        unit.u[i] = unpack_five_bits(p + 4, p + BYTES + 4);
    unit.scale = f32x16_from_f16_twice(p - 8 * BYTES, BYTES);
    unit.base = f32x16_from_f16_twice(p - 8 * BYTES + 2, BYTES);
    return unit;
}

SIMD struct unit unpack_q8_0(const uint8_t *p)
{
    enum { BYTES = 34 };
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++, p += 2 * BYTES)
        unit.u[i] = u8x64_hold_signed(u8x64_load_halves(p + 2, p + BYTES + 2));
    unit.scale = f32x16_from_f16_twice(p - 8 * BYTES, BYTES);
    unit.base = f32x16_mul(unit.scale, f32x16_set(-SIGNED_OFFSET));
    return unit;
}

/* 2-bit elements of Q2_K and Q3_K: 64 of them, of which both halves share 32 bytes. */
SIMD struct u8x64 unpack_two_bits(const uint8_t *p, int i)
{
    struct u8x64 bytes = u8x64_load_twice(p + i / 2 * 32);
    return u8x64_and(u8x64_shift_halves(bytes, i % 2 * 4, i % 2 * 4 + 2), u8x64_set(3));
}

SIMD struct unit unpack_q2_k(const uint8_t *p)
{
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++)
        unit.u[i] = unpack_two_bits(p + 16, i);
    __m128i bytes = _mm_loadu_si128((const __m128i *)p), low4 = _mm_set1_epi8(15);
    __m128i scales = _mm_and_si128(bytes, low4);
    __m128i mins = _mm_and_si128(_mm_srli_epi16(bytes, 4), low4);
    unit.scale = f32x16_mul(f32x16_from_u8x16(scales), f32x16_set(unpack_f16(p + 80)));
    unit.base = f32x16_mul(f32x16_from_u8x16(mins), f32x16_set(-unpack_f16(p + 82)));
    return unit;
}

SIMD struct unit unpack_q3_k(const uint8_t *p)
{
    uint32_t low0 = load_u32(p + 96), low1 = load_u32(p + 100), high = load_u32(p + 104);
    __m128i words = _mm_setr_epi32((int)((low0 & 0x0f0f0f0f) | (high << 4 & 0x30303030)),
                                   (int)((low1 & 0x0f0f0f0f) | (high << 2 & 0x30303030)),
                                   (int)((low0 >> 4 & 0x0f0f0f0f) | (high & 0x30303030)),
                                   (int)((low1 >> 4 & 0x0f0f0f0f) | (high >> 2 & 0x30303030)));
    struct u8x64 high_bits = u8x64_load_twice(p);
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        struct u8x64 fours = u8x64_shift_halves(high_bits, 2 * i - 2, 2 * i - 1);
        unit.u[i] = u8x64_or(unpack_two_bits(p + 32, i), u8x64_and(fours, u8x64_set(4)));
    }
    struct f32x16 scales = f32x16_sub(f32x16_from_u8x16(words), f32x16_set(32));
    unit.scale = f32x16_mul(scales, f32x16_set(unpack_f16(p + 108)));
    unit.base = f32x16_mul(unit.scale, f32x16_set(-4));
    return unit;
}

/* Q4_K and Q5_K: eight scales and eight minima of 6 bits in 12 bytes. */
SIMD void unpack_scales_k(const uint8_t *p, struct unit *unit)
{
    uint32_t a = load_u32(p + 4), b = load_u32(p + 8), c = load_u32(p + 12);
    uint64_t scales = (a & 0x3f3f3f3f) | (uint64_t)((c & 0x0f0f0f0f) | (a >> 2 & 0x30303030)) << 32;
    uint64_t mins = (b & 0x3f3f3f3f) | (uint64_t)((c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030))
                                           << 32;
    unit->scale = f32x16_mul(f32x16_from_u8_twice(scales), f32x16_set(unpack_f16(p)));
    unit->base = f32x16_mul(f32x16_from_u8_twice(mins), f32x16_set(-unpack_f16(p + 2)));
}

SIMD struct u8x64 unpack_nibbles_k(const uint8_t *p)
{
    return u8x64_and(u8x64_shift_halves(u8x64_load_twice(p), 0, 4), u8x64_set(15));
}

SIMD struct unit unpack_q4_k(const uint8_t *p)
{
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++)
        unit.u[i] = unpack_nibbles_k(p + 16 + 32 * i);
    unpack_scales_k(p, &unit);
    return unit;
}

SIMD struct unit unpack_q5_k(const uint8_t *p)
{
    struct u8x64 high_bits = u8x64_load_twice(p + 16);
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        struct u8x64 sixteens = u8x64_shift_halves(high_bits, 2 * i - 4, 2 * i - 3);
        unit.u[i] = u8x64_or(unpack_nibbles_k(p + 48 + 32 * i), u8x64_and(sixteens, u8x64_set(16)));
    }
    unpack_scales_k(p, &unit);
    return unit;
}

SIMD struct unit unpack_q6_k(const uint8_t *p)
{
    struct unit unit;
#pragma GCC unroll 16
    for (int half = 0; half < 2; half++) {
        struct u8x64 low = u8x64_load(p + 64 * half);
        struct u8x64 high = u8x64_load_twice(p + 128 + 32 * half);
#pragma GCC unroll 16
        for (int i = 0; i < 2; i++) {
            struct u8x64 fours = u8x64_and(u8x64_shift_halves(low, 4 * i, 4 * i), u8x64_set(15));
            struct u8x64 twos = u8x64_shift_halves(high, 4 * i - 4, 4 * i - 2);
            unit.u[2 * half + i] = u8x64_or(fours, u8x64_and(twos, u8x64_set(0x30)));
        }
    }
    struct f32x16 scales = f32x16_from_i8((const int8_t *)p + 192);
    unit.scale = f32x16_mul(scales, f32x16_set(unpack_f16(p + 208)));
    unit.base = f32x16_mul(unit.scale, f32x16_set(-32));
    return unit;
}

SIMD struct unit unpack_iq2_xxs(const uint8_t *p)
{
    const uint8_t *packed = p + 2;
    uint64_t scales = 0; /* 2n + 1 in one byte each */
    struct unit unit;
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++, packed += 16) {
        uint32_t low = load_u32(packed + 4), high = load_u32(packed + 12);
        struct u8x64 sizes = u8x64_gather(iq2_xxs_grid, packed, packed + 8);
        unit.u[i] = u8x64_add_signed(u8x64_set(64), sizes, u8x64_spread_signs(low, high));
        scales |= (uint64_t)(low >> 28 << 1 | high >> 28 << 9 | 0x0101) << (16 * i);
    }
    unit.scale = f32x16_mul(f32x16_from_u8_twice(scales), f32x16_set(unpack_f16(p) * 0.125f));
    unit.base = f32x16_mul(unit.scale, f32x16_set(-64));
    return unit;
}

/* True for formats held with u8x64_hold_signed. */
SIMD int unit_is_signed(enum tensor_type type)
{
    return type == TENSOR_Q8_0;
}

/* True for formats with a scale for each 16 elements. */
SIMD int unit_has_16(enum tensor_type type)
{
    return type == TENSOR_Q2_K || type == TENSOR_Q3_K || type == TENSOR_Q6_K;
}

/* For a type that the compiler knows. */
SIMD struct unit unpack(enum tensor_type type, const uint8_t *p)
{
    switch (type) {
    case TENSOR_Q4_0:
        return unpack_q4_0(p);
    case TENSOR_Q4_1:
        return unpack_q4_1(p);
    case TENSOR_Q5_0:
        return unpack_q5_0(p);
    case TENSOR_Q5_1:
        return unpack_q5_1(p);
    case TENSOR_Q2_K:
        return unpack_q2_k(p);
    case TENSOR_Q3_K:
        return unpack_q3_k(p);
    case TENSOR_Q4_K:
        return unpack_q4_k(p);
    case TENSOR_Q5_K:
        return unpack_q5_k(p);
    case TENSOR_Q6_K:
        return unpack_q6_k(p);
    case TENSOR_IQ2_XXS:
        return unpack_iq2_xxs(p);
    default:
        return unpack_q8_0(p);
    }
}

#endif
