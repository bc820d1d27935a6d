/* Products of every tensor type, on every instruction set that this CPU has, for small and large
 * batches, against sums in double of the dequantized rows. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/kernels/half.h"
#include "core/kernels/kernels.h"
#include "core/kernels/matmul.h"
#include "core/kernels/quant.h"
#include "core/kernels/stripes.h"
#include "tests/support/each_isa.h"

static const enum tensor_type types[] = {
    TENSOR_F32,   TENSOR_F16,     TENSOR_BF16,   TENSOR_Q4_0,   TENSOR_Q4_1,    TENSOR_Q5_0,
    TENSOR_Q5_1,  TENSOR_Q8_0,    TENSOR_Q2_K,   TENSOR_Q3_K,   TENSOR_Q4_K,    TENSOR_Q5_K,
    TENSOR_Q6_K,  TENSOR_IQ2_XXS, TENSOR_IQ2_XS, TENSOR_IQ2_S,  TENSOR_IQ3_XXS, TENSOR_IQ3_S,
    TENSOR_IQ1_S, TENSOR_IQ1_M,   TENSOR_IQ4_NL, TENSOR_IQ4_XS, TENSOR_MXFP4,
};
enum {
    N_TYPES = sizeof types / sizeof types[0],
    N_FIXTURE_BLOCKS = 64,
};

/* Memory of zeros that ends where a page begins that nobody may touch: a kernel that reads or
 * writes beyond the last 64 bytes of an array dies here, in every build. give() gives all of it
 * back. */
struct guarded {
    void *mapping;
    size_t bytes;
};
static struct guarded guarded[64];
static int n_guarded;

