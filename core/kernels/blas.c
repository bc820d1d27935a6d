#include "core/kernels/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/base/thread_pool.h"

/* The standard C interface to BLAS, with its fixed numbers. */
enum { ROW_MAJOR = 101, NOT_TRANSPOSED = 111, TRANSPOSED = 112 };
typedef void sgemm_fn(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                      const float *a, int a_stride, const float *b, int b_stride, float beta,
                      float *c, int c_stride);
typedef void set_threads_fn(int n_threads);
/* Not in its header but exported: what sgemm begins and ends with. */
typedef void *take_buffer_fn(int place);
typedef void give_buffer_fn(void *buffer);

/* Of address space, for a thread, with what its malloc may want beside. */
enum { BUFFER_BYTES = 128 << 20, BUFFER_EXTRA_BYTES = 1 << 20 };

static sgemm_fn *sgemm;
static take_buffer_fn *take_buffer;
static give_buffer_fn *give_buffer;

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
    if (find(library, "blas_memory_alloc", &take_buffer) &&
        find(library, "blas_memory_free", &give_buffer))
        find(library, "cblas_sgemm", &sgemm);
}

static bool has_room(int n_threads)
{
    size_t bytes = (size_t)(BUFFER_BYTES + BUFFER_EXTRA_BYTES) * (size_t)n_threads;
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return room != MAP_FAILED && munmap(room, bytes) == 0;
}

/* A buffer that is given back stays mapped and is the next caller's: as many as threads must be
 * held at once. The wait also sees to it that each thread takes one part. */
static void hold_buffer(void *everyone_holds, int part, int n_parts, int thread)
{
    (void)part;
    (void)n_parts;
    (void)thread;
    void *buffer = take_buffer(0);
    pthread_barrier_wait(everyone_holds);
    give_buffer(buffer);
}

void blas_reserve(struct thread_pool *pool)
{
    int n_threads = thread_pool_size(pool);
    pthread_barrier_t everyone_holds;
    if (sgemm == NULL)
        return;
    if (!has_room(n_threads) || pthread_barrier_init(&everyone_holds, NULL, (unsigned)n_threads)) {
        sgemm = NULL;
        return;
    }
    thread_pool_run(pool, hold_buffer, &everyone_holds, n_threads);
    pthread_barrier_destroy(&everyone_holds);
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
