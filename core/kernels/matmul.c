#include "core/kernels/matmul.h"

#include <math.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/kernels/quant.h"

void activations_quantize(struct activations *in, int token_begin, int token_end)
{
    (void)in;
    (void)token_begin;
    (void)token_end;
}

int matmul_wants_quantized(enum tensor_type type)
{
    (void)type;
    return 0;
}

size_t matmul_scratch_bytes(int max_n_in, int max_tokens)
{
    (void)max_tokens;
    return (size_t)max_n_in * sizeof(float);
}

static float dot(const float *a, const float *b, int n)
{
    enum { LANES = 8 };
    float sums[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] += a[i + lane] * b[i + lane];
    for (; i < n; i++)
        sums[0] += a[i] * b[i];

    float sum = 0;
    for (int lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    return sum;
}

void matmul_rows(const struct matrix *w, const float *bias, const struct activations *in, float *y,
                 size_t y_stride, int row_begin, int row_end, void *scratch)
{
    float *weights = scratch;
    for (int row = row_begin; row < row_end; row++) {
        matrix_get_row(w, row, weights);
        for (int t = 0; t < in->n_tokens; t++)
            y[(size_t)t * y_stride + (size_t)row] =
                dot(weights, in->x + (size_t)t * (size_t)in->n_in, w->n_in) +
                (bias != NULL ? bias[row] : 0);
    }
}

void matrix_get_row(const struct matrix *w, int row, float *y)
{
    const struct tensor_format *format = tensor_format(w->type);
    size_t row_bytes = (size_t)w->n_in / format->block_len * format->block_bytes;
    dequantize_row(w->type, (const char *)w->data + row_bytes * (size_t)row, y, (size_t)w->n_in);
}