static void *take(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (bytes + 63) / 64 * 64;
    size_t n_pages = (room + page - 1) / page;
    assert_true(n_guarded < (int)(sizeof guarded / sizeof guarded[0]));
    struct guarded *one = &guarded[n_guarded++];
    one->bytes = (n_pages + 1) * page;
    one->mapping =
        mmap(NULL, one->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(one->mapping != MAP_FAILED);
    char *end = (char *)one->mapping + n_pages * page;
    assert_int_equal(mprotect(end, page, PROT_NONE), 0);
    return end - room;
}

static void give(const void *p)
{
    for (int i = 0; i < n_guarded; i++) {
        const char *begin = guarded[i].mapping;
        if ((const char *)p < begin || (const char *)p >= begin + guarded[i].bytes)
            continue;
        munmap(guarded[i].mapping, guarded[i].bytes);
        guarded[i] = guarded[--n_guarded];
        return;
    }
    assert_null(p);
}

/* Blocks of a fixture in random order: random bits with sane scales. */
static void fill_from_fixture(const struct tensor_format *format, uint8_t *data, size_t n_blocks)
{
    char path[128];
    uint8_t raw[N_FIXTURE_BLOCKS * 256];
    snprintf(path, sizeof path, "tests/fixtures/dequant/%s.raw", format->name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    size_t bytes = N_FIXTURE_BLOCKS * format->block_bytes;
    assert_int_equal(fread(raw, 1, bytes, file), bytes);
    fclose(file);
    for (size_t i = 0; i < n_blocks; i++)
        memcpy(data + i * format->block_bytes,
               raw + random_bits() % N_FIXTURE_BLOCKS * format->block_bytes, format->block_bytes);
}

static void fill_floats(enum tensor_type type, uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = (float)random_bits() * 0x1p-23f - 1;
        uint16_t half = type == TENSOR_F16 ? f16_from_float(x) : bf16_from_float(x);
        if (type == TENSOR_F32)
            memcpy(data + 4 * i, &x, 4);
        else
            memcpy(data + 2 * i, &half, 2);
    }
}

static struct matrix woven(struct matrix w)
{
    if (!matmul_wants_stripes(w.type))
        return w;
    void *stripes = take(stripes_bytes(&w));
    const struct tensor_format *format = tensor_format(w.type);
    size_t row_bytes = (size_t)w.n_in / format->block_len * format->block_bytes;
    for (int i = stripes_count(&w) - 1; i >= 0; i--)
        stripes_weave(&w, i, (const char *)w.data + row_bytes * STRIPE_ROWS * (size_t)i, stripes);
    w.stripes = stripes;
    return w;
}

static struct matrix random_matrix(enum tensor_type type, int n_out, int n_in)
{
    const struct tensor_format *format = tensor_format(type);
    size_t n_blocks = (size_t)n_out * (size_t)n_in / format->block_len;
    uint8_t *data = take(n_blocks * format->block_bytes);
    if (format->block_len == 1)
        fill_floats(type, data, n_blocks);
    else
        fill_from_fixture(format, data, n_blocks);
    return woven((struct matrix){type, n_out, n_in, data, NULL});
}

static void free_matrix(struct matrix *w)
{
    give(w->data);
    give(w->stripes);
}

static struct activations new_activations(int n_tokens, int n_in)
{
    size_t n_groups = (size_t)(n_in + 31) / 32 * (size_t)n_tokens;
    return (struct activations){
        .n_tokens = n_tokens,
        .n_in = n_in,
        .x = take((size_t)n_tokens * (size_t)n_in * sizeof(float)),
        .q = take(n_groups * 32),
        .scale = take(n_groups * sizeof(float)),
        .sum = take(n_groups * 2 * sizeof(float)),
        .start = take(n_groups * 3 * sizeof(int32_t)),
    };
}

static void free_activations(struct activations *in)
{
    give(in->x);
    give(in->q);
    give(in->scale);
    give(in->sum);
    give(in->start);
}

/* Numbers that 8 bits hold exactly, whose 32 neighbours include the largest: then a product has
 * only rounding errors. */
static void fill_exact(struct activations *in)
{
    for (int t = 0; t < in->n_tokens; t++) {
        for (int i = 0; i < in->n_in; i++) {
            int q = (int)(random_bits() % 255) - 127;
            if (i % 32 == t % 32)
                q = q < 0 ? -127 : 127;
            in->x[t * in->n_in + i] = (float)q * ldexpf(1, i / 32 % 5 - 7);
        }
    }
}

/* All rows in two calls that meet in the middle of a tile. */
static void multiply(const struct matrix *w, const float *bias, struct activations *in, float *y)
{
    void *scratch = take(matmul_scratch_bytes(w->n_in, in->n_tokens));
    size_t stride = (size_t)w->n_out + 3;
    int middle = w->n_out / 2;
    if (matmul_wants_quantized(w->type)) {
        int middle_group = in->n_in / 64 * 32;
        activations_quantize(in, middle_group, in->n_in);
        activations_quantize(in, 0, middle_group);
    }
    matmul_rows(w, bias, in, y, stride, 0, middle, scratch);
    matmul_rows(w, bias, in, y, stride, middle, w->n_out, scratch);
    give(scratch);
}

static void check_against_double(const struct matrix *w, const float *bias,
                                 const struct activations *in, const float *y)
{
    float *row = take((size_t)w->n_in * sizeof *row);
    for (int r = 0; r < w->n_out; r++) {
        matrix_get_row(w, r, row);
        for (int t = 0; t < in->n_tokens; t++) {
            double sum = bias != NULL ? (double)bias[r] : 0, size = fabs(sum) + 1e-30;
            for (int i = 0; i < w->n_in; i++) {
                double product = (double)row[i] * (double)in->x[t * w->n_in + i];
                sum += product;
                size += fabs(product);
            }
            double got = (double)y[t * (w->n_out + 3) + r];
            if (!(fabs(got - sum) <= 1e-5 * size))
                fail_msg("%s %s, %d wide, %d tokens: row %d token %d is %g, not %g", kernels->name,
                         tensor_format(w->type)->name, w->n_in, in->n_tokens, r, t, got, sum);
        }
    }
    give(row);
}

static void check_product(enum tensor_type type, int n_out, int n_in, int n_tokens, bool has_bias)
{
    struct matrix w = random_matrix(type, n_out, n_in);
    struct activations in = new_activations(n_tokens, n_in);
    size_t n_y = (size_t)n_tokens * (size_t)(n_out + 3);
    float *y = take(n_y * sizeof *y), *bias = take((size_t)n_out * sizeof *bias);
    for (int i = 0; i < n_out; i++)
        bias[i] = (float)i;
    for (size_t i = 0; i < n_y; i++)
        y[i] = -77;
    fill_exact(&in);

    multiply(&w, has_bias ? bias : NULL, &in, y);
    check_against_double(&w, has_bias ? bias : NULL, &in, y);
    for (int t = 0; t < n_tokens; t++)
        for (int i = n_out; i < n_out + 3; i++)
            assert_true(y[t * (n_out + 3) + i] == -77);

    free_matrix(&w);
    give(y);
    give(bias);
    free_activations(&in);
}

static void test_products(void **state)
{
    static const int batches[] = {1, 2, 3, 4, 7, 8, 15, 35, 68};
    if (!select_isa(*state))
        return;
    for (int i = 0; i < N_TYPES; i++) {
        int block_len = (int)tensor_format(types[i])->block_len;
        for (size_t j = 0; j < sizeof batches / sizeof batches[0]; j++) {
            check_product(types[i], 37, block_len, batches[j], true);
            check_product(types[i], 5, block_len * 3, batches[j], false);
            check_product(types[i], 16, 1024, batches[j], false);
            check_product(types[i], 35, 768 + (block_len < 256 ? 96 : 0), batches[j], true);
        }
        check_product(types[i], 70, 512, 100, true);
    }
}

static void test_float_widths(void **state)
{
    if (!select_isa(*state))
        return;
    static const int widths[] = {1, 7, 31, 64, 100, 4096};
    for (int i = 0; i < 3; i++)
        for (size_t j = 0; j < sizeof widths / sizeof widths[0]; j++)
            for (int n_tokens = 1; n_tokens <= 36; n_tokens += 7)
                check_product(types[i], 9, widths[j], n_tokens, n_tokens > 1);
}

/* One token alone and the same token in a batch: chunked prompts rely on it. */
static void test_batch_does_not_change_a_token(void **state)
{
    enum { N_OUT = 40, N_IN = 768, N_TOKENS = 43 };
    if (!select_isa(*state))
        return;
    for (int i = 0; i < N_TYPES; i++) {
        struct matrix w = random_matrix(types[i], N_OUT, N_IN);
        struct activations all = new_activations(N_TOKENS, N_IN), one = new_activations(1, N_IN);
        float y_all[N_TOKENS][N_OUT + 3], y_one[N_OUT + 3];
        for (int j = 0; j < N_TOKENS * N_IN; j++)
            all.x[j] = (float)random_bits() * 0x1p-23f - 1;
        multiply(&w, NULL, &all, y_all[0]);
        for (int t = 0; t < N_TOKENS; t += 14) {
            memcpy(one.x, all.x + t * N_IN, N_IN * sizeof *one.x);
            multiply(&w, NULL, &one, y_one);
            float largest = 0;
            for (int r = 0; r < N_OUT; r++)
                largest = fmaxf(largest, fabsf(y_one[r]));
            for (int r = 0; r < N_OUT; r++)
                assert_true(fabsf(y_one[r] - y_all[t][r]) <= 1e-5f * largest);
        }
        free_matrix(&w);
        free_activations(&all);
        free_activations(&one);
    }
}

/* 8-bit inputs: the error stays below half a step of each input. */
static void test_rounding_of_inputs_is_small(void **state)
{
    enum { N_OUT = 16, N_IN = 1024 };
    if (!select_isa(*state) || !matmul_wants_quantized(TENSOR_Q8_0))
        return;
    struct matrix w = random_matrix(TENSOR_Q8_0, N_OUT, N_IN);
    for (int n_tokens = 1; n_tokens <= 20; n_tokens += 19) {
        struct activations in = new_activations(n_tokens, N_IN);
        float row[N_IN], *y = take((size_t)n_tokens * (N_OUT + 3) * sizeof *y);
        for (int i = 0; i < n_tokens * N_IN; i++)
            in.x[i] = (float)random_bits() * 0x1p-23f - 1;
        multiply(&w, NULL, &in, y);
        for (int r = 0; r < N_OUT; r++) {
            double exact = 0, bound = 1e-6;
            matrix_get_row(&w, r, row);
            for (int i = 0; i < N_IN; i++) {
                exact += (double)row[i] * (double)in.x[i];
                bound += fabs((double)row[i]) * (0.51 / 127);
            }
            assert_true(fabs((double)y[r] - exact) <= bound);
        }
        give(y);
        free_activations(&in);
    }
    free_matrix(&w);
}

static void test_inputs_that_are_not_finite_count_as_zero(void **state)
{
    enum { N_OUT = 16, N_IN = 256 };
    if (!select_isa(*state))
        return;
    struct matrix w = random_matrix(TENSOR_Q4_0, N_OUT, N_IN);
    for (int n_tokens = 1; n_tokens <= 6; n_tokens += 5) {
        struct activations in = new_activations(n_tokens, N_IN);
        float *y = take((size_t)n_tokens * (N_OUT + 3) * sizeof *y);
        fill_exact(&in);
        in.x[3] = NAN;
        in.x[70] = INFINITY;
        in.x[135] = -INFINITY;
        in.x[200] = 1e-42f;
        multiply(&w, NULL, &in, y);
        in.x[3] = in.x[70] = in.x[135] = in.x[200] = 0;
        if (matmul_wants_quantized(w.type))
            check_against_double(&w, NULL, &in, y);
        give(y);
        free_activations(&in);
    }
    free_matrix(&w);
}

/* Two threads, each with its own rows: what a thread pool does. Only the main one may take(). */
struct half {
    const struct matrix *w;
    const struct activations *in;
    float *y;
    int row_begin, row_end;
    void *scratch;
};

static void *multiply_half(void *arg)
{
    enum { N_ROUNDS = 20 };
    const struct half *half = arg;
    for (int i = 0; i < N_ROUNDS; i++)
        matmul_rows(half->w, NULL, half->in, half->y, (size_t)half->w->n_out + 3, half->row_begin,
                    half->row_end, half->scratch);
    return NULL;
}

static void test_two_threads(void **state)
{
    enum { N_OUT = 128, N_IN = 512, N_TOKENS = 64 };
    if (!select_isa(*state))
        return;
    for (int i = 0; i < N_TYPES; i++) {
        struct matrix w = random_matrix(types[i], N_OUT, N_IN);
        struct activations in = new_activations(N_TOKENS, N_IN);
        float *y = take(N_TOKENS * (N_OUT + 3) * sizeof *y);
        fill_exact(&in);
        if (matmul_wants_quantized(w.type))
            activations_quantize(&in, 0, N_IN);
        size_t n_scratch = matmul_scratch_bytes(N_IN, N_TOKENS);
        struct half first = {&w, &in, y, 0, N_OUT / 2, take(n_scratch)};
        struct half second = {&w, &in, y, N_OUT / 2, N_OUT, take(n_scratch)};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, multiply_half, &first), 0);
        multiply_half(&second);
        pthread_join(thread, NULL);
        give(first.scratch);
        give(second.scratch);
        check_against_double(&w, NULL, &in, y);
        free_matrix(&w);
        give(y);
        free_activations(&in);
    }
}

int main(void)
{
    static const struct isa_check checks[] = {
        {"products", test_products},
        {"float widths", test_float_widths},
        {"a batch does not change a token", test_batch_does_not_change_a_token},
        {"rounding of inputs is small", test_rounding_of_inputs_is_small},
        {"two threads", test_two_threads},
        {"not finite counts as zero", test_inputs_that_are_not_finite_count_as_zero},
    };
    return run_with_each_isa(checks, sizeof checks / sizeof checks[0], NULL, 0);
}
