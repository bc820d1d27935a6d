/* kernels_vector.h - norms, activations, rotations and the cache's rows in vectors.
 *
 * Included after a simd_*.h. */
#ifndef CORE_KERNELS_KERNELS_VECTOR_H
#define CORE_KERNELS_KERNELS_VECTOR_H

#include <math.h>
#include <string.h>

#include "core/kernels/kernels_isa.h"

SIMD struct f32x16 load_lanes(const float *x, int n, int i)
{
    return n - i >= 16 ? f32x16_load(x + i) : f32x16_load_first(x + i, n - i);
}

SIMD void store_lanes(float *x, struct f32x16 a, int n, int i)
{
    if (n - i >= 16)
        f32x16_store(x + i, a);
    else
        f32x16_store_first(x + i, a, n - i);
}

/* e^x within 1e-7 relative: 2^n by the exponent, e^r by the polynomial of the Cephes library for
 * |r| <= ln(2)/2. Results outside of 2^-126 .. 2^127 stay at these ends; NaN stays NaN. */
SIMD struct f32x16 vector_exp(struct f32x16 x)
{
    x = f32x16_max(f32x16_set(-87.3f), f32x16_min(f32x16_set(88.0f), x));
    struct f32x16 n = f32x16_round(f32x16_mul(x, f32x16_set(1.44269504f)));
    struct f32x16 r = f32x16_fnma(n, f32x16_set(0.693359375f), x);
    r = f32x16_fnma(n, f32x16_set(-2.12194440e-4f), r);
    struct f32x16 p = f32x16_set(1.9875691500e-4f);
    p = f32x16_fma(p, r, f32x16_set(1.3981999507e-3f));
    p = f32x16_fma(p, r, f32x16_set(8.3334519073e-3f));
    p = f32x16_fma(p, r, f32x16_set(4.1665795894e-2f));
    p = f32x16_fma(p, r, f32x16_set(1.6666665459e-1f));
    p = f32x16_fma(p, r, f32x16_set(5.0000001201e-1f));
    p = f32x16_fma(f32x16_mul(p, r), r, f32x16_add(r, f32x16_set(1)));
    return f32x16_scale_by_power(p, n);
}

/* x / (1 + e^-y) */
SIMD struct f32x16 times_sigmoid(struct f32x16 x, struct f32x16 y)
{
    struct f32x16 e = vector_exp(f32x16_sub(f32x16_set(0), y));
    return f32x16_div(x, f32x16_add(f32x16_set(1), e));
}

/* x/2 (1 + tanh(u)) = x / (1 + e^-2u) */
SIMD struct f32x16 vector_gelu(struct f32x16 x)
{
    const float sqrt_8_over_pi = 1.59576912160573f;
    struct f32x16 cubic = f32x16_mul(f32x16_mul(x, x), f32x16_set(0.044715f));
    struct f32x16 u = f32x16_fma(cubic, x, x);
    return times_sigmoid(x, f32x16_mul(u, f32x16_set(sqrt_8_over_pi)));
}

static void rms_norm(float *y, const float *x, const float *w, int n, float eps)
{
    struct f32x16 squares = f32x16_set(0);
    for (int i = 0; i < n; i += 16) {
        struct f32x16 a = load_lanes(x, n, i);
        squares = f32x16_fma(a, a, squares);
    }
    struct f32x16 scale = f32x16_set(1 / sqrtf(f32x16_sum(squares) / (float)n + eps));
    for (int i = 0; i < n; i += 16) {
        struct f32x16 a = f32x16_mul(load_lanes(x, n, i), scale);
        store_lanes(y, f32x16_mul(a, load_lanes(w, n, i)), n, i);
    }
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, int n, float eps)
{
    struct f32x16 sum = f32x16_set(0), squares = f32x16_set(0);
    for (int i = 0; i < n; i += 16)
        sum = f32x16_add(sum, load_lanes(x, n, i));
    struct f32x16 mean = f32x16_set(f32x16_sum(sum) / (float)n);
    for (int i = 0; i < n; i += 16) {
        struct f32x16 a = f32x16_sub(load_lanes(x, n, i), mean);
        if (n - i < 16) { /* lanes beyond the end must not count */
            float last[16];
            f32x16_store(last, a);
            a = f32x16_load_first(last, n - i);
        }
        squares = f32x16_fma(a, a, squares);
    }
    struct f32x16 scale = f32x16_set(1 / sqrtf(f32x16_sum(squares) / (float)n + eps));
    for (int i = 0; i < n; i += 16) {
        struct f32x16 a = f32x16_mul(f32x16_sub(load_lanes(x, n, i), mean), scale);
        struct f32x16 offset = b != NULL ? load_lanes(b, n, i) : f32x16_set(0);
        store_lanes(y, f32x16_fma(a, load_lanes(w, n, i), offset), n, i);
    }
}

