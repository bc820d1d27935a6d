/* Every operation of the table but attention on every instruction set that this CPU has, compared
 * with values in double or with the scalar table, at sizes with and without a rest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/kernels/half.h"
#include "core/kernels/kernels.h"
#include "tests/support/each_isa.h"

static const int sizes[] = {1, 7, 16, 31, 64, 100, 4096};
enum {
    N_SIZES = sizeof sizes / sizeof sizes[0],
    MAX_SIZE = 4096,
    MARGIN = 16, /* numbers behind the end that must stay as they are */
};

static float x[MAX_SIZE + MARGIN], y[MAX_SIZE + MARGIN], w[MAX_SIZE + MARGIN], b[MAX_SIZE + MARGIN];

static void fill(float *to, int n, float range)
{
    for (int i = 0; i < n + MARGIN && i < MAX_SIZE + MARGIN; i++)
        to[i] = random_float(range);
}

static void check_margin(const float *now, const float *before, int n)
{
    assert_memory_equal(now + n, before + n, MARGIN * sizeof *now);
}

static void test_rms_norm(void **state)
{
    if (!select_isa(*state))
        return;
    for (int s = 0; s < N_SIZES; s++) {
        int n = sizes[s];
        fill(x, n, 3);
        fill(w, n, 2);
        memcpy(y, w, sizeof y);
        kernels->rms_norm(y, x, w, n, 1e-5f);
        double squares = 0;
        for (int i = 0; i < n; i++)
            squares += (double)x[i] * (double)x[i];
        double scale = 1 / sqrt(squares / n + 1e-5);
        for (int i = 0; i < n; i++)
            check_near(y[i], (double)x[i] * (double)w[i] * scale, 1e-5);
        check_margin(y, w, n);
    }
}

static void test_layer_norm(void **state)
{
    if (!select_isa(*state))
        return;
    for (int s = 0; s < 2 * N_SIZES; s++) {
        int n = sizes[s / 2];
        const float *offset = s % 2 == 0 ? b : NULL;
        fill(x, n, 3);
        fill(w, n, 2);
        fill(b, n, 1);
        memcpy(y, w, sizeof y);
        for (int i = 0; i < n; i++)
            x[i] += 5;
        kernels->layer_norm(y, x, w, offset, n, 1e-5f);
        double sum = 0, squares = 0;
        for (int i = 0; i < n; i++)
            sum += (double)x[i];
        for (int i = 0; i < n; i++)
            squares += ((double)x[i] - sum / n) * ((double)x[i] - sum / n);
        double scale = 1 / sqrt(squares / n + 1e-5);
        for (int i = 0; i < n; i++)
            check_near(y[i],
                       ((double)x[i] - sum / n) * scale * (double)w[i] +
                           (offset != NULL ? (double)b[i] : 0),
                       2e-5);
        check_margin(y, w, n);
    }
}

static double exact_silu(double a)
{
    return a / (1 + exp(-a));
}

static double exact_gelu(double a)
{
    return a / 2 * (1 + tanh(sqrt(2 / M_PI) * (a + 0.044715 * a * a * a)));
}

static void test_activations(void **state)
{
    if (!select_isa(*state))
        return;
    for (int s = 0; s < N_SIZES; s++) {
        int n = sizes[s];
        fill(x, n, s % 2 == 0 ? 6 : 60);
        fill(w, n, 1);
        memcpy(y, x, sizeof y);
        kernels->silu_mul(y, w, n);
        for (int i = 0; i < n; i++)
            check_near(y[i], exact_silu(x[i]) * (double)w[i], 1e-6 * fabs((double)x[i]) + 1e-12);
        check_margin(y, x, n);

        memcpy(y, w, sizeof y);
        kernels->sigmoid_mul(y, x, n);
        for (int i = 0; i < n; i++)
            check_near(y[i], (double)w[i] / (1 + exp(-(double)x[i])), 1e-6);
        check_margin(y, w, n);

        memcpy(y, x, sizeof y);
        kernels->gelu(y, n);
        for (int i = 0; i < n; i++)
            check_near(y[i], exact_gelu(x[i]), 1e-6 * fabs((double)x[i]) + 1e-12);
        check_margin(y, x, n);

        memcpy(b, y, sizeof b);
        memcpy(y, x, sizeof y);
        kernels->gelu_mul(y, w, n);
        for (int i = 0; i < n; i++)
            check_near(y[i], (double)b[i] * (double)w[i], 1e-6 * fabs((double)b[i]));
        check_margin(y, x, n);
    }
}

