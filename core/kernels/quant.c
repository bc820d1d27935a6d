#include "core/kernels/quant.h"

#include <string.h>

#include "core/kernels/grid.h"
#include "core/kernels/half.h"
#include "core/kernels/quant_tables.h"

/* Formats of 32 elements: bytes j and nibbles j, j + 16 of one block belong to elements j, j + 16.
 */

static void dequantize_q4_0(const uint8_t *block, float *y)
{
    float d = load_f16(block);
    const uint8_t *nibbles = block + 2;
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)((nibbles[j] & 15) - 8);
        y[j + 16] = d * (float)((nibbles[j] >> 4) - 8);
    }
}

static void dequantize_q4_1(const uint8_t *block, float *y)
{
    float d = load_f16(block), min = load_f16(block + 2);
    const uint8_t *nibbles = block + 4;
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)(nibbles[j] & 15) + min;
        y[j + 16] = d * (float)(nibbles[j] >> 4) + min;
    }
}

static void dequantize_q5_0(const uint8_t *block, float *y)
{
    float d = load_f16(block);
    uint32_t high = load_u32(block + 2);
    const uint8_t *nibbles = block + 6;
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)((nibbles[j] & 15) - 16 + (int)(high >> j & 1) * 16);
        y[j + 16] = d * (float)((nibbles[j] >> 4) - 16 + (int)(high >> (j + 16) & 1) * 16);
    }
}

static void dequantize_q5_1(const uint8_t *block, float *y)
{
    float d = load_f16(block), min = load_f16(block + 2);
    uint32_t high = load_u32(block + 4);
    const uint8_t *nibbles = block + 8;
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)((nibbles[j] & 15) + (int)(high >> j & 1) * 16) + min;
        y[j + 16] = d * (float)((nibbles[j] >> 4) + (int)(high >> (j + 16) & 1) * 16) + min;
    }
}

static void dequantize_q8_0(const uint8_t *block, float *y)
{
    float d = load_f16(block);
    for (int j = 0; j < 32; j++)
        y[j] = d * (float)(int8_t)block[2 + j];
}

/* Formats of 256 elements. */

/* 16 scales and minima of 4 bits; 2-bit values, of which one byte holds elements 32 apart. */
static void dequantize_q2_k(const uint8_t *block, float *y)
{
    const uint8_t *scales = block, *pairs = block + 16;
    float d = load_f16(block + 80), dmin = load_f16(block + 82);
    for (int i = 0; i < 256; i++) {
        int value = pairs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        int scale = scales[i / 16];
        y[i] = d * (float)(scale & 15) * (float)value - dmin * (float)(scale >> 4);
    }
}

/* 16 scales of 6 bits, the upper two of them apart; values of 2 bits plus a high bit that counts
 * 4, with offset 4. */
static void dequantize_q3_k(const uint8_t *block, float *y)
{
    const uint8_t *high = block, *pairs = block + 32, *scales = block + 96;
    float d = load_f16(block + 108);
    for (int i = 0; i < 256; i++) {
        int group = i / 16;
        int scale = (group < 8 ? scales[group] & 15 : scales[group - 8] >> 4) |
                    (scales[8 + group % 4] >> (group / 4 * 2) & 3) << 4;
        int value = pairs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        int high_bit = high[i % 32] >> (i / 32) & 1;
        y[i] = d * (float)(scale - 32) * (float)(value + high_bit * 4 - 4);
    }
}

/* Scale and minimum of group 0..7, 6 bits each, packed in 12 bytes: Q4_K and Q5_K. */
static void read_scale_min(const uint8_t *packed, int group, int *out_scale, int *out_min)
{
    if (group < 4) {
        *out_scale = packed[group] & 63;
        *out_min = packed[group + 4] & 63;
    } else {
        *out_scale = (packed[group + 4] & 15) | packed[group - 4] >> 6 << 4;
        *out_min = packed[group + 4] >> 4 | packed[group] >> 6 << 4;
    }
}

static void dequantize_q4_k(const uint8_t *block, float *y)
{
    float d = load_f16(block), dmin = load_f16(block + 2);
    const uint8_t *scales = block + 4, *nibbles = block + 16;
    for (int group = 0; group < 8; group++) {
        int scale, min;
        read_scale_min(scales, group, &scale, &min);
        for (int j = 0; j < 32; j++) {
            int value = nibbles[group / 2 * 32 + j] >> (group % 2 * 4) & 15;
            y[group * 32 + j] = d * (float)scale * (float)value - dmin * (float)min;
        }
    }
}

static void dequantize_q5_k(const uint8_t *block, float *y)
{
    float d = load_f16(block), dmin = load_f16(block + 2);
    const uint8_t *scales = block + 4, *high = block + 16, *nibbles = block + 48;
    for (int group = 0; group < 8; group++) {
        int scale, min;
        read_scale_min(scales, group, &scale, &min);
        for (int j = 0; j < 32; j++) {
            int value =
                (nibbles[group / 2 * 32 + j] >> (group % 2 * 4) & 15) | (high[j] >> group & 1) << 4;
            y[group * 32 + j] = d * (float)scale * (float)value - dmin * (float)min;
        }
    }
}

