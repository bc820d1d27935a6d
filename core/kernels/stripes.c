#include "core/kernels/stripes.h"

#include <string.h>

#include "core/kernels/grid_weave.h"
#include "core/kernels/half.h"
#include "core/kernels/kernels.h"
#include "core/kernels/matmul_isa.h"

/* One block of each of 16 rows. */
typedef const uint8_t *const blocks[STRIPE_ROWS];

/* [16] halves from one place of each block. */
static uint8_t *weave_halves(uint8_t *to, blocks rows, size_t offset)
{
    for (int r = 0; r < STRIPE_ROWS; r++)
        memcpy(to + 2 * r, rows[r] + offset, 2);
    return to + 2 * (size_t)STRIPE_ROWS;
}

/* [n_words, 16, 4] */
static uint8_t *weave_words(uint8_t *to, blocks rows, size_t offset, int n_words)
{
    for (int k = 0; k < n_words; k++)
        for (int r = 0; r < STRIPE_ROWS; r++, to += 4)
            memcpy(to, rows[r] + offset + 4 * k, 4);
    return to;
}

/* [n, 16] bytes */
static uint8_t *weave_bytes(uint8_t *to, blocks rows, size_t offset, int n)
{
    for (int i = 0; i < n; i++)
        for (int r = 0; r < STRIPE_ROWS; r++)
            *to++ = rows[r][offset + (size_t)i];
    return to;
}

static uint8_t *store_u32(uint8_t *to, uint32_t x)
{
    memcpy(to, &x, sizeof x);
    return to + sizeof x;
}

/* ---- blocks of 32: head: d, m where there is one; body: [4, 16, 4] nibbles or [8, 16, 4] bytes;
 * nibbles j and j + 4 of a word share a byte as they do in the block ---- */

static void weave_q4_0(uint8_t *head, uint8_t *body, blocks rows)
{
    weave_halves(head, rows, 0);
    weave_words(body, rows, 2, 4);
}

static void weave_q4_1(uint8_t *head, uint8_t *body, blocks rows)
{
    weave_halves(weave_halves(head, rows, 0), rows, 2);
    weave_words(body, rows, 4, 4);
}

/* Bits b, b + 4, ... b + 28 side by side. */
static uint32_t every_fourth_bit(uint32_t bits, int b)
{
    uint32_t x = bits >> b & 0x11111111;
    x = (x | x >> 3) & 0x03030303;
    x = (x | x >> 6) & 0x000f000f;
    return (x | x >> 12) & 0xff;
}

/* [16, 4]: bit k of byte b is the fifth bit of element 4k + b. */
static uint8_t *weave_fifth_bits(uint8_t *to, blocks rows, size_t offset)
{
    for (int r = 0; r < STRIPE_ROWS; r++)
        for (int b = 0; b < 4; b++)
            *to++ = (uint8_t)every_fourth_bit(load_u32(rows[r] + offset), b);
    return to;
}

static void weave_q5_0(uint8_t *head, uint8_t *body, blocks rows)
{
    weave_halves(head, rows, 0);
    weave_words(weave_fifth_bits(body, rows, 2), rows, 6, 4);
}

static void weave_q5_1(uint8_t *head, uint8_t *body, blocks rows)
{
    weave_halves(weave_halves(head, rows, 0), rows, 2);
    weave_words(weave_fifth_bits(body, rows, 4), rows, 8, 4);
}

/* head: bf16 in place of halves, which could not hold such powers of two */
static void weave_mxfp4(uint8_t *head, uint8_t *body, blocks rows)
{
    for (int r = 0; r < STRIPE_ROWS; r++) {
        uint16_t d = bf16_from_exponent(rows[r][0]);
        memcpy(head + 2 * r, &d, sizeof d);
    }
    weave_words(body, rows, 1, 4);
}

static void weave_q8_0(uint8_t *head, uint8_t *body, blocks rows)
{
    weave_halves(head, rows, 0);
    weave_words(body, rows, 2, 8);
}

/* ---- blocks of 256. Bodies: the block's bytes, [.., 16, 4]; bits of few to an element are
 * gathered from the words of one part, so that a part reads them once ---- */

/* [3, 16] words of 16 numbers of 6 bits for each row: five in a word, the last one in what is left
 * of all three. */
static uint8_t *weave_sixes(uint8_t *to, const uint8_t numbers[STRIPE_ROWS][16])
{
    for (int word = 0; word < 3; word++)
        for (int r = 0; r < STRIPE_ROWS; r++) {
            uint32_t x = (uint32_t)(numbers[r][15] >> (2 * word) & 3) << 30;
            for (int i = 0; i < 5; i++)
                x |= (uint32_t)numbers[r][5 * word + i] << (6 * i);
            to = store_u32(to, x);
        }
    return to;
}

