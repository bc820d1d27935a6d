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

/* 8, 25 and 43, of which bits 4 and 5 are 0, 1 and 2; the third bit is the sign. The third bits of
 * two words share one: bits 0 .. 3 and 4 .. 7 of its bytes. */
static inline __attribute__((always_inline)) void put_iq2(enum tensor_type type, uint8_t *body,
                                                          int row, const uint8_t *block)
{
    for (int part = 0; part < 2; part++) {
        uint64_t twos[4] = {0}, thirds[4] = {0};
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++) {
            struct grid_group group;
            grid_read(type, block, 4 * part + g, &group);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                twos[i] |= (group.sizes[i] >> 4 & EACH_BYTE(3)) << 2 * g;
                thirds[i] |= (group.masks[i] & EACH_BYTE(1)) << g;
            }
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            put(body, 4 * part + i, row, thirds[i] | thirds[i] >> 28);
            put_two(body, 8 + 8 * part + 2 * i, row, twos[i]);
        }
    }
}

void grid_weave_iq2_xxs(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    for (int r = 0; r < STRIPE_ROWS; r++) {
        uint32_t scales = 0;
        for (int g = 0; g < GRID_GROUPS; g++)
            scales |= load_u32(rows[r] + 6 + 8 * g) >> 28 << 4 * g;
        put_head(head, r, rows[r], scales);
        put_iq2(TENSOR_IQ2_XXS, body, r, rows[r]);
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

/* -9, -1 and 7 are 8u - 9 for u in 0 .. 2. The fourth bit of a scale says that nothing is added. */
void grid_weave_iq1_s(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    for (int r = 0; r < STRIPE_ROWS; r++) {
        uint64_t twos[2][4] = {{0}};
        uint32_t scales = 0;
        for (int g = 0; g < GRID_GROUPS; g++) {
            for (int i = 0; i < 4; i++) {
                uint64_t grid = iq1_s_grid[iq1_s_index(rows[r], g, i)];
                twos[g / 4][i] |= ((grid >> 3 & EACH_BYTE(3)) ^ EACH_BYTE(2)) << g % 4 * 2;
            }
            scales |= (uint32_t)load_u16(rows[r] + 34 + 2 * g) >> 12 << 4 * g;
        }
        put_head(head, r, rows[r], scales);
        for (int k = 0; k < 8; k++)
            put_two(body, 2 * k, r, twos[k / 4][k % 4]);
    }
}