static void add(float *y, const float *x, int n)
{
    for (int i = 0; i < n; i += 16)
        store_lanes(y, f32x16_add(load_lanes(y, n, i), load_lanes(x, n, i)), n, i);
}

static void silu_mul(float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i += 16) {
        struct f32x16 a = load_lanes(gate, n, i);
        store_lanes(gate, f32x16_mul(times_sigmoid(a, a), load_lanes(up, n, i)), n, i);
    }
}

static void sigmoid_mul(float *x, const float *gate, int n)
{
    for (int i = 0; i < n; i += 16)
        store_lanes(x, times_sigmoid(load_lanes(x, n, i), load_lanes(gate, n, i)), n, i);
}

static void gelu_mul(float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i += 16) {
        struct f32x16 a = vector_gelu(load_lanes(gate, n, i));
        store_lanes(gate, f32x16_mul(a, load_lanes(up, n, i)), n, i);
    }
}

static void gelu(float *x, int n)
{
    for (int i = 0; i < n; i += 16)
        store_lanes(x, vector_gelu(load_lanes(x, n, i)), n, i);
}

static void clamp(float *x, int n, float limit)
{
    struct f32x16 top = f32x16_set(limit), bottom = f32x16_set(-limit);
    for (int i = 0; i < n; i += 16) {
        struct f32x16 a = f32x16_max(load_lanes(x, n, i), bottom); /* NaN becomes -limit */
        store_lanes(x, f32x16_min(a, top), n, i);
    }
}

static void rope_neighbours(float *y, const float *x, const float *cos, const float *sin,
                            int n_pairs)
{
    int i = 0;
    for (; i + 16 <= n_pairs; i += 16) {
        struct f32x16 a, b, c = f32x16_load(cos + i), s = f32x16_load(sin + i);
        f32x16_load_pairs(x + 2 * i, &a, &b);
        f32x16_store_pairs(y + 2 * i, f32x16_fnma(b, s, f32x16_mul(a, c)),
                           f32x16_fma(a, s, f32x16_mul(b, c)));
    }
    for (; i < n_pairs; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        y[2 * i] = a * cos[i] - b * sin[i];
        y[2 * i + 1] = a * sin[i] + b * cos[i];
    }
}

static void rope_split(float *y, const float *x, const float *cos, const float *sin, int n_pairs)
{
    for (int i = 0; i < n_pairs; i += 16) {
        struct f32x16 a = load_lanes(x, n_pairs, i), b = load_lanes(x + n_pairs, n_pairs, i);
        struct f32x16 c = load_lanes(cos, n_pairs, i), s = load_lanes(sin, n_pairs, i);
        store_lanes(y, f32x16_fnma(b, s, f32x16_mul(a, c)), n_pairs, i);
        store_lanes(y + n_pairs, f32x16_fma(a, s, f32x16_mul(b, c)), n_pairs, i);
    }
}

/* Converts 16 numbers into a row; `inverse` is for KV_Q8. */
SIMD void kv_store_16(void *row, struct f32x16 a, struct f32x16 inverse, enum kv_type type)
{
    if (type == KV_F32)
        f32x16_store(row, a);
    else if (type == KV_F16)
        f32x16_to_f16(row, a);
    else if (type == KV_BF16)
        f32x16_to_bf16(row, a);
    else
        f32x16_to_i8(row, f32x16_mul(f32x16_finite(a), inverse));
}

