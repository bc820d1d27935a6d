/* kernels.h - the hot operations on numbers, one table, filled once for this CPU.
 *
 * kernels_scalar.c is the reference and the truth for tests; kernels_avx2.c and kernels_avx512.c
 * are the same operations for CPUs that have the instructions. Kernels take pointers and sizes,
 * know no threads, allocate nothing. Sums are kept in float unless said otherwise; variants may
 * differ from the reference by rounding (bound: 1e-5 relative to the sum of absolute terms). */
#ifndef CORE_KERNELS_KERNELS_H
#define CORE_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kernels/tensor_type.h"

struct err;

/* Each runs wherever those after it do, but for AVX-VNNI, which not all with AVX-512 have. */
enum kernels_isa {
    KERNELS_SCALAR,
    KERNELS_AVX2,
    KERNELS_AVXVNNI,
    KERNELS_AVX512,
    KERNELS_VBMI,
    KERNELS_AMX
};

/* How one row of the KV cache stores its numbers. Q8: int8 with one float scale per row and head,
 * x ~= q * scale, scale = max|x| / 127. */
enum kv_type { KV_F32, KV_F16, KV_BF16, KV_Q8 };

/* The rows that one token sees of a stretch: begin .. end-1, and how far away the first row of the
 * stretch is in the cache; row i is at first_distance - i. */
struct attention_sight {
    int begin;
    int end;
    int first_distance;
};

/* Rows of one KV head that some queries may see: a contiguous stretch of the cache. */
struct attention_rows {
    const void *k;        /* [n_rows, head_dim] in kv_type */
    const void *v;        /* [n_rows, head_dim_v] in kv_type */
    const float *k_scale; /* [n_rows], KV_Q8 only */
    const float *v_scale; /* [n_rows], >= 0, KV_Q8 only */
    int n_rows;
    int first_distance; /* as in a sight; without sights every token sees all rows from there */
    bool is_sink;       /* score with q_sink instead of q_ring */
    const struct attention_sight *sights; /* [n_tokens] or NULL */
};

/* So many queries (a head of a token is one) at most share what is made of a block of rows. */
enum { ATTENTION_PASS_QUERIES = 32 };

/* All query heads that share one KV head, for some tokens of one cache. */
struct attention_query {
    const float *q_ring; /* [n_tokens, n_heads, head_dim] rotated at the absolute position */
    const float *q_sink; /* the same, rotated at the in-cache index */
    const float *slopes; /* [n_heads] ALiBi: score -= slope * distance; NULL without ALiBi */
    int n_tokens;
    int n_heads;
    int head_dim;   /* of q and k */
    int head_dim_v; /* of v and out */
    float scale;    /* score = scale * q.k, usually 1 / sqrt(head_dim) */
    float soft_cap; /* score = cap * tanh(score / cap); 0 for none */
};

/* Of one head, how its output was weighed: the sum of exp(score - max), and max itself, the largest
 * score or one not far below it. Two outputs of the same query over different rows make one, see
 * forward_attention.c. */
struct attention_state {
    float max; /* -infinity when there were no rows */
    float sum;
};

/* One token of one head under the gated delta rule. */
struct delta_token {
    const float *q; /* [dim] */
    const float *k; /* [dim] */
    const float *v; /* [n] */
    float decay;    /* 0 .. 1 */
    float beta;     /* 0 .. 1 */
};

struct kernels {
    enum kernels_isa isa;
    const char *name; /* "scalar", "avx2", "avxvnni", "avx512", "vbmi", "amx" */

