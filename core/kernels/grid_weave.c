/* Heads: d, then scales of 4 bits, eight in a word: [1 or 2, 16]. Bodies: codes of 2, 3 or 4 bits,
 * placed as those of Q2_K, Q3_K and Q4_K are. */
#include "core/kernels/grid_weave.h"

#include "core/kernels/grid.h"

enum { WORD = STRIPE_ROWS * 4 /* bytes of one word of all rows */, HALVES = STRIPE_ROWS * 2 };

#define EACH_BYTE(x) ((x)*UINT64_C(0x0101010101010101))

/* Four bytes of one row into word k. */
static inline void put(uint8_t *body, int k, int row, uint64_t bytes)
{
    uint32_t word = (uint32_t)bytes;
    memcpy(body + WORD * k + 4 * row, &word, sizeof word);
}

static inline void put_two(uint8_t *body, int k, int row, uint64_t bytes)
{
    put(body, k, row, bytes);
    put(body, k + 1, row, bytes >> 32);
}

static void put_head(uint8_t *head, int row, const uint8_t *block, uint32_t scales)
{
    memcpy(head + 2 * row, block, 2);
    put(head + HALVES, 0, row, scales);
}

/* Two words of four times seven signs to bytes, with the eighth sign that makes their number even.
 */
static inline uint64_t add_eighths(uint64_t x)
{
    x = (x & UINT64_C(0x7f0000007f)) | (x & UINT64_C(0x3f8000003f80)) << 1 |
        (x & UINT64_C(0x1fc000001fc000)) << 2 | (x & UINT64_C(0xfe000000fe00000)) << 3;
    uint64_t odd = x ^ x >> 4;
    odd ^= odd >> 2;
    odd ^= odd >> 1;
    return x | (odd & EACH_BYTE(1)) << 7;
}

/* Four times eight signs of groups g and g + 4. */
static inline uint64_t read_signs(enum tensor_type type, const uint8_t *block, int g)
{
    uint64_t low = 0, high = 0;
    if (type == TENSOR_IQ2_S)
        return load_u32(block + 34 + 4 * g) | (uint64_t)load_u32(block + 50 + 4 * g) << 32;
    if (type == TENSOR_IQ2_XXS)
        return add_eighths(load_u32(block + 6 + 8 * g) | (uint64_t)load_u32(block + 38 + 8 * g)
                                                             << 32);
    for (int i = 0; i < 4; i++) {
        low |= (uint64_t)load_u16(block + 2 + 8 * g + 2 * i) >> 9 << 7 * i;
        high |= (uint64_t)load_u16(block + 34 + 8 * g + 2 * i) >> 9 << 7 * i;
    }
    return add_eighths(low | high << 32);
}

/* Exchanges bits of *b under the mask with those of *a that are so much higher. */
static inline void exchange(uint64_t *a, uint64_t *b, int higher, uint64_t mask)
{
    uint64_t differ = (*a >> higher ^ *b) & mask;
    *b ^= differ;
    *a ^= differ << higher;
}

/* x[0] with x[2] and x[1] with x[3], then neighbours: a square of four by four changes its rows
 * with its columns, for each of many squares side by side. */
static inline void turn(uint64_t x[4], int n_bits, uint64_t mask_two, uint64_t mask_one)
{
    exchange(&x[0], &x[2], 2 * n_bits, mask_two);
    exchange(&x[1], &x[3], 2 * n_bits, mask_two);
    exchange(&x[0], &x[1], n_bits, mask_one);
    exchange(&x[2], &x[3], n_bits, mask_one);
}

/* As the third bits of codes, of which two words share one: bit g of byte b in word i of a part is
 * the sign of number b of its eight i of group g, bit 4 + g that of number 4 + b. */
static inline __attribute__((always_inline)) void put_signs(enum tensor_type type, uint8_t *body,
                                                            int row, const uint8_t *block)
{
    uint64_t x[4];
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++)
        x[g] = read_signs(type, block, g);
    turn(x, 1, EACH_BYTE(0x33), EACH_BYTE(0x55));                     /* groups and numbers */
    turn(x, 8, UINT64_C(0xffff0000ffff), UINT64_C(0xff00ff00ff00ff)); /* numbers and eights */
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        put(body, i, row, x[i]);
        put(body, 4 + i, row, x[i] >> 32);
    }
}

/* 8, 25 and 43, of which bits 4 and 5 are 0, 1 and 2; the third bit is the sign. */
static inline __attribute__((always_inline)) void put_iq2(enum tensor_type type, uint8_t *body,
                                                          int row, const uint8_t *block)
{
    put_signs(type, body, row, block);
    for (int part = 0; part < 2; part++) {
        uint64_t twos[4] = {0};
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++) {
            struct grid_group group;
            grid_read(type, block, 4 * part + g, &group);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                twos[i] |= (group.sizes[i] >> 4 & EACH_BYTE(3)) << 2 * g;
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            put_two(body, 8 + 8 * part + 2 * i, row, twos[i]);
    }
}

static inline uint32_t read_scales_iq2_xxs(const uint8_t *block)
{
    uint32_t scales = 0;
#pragma GCC unroll 8
    for (int g = 0; g < GRID_GROUPS; g++)
        scales |= load_u32(block + 6 + 8 * g) >> 28 << 4 * g;
    return scales;
}

void grid_weave_iq2_xxs(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    for (int r = 0; r < STRIPE_ROWS; r++) {
        put_head(head, r, rows[r], read_scales_iq2_xxs(rows[r]));
        put_iq2(TENSOR_IQ2_XXS, body, r, rows[r]);
    }
}

