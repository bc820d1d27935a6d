#include "core/base/layout.h"

void *layout_take(struct layout *layout, size_t n, size_t each)
{
    size_t at = layout->n_used, n_bytes;
    if (__builtin_mul_overflow(n, each, &n_bytes) ||
        __builtin_add_overflow(n_bytes, LAYOUT_ALIGNMENT - 1, &n_bytes) ||
        __builtin_add_overflow(at, n_bytes / LAYOUT_ALIGNMENT * LAYOUT_ALIGNMENT, &layout->n_used))
        layout->overflowed = true;
    return layout->block == NULL || layout->overflowed ? NULL : layout->block + at;
}
