#include "core/kernels/amx.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool cpu_has_tiles(void)
{
    enum { OSXSAVE = 1 << 27, TILE = 1 << 24, INT8 = 1 << 25, STATE = 3 << 17 };
    unsigned int eax, ebx, ecx, edx;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & OSXSAVE) == 0)
        return false;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (edx & TILE) == 0 ||
        (edx & INT8) == 0)
        return false;
    __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (eax & STATE) == STATE;
}

bool amx_allow(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return cpu_has_tiles() && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
