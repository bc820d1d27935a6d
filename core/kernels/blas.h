/* blas.h - the one door to OpenBLAS, which multiplies large batches with float weights on CPUs
 * without AVX-512.
 *
 * The library is optional and looked for at run time. It keeps to one thread: it is called on tiles
 * by our own threads, several at once. With AVX-512 our own tiles are faster (on a Zen 5 core 160
 * to 180 GFLOP/s against 120 to 143 with its SkylakeX and Cooperlake kernels, 85 with Haswell's),
 * so it is not even loaded. */
#ifndef CORE_KERNELS_BLAS_H
#define CORE_KERNELS_BLAS_H

#include <stdbool.h>
#include <stddef.h>

struct thread_pool;

/* y[t, r] = sum_i w[r, i] x[t, i] */
struct blas_product {
    const float *w; /* [n_rows, n_in] */
    const float *x; /* [n_tokens, n_in] */
    float *y;       /* [n_tokens], y_stride floats apart */
    size_t y_stride;
    int n_rows;
    int n_tokens;
    int n_in;
};

/* Loads the library; later calls do nothing. Call before any thread is started, since it sets an
 * environment variable that the library reads. */
void blas_open(void);

/* False: there is no library, blas_multiply must not be called. */
bool blas_is_open(void);

/* Takes the buffers of all threads of `pool` now, while they can be had: the library takes one for
 * each thread at its first product and asks for ever when it is refused. Without room for them (or
 * with a library that has no such buffers to give) blas_is_open is false from now on. Before the
 * first product. */
void blas_reserve(struct thread_pool *pool);

/* Thread: any of those of blas_reserve's pool, at the same time. */
void blas_multiply(const struct blas_product *product);

#endif
