#include "core/kernels/blas.h"

#include <dlfcn.h>
#include <stdlib.h>

/* The standard C interface to BLAS, with its fixed numbers. */
enum { ROW_MAJOR = 101, NOT_TRANSPOSED = 111, TRANSPOSED = 112 };
typedef void sgemm_fn(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                      const float *a, int a_stride, const float *b, int b_stride, float beta,
                      float *c, int c_stride);
typedef void set_threads_fn(int n_threads);

static sgemm_fn *sgemm;

/* POSIX lets a function pointer travel as void *, ISO C does not say how. */
static bool find(void *library, const char *name, void *out_function)
{
    *(void **)out_function = dlsym(library, name);
    return *(void **)out_function != NULL;
}

void blas_open(void)
{
    static bool was_tried;
    if (was_tried)
        return;
    was_tried = true;

    setenv("OPENBLAS_NUM_THREADS", "1", 1); /* else it starts its threads when it is loaded */
    set_threads_fn *set_threads;
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL || !find(library, "openblas_set_num_threads", &set_threads))
        return;
    set_threads(1);
    find(library, "cblas_sgemm", &sgemm);
}

bool blas_is_open(void)
{
    return sgemm != NULL;
}

void blas_multiply(const struct blas_product *product)
{
    sgemm(ROW_MAJOR, NOT_TRANSPOSED, TRANSPOSED, product->n_tokens, product->n_rows, product->n_in,
          1, product->x, product->n_in, product->w, product->n_in, 0, product->y,
          (int)product->y_stride);
}
