/* grid.h - block formats that look their numbers up in a grid, read 32 elements at a time.
 *
 * Layouts: the GGUF block formats, as defined by the format's reference. Inline, for a type that
 * the compiler knows. Thread: any. */
#ifndef CORE_KERNELS_GRID_H
#define CORE_KERNELS_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "core/kernels/half.h"
#include "core/kernels/quant_tables.h"
#include "core/kernels/tensor_type.h"

enum { GRID_LEN = 256, GRID_GROUPS = 8 };

/* 32 elements: scale[i / 16] * size, negative where the mask's byte is all ones. Sizes are at most
 * 63, in a byte each, eight to a word; those of IQ1_* have their own sign. */
struct grid_group {
    uint64_t sizes[4];
    uint64_t masks[4];
    float scale[2];
};

static inline uint64_t even_mask(uint32_t seven)
{
    return sign_masks[even_signs[seven & 127]];
}

static inline uint64_t two_fours(uint32_t first, uint32_t second)
{
    return first | (uint64_t)second << 32;
}

/* Each 8 bytes: four indices, then four times 7 signs and 4 bits of scale. */
static inline __attribute__((always_inline)) void read_iq2_xxs(const uint8_t *block, int group,
                                                               struct grid_group *out)
{
    const uint8_t *packed = block + 2 + 8 * group;
    uint32_t bits = load_u32(packed + 4);
    out->scale[0] = out->scale[1] = (0.5f + (float)(bits >> 28)) * 0.25f;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        out->sizes[i] = iq2_xxs_grid[packed[i]];
        out->masks[i] = even_mask(bits >> 7 * i);
    }
}

/* Scales of 16 elements, of 4 bits. */
static inline __attribute__((always_inline)) void read_half_scales(uint8_t packed,
                                                                   struct grid_group *out)
{
    out->scale[0] = (0.5f + (float)(packed & 15)) * 0.25f;
    out->scale[1] = (0.5f + (float)(packed >> 4)) * 0.25f;
}

/* 32 words of 9 bits of index and 7 signs. */
static inline __attribute__((always_inline)) void read_iq2_xs(const uint8_t *block, int group,
                                                              struct grid_group *out)
{
    read_half_scales(block[66 + group], out);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        uint32_t word = load_u16(block + 2 + 8 * group + 2 * i);
        out->sizes[i] = iq2_xs_grid[word & 511];
        out->masks[i] = even_mask(word >> 9);
    }
}

/* 32 lower bytes of indices, 32 times eight signs, 32 times two higher bits, scales. */
static inline __attribute__((always_inline)) void read_iq2_s(const uint8_t *block, int group,
                                                             struct grid_group *out)
{
    const uint8_t *low = block + 2 + 4 * group, *signs = block + 34 + 4 * group;
    read_half_scales(block[74 + group], out);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        out->sizes[i] = iq2_s_grid[low[i] | (block[66 + group] >> (2 * i) & 3) << 8];
        out->masks[i] = sign_masks[signs[i]];
    }
}

/* 64 indices, then for each 32 elements four times 7 signs and 4 bits of scale. */
static inline __attribute__((always_inline)) void read_iq3_xxs(const uint8_t *block, int group,
                                                               struct grid_group *out)
{
    const uint8_t *index = block + 2 + 8 * group;
    uint32_t bits = load_u32(block + 66 + 4 * group);
    out->scale[0] = out->scale[1] = (0.5f + (float)(bits >> 28)) * 0.5f;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        out->sizes[i] = two_fours(iq3_xxs_grid[index[2 * i]], iq3_xxs_grid[index[2 * i + 1]]);
        out->masks[i] = even_mask(bits >> 7 * i);
    }
}

/* 64 lower bytes of indices, 64 ninth bits, 32 times eight signs, scales of 4 bits. */
static inline __attribute__((always_inline)) void read_iq3_s(const uint8_t *block, int group,
                                                             struct grid_group *out)
{
    const uint8_t *low = block + 2 + 8 * group, *signs = block + 74 + 4 * group;
    int scale = block[106 + group / 2] >> (group % 2 * 4) & 15, high = block[66 + group];
    out->scale[0] = out->scale[1] = (float)(1 + 2 * scale);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        int first = low[2 * i] | (high >> (2 * i) & 1) << 8;
        int second = low[2 * i + 1] | (high >> (2 * i + 1) & 1) << 8;
        out->sizes[i] = two_fours(iq3_s_grid[first], iq3_s_grid[second]);
        out->masks[i] = sign_masks[signs[i]];
    }
}

