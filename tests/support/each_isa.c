#include "tests/support/each_isa.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/kernels/kernels.h"

int isas_to_check(const char *out[MAX_ISAS])
{
    static const char *const all[] = {"scalar", "avx2", "avxvnni", "avx512", "vbmi", "amx"};
    _Static_assert(sizeof all / sizeof all[0] == MAX_ISAS, "room for all");
    const char *forced = getenv("SINKD_KERNELS");
    if (forced != NULL) {
        out[0] = forced;
        return 1;
    }
    memcpy(out, all, sizeof all);
    return MAX_ISAS;
}

int run_with_each_isa(const struct isa_check *checks, int n_checks, const struct CMUnitTest *others,
                      int n_others)
{
    enum { NAME_BYTES = 64 };
    const char *isas[MAX_ISAS];
    const int n_isas = isas_to_check(isas), n = n_checks * n_isas;
    struct CMUnitTest *tests = calloc((size_t)(n_others + n), sizeof *tests);
    char(*names)[NAME_BYTES] = calloc((size_t)n, sizeof *names);
    if (tests == NULL || names == NULL)
        abort();
    for (int i = 0; i < n_others; i++)
        tests[i] = others[i];
    for (int i = 0; i < n; i++) {
        const char *isa = isas[i % n_isas];
        const struct isa_check *check = &checks[i / n_isas];
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