/* head: d, dmin, [16, 16] bytes: scale in the low nibble, minimum in the high one */
static void weave_q2_k(uint8_t *head, uint8_t *body, blocks rows)
{
    head = weave_halves(weave_halves(head, rows, 80), rows, 82);
    weave_bytes(head, rows, 0, 16);
    weave_words(body, rows, 16, 16);
}

/* head: d, sixes; body: third bits [2 parts, 4, 16, 4], then the lower two. In load m of a part,
 * bits 4i .. 4i+3 are those of word 2m + i in its four groups. */
static void weave_q3_k(uint8_t *head, uint8_t *body, blocks rows)
{
    uint8_t scales[STRIPE_ROWS][16];
    for (int r = 0; r < STRIPE_ROWS; r++)
        for (int i = 0; i < 16; i++) {
            const uint8_t *packed = rows[r] + 96;
            scales[r][i] = (uint8_t)((i < 8 ? packed[i] & 15 : packed[i - 8] >> 4) |
                                     (packed[8 + i % 4] >> (i / 4 * 2) & 3) << 4);
        }
    weave_sixes(weave_halves(head, rows, 108), scales);
    for (int part = 0; part < 2; part++)
        for (int m = 0; m < 4; m++)
            for (int r = 0; r < STRIPE_ROWS; r++) {
                uint32_t low = load_u32(rows[r] + 8 * m) >> (4 * part) & 0x0f0f0f0f;
                uint32_t high = load_u32(rows[r] + 8 * m + 4) >> (4 * part) & 0x0f0f0f0f;
                body = store_u32(body, low | high << 4);
            }
    weave_words(body, rows, 32, 16);
}

/* Q4_K, Q5_K: head: d, dmin, sixes: eight scales, eight minima. */
static void weave_head_k(uint8_t *head, blocks rows)
{
    uint8_t numbers[STRIPE_ROWS][16];
    for (int r = 0; r < STRIPE_ROWS; r++)
        for (int i = 0; i < 4; i++) {
            const uint8_t *packed = rows[r] + 4;
            numbers[r][i] = packed[i] & 63;
            numbers[r][i + 8] = packed[i + 4] & 63;
            numbers[r][i + 4] = (uint8_t)((packed[i + 8] & 15) | packed[i] >> 6 << 4);
            numbers[r][i + 12] = (uint8_t)(packed[i + 8] >> 4 | packed[i + 4] >> 6 << 4);
        }
    weave_sixes(weave_halves(weave_halves(head, rows, 0), rows, 2), numbers);
}

static void weave_q4_k(uint8_t *head, uint8_t *body, blocks rows)
{
    weave_head_k(head, rows);
    weave_words(body, rows, 16, 32);
}

/* body: fifth bits [4 parts, 2, 16, 4], then nibbles. In load m of a part, bits 2i and 2i + 1 are
 * those of word 4m + i in its two groups. */
static void weave_q5_k(uint8_t *head, uint8_t *body, blocks rows)
{
    weave_head_k(head, rows);
    for (int part = 0; part < 4; part++)
        for (int m = 0; m < 2; m++)
            for (int r = 0; r < STRIPE_ROWS; r++) {
                uint32_t bits = 0;
                for (int i = 0; i < 4; i++)
                    bits |= (load_u32(rows[r] + 16 + 16 * m + 4 * i) >> (2 * part) & 0x03030303)
                            << (2 * i);
                body = store_u32(body, bits);
            }
    weave_words(body, rows, 48, 32);
}

/* head: d, [16, 16] signed bytes; body: upper two bits [2, 8, 16, 4], then nibbles */
static void weave_q6_k(uint8_t *head, uint8_t *body, blocks rows)
{
    weave_bytes(weave_halves(head, rows, 208), rows, 192, 16);
    weave_words(weave_words(body, rows, 128, 16), rows, 0, 32);
}

/* head: d, eight scales of 6 bits, five in a word: [2, 16]; body: as eight blocks of IQ4_NL */
static void weave_iq4_xs(uint8_t *head, uint8_t *body, blocks rows)
{
    head = weave_halves(head, rows, 0);
    for (int word = 0; word < 2; word++)
        for (int r = 0; r < STRIPE_ROWS; r++) {
            uint32_t x = 0, low = load_u32(rows[r] + 4), high = load_u16(rows[r] + 2);
            for (int i = 5 * word; i < 8 && i < 5 * word + 5; i++)
                x |= ((low >> 4 * i & 15) | (high >> 2 * i & 3) << 4) << 6 * (i - 5 * word);
            head = store_u32(head, x);
        }
    weave_words(body, rows, 8, 32);
}