/* Eight of -9, -1 and 7, which with two more are -7, 1 and 9. That changes no sign but the one of
 * -1, which 1 has: no byte carries into the next when both are added without the top bits. */
static inline uint64_t iq1_sizes(uint32_t index, bool is_less)
{
    uint64_t grid = iq1_s_grid[index], top = 0x8080808080808080;
    uint64_t two = is_less ? 0 : 0x0202020202020202;
    return ((grid & ~top) + two) ^ (grid & top);
}

static inline uint32_t iq1_s_index(const uint8_t *block, int group, int i)
{
    uint32_t high = load_u16(block + 34 + 2 * group) >> (3 * i) & 7;
    return block[2 + 4 * group + i] | high << 8;
}

/* Lower bytes of indices; then for each 32 elements four times three higher bits, a scale of 3 bits
 * and the sign of what is added to all: an eighth. */
static inline __attribute__((always_inline)) void read_iq1_s(const uint8_t *block, int group,
                                                             struct grid_group *out)
{
    uint32_t bits = load_u16(block + 34 + 2 * group);
    out->scale[0] = out->scale[1] = (float)(2 * (bits >> 12 & 7) + 1) * 0.125f;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        out->sizes[i] = iq1_sizes(iq1_s_index(block, group, i), bits >> 15 != 0);
        out->masks[i] = 0;
    }
}

/* Three higher bits of an index, and above them the sign of what is added to eight numbers. */
static inline uint32_t iq1_m_high(const uint8_t *block, int group, int i)
{
    return block[32 + 2 * group + i / 2] >> (i % 2 * 4) & 15;
}

static inline uint32_t iq1_m_index(const uint8_t *block, int group, int i)
{
    return block[4 * group + i] | (iq1_m_high(block, group, i) & 7) << 8;
}

/* Two scales of 3 bits. */
static inline uint32_t iq1_m_scales(const uint8_t *block, int group)
{
    return load_u16(block + 48 + group / 2 * 2) >> (group % 2 * 6) & 63;
}

/* A half whose bits are the upper four of each word of scales. */
static inline uint16_t iq1_m_d(const uint8_t *block)
{
    return (uint16_t)(load_u16(block + 48) >> 12 | load_u16(block + 50) >> 12 << 4 |
                      load_u16(block + 52) >> 12 << 8 | load_u16(block + 54) >> 12 << 12);
}

/* Lower bytes of indices; twice for each byte the rest of an index; four words of scales. */
static inline __attribute__((always_inline)) void read_iq1_m(const uint8_t *block, int group,
                                                             struct grid_group *out)
{
    uint32_t scales = iq1_m_scales(block, group);
    out->scale[0] = (float)(2 * (scales & 7) + 1) * 0.125f;
    out->scale[1] = (float)(2 * (scales >> 3) + 1) * 0.125f;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        bool is_less = iq1_m_high(block, group, i) >> 3 != 0;
        out->sizes[i] = iq1_sizes(iq1_m_index(block, group, i), is_less);
        out->masks[i] = 0;
    }
}

/* Of all scales of a block. */
static inline float grid_d(enum tensor_type type, const uint8_t *block)
{
    return type == TENSOR_IQ1_M ? f16_to_float(iq1_m_d(block)) : load_f16(block);
}

/* Group 0 .. 7 of a block of one of these types. */
static inline __attribute__((always_inline)) void
grid_read(enum tensor_type type, const uint8_t *block, int group, struct grid_group *out)
{
    switch (type) {
    case TENSOR_IQ2_XS:
        read_iq2_xs(block, group, out);
        break;
    case TENSOR_IQ2_S:
        read_iq2_s(block, group, out);
        break;
    case TENSOR_IQ3_XXS:
        read_iq3_xxs(block, group, out);
        break;
    case TENSOR_IQ3_S:
        read_iq3_s(block, group, out);
        break;
    case TENSOR_IQ1_S:
        read_iq1_s(block, group, out);
        break;
    case TENSOR_IQ1_M:
        read_iq1_m(block, group, out);
        break;
    default:
        read_iq2_xxs(block, group, out);
        break;
    }
}

#endif
