#include "core/kernels/matmul.h"

#include <limits.h>

#include "core/kernels/blas.h"
#include "core/kernels/kernels.h"
#include "core/kernels/matmul_isa.h"
#include "core/kernels/quant.h"
#include "core/kernels/stripes.h"

/* Weights that are widened to floats at a time: what the second-level cache holds, but fewer rows
 * make poor tiles. */
enum { MOST_BYTES_AS_FLOATS = 2 << 20, LEAST_ROWS_AS_FLOATS = 16 };

/* NULL for plain x86-64. */
static const struct matmul_isa *isa_now(void)
{
    switch (kernels->isa) {
    case KERNELS_AVX2:
        return &matmul_avx2;
    case KERNELS_AVXVNNI:
        return &matmul_avxvnni;
    case KERNELS_AVX512:
    case KERNELS_VBMI:
        return &matmul_avx512;
    case KERNELS_AMX:
        return &matmul_amx;
    case KERNELS_SCALAR:
        break;
    }
    return NULL;
}

/* Batches from which on BLAS is faster than our own float product; measured. */
static int blas_min_tokens(void)
{
    if (!blas_is_open() || kernels->isa >= KERNELS_AVX512)
        return INT_MAX;
    return kernels->isa == KERNELS_SCALAR ? 4 : 48;
}

static int is_float(enum tensor_type type)
{
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16;
}

void activations_quantize(struct activations *in, int begin, int end)
{
    const struct matmul_isa *isa = isa_now();
    if (isa != NULL)
        isa->quantize(in, begin, end);
}

void activations_gather(const struct activations *to, const struct activations *from,
                        const int *tokens)
{
    const struct matmul_isa *isa = isa_now();
    if (isa != NULL)
        isa->gather(to, from, tokens);
}

int matmul_pad_tokens(int n)
{
    const struct matmul_isa *isa = isa_now();
    return isa != NULL ? isa->pad_tokens(n) : n;
}

bool matmul_wants_stripes(enum tensor_type type)
{
    return isa_now() != NULL && stripe_format(type) != NULL;
}

int matmul_wants_quantized(enum tensor_type type)
{
    return isa_now() != NULL && !is_float(type);
}

static int tile_rows(int n_in)
{
    int n_rows = MOST_BYTES_AS_FLOATS / (int)sizeof(float) / n_in;
    return n_rows > LEAST_ROWS_AS_FLOATS ? n_rows : LEAST_ROWS_AS_FLOATS;
}

size_t matmul_scratch_bytes(int max_n_in, int max_tokens)
{
    const struct matmul_isa *isa = isa_now();
    size_t bytes = (size_t)max_n_in * sizeof(float); /* plain_rows */
    if (isa != NULL && isa->scratch_bytes(max_n_in) > bytes)
        bytes = isa->scratch_bytes(max_n_in);
    size_t tile_bytes = LEAST_ROWS_AS_FLOATS * (size_t)max_n_in * sizeof(float);
    if (tile_bytes < MOST_BYTES_AS_FLOATS)
        tile_bytes = MOST_BYTES_AS_FLOATS;
    if (max_tokens >= blas_min_tokens() && tile_bytes > bytes)
        bytes = tile_bytes;
    return bytes;
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

/* Rows row .. row + n_rows-1 as floats: where they lie, if they are that already, or in scratch. */
static const float *rows_as_floats(const struct matmul_job *job, int row, int n_rows)
{
    const struct matrix *w = job->w;
    const uint8_t *data = (const uint8_t *)w->data + matrix_row_bytes(w) * (size_t)row;
    if (w->type == TENSOR_F32)
        return (const float *)(const void *)data;

    const struct matmul_isa *isa = isa_now();
    size_t n = (size_t)n_rows * (size_t)w->n_in;
    if (isa != NULL)
        isa->widen(job->scratch, data, w->type, n);
    else
        dequantize_row(w->type, data, job->scratch, n);
    return job->scratch;
}

static void blas_rows(const struct matmul_job *job)
{
    const struct activations *in = job->in;
    int step = tile_rows(job->w->n_in);
    for (int row = job->row_begin; row < job->row_end; row += step) {
        int n_rows = job->row_end - row < step ? job->row_end - row : step;
        struct blas_product product = {
            .w = rows_as_floats(job, row, n_rows),
            .x = in->x,
            .y = job->y + row,
            .y_stride = job->y_stride,
            .n_rows = n_rows,
            .n_tokens = in->n_tokens,
            .n_in = in->n_in,
        };
        blas_multiply(&product);
    }
    for (int t = 0; t < in->n_tokens && job->bias != NULL; t++)
        kernels->add(job->y + (size_t)t * job->y_stride + job->row_begin,
                     job->bias + job->row_begin, job->row_end - job->row_begin);
}

void matmul_rows(const struct matrix *w, const float *bias, const struct activations *in, float *y,
                 size_t y_stride, int row_begin, int row_end, void *scratch)
{
    struct matmul_job job = {w, bias, in, y, y_stride, row_begin, row_end, scratch};
    const struct matmul_isa *isa = isa_now();
    if ((isa == NULL || is_float(w->type)) && in->n_tokens >= blas_min_tokens())
        blas_rows(&job);
    else if (isa == NULL || (!is_float(w->type) && w->stripes == NULL))
        plain_rows(&job);
    else if (is_float(w->type))
        isa->floats(&job);
    else
        isa->quantized(&job);
}

int matmul_steady_tokens(void)
{
    return blas_min_tokens() <= MATMUL_WHOLE_ROWS ? blas_min_tokens() - 1 : MATMUL_WHOLE_ROWS;
}

void matrix_get_row(const struct matrix *w, int row, float *y)
{
    const uint8_t *data = w->data;
    dequantize_row(w->type, data + matrix_row_bytes(w) * (size_t)row, y, (size_t)w->n_in);
}
