/* tile_vector.h - the product of 16 rows and a block of tokens, whose sums stay in registers.
 *
 * With w = scale_w u + base and x = scale_x q (both for a group), the sum over a group is
 *   scale_w scale_x (sum of u q) + base (scale_x sum of q):
 * the first in integers, the second prepared once for all rows. What is held signed has no base:
 * its integer sums begin with what offsets take away. Included after a simd_*.h. */
#ifndef CORE_KERNELS_TILE_VECTOR_H
#define CORE_KERNELS_TILE_VECTOR_H

#include "core/kernels/activations_vector.h"
#include "core/kernels/prefetch.h"
#include "core/kernels/stripes_vector.h"

/* Where the words of one group lie: in a stripe of a type, or unpacked, one after the other. */
struct words {
    bool is_unpacked;
    enum tensor_type type;
    const uint8_t *p;
    int part;
    int group;
    int first; /* word */
};

SIMD struct u8x64 word_at(struct words words, int k)
{
    if (words.is_unpacked)
        return word(words.p, words.first + k);
    return stripe_word(words.type, words.p, words.part, words.group, words.first + k);
}

/* Sums of u q over n words for n_tokens from the block's first on. They take turns, so that no
 * product waits for the one before. */
SIMD void dot_words(struct traits traits, struct words words, int n, const struct block *x,
                    int n_tokens, struct i32x16 *sums)
{
    const int depth = traits.max == 0 || pairs_depth(traits.max) < 2 ? 1
                      : pairs_depth(traits.max) > n                  ? n
                                                                     : pairs_depth(traits.max);
#pragma GCC unroll 16
    for (int t = 0; t < n_tokens; t++)
        sums[t] = traits.max == 0 && SIGNED_OFFSET > 0 ? i32x16_set(x->start[t]) : i32x16_zero();
#pragma GCC unroll 16
    for (int begin = 0; begin < n; begin += depth) {
        struct pairs pairs[SIMD_TILE_TOKENS];
        const int end = begin + depth < n ? begin + depth : n;
#pragma GCC unroll 16
        for (int t = 0; t < n_tokens; t++)
            pairs[t] = pairs_zero();
#pragma GCC unroll 16
        for (int k = begin; k < end; k++) {
            struct u8x64 w = word_at(words, k);
#pragma GCC unroll 16
            for (int t = 0; t < n_tokens; t++) {
                struct u8x64 four = u8x64_repeat4(x->q + t * GROUP + 4 * k);
                if (traits.max == 0)
                    sums[t] = i32x16_dot_signed(sums[t], w, four);
                else
                    pairs[t] = pairs_dot(pairs[t], w, four);
            }
        }
        if (traits.max == 0)
            continue;
#pragma GCC unroll 16
        for (int t = 0; t < n_tokens; t++)
            sums[t] = pairs_to(sums[t], pairs[t]);
    }
}

/* Of the first group: from token t on. */
SIMD struct block block_from(const struct block *x, int t)
{
    return (struct block){x->q + t * GROUP, x->scale + t, x->sum + t, x->start + t};
}

/* Of the first group: one half, where that has a scale of its own. */
SIMD struct block block_half(const struct block *x, int T, int half, int n_halves)
{
    return (struct block){x->q + half * 16, x->scale, x->sum + half * T,
                          x->start + (n_halves == 2 ? (1 + half) * T : 0)};
}

/* Adds one group, or half a group where that has a scale of its own, of 16 rows to T tokens. */
SIMD void tile_step(struct traits traits, int T, struct words words, struct f32x16 scale,
                    struct f32x16 base, const struct block *x, struct f32x16 *acc)
{
    enum { TURNS = 4 };
#pragma GCC unroll 16
    for (int begin = 0; begin < T; begin += TURNS) {
        const int n = T - begin < TURNS ? T - begin : TURNS;
        const struct block here = block_from(x, begin);
        struct i32x16 sums[TURNS];
        dot_words(traits, words, 8 / traits.n_scales, &here, n, sums);
#pragma GCC unroll 16
        for (int t = 0; t < n; t++) {
            struct f32x16 *to = &acc[begin + t];
            struct f32x16 scaled = f32x16_mul(i32x16_to_f32(sums[t]), scale);
            *to = f32x16_fma(scaled, f32x16_set(here.scale[t]), *to);
            if (traits.max > 0)
                *to = f32x16_fma(base, f32x16_set(here.sum[t]), *to);
        }
    }
}

SIMD void block_next_group(struct block *x, int T)
{
    x->q += T * GROUP;
    x->scale += T;
    x->sum += 2 * T;
    x->start += 3 * T;
}

/* Units of 8 bits that meet one token are fetched by a loop, each as a whole and from nearer: what
 * the loop itself costs keeps a CPU from running so far ahead that its own reads stand in the way
 * of fetches. A tenth to a fifth less time; wherever there is more to do, more time. */