/* 16 signed scales; values of 4 + 2 bits with offset 32. */
static void dequantize_q6_k(const uint8_t *block, float *y)
{
    const uint8_t *nibbles = block, *high = block + 128, *scales = block + 192;
    float d = load_f16(block + 208);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, quarter = i % 128 / 32, j = i % 32;
        int low = nibbles[half * 64 + quarter % 2 * 32 + j] >> (quarter / 2 * 4) & 15;
        int value = low | (high[half * 32 + j] >> (quarter * 2) & 3) << 4;
        y[i] = d * (float)(int8_t)scales[i / 16] * (float)(value - 32);
    }
}

/* Nibbles that name one of sixteen values. */
static void dequantize_iq4_nl(const uint8_t *block, float *y)
{
    float d = load_f16(block);
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)iq4_values[block[2 + j] & 15];
        y[j + 16] = d * (float)iq4_values[block[2 + j] >> 4];
    }
}

/* The same, with eight scales of 6 bits, of which two are apart. */
static void dequantize_iq4_xs(const uint8_t *block, float *y)
{
    float d = load_f16(block);
    uint32_t high = load_u16(block + 2);
    for (int group = 0; group < 8; group++) {
        int low4 = block[4 + group / 2] >> (group % 2 * 4) & 15;
        float scale = d * (float)((low4 | (int)(high >> (2 * group) & 3) << 4) - 32);
        const uint8_t *nibbles = block + 8 + 16 * group;
        for (int j = 0; j < 16; j++) {
            y[32 * group + j] = scale * (float)iq4_values[nibbles[j] & 15];
            y[32 * group + j + 16] = scale * (float)iq4_values[nibbles[j] >> 4];
        }
    }
}

/* Floats of 4 bits and a scale that is a power of two (OCP Microscaling Formats 1.0). */
static void dequantize_mxfp4(const uint8_t *block, float *y)
{
    float d = bf16_to_float(bf16_from_exponent(block[0]));
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)mxfp4_values[block[1 + j] & 15];
        y[j + 16] = d * (float)mxfp4_values[block[1 + j] >> 4];
    }
}

static void dequantize_grid(enum tensor_type type, const uint8_t *block, float *y)
{
    float d = grid_d(type, block);
    struct grid_group group;
    for (int i = 0; i < GRID_LEN; i++) {
        if (i % 32 == 0)
            grid_read(type, block, i / 32, &group);
        int size = (int8_t)(group.sizes[i % 32 / 8] >> (i % 8 * 8));
        bool is_negative = (group.masks[i % 32 / 8] >> (i % 8 * 8) & 1) != 0;
        y[i] = d * group.scale[i % 32 / 16] * (float)(is_negative ? -size : size);
    }
}

static void dequantize_block(enum tensor_type type, const uint8_t *block, float *y)
{
    switch (type) {
    case TENSOR_F32:
        memcpy(y, block, sizeof *y);
        break;
    case TENSOR_F16:
        *y = load_f16(block);
        break;
    case TENSOR_BF16:
        *y = bf16_to_float(load_u16(block));
        break;
    case TENSOR_Q4_0:
        dequantize_q4_0(block, y);
        break;
    case TENSOR_Q4_1:
        dequantize_q4_1(block, y);
        break;
    case TENSOR_Q5_0:
        dequantize_q5_0(block, y);
        break;
    case TENSOR_Q5_1:
        dequantize_q5_1(block, y);
        break;
    case TENSOR_Q8_0:
        dequantize_q8_0(block, y);
        break;
    case TENSOR_Q2_K:
        dequantize_q2_k(block, y);
        break;
    case TENSOR_Q3_K:
        dequantize_q3_k(block, y);
        break;
    case TENSOR_Q4_K:
        dequantize_q4_k(block, y);
        break;
    case TENSOR_Q5_K:
        dequantize_q5_k(block, y);
        break;
    case TENSOR_Q6_K:
        dequantize_q6_k(block, y);
        break;
    case TENSOR_IQ4_NL:
        dequantize_iq4_nl(block, y);
        break;
    case TENSOR_MXFP4:
        dequantize_mxfp4(block, y);
        break;
    case TENSOR_IQ4_XS:
        dequantize_iq4_xs(block, y);
        break;
    case TENSOR_IQ1_S:
    case TENSOR_IQ1_M:
    case TENSOR_IQ2_XXS:
    case TENSOR_IQ2_XS:
    case TENSOR_IQ2_S:
    case TENSOR_IQ3_XXS:
    case TENSOR_IQ3_S:
        dequantize_grid(type, block, y);
        break;
    case TENSOR_IQ2_XXS_INDICES: /* of stripes alone */
        break;
    }
}

void dequantize_row(enum tensor_type type, const void *blocks, float *y, size_t n)
{
    const struct tensor_format *format = tensor_format(type);
    const uint8_t *block = blocks;
    for (size_t i = 0; i < n; i += format->block_len, block += format->block_bytes)
        dequantize_block(type, block, y + i);
}