static void test_add_and_clamp(void **state)
{
    if (!select_isa(*state))
        return;
    for (int s = 0; s < N_SIZES; s++) {
        int n = sizes[s];
        fill(x, n, 2);
        fill(w, n, 2);
        memcpy(y, w, sizeof y);
        kernels->add(y, x, n);
        for (int i = 0; i < n; i++)
            assert_true(y[i] == x[i] + w[i]);
        check_margin(y, w, n);
        memcpy(y, x, sizeof y);
        kernels->clamp(y, n, 0.5f);
        for (int i = 0; i < n; i++)
            assert_true(y[i] == fminf(fmaxf(x[i], -0.5f), 0.5f));
        check_margin(y, x, n);
    }
}

static void test_rope(void **state)
{
    static const int pairs[] = {1, 5, 16, 32, 48, 50};
    if (!select_isa(*state))
        return;
    for (size_t s = 0; s < sizeof pairs / sizeof pairs[0]; s++) {
        int n = pairs[s];
        float cosines[64], sines[64];
        for (int i = 0; i < n; i++) {
            float angle = random_float(3);
            cosines[i] = cosf(angle);
            sines[i] = sinf(angle);
        }
        for (int in_place = 0; in_place < 2; in_place++) {
            fill(x, 2 * n, 2);
            memcpy(y, x, sizeof y);
            kernels->rope_neighbours(y, in_place ? y : x, cosines, sines, n);
            for (int i = 0; i < n; i++) {
                check_near(y[2 * i], x[2 * i] * cosines[i] - x[2 * i + 1] * sines[i], 1e-6);
                check_near(y[2 * i + 1], x[2 * i] * sines[i] + x[2 * i + 1] * cosines[i], 1e-6);
            }
            check_margin(y, x, 2 * n);
            memcpy(y, x, sizeof y);
            kernels->rope_split(y, in_place ? y : x, cosines, sines, n);
            for (int i = 0; i < n; i++) {
                check_near(y[i], x[i] * cosines[i] - x[i + n] * sines[i], 1e-6);
                check_near(y[i + n], x[i] * sines[i] + x[i + n] * cosines[i], 1e-6);
            }
            check_margin(y, x, 2 * n);
        }
    }
}

static void test_weigh(void **state)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, -NAN};
    if (!select_isa(*state))
        return;
    for (int s = 0; s < N_SIZES; s++) {
        int n = sizes[s] < 1024 ? sizes[s] : 1024;
        fill(x, n, 20);
        fill(w, n, 2);
        memcpy(y, w, sizeof y);
        for (int i = 3; i < n; i += 5)
            x[i] = odd[i % 4];
        float sum = kernels->weigh(y, x, n, 20, 0.7f);
        double expected = 0;
        for (int i = 0; i < n; i++) {
            double weight = isfinite(x[i]) ? exp(((double)x[i] - 20) / (double)0.7f) : 0;
            check_near(y[i], weight, 1e-5 * weight + 1e-37);
            expected += weight;
        }
        check_near(sum, expected, 1e-5 * expected);
        check_margin(y, w, n);
    }
    x[0] = 3;
    x[1] = -3e38f;
    assert_true(kernels->weigh(x, x, 2, 3, 1e-40f) == 1);
    assert_true(x[0] == 1 && x[1] < 2e-38f);
}

static void test_kv_store(void **state)
{
    if (!select_isa(*state))
        return;
    for (int s = 0; s < N_SIZES; s++) {
        int n = sizes[s];
        float scale = -1, max = 0;
        uint8_t row[MAX_SIZE * 4 + 1];
        uint16_t half;
        fill(x, n, 4);
        memset(row, 0xee, sizeof row);

        kernels->kv_store(row, &scale, x, n, KV_F32);
        assert_memory_equal(row, x, (size_t)n * 4);
        kernels->kv_store(row, &scale, x, n, KV_F16);
        for (int i = 0; i < n; i++) {
            memcpy(&half, row + 2 * i, 2);
            assert_int_equal(half, f16_from_float(x[i]));
        }
        kernels->kv_store(row, &scale, x, n, KV_BF16);
        for (int i = 0; i < n; i++) {
            memcpy(&half, row + 2 * i, 2);
            assert_int_equal(half, bf16_from_float(x[i]));
            max = fmaxf(max, fabsf(x[i]));
        }
        assert_true(scale == -1);
        memset(row, 0xee, sizeof row);
        kernels->kv_store(row, &scale, x, n, KV_Q8);
        assert_true(scale == max / 127);
        for (int i = 0; i < n; i++)
            check_near((float)(int8_t)row[i] * scale, x[i], 0.501 * (double)scale);
        assert_int_equal(row[n], 0xee);
    }
}

