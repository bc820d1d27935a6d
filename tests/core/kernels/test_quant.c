/* Every block format against values that an independent implementation made of the same bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/kernels/half.h"
#include "core/kernels/quant.h"

enum { N_BLOCKS = 64 };

static void read_fixture(const char *type, const char *ending, void *out, size_t bytes)
{
    char path[128];
    snprintf(path, sizeof path, "tests/fixtures/dequant/%s.%s", type, ending);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    assert_int_equal(fread(out, 1, bytes, file), bytes);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
}

static void test_fixture(void **state)
{
    enum tensor_type type = *(enum tensor_type *)*state;
    const struct tensor_format *format = tensor_format(type);
    size_t n = N_BLOCKS * format->block_len;
    uint8_t *raw = malloc(N_BLOCKS * format->block_bytes);
    float *expected = malloc(n * sizeof *expected);
    float *y = malloc(n * sizeof *y);
    read_fixture(format->name, "raw", raw, N_BLOCKS * format->block_bytes);
    read_fixture(format->name, "f32", expected, n * sizeof *expected);

    dequantize_row(type, raw, y, n);
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(y[i] - expected[i]) <= 1e-6f * fabsf(expected[i])))
            fail_msg("%s element %zu: %a, not %a", format->name, i, (double)y[i],
                     (double)expected[i]);
    free(raw);
    free(expected);
    free(y);
}

static void test_formats_that_cannot_be_read(void **state)
{
    (void)state;
    assert_null(tensor_format(4)); /* Q4_2, long gone */
    assert_null(tensor_format(31));
    assert_null(tensor_format(UINT32_MAX));
    assert_string_equal(tensor_format(TENSOR_Q4_K)->name, "Q4_K");
}

/* Values worked by hand from IEEE 754. */
static void test_half_known_values(void **state)
{
    (void)state;
    static const struct {
        uint16_t half;
        float x;
    } known[] = {
        {0x0000, 0},         {0x3c00, 1},           {0xc000, -2},          {0x7bff, 65504},
        {0x0001, 0x1p-24f},  {0x0400, 0x1p-14f},    {0x83ff, -0x3ffp-24f}, {0x7c00, INFINITY},
        {0xfc00, -INFINITY}, {0x3555, 0x1.554p-2f},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_true(f16_to_float(known[i].half) == known[i].x);
        assert_int_equal(f16_from_float(known[i].x), known[i].half);
    }
    assert_true(isnan(f16_to_float(f16_from_float(NAN))));
    assert_true(isnan(bf16_to_float(bf16_from_float(NAN))));
    assert_true(bf16_to_float(0x3f80) == 1);
}

static void test_half_rounds_to_nearest_even(void **state)
{
    (void)state;
    assert_int_equal(f16_from_float(1 + 0x1p-11f), 0x3c00);
    assert_int_equal(f16_from_float(1 + 0x3p-11f), 0x3c02);
    assert_int_equal(f16_from_float(1 + 0x1.01p-11f), 0x3c01);
    assert_int_equal(f16_from_float(0x1p-25f), 0x0000);
    assert_int_equal(f16_from_float(0x1.8p-24f), 0x0002);
    assert_int_equal(f16_from_float(65519), 0x7bff);
    assert_int_equal(f16_from_float(65520), 0x7c00);
    assert_int_equal(bf16_from_float(1 + 0x1p-8f), 0x3f80);
    assert_int_equal(bf16_from_float(1 + 0x3p-8f), 0x3f82);
}

static void test_every_half_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        if ((h & 0x7fff) <= 0x7c00)
            assert_int_equal(f16_from_float(f16_to_float((uint16_t)h)), h);
        if ((h & 0x7fff) <= 0x7f80)
            assert_int_equal(bf16_from_float(bf16_to_float((uint16_t)h)), h);
    }
}

int main(void)
{
    static enum tensor_type types[] = {TENSOR_Q4_0,  TENSOR_Q4_1,    TENSOR_Q5_0,    TENSOR_Q5_1,
                                       TENSOR_Q8_0,  TENSOR_Q2_K,    TENSOR_Q3_K,    TENSOR_Q4_K,
                                       TENSOR_Q5_K,  TENSOR_Q6_K,    TENSOR_IQ2_XXS, TENSOR_IQ2_XS,
                                       TENSOR_IQ2_S, TENSOR_IQ3_XXS, TENSOR_IQ3_S,   TENSOR_IQ1_S,
                                       TENSOR_IQ1_M, TENSOR_IQ4_NL,  TENSOR_IQ4_XS,  TENSOR_MXFP4};
    enum { N_TYPES = sizeof types / sizeof types[0], N_OTHERS = 4 };
    struct CMUnitTest tests[N_OTHERS + N_TYPES] = {
        cmocka_unit_test(test_formats_that_cannot_be_read),
        cmocka_unit_test(test_half_known_values),
        cmocka_unit_test(test_half_rounds_to_nearest_even),
        cmocka_unit_test(test_every_half_survives_a_round_trip),
    };
    for (int i = 0; i < N_TYPES; i++)
        tests[N_OTHERS + i] =
            (struct CMUnitTest){tensor_format(types[i])->name, test_fixture, NULL, NULL, &types[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
