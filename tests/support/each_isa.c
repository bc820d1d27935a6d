#include "tests/support/each_isa.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/kernels/kernels.h"

int run_with_each_isa(const struct isa_check *checks, int n_checks, const struct CMUnitTest *others,
                      int n_others)
{
    static const char *const isas[] = {"scalar", "avx2", "avxvnni", "avx512", "vbmi", "amx"};
    enum { N_ISAS = sizeof isas / sizeof isas[0], NAME_BYTES = 64 };
    const int n = n_checks * N_ISAS;
    struct CMUnitTest *tests = calloc((size_t)(n_others + n), sizeof *tests);
    char(*names)[NAME_BYTES] = calloc((size_t)n, sizeof *names);
    if (tests == NULL || names == NULL)
        abort();
    for (int i = 0; i < n_others; i++)
        tests[i] = others[i];
    for (int i = 0; i < n; i++) {
        const char *isa = isas[i % N_ISAS];
        const struct isa_check *check = &checks[i / N_ISAS];
        snprintf(names[i], sizeof names[i], "%s: %s", isa, check->name);
        tests[n_others + i] =
            (struct CMUnitTest){names[i], check->run, NULL, NULL, (void *)(uintptr_t)isa};
    }
    int status = _cmocka_run_group_tests("each isa", tests, (size_t)(n_others + n), NULL, NULL);
    free(tests);
    free(names);
    return status;
}

bool select_isa(const char *name)
{
    struct err err;
    if (kernels_select(name, &err))
        return true;
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    print_message("skipped: %s\n", err.text);
    return false;
}

void check_near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%s: %.9g, not %.9g", kernels->name, got, expected);
}

unsigned random_bits(void)
{
    static uint32_t state = 1;
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

float random_float(float range)
{
    return ((float)random_bits() * 0x1p-23f - 1) * range;
}