static const struct {
    struct stripe_format format;
    stripes_weave_fn *weave;
} formats[] = {
    [TENSOR_Q4_0] = {{32, 256}, weave_q4_0},
    [TENSOR_Q4_1] = {{64, 256}, weave_q4_1},
    [TENSOR_Q5_0] = {{32, 320}, weave_q5_0},
    [TENSOR_Q5_1] = {{64, 320}, weave_q5_1},
    [TENSOR_Q8_0] = {{32, 512}, weave_q8_0},
    [TENSOR_Q2_K] = {{320, 1024}, weave_q2_k},
    [TENSOR_Q3_K] = {{224, 1536}, weave_q3_k},
    [TENSOR_Q4_K] = {{256, 2048}, weave_q4_k},
    [TENSOR_Q5_K] = {{256, 2560}, weave_q5_k},
    [TENSOR_Q6_K] = {{288, 3072}, weave_q6_k},
    [TENSOR_IQ4_NL] = {{32, 256}, weave_q4_0},
    [TENSOR_MXFP4] = {{32, 256}, weave_mxfp4},
    [TENSOR_IQ4_XS] = {{160, 2048}, weave_iq4_xs},
    [TENSOR_IQ1_S] = {{96, 1024}, grid_weave_iq1_s},
    [TENSOR_IQ1_M] = {{160, 1280}, grid_weave_iq1_m},
    [TENSOR_IQ2_XXS] = {{96, 1536}, grid_weave_iq2_xxs},
    [TENSOR_IQ2_XS] = {{160, 1536}, grid_weave_iq2_xs},
    [TENSOR_IQ2_S] = {{160, 1536}, grid_weave_iq2_s},
    [TENSOR_IQ3_XXS] = {{96, 2048}, grid_weave_iq3_xxs},
    [TENSOR_IQ3_S] = {{96, 2048}, grid_weave_iq3_s},
    [TENSOR_IQ2_XXS_INDICES] = {{96, 1024}, grid_weave_iq2_xxs_indices},
};

enum tensor_type stripe_type(enum tensor_type type)
{
    bool has_grids = kernels->isa >= KERNELS_VBMI;
    return has_grids && type == TENSOR_IQ2_XXS ? TENSOR_IQ2_XXS_INDICES : type;
}

const struct stripe_format *stripe_format(enum tensor_type type)
{
    if ((size_t)type >= sizeof formats / sizeof formats[0] || formats[type].weave == NULL)
        return NULL;
    return &formats[type].format;
}

static size_t units_in_row(const struct matrix *w)
{
    return (size_t)w->n_in / tensor_format(w->type)->block_len;
}

int stripes_count(const struct matrix *w)
{
    return w->n_out / STRIPE_ROWS + (w->n_out % STRIPE_ROWS != 0);
}

size_t stripes_bytes(const struct matrix *w)
{
    return (size_t)stripes_count(w) *
           stripe_bytes(stripe_format(stripe_type(w->type)), units_in_row(w));
}

void stripes_weave(const struct matrix *w, int i, const void *rows, void *stripes)
{
    static const uint8_t zeros[256];
    const enum tensor_type type = stripe_type(w->type);
    const struct stripe_format *format = stripe_format(type);
    const struct tensor_format *of_file = tensor_format(w->type);
    size_t n_units = units_in_row(w);
    size_t row_bytes = matrix_row_bytes(w);
    uint8_t *head = (uint8_t *)stripes + (size_t)i * stripe_bytes(format, n_units);
    const uint8_t *first = rows, *unit_blocks[STRIPE_ROWS];
    int n_rows = w->n_out - i * STRIPE_ROWS;
    for (size_t unit = 0, end; unit < n_units; unit = end) {
        end = unit + stripe_bundle_units(of_file->block_len, n_units - unit);
        uint8_t *body = head + (end - unit) * format->head_bytes;
        for (size_t k = unit; k < end; k++) {
            for (int r = 0; r < STRIPE_ROWS; r++)
                unit_blocks[r] =
                    r < n_rows ? first + (size_t)r * row_bytes + k * of_file->block_bytes : zeros;
            formats[type].weave(head, body, unit_blocks);
            head += format->head_bytes;
            body += format->body_bytes;
        }
        head = body;
    }
}
