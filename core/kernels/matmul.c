#include "core/kernels/matmul.h"

#include "core/kernels/kernels.h"
#include "core/kernels/matmul_isa.h"
#include "core/kernels/quant.h"

/* NULL for plain x86-64. */
static const struct matmul_isa *isa_now(void)
{
    switch (kernels->isa) {
    case KERNELS_AVX2:
        return &matmul_avx2;
    case KERNELS_AVX512:
        return &matmul_avx512;
    case KERNELS_SCALAR:
        break;
    }
    return NULL;
}

static int is_float(enum tensor_type type)
{
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16;
}

void activations_quantize(struct activations *in, int token_begin, int token_end)
{
    const struct matmul_isa *isa = isa_now();
    if (isa != NULL)
        isa->quantize(in, token_begin, token_end);
}

int matmul_wants_quantized(enum tensor_type type)
{
    return isa_now() != NULL && !is_float(type);
}

size_t matmul_scratch_bytes(int max_n_in, int max_tokens)
{
    (void)max_tokens;
    const struct matmul_isa *isa = isa_now();
    size_t row_bytes = (size_t)max_n_in * sizeof(float);
    size_t bytes = isa != NULL ? isa->scratch_bytes(max_n_in) : 0;
    return bytes > row_bytes ? bytes : row_bytes;
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

static void plain_rows(const struct matmul_job *job)
{
    const struct activations *in = job->in;
    float *weights = job->scratch;
    for (int row = job->row_begin; row < job->row_end; row++) {
        matrix_get_row(job->w, row, weights);
        for (int t = 0; t < in->n_tokens; t++)
            job->y[(size_t)t * job->y_stride + (size_t)row] =
                dot(weights, in->x + (size_t)t * (size_t)in->n_in, in->n_in) +
                (job->bias != NULL ? job->bias[row] : 0);
    }
}

void matmul_rows(const struct matrix *w, const float *bias, const struct activations *in, float *y,
                 size_t y_stride, int row_begin, int row_end, void *scratch)
{
    struct matmul_job job = {w, bias, in, y, y_stride, row_begin, row_end, scratch};
    const struct matmul_isa *isa = isa_now();
    if (isa == NULL)
        plain_rows(&job);
    else if (is_float(w->type))
        isa->floats(&job);
    else
        isa->quantized(&job);
}

void matrix_get_row(const struct matrix *w, int row, float *y)
{
    const uint8_t *data = w->data;
    dequantize_row(w->type, data + matrix_row_bytes(w) * (size_t)row, y, (size_t)w->n_in);
}
