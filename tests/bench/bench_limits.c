/* bench_limits - what this machine could do at most: bytes read from memory, 8-bit products.
 *
 *     bench_limits [THREADS]
 *
 * Memory: each thread adds up its own part of a gigabyte. Products: the instructions that the
 * kernels in use are made of, on registers alone. The best of several runs. */
#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/clock.h"
#include "core/base/cpu_quota.h"
#include "core/kernels/kernels.h"

enum { MAX_THREADS = 256, N_RUNS = 5, CHAINS = 8, N_PRODUCTS = 20 << 20 };
static const size_t MEMORY = (size_t)1 << 30;

struct share {
    const uint64_t *words;
    size_t n_words;
    uint64_t sum; /* so that the work is not left out */
};

__attribute__((target("avx2"))) static uint64_t sum_words(__m256i a)
{
    uint64_t out[4];
    _mm256_storeu_si256((__m256i *)out, a);
    return out[0] + out[1] + out[2] + out[3];
}

__attribute__((target("avx2"))) static void *read_memory(void *arg)
{
    struct share *share = arg;
    __m256i sums[4];
    memset(sums, 0, sizeof sums);
    for (size_t i = 0; i + 16 <= share->n_words; i += 16)
        for (size_t j = 0; j < 4; j++)
            sums[j] = _mm256_add_epi64(
                sums[j], _mm256_loadu_si256((const __m256i *)(share->words + i + 4 * j)));
    share->sum = sum_words(
        _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3])));
    return NULL;
}

__attribute__((target("avx2"))) static inline __m256i dpbusd_avx2(__m256i sum, __m256i u, __m256i s)
{
    return _mm256_add_epi16(sum, _mm256_maddubs_epi16(u, s));
}

/* The same products of u and s again and again, but no compiler knows; in chains, so that none
 * waits for the one before. */
#define MULTIPLY(name, isa, vector, dpbusd)                               \
    __attribute__((target(isa))) static void *name(void *arg)             \
    {                                                                     \
        struct share *share = arg;                                        \
        vector sums[CHAINS], u = (vector){0} + 0x0303030303030303, s = u; \
        for (int j = 0; j < CHAINS; j++)                                  \
            sums[j] = (vector){j};                                        \
        for (int i = 0; i < N_PRODUCTS / CHAINS; i++) {                   \
            _Pragma("GCC unroll 8") for (int j = 0; j < CHAINS; j++)      \
            {                                                             \
                sums[j] = dpbusd(sums[j], u, s);                          \
                __asm__ volatile("" : "+v"(u));                           \
            }                                                             \
        }                                                                 \
        for (int j = 0; j < CHAINS; j++)                                  \
            share->sum += (uint64_t)sums[j][0];                           \
        return NULL;                                                      \
    }

MULTIPLY(multiply_avx512, "avx512f,avx512bw,avx512vnni", __m512i, _mm512_dpbusd_epi32)
MULTIPLY(multiply_avxvnni, "avxvnni", __m256i, _mm256_dpbusd_avx_epi32)
MULTIPLY(multiply_avx2, "avx2", __m256i, dpbusd_avx2)

struct product {
    const char *name;
    void *(*multiply)(void *);
    int n_products; /* of one instruction, or of two where sums need one of their own */
};

static struct product product_of(enum kernels_isa isa)
{
    if (isa >= KERNELS_AVX512)
        return (struct product){"AVX-512 VNNI", multiply_avx512, 64};
    if (isa == KERNELS_AVXVNNI)
        return (struct product){"AVX-VNNI", multiply_avxvnni, 32};
    return (struct product){"AVX2", multiply_avx2, 32};
}

/* Seconds of the fastest run of all threads together. */
static double fastest(void *(*work)(void *), struct share *shares, int n_threads)
{
    double best = 1e9;
    for (int run = 0; run < N_RUNS; run++) {
        pthread_t threads[MAX_THREADS];
        int64_t begin = clock_now_ns();
        for (int i = 0; i < n_threads; i++)
            if (pthread_create(&threads[i], NULL, work, &shares[i]) != 0)
                exit(1);
        for (int i = 0; i < n_threads; i++)
            pthread_join(threads[i], NULL);
        double seconds = (double)(clock_now_ns() - begin) * 1e-9;
        best = seconds < best ? seconds : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    int n_threads = argc > 1 ? atoi(argv[1]) : cpu_quota_threads();
    struct share shares[MAX_THREADS] = {{0}};
    uint64_t *memory =
        mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (n_threads < 1 || n_threads > MAX_THREADS || memory == MAP_FAILED ||
        !kernels_select(NULL, NULL)) {
        fprintf(stderr, "usage: bench_limits [1 .. %d threads]; needs 1 GB\n", (int)MAX_THREADS);
        return 2;
    }
    madvise(memory, MEMORY, MADV_HUGEPAGE);
    memset(memory, 1, MEMORY);
    for (int i = 0; i < n_threads; i++) {
        size_t n_words = MEMORY / sizeof *memory / (size_t)n_threads;
        shares[i] = (struct share){memory + n_words * (size_t)i, n_words, 0};
    }
    printf("%d threads: memory %.1f GB/s", n_threads,
           (double)MEMORY / fastest(read_memory, shares, n_threads) * 1e-9);
    struct product product = product_of(kernels->isa);
    double n_operations = 2.0 * product.n_products * N_PRODUCTS * n_threads;
    printf(", 8-bit products (%s) %.0f GOP/s\n", product.name,
           n_operations / fastest(product.multiply, shares, n_threads) * 1e-9);
    munmap(memory, MEMORY);
    return 0;
}