static float stored(const uint8_t *row, float scale, enum kv_type type, int i)
{
    uint16_t half;
    float whole;
    if (type == KV_Q8)
        return (float)(int8_t)row[i] * scale;
    if (type == KV_F32)
        return memcpy(&whole, row + 4 * i, 4), whole;
    memcpy(&half, row + 2 * i, 2);
    return type == KV_F16 ? f16_to_float(half) : bf16_to_float(half);
}

static void test_kv_add(void **state)
{
    if (!select_isa(*state))
        return;
    for (int s = 0; s < N_SIZES; s++) {
        for (int type = KV_F32; type <= KV_Q8; type++) {
            int n = sizes[s];
            float scale = -1;
            uint8_t row[MAX_SIZE * 4];
            fill(w, n, 5);
            fill(x, n, 6);
            fill(b, n, 7);
            memcpy(y, b, (size_t)n * sizeof y[0]);
            y[n] = 7; /* beyond the end */
            kernels->kv_store(row, &scale, x, n, (enum kv_type)type);
            kernels->kv_add(y, w, row, &scale, n, (enum kv_type)type);
            for (int i = 0; i < n; i++)
                check_near(y[i], b[i] + w[i] * stored(row, scale, (enum kv_type)type, i), 1e-5);
            assert_true(y[n] == 7);
        }
    }
}

static void test_numbers_that_are_not_finite(void **state)
{
    if (!select_isa(*state))
        return;
    enum { N = 20 };
    float scale = -1;
    uint8_t row[N * 4];
    for (int i = 0; i < N; i++)
        x[i] = (float)i;
    x[2] = NAN;
    x[3] = INFINITY;
    x[18] = -INFINITY;
    kernels->kv_store(row, &scale, x, N, KV_Q8);
    assert_true(scale == 19.0f / 127);
    assert_int_equal(row[2] | row[3] | row[18], 0);
    assert_int_equal(row[19], 127);

    kernels->kv_store(row, &scale, x, N, KV_F16);
    uint16_t half;
    memcpy(&half, row + 4, 2);
    assert_true(isnan(f16_to_float(half)));
    kernels->kv_store(row, &scale, x, N, KV_BF16);
    memcpy(&half, row + 4, 2);
    assert_true(isnan(bf16_to_float(half)));

    memset(row, 1, sizeof row);
    for (int i = 0; i < N; i++)
        x[i] = 1e-42f;
    kernels->kv_store(row, &scale, x, N, KV_Q8);
    assert_true(scale == 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(row[i], 0);

    memcpy(y, x, sizeof y);
    y[1] = NAN;
    kernels->silu_mul(y, x, N);
    assert_true(isnan(y[1]));
    assert_true(y[0] == y[0]);
}

static void test_select_refuses_unknown_names(void **state)
{
    (void)state;
    struct err err;
    assert_false(kernels_select("mmx", &err));
    assert_int_equal(err.code, ERR_INVALID);
    setenv("SINKD_KERNELS", "scalar", 1);
    assert_true(kernels_select(NULL, &err));
    assert_string_equal(kernels->name, "scalar");
    setenv("SINKD_KERNELS", "quantum", 1);
    assert_false(kernels_select(NULL, &err));
    unsetenv("SINKD_KERNELS");
    assert_true(kernels_select(NULL, &err));
}

static void test_kv_type_names(void **state)
{
    (void)state;
    static const size_t bytes[] = {4, 2, 2, 1};
    for (int i = KV_F32; i <= KV_Q8; i++) {
        enum kv_type type = KV_F32;
        assert_true(kv_type_parse(kv_type_name((enum kv_type)i), &type));
        assert_int_equal(type, i);
        assert_int_equal(kv_type_bytes(type), bytes[i]);
    }
    enum kv_type type;
    assert_false(kv_type_parse("q4", &type));
}

int main(void)
{
    static const struct isa_check checks[] = {
        {"rms norm", test_rms_norm},
        {"layer norm", test_layer_norm},
        {"silu and gelu", test_activations},
        {"add and clamp", test_add_and_clamp},
        {"rope", test_rope},
        {"weigh", test_weigh},
        {"kv store", test_kv_store},
        {"kv add", test_kv_add},
        {"not finite", test_numbers_that_are_not_finite},
    };
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(test_select_refuses_unknown_names),
        cmocka_unit_test(test_kv_type_names),
    };
    return run_with_each_isa(checks, sizeof checks / sizeof checks[0], others,
                             sizeof others / sizeof others[0]);
}
