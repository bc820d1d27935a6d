/* Heads: d, then scales of 4 bits, eight in a word: [1 or 2, 16]. Bodies: codes of 2, 3 or 4 bits,
 * placed as those of Q2_K, Q3_K and Q4_K are. */
#include "core/kernels/grid_weave.h"

#include "core/kernels/grid.h"

enum { WORD = STRIPE_ROWS * 4 /* bytes of one word of all rows */, HALVES = STRIPE_ROWS * 2 };

#define EACH_BYTE(x) ((x)*UINT64_C(0x0101010101010101))

/* The codes of one block, eight to a word, a byte to a code: [groups, 4]. */
typedef uint64_t codes[GRID_GROUPS][4];

/* Four bytes of one row into word k. */
static void put(uint8_t *body, int k, int row, uint64_t bytes)
{
    uint32_t word = (uint32_t)bytes;
    memcpy(body + WORD * k + 4 * row, &word, sizeof word);
}

static void put_two(uint8_t *body, int k, int row, uint64_t bytes)
{
    put(body, k, row, bytes);
    put(body, k + 1, row, bytes >> 32);
}

static void put_twos(uint8_t *body, int row, codes c)
{
    for (int part = 0; part < 2; part++)
        for (int i = 0; i < 4; i++) {
            uint64_t twos = 0;
            for (int g = 0; g < 4; g++)
                twos |= (c[4 * part + g][i] & EACH_BYTE(3)) << 2 * g;
            put_two(body, 8 * part + 2 * i, row, twos);
        }
}

/* The third bits of two words share one: bits 0 .. 3 and 4 .. 7 of its bytes. */
static void put_threes(uint8_t *body, int row, codes c)
{
    for (int part = 0; part < 2; part++)
        for (int i = 0; i < 4; i++) {
            uint64_t thirds = 0;
            for (int g = 0; g < 4; g++)
                thirds |= (c[4 * part + g][i] >> 2 & EACH_BYTE(1)) << g;
            put(body, 4 * part + i, row, thirds | thirds >> 28);
        }
    put_twos(body + 8 * WORD, row, c);
}

static void put_fours(uint8_t *body, int row, codes c)
{
    for (int part = 0; part < 4; part++)
        for (int i = 0; i < 4; i++)
            put_two(body, 8 * part + 2 * i, row, c[2 * part][i] | c[2 * part + 1][i] << 4);
}

static void put_head(uint8_t *head, int row, const uint8_t *block, uint32_t scales)
{
    memcpy(head + 2 * row, block, 2);
    put(head + HALVES, 0, row, scales);
}

/* 8, 25 and 43, of which bits 4 and 5 are 0, 1 and 2; the third bit is the sign. */
static inline void read_iq2(enum tensor_type type, const uint8_t *block, codes c)
{
    struct grid_group group;
    for (int g = 0; g < GRID_GROUPS; g++) {
        grid_read(type, block, g, &group);
        for (int i = 0; i < 4; i++)
            c[g][i] = (group.sizes[i] >> 4 & EACH_BYTE(3)) | (group.masks[i] & EACH_BYTE(4));
    }
}

void grid_weave_iq2_xxs(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    codes c;
    for (int r = 0; r < STRIPE_ROWS; r++) {
        uint32_t scales = 0;
        for (int g = 0; g < GRID_GROUPS; g++)
            scales |= load_u32(rows[r] + 6 + 8 * g) >> 28 << 4 * g;
        put_head(head, r, rows[r], scales);
        read_iq2(TENSOR_IQ2_XXS, rows[r], c);
        put_threes(body, r, c);
    }
}

/* With eight bytes of scales at `scales_at` of a block. */
static void weave_iq2(enum tensor_type type, int scales_at, uint8_t *head, uint8_t *body,
                      const uint8_t *const rows[])
{
    codes c;
    for (int r = 0; r < STRIPE_ROWS; r++) {
        put_head(head, r, rows[r], load_u32(rows[r] + scales_at));
        put(head + HALVES, 1, r, load_u32(rows[r] + scales_at + 4));
        read_iq2(type, rows[r], c);
        put_threes(body, r, c);
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

/* 4, 12, 20 .. 52 and 62, of which bits 3 to 5 are 0 .. 7; the fourth bit is the sign. */
void grid_weave_iq3_xxs(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    codes c;
    for (int r = 0; r < STRIPE_ROWS; r++) {
        uint32_t scales = 0;
        for (int g = 0; g < GRID_GROUPS; g++) {
            struct grid_group group;
            grid_read(TENSOR_IQ3_XXS, rows[r], g, &group);
            for (int i = 0; i < 4; i++)
                c[g][i] = (group.sizes[i] >> 3 & EACH_BYTE(7)) | (group.masks[i] & EACH_BYTE(8));
            scales |= load_u32(rows[r] + 66 + 4 * g) >> 28 << 4 * g;
        }
        put_head(head, r, rows[r], scales);
        put_fours(body, r, c);
    }
}

/* 1, 3 .. 15 with signs are 2u - 15 for u in 0 .. 15. */
void grid_weave_iq3_s(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    codes c;
    for (int r = 0; r < STRIPE_ROWS; r++) {
        for (int g = 0; g < GRID_GROUPS; g++) {
            struct grid_group group;
            grid_read(TENSOR_IQ3_S, rows[r], g, &group);
            for (int i = 0; i < 4; i++)
                c[g][i] = ((group.sizes[i] >> 1 & EACH_BYTE(7)) | EACH_BYTE(8)) ^
                          (group.masks[i] & EACH_BYTE(15));
        }
        put_head(head, r, rows[r], load_u32(rows[r] + 106));
        put_fours(body, r, c);
    }
}

/* -9, -1 and 7 are 8u - 9 for u in 0 .. 2. The fourth bit of a scale says that nothing is added. */
void grid_weave_iq1_s(uint8_t *head, uint8_t *body, const uint8_t *const rows[])
{
    codes c;
    for (int r = 0; r < STRIPE_ROWS; r++) {
        uint32_t scales = 0;
        for (int g = 0; g < GRID_GROUPS; g++) {
            uint32_t bits = load_u16(rows[r] + 34 + 2 * g);
            for (int i = 0; i < 4; i++) {
                uint64_t grid = iq1_s_grid[iq1_s_index(rows[r], g, i)];
                c[g][i] = (grid >> 3 & EACH_BYTE(3)) ^ EACH_BYTE(2);
            }
            scales |= bits >> 12 << 4 * g;
        }
        put_head(head, r, rows[r], scales);
        put_twos(body, r, c);
    }
}