/* Signs where third bits are, then indices: [8 groups, 16, 4]. */
void grid_weave_iq2_xxs_indices(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    for (int r = 0; r < STRIPE_ROWS; r++) {
        put_head(head, r, rows[r], read_scales_iq2_xxs(rows[r]));
        put_signs(TENSOR_IQ2_XXS, body, r, rows[r]);
        for (int g = 0; g < GRID_GROUPS; g++)
            put(body, 8 + g, r, load_u32(rows[r] + 2 + 8 * g));
    }
}

/* With eight bytes of scales at `scales_at` of a block. */
static inline __attribute__((always_inline)) void weave_iq2(enum tensor_type type, int scales_at,
                                                            uint8_t *head, uint8_t *body,
                                                            const uint8_t *const rows[])
{
    for (int r = 0; r < STRIPE_ROWS; r++) {
        put_head(head, r, rows[r], load_u32(rows[r] + scales_at));
        put(head + HALVES, 1, r, load_u32(rows[r] + scales_at + 4));
        put_iq2(type, body, r, rows[r]);
    }
}

void grid_weave_iq2_xs(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    weave_iq2(TENSOR_IQ2_XS, 66, head, body, rows);
}

void grid_weave_iq2_s(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    weave_iq2(TENSOR_IQ2_S, 74, head, body, rows);
}

/* The codes of eight elements, a byte to a code. Those of IQ3_XXS: 4, 12, 20 .. 52 and 62, of which
 * bits 3 to 5 are 0 .. 7; the fourth bit is the sign. Those of IQ3_S: 1, 3 .. 15 with signs are
 * 2u - 15 for u in 0 .. 15. */
static inline uint64_t iq3_codes(enum tensor_type type, uint64_t sizes, uint64_t masks)
{
    if (type == TENSOR_IQ3_XXS)
        return (sizes >> 3 & EACH_BYTE(7)) | (masks & EACH_BYTE(8));
    return ((sizes >> 1 & EACH_BYTE(7)) | EACH_BYTE(8)) ^ (masks & EACH_BYTE(15));
}

static inline __attribute__((always_inline)) void put_iq3(enum tensor_type type, uint8_t *body,
                                                          int row, const uint8_t *block)
{
    for (int part = 0; part < 4; part++) {
        struct grid_group low, high;
        grid_read(type, block, 2 * part, &low);
        grid_read(type, block, 2 * part + 1, &high);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            put_two(body, 8 * part + 2 * i, row,
                    iq3_codes(type, low.sizes[i], low.masks[i]) |
                        iq3_codes(type, high.sizes[i], high.masks[i]) << 4);
    }
}

void grid_weave_iq3_xxs(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    for (int r = 0; r < STRIPE_ROWS; r++) {
        uint32_t scales = 0;
        for (int g = 0; g < GRID_GROUPS; g++)
            scales |= load_u32(rows[r] + 66 + 4 * g) >> 28 << 4 * g;
        put_head(head, r, rows[r], scales);
        put_iq3(TENSOR_IQ3_XXS, body, r, rows[r]);
    }
}

void grid_weave_iq3_s(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    for (int r = 0; r < STRIPE_ROWS; r++) {
        put_head(head, r, rows[r], load_u32(rows[r] + 106));
        put_iq3(TENSOR_IQ3_S, body, r, rows[r]);
    }
}

/* -9, -1 and 7 are 8u - 9 for u in 0 .. 2. */
static inline uint64_t iq1_codes(uint32_t index)
{
    return (iq1_s_grid[index] >> 3 & EACH_BYTE(3)) ^ EACH_BYTE(2);
}

/* The fourth bit of a scale says that nothing is added. */
void grid_weave_iq1_s(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    for (int r = 0; r < STRIPE_ROWS; r++) {
        uint64_t twos[2][4] = {{0}};
        uint32_t scales = 0;
        for (int g = 0; g < GRID_GROUPS; g++) {
            for (int i = 0; i < 4; i++)
                twos[g / 4][i] |= iq1_codes(iq1_s_index(rows[r], g, i)) << g % 4 * 2;
            scales |= (uint32_t)load_u16(rows[r] + 34 + 2 * g) >> 12 << 4 * g;
        }
        put_head(head, r, rows[r], scales);
        for (int k = 0; k < 8; k++)
            put_two(body, 2 * k, r, twos[k / 4][k % 4]);
    }
}

/* Before the codes, of each part two words of whether two is to be added to no number of an eight:
 * in each byte of word m, bits 0 .. 3 are those of the four groups' eights 2m, bits 4 .. 7 those of
 * 2m + 1. Scales as those of IQ2_XS. */
void grid_weave_iq1_m(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    for (int r = 0; r < STRIPE_ROWS; r++) {
        uint64_t twos[2][4] = {{0}}, is_less[2][2] = {{0}};
        uint32_t scales[2] = {0};
        for (int g = 0; g < GRID_GROUPS; g++) {
            for (int i = 0; i < 4; i++) {
                uint64_t less = iq1_m_high(rows[r], g, i) >> 3;
                is_less[g / 4][i / 2] |= EACH_BYTE(less) << (i % 2 * 4 + g % 4);
                twos[g / 4][i] |= iq1_codes(iq1_m_index(rows[r], g, i)) << g % 4 * 2;
            }
            uint32_t both = iq1_m_scales(rows[r], g);
            scales[g / 4] |= ((both & 7) | both >> 3 << 4) << g % 4 * 8;
        }
        uint16_t d = iq1_m_d(rows[r]);
        memcpy(head + 2 * r, &d, sizeof d);
        put(head + HALVES, 0, r, scales[0]);
        put(head + HALVES, 1, r, scales[1]);
        for (int k = 0; k < 4; k++)
            put(body, k, r, is_less[k / 2][k % 2]);
        for (int k = 0; k < 8; k++)
            put_two(body, 4 + 2 * k, r, twos[k / 4][k % 4]);
    }
}
