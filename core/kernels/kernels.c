#include "core/kernels/kernels.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/kernels/amx.h"
#include "core/kernels/blas.h"
#include "core/kernels/kernels_isa.h"

const struct kernels *kernels = &kernels_scalar;

/* Best first. */
static const struct kernels *const tables[] = {&kernels_amx,     &kernels_vbmi, &kernels_avx512,
                                               &kernels_avxvnni, &kernels_avx2, &kernels_scalar};
static const int n_tables = sizeof tables / sizeof tables[0];

/* Clang 14 knows no name for it in __builtin_cpu_supports. */
static bool cpu_has_f16c(void)
{
    unsigned int eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

/* Nor for this one. */
static bool cpu_has_avxvnni(void)
{
    unsigned int eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & bit_AVXVNNI) != 0;
}

/* The compiler's run-time check also asks whether the system saves the wide registers. */
static bool cpu_runs(enum kernels_isa isa)
{
    bool has_avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpu_has_f16c();
    bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
    bool has_vbmi = has_avx512 && __builtin_cpu_supports("avx512vbmi");
    switch (isa) {
    case KERNELS_SCALAR:
        return true;
    case KERNELS_AVX2:
        return has_avx2;
    case KERNELS_AVXVNNI:
        return has_avx2 && cpu_has_avxvnni();
    case KERNELS_AVX512:
        return has_avx512;
    case KERNELS_VBMI:
        return has_vbmi;
    case KERNELS_AMX:
        return has_vbmi && amx_allow();
    }
    return false;
}

bool kernels_select(const char *forced_name, struct err *err)
{
    __builtin_cpu_init();
    if (forced_name == NULL)
        forced_name = getenv("SINKD_KERNELS");

    for (int i = 0; i < n_tables; i++) {
        if (forced_name == NULL) {
            if (!cpu_runs(tables[i]->isa))
                continue;
        } else if (strcmp(forced_name, tables[i]->name) != 0) {
            continue;
        } else if (!cpu_runs(tables[i]->isa)) {
            return err_set(err, ERR_UNSUPPORTED, "this CPU cannot run the %s kernels", forced_name);
        }
        kernels = tables[i];
        if (kernels->isa < KERNELS_AVX512)
            blas_open();
        return true;
    }
    return err_set(err, ERR_INVALID,
                   "no kernels are named \"%s\": use scalar, avx2, avxvnni, avx512, vbmi or amx",
                   forced_name);
}

static const struct {
    const char *name;
    size_t bytes;
} kv_types[] = {
    [KV_F32] = {"f32", 4},
    [KV_F16] = {"f16", 2},
    [KV_BF16] = {"bf16", 2},
    [KV_Q8] = {"q8", 1},
};

size_t kv_type_bytes(enum kv_type type)
{
    return kv_types[type].bytes;
}

bool kv_type_parse(const char *name, enum kv_type *out)
{
    for (int i = 0; i < (int)(sizeof kv_types / sizeof kv_types[0]); i++) {
        if (strcmp(name, kv_types[i].name) == 0) {
            *out = (enum kv_type)i;
            return true;
        }
    }
    return false;
}

const char *kv_type_name(enum kv_type type)
{
    return kv_types[type].name;
}
