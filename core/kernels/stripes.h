/* stripes.h - quantized weights woven for products: the same numbers, 16 rows side by side.
 *
 * A stripe holds 16 rows of a matrix. Where a row has four bytes, its stripe has 64: those four of
 * each row, so that a vector of them meets four inputs and gives 16 sums, none of which must be
 * added across lanes. Weaving changes no number, only where its bits are (of formats with a grid,
 * also how many: grid_weave.h); it is done once, when a model is loaded. Thread: any; calls for
 * different stripes may run at once.
 *
 * A stripe is its bundles, padded to 64 bytes. A unit is one block of each row: its head (scales)
 * and its body. A bundle is what 256 elements of each row have become, or what is left of them: the
 * heads of one unit, or of up to eight with small blocks, then their bodies. All of it is one
 * stream of addresses, because a CPU loses a fifth of its memory's speed to two; small units whose
 * heads stood between their bodies cost up to a quarter of the time of few tokens. Heads and bodies
 * are described in stripes.c, where they are written; stripes_vector.h reads them. */
#ifndef CORE_KERNELS_STRIPES_H
#define CORE_KERNELS_STRIPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kernels/matmul.h"

enum {
    STRIPE_ROWS = 16,
    STRIPE_BUNDLE = 256, /* elements of a row */
    STRIPE_ALIGNMENT = 64,
};

/* Writes head and body of one unit from one block of each row. */
typedef void stripes_weave_fn(uint8_t *head, uint8_t *body, const uint8_t *const rows[STRIPE_ROWS]);

/* How a matrix of this type is woven: as the type says, but where the CPU looks numbers up in a
 * grid of 256 itself, indices stay what they are, which is less than the codes of grid_weave.h.
 * What is below is asked with this type, but for matrices, which have that of their file. */
enum tensor_type stripe_type(enum tensor_type type);

struct stripe_format {
    size_t head_bytes; /* of a unit; a multiple of 32 */
    size_t body_bytes; /* a multiple of 64 */
};

/* NULL for floats, which are not woven. */
const struct stripe_format *stripe_format(enum tensor_type type);

/* Bytes of all stripes of a matrix whose type has a format; the last one is filled up with rows of
 * zeros. No overflow for a matrix that is in memory. */
size_t stripes_bytes(const struct matrix *w);
int stripes_count(const struct matrix *w);

/* Weaves stripe i to its place in `stripes`, which is aligned to STRIPE_ALIGNMENT; `rows` are those
 * of w->data from i * STRIPE_ROWS on. */
void stripes_weave(const struct matrix *w, int i, const void *rows, void *stripes);

static inline size_t stripe_unit_bytes(const struct stripe_format *format)
{
    return format->head_bytes + format->body_bytes;
}

/* Units of the next bundle, when n_left of one row are left. */
static inline size_t stripe_bundle_units(size_t unit_len, size_t n_left)
{
    size_t most = STRIPE_BUNDLE / unit_len;
    return n_left < most ? n_left : most;
}

static inline size_t stripe_bytes(const struct stripe_format *format, size_t n_units)
{
    size_t bytes = n_units * stripe_unit_bytes(format);
    return (bytes + STRIPE_ALIGNMENT - 1) / STRIPE_ALIGNMENT * STRIPE_ALIGNMENT;
}

#endif