SIMD bool is_fetched_whole(struct traits traits, int T)
{
    return T == 1 && traits.n_bits == 8;
}

/* One part of a unit of a stripe. */
SIMD void tile_part(enum tensor_type type, int T, const uint8_t *body, int part,
                    const struct unit_scales *scales, struct block *x, struct f32x16 *acc)
{
    const struct traits traits = stripe_traits(type);
    const int n_lines = is_fetched_whole(traits, T) ? 0 : traits.n_bits;
#pragma GCC unroll 16
    for (int g = 0; g < traits.n_groups; g++) {
        const int group = part * traits.n_groups + g;
#pragma GCC unroll 8
        for (int i = 0; i < n_lines; i++)
            prefetch(body + WEIGHTS_AHEAD + 64 * (group * n_lines + i), 64);
#pragma GCC unroll 16
        for (int half = 0; half < traits.n_scales; half++) {
            const int i = group * traits.n_scales + half;
            struct block here = block_half(x, T, half, traits.n_scales);
            struct words words = {false, type, body, part, g, half * 4};
            tile_step(traits, T, words, scales->scale[i], scales->base[i], &here, acc);
        }
        block_next_group(x, T);
    }
}

SIMD void tile_stripe(enum tensor_type type, int T, const uint8_t *stripe, struct block x,
                      int n_units, struct f32x16 *acc)
{
    const struct traits traits = stripe_traits(type);
    const struct stripe_format *format = stripe_format(type);
    const uint8_t *head = stripe, *body;
    for (int unit = 0, n; unit < n_units; unit += n, head = body) {
        n = bundle_units(traits, n_units - unit);
        body = head + (size_t)n * format->head_bytes;
        prefetch(head + WEIGHTS_AHEAD, (size_t)n * format->head_bytes / 64 * 64);
        for (int i = 0; i < n; i++, head += format->head_bytes, body += format->body_bytes) {
            struct unit_scales scales;
            if (is_fetched_whole(traits, T))
                prefetch(body + UNITS_AHEAD, format->body_bytes);
            read_scales(type, head, &scales);
            for (int part = 0; part < traits.n_parts; part++)
                tile_part(type, T, body, part, &scales, &x, acc);
        }
    }
}

/* Writes those of 16 rows from `row` on that are the job's. */
SIMD void store_rows(const struct matmul_job *job, int row, int token, struct f32x16 sums)
{
    float *y = job->y + (size_t)token * job->y_stride;
    int begin = row < job->row_begin ? job->row_begin : row;
    int end = row + STRIPE_ROWS < job->row_end ? row + STRIPE_ROWS : job->row_end;
    float all[STRIPE_ROWS];
    if (end - begin == STRIPE_ROWS) {
        struct f32x16 bias = job->bias != NULL ? f32x16_load(job->bias + row) : f32x16_set(0);
        f32x16_store(y + row, f32x16_add(sums, bias));
        return;
    }
    f32x16_store(all, sums);
    for (int r = begin; r < end; r++)
        y[r] = all[r - row] + (job->bias != NULL ? job->bias[r] : 0);
}

/* One stripe meets a block of `width` tokens. */
SIMD void stripe_block(enum tensor_type type, int T, const struct matmul_job *job,
                       const uint8_t *stripe, int row, int token)
{
    struct f32x16 acc[SIMD_TILE_TOKENS];
    const struct traits traits = stripe_traits(type);
    int n_units = job->w->n_in / (traits.n_parts * traits.n_groups * GROUP);
#pragma GCC unroll 16
    for (int t = 0; t < T; t++)
        acc[t] = f32x16_set(0);
    tile_stripe(type, T, stripe, block_at(job->in, token), n_units, acc);
#pragma GCC unroll 16
    for (int t = 0; t < T; t++)
        store_rows(job, row, token + t, acc[t]);
}

typedef void stripe_fn(int width, const struct matmul_job *job, const uint8_t *stripe, int row,
                       int token);

SIMD void stripe_any_width(enum tensor_type type, int width, const struct matmul_job *job,
                           const uint8_t *stripe, int row, int token)
{
    switch (width) {
#if SIMD_TILE_TOKENS >= 16
    case 16:
        stripe_block(type, 16, job, stripe, row, token);
        break;
    case 8:
        stripe_block(type, 8, job, stripe, row, token);
        break;
#endif
    case 4:
        stripe_block(type, 4, job, stripe, row, token);
        break;
    case 2:
        stripe_block(type, 2, job, stripe, row, token);
        break;
    default:
        stripe_block(type, 1, job, stripe, row, token);
        break;
    }
}

#define STRIPE_FN(upper, lower)                                                                \
    static void stripe_##lower(int width, const struct matmul_job *job, const uint8_t *stripe, \
                               int row, int token)                                             \
    {                                                                                          \
        stripe_any_width(TENSOR_##upper, width, job, stripe, row, token);                      \
    }

#endif