SIMD void kv_store_row(void *row, float *scale, const float *x, int n, enum kv_type type)
{
    size_t size = type == KV_F32 ? 4 : type == KV_Q8 ? 1 : 2;
    struct f32x16 inverse = f32x16_set(0);
    if (type == KV_Q8) {
        struct f32x16 sizes = f32x16_set(0);
        for (int i = 0; i < n; i += 16)
            sizes = f32x16_max(sizes, f32x16_abs(f32x16_finite(load_lanes(x, n, i))));
        float max = f32x16_largest(sizes);
        max = max < KV_Q8_LEAST ? 0 : max;
        *scale = max / 127;
        inverse = f32x16_set(max > 0 ? 127 / max : 0);
    }
    for (int i = 0; i < n; i += 16) {
        uint8_t last[16 * sizeof(float)], *to = (uint8_t *)row + size * (size_t)i;
        struct f32x16 a = load_lanes(x, n, i);
        if (n - i >= 16) {
            kv_store_16(to, a, inverse, type);
        } else {
            kv_store_16(last, a, inverse, type);
            memcpy(to, last, size * (size_t)(n - i));
        }
    }
}

static void kv_store(void *row, float *scale, const float *x, int n, enum kv_type type)
{
    switch (type) {
    case KV_F32:
        kv_store_row(row, scale, x, n, KV_F32);
        break;
    case KV_F16:
        kv_store_row(row, scale, x, n, KV_F16);
        break;
    case KV_BF16:
        kv_store_row(row, scale, x, n, KV_BF16);
        break;
    case KV_Q8:
        kv_store_row(row, scale, x, n, KV_Q8);
        break;
    }
}

/* 16 numbers of a row; of KV_Q8 without its scale. */
SIMD struct f32x16 kv_load(enum kv_type type, const uint8_t *p)
{
    if (type == KV_F16)
        return f32x16_from_f16((const uint16_t *)p);
    if (type == KV_BF16)
        return f32x16_from_bf16((const uint16_t *)p);
    return type == KV_Q8 ? f32x16_from_i8((const int8_t *)p) : f32x16_load((const float *)p);
}

SIMD void kv_add_row(float *y, const float *w, const void *row, float scale, int n,
                     enum kv_type type)
{
    size_t size = type == KV_F32 ? 4 : type == KV_Q8 ? 1 : 2;
    for (int i = 0; i < n; i += 16) {
        uint8_t last[16 * sizeof(float)] = {0};
        const uint8_t *from = (const uint8_t *)row + size * (size_t)i;
        if (n - i < 16)
            from = memcpy(last, from, size * (size_t)(n - i));
        struct f32x16 x = kv_load(type, from), a = load_lanes(w, n, i);
        if (type == KV_Q8)
            x = f32x16_mul(x, f32x16_set(scale));
        store_lanes(y, f32x16_fma(a, x, load_lanes(y, n, i)), n, i);
    }
}

static void kv_add(float *y, const float *w, const void *row, const float *scale, int n,
                   enum kv_type type)
{
    switch (type) {
    case KV_F32:
        kv_add_row(y, w, row, 1, n, KV_F32);
        break;
    case KV_F16:
        kv_add_row(y, w, row, 1, n, KV_F16);
        break;
    case KV_BF16:
        kv_add_row(y, w, row, 1, n, KV_BF16);
        break;
    case KV_Q8:
        kv_add_row(y, w, row, *scale, n, KV_Q8);
        break;
    }
}

static float weigh(float *y, const float *x, int n, float origin, float temperature)
{
    struct f32x16 sum = f32x16_set(0);
    for (int i = 0; i < n; i += 16) {
        struct f32x16 a = load_lanes(x, n, i);
        struct f32x16 distance = f32x16_sub(a, f32x16_set(origin));
        struct f32x16 power = f32x16_div(distance, f32x16_set(temperature));
        /* x - x is no number where x is none, or is infinite. */
        struct f32x16 weight = f32x16_finite(vector_exp(f32x16_add(power, f32x16_sub(a, a))));
        store_lanes(y, weight, n, i);
        sum = f32x16_add(sum, n - i >= 16 ? weight : f32x16_range(weight, 0, n - i, 0));
    }
    return f32x16_sum(sum);
}

#endif