    /* y_i = x_i * w_i / sqrt(mean(x^2) + eps)                     RMSNorm, arXiv 1910.07467 */
    void (*rms_norm)(float *y, const float *x, const float *w, int n, float eps);
    /* y_i = (x_i - mean) / sqrt(var + eps) * w_i + b_i, b may be NULL   arXiv 1607.06450 */
    void (*layer_norm)(float *y, const float *x, const float *w, const float *b, int n, float eps);
    /* y_i += x_i */
    void (*add)(float *y, const float *x, int n);
    /* gate_i = silu(gate_i) * up_i,  silu(x) = x / (1 + e^-x)     SwiGLU, arXiv 2002.05202 */
    void (*silu_mul)(float *gate, const float *up, int n);
    /* x_i = x_i / (1 + e^-gate_i) */
    void (*sigmoid_mul)(float *x, const float *gate, int n);
    /* gate_i = gelu(gate_i) * up_i                                 GeGLU, same paper */
    void (*gelu_mul)(float *gate, const float *up, int n);
    /* x_i = gelu(x_i) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))   arXiv 1606.08415 */
    void (*gelu)(float *x, int n);
    /* x_i = min(max(x_i, -limit), limit) */
    void (*clamp)(float *x, int n, float limit);

    /* Rotary embedding (arXiv 2104.09864) of one head by angles given as cos and sin [n_pairs].
     * Neighbouring pairs are (2i, 2i+1); split pairs are (i, i + n_pairs). y may be x. The caller
     * copies what lies beyond 2 * n_pairs. */
    void (*rope_neighbours)(float *y, const float *x, const float *cos, const float *sin,
                            int n_pairs);
    void (*rope_split)(float *y, const float *x, const float *cos, const float *sin, int n_pairs);

    /* One row into the cache. *scale is written for KV_Q8 only. */
    void (*kv_store)(void *row, float *scale, const float *x, int n, enum kv_type type);
    /* y_i += w_i * x_i, x what is in such a row; scale as it was written: a tap of a convolution */
    void (*kv_add)(float *y, const float *w, const void *row, const float *scale, int n,
                   enum kv_type type);

    /* out[t, h, :] = sum_j softmax_j(score_thj) v_j over all rows that t sees of the segments, in
     * one pass with online softmax (arXiv 2205.14135). A query that sees no row gets zeros. Rows
     * that one token sees must be finite for all. out [n_tokens, n_heads, head_dim_v]; out_states
     * [n_tokens, n_heads] may be NULL.
     *
     * For KV_Q8 a variant may compute in integers: of each head the query is rounded to 15 bits,
     * to multiples of max|q| / 32639, and the weights of up to 64 neighbouring rows, times the
     * scales of their values, to multiples of their largest / 32639. A query of such multiples is
     * met exactly; any other changes its scores by scale * max|q| / 65278 * sum|k| at most. Heads
     * of more than 512 elements have 14 bits, of max|q| / 16319. */
    void (*attention)(float *out, struct attention_state *out_states,
                      const struct attention_query *query, enum kv_type type,
                      const struct attention_rows *segments, int n_segments);

    /* y_i = silu(sum_j w[j, i] x_j[i]) of n channels, over n_taps tokens; rows of w are `stride`
     * apart. y is none of x. */
    void (*conv_silu)(float *y, const float *w, size_t stride, const float *const *x, int n_taps,
                      int n);
    /* S = decay S + k (beta (v - decay S^T k))^T, y = S^T q     arXiv 2412.06464, section 3.1
     * for n columns of a state S, whose dim rows are `stride` apart. */
    void (*delta_rule)(float *y, float *state, size_t stride, const struct delta_token *token,
                       int dim, int n);

    /* y_i = e^((x_i - origin) / temperature), 0 where x_i is not finite; returns their sum. No x_i
     * is above the origin. What is below 2^-126 may be that. y may be x. */
    float (*weigh)(float *y, const float *x, int n, float origin, float temperature);
};

/* The table in use; kernels_select must have been called. Constant after start. */
extern const struct kernels *kernels;

/* Chooses the best table that this CPU runs; the environment variable SINKD_KERNELS=scalar|avx2|
 * avxvnni|avx512|vbmi|amx forces one (ERR_UNSUPPORTED when the CPU cannot run it, ERR_INVALID for
 * another name). Call once at start, before any thread. Tests may call it again. */
bool kernels_select(const char *forced_name, struct err *err);

/* Bytes of one stored element; the scale of KV_Q8 is apart. */
size_t kv_type_bytes(enum kv_type type);
/* "f32", "f16", "bf16", "q8"; false for another name. */
bool kv_type_parse(const char *name, enum kv_type *out);
const char *kv_type_name(enum kv_type type);

#endif
