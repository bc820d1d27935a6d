/* bench_kernels - speed of the products, per shape, tensor type and instruction set, on one thread.
 *
 * Prints "ISA TYPE ROWSxCOLUMNS", for one token GB/s of weights (from a set larger than the
 * caches), and for each batch giga operations (multiplications and additions) per second. Then
 * attention per type of cache. Arguments: names of types, instruction sets, shapes and batches to
 * keep, and attention; none for all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/err.h"
#include "core/kernels/kernels.h"
#include "core/kernels/matmul.h"
#include "core/kernels/stripes.h"

enum { N_MATRICES = 16 };

/* TinyLlama's: query and output, gate and up, down. */
struct shape {
    const char *name;
    int n_out;
    int n_in;
};
static const struct shape shapes[] = {
    {"2048x2048", 2048, 2048},
    {"5632x2048", 5632, 2048},
    {"2048x5632", 2048, 5632},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static int n_words;
static char **words;

/* True when no word of this kind was given, or this one was. */
static bool is_wanted(const char *name, const char *const *kind, int n_kind)
{
    bool is_limited = false;
    for (int i = 0; i < n_words; i++) {
        if (strcmp(words[i], name) == 0)
            return true;
        for (int j = 0; j < n_kind; j++)
            is_limited |= strcmp(words[i], kind[j]) == 0;
    }
    return !is_limited;
}

/* This thread's own time, so that other programs count less. */
static int64_t thread_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void *take(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (p == NULL) {
        fprintf(stderr, "no memory for %zu bytes\n", bytes);
        exit(1);
    }
    memset(p, 0x11, bytes);
    return p;
}

static struct activations take_activations(int n_tokens, int n_in)
{
    size_t n = (size_t)n_tokens * (size_t)n_in;
    struct activations in = {n_tokens,    n_in,        take(n * sizeof(float)), take(n),
                             take(n / 8), take(n / 4), take(n / 8 * 3)};
    for (size_t i = 0; i < n; i++)
        in.x[i] = (float)(rand() % 2001 - 1000) * 1e-3f;
    return in;
}

static void give_activations(struct activations *in)
{
    free(in->x);
    free(in->q);
    free(in->scale);
    free(in->sum);
    free(in->start);
}

/* Seconds of one product. The best of many short runs counts: other programs disturb the rest. */
static double measure(enum tensor_type type, const struct shape *shape, const uint8_t *data,
                      size_t bytes, int n_tokens)
{
    enum { N_SLICES = 16 };
    struct activations in = take_activations(n_tokens, shape->n_in);
    float *y = take((size_t)n_tokens * (size_t)shape->n_out * sizeof *y);
    void *scratch = take(matmul_scratch_bytes(shape->n_in, n_tokens));
    int n_runs = n_tokens <= 16 ? 10 * N_MATRICES : 4, n_rows = shape->n_out / N_SLICES;
    double best = 1e9;
    for (int run = 0; run < n_runs; run++) {
        struct matrix w = {type, shape->n_out, shape->n_in,
                           data + bytes * (size_t)(run % N_MATRICES), NULL};
        if (matmul_wants_stripes(type)) /* any bits will do */
            w.stripes = w.data;
        if (matmul_wants_quantized(type))
            activations_quantize(&in, 0, in.n_in);
        for (int slice = 0; slice < N_SLICES; slice++) {
            int64_t begin = thread_now_ns();
            matmul_rows(&w, NULL, &in, y, (size_t)shape->n_out, slice * n_rows,
                        (slice + 1) * n_rows, scratch);
            double seconds = (double)(thread_now_ns() - begin) * 1e-9 * N_SLICES;
            best = seconds < best ? seconds : best;
        }
    }
    give_activations(&in);
    free(y);
    free(scratch);
    return best;
}

static void measure_type(enum tensor_type type, const struct shape *shape)
{
    static const char *const batches[] = {"1", "2", "4", "8", "16", "32", "64", "128", "512"};
    enum { N_BATCHES = sizeof batches / sizeof batches[0] };
    const struct tensor_format *format = tensor_format(type);
    struct matrix any = {type, shape->n_out, shape->n_in, NULL, NULL};
    double n_weights = (double)shape->n_out * shape->n_in;
    size_t bytes = (size_t)n_weights / format->block_len * format->block_bytes;
    if (matmul_wants_stripes(type))
        bytes = stripes_bytes(&any);
    uint8_t *data = take(bytes * N_MATRICES + (1 << 20));
    printf("%s %s %s", kernels->name, format->name, shape->name);
    for (int i = 0; i < N_BATCHES; i++) {
        if (!is_wanted(batches[i], batches, N_BATCHES))
            continue;
        int n_tokens = atoi(batches[i]);
        double seconds = measure(type, shape, data, bytes, n_tokens);
        if (n_tokens == 1)
            printf(" GB/s: %.1f", (double)bytes / seconds * 1e-9);
        printf(" %d: %.1f", n_tokens, 2 * n_weights * n_tokens / seconds * 1e-9);
    }
    printf("\n");
    fflush(stdout);
    free(data);
}

/* One token's attention in a layer like TinyLlama's: 4 groups of 8 heads of 64, 2048 rows. Layers
 * take turns, so that rows come from memory. */
static void measure_attention(enum kv_type type)
{
    enum { N_ROWS = 2048, N_KV_HEADS = 4, N_LAYERS = 24, N_HEADS = 8, DIM = 64, N_RUNS = 10 };
    size_t bytes = kv_type_bytes(type) * N_ROWS * DIM;
    uint8_t *kv = take(bytes * 2 * N_KV_HEADS * N_LAYERS);
    memset(kv, 0, bytes * 2 * N_KV_HEADS * N_LAYERS);
    float *scale = take(N_ROWS * sizeof *scale), *q = take(N_HEADS * DIM * sizeof *q);
    float out[N_HEADS * DIM];
    double best = 1e9;
    for (int run = 0; run < N_RUNS; run++) {
        int64_t begin = thread_now_ns();
        for (int head = 0; head < N_KV_HEADS * N_LAYERS; head++) {
            const uint8_t *k = kv + bytes * 2 * (size_t)head;
            struct attention_query query = {q, q, NULL, 1, N_HEADS, DIM, DIM, 0.125f, 0};
            struct attention_rows rows = {k,      k + bytes,  NULL,  NULL,
                                          N_ROWS, N_ROWS - 1, false, NULL};
            if (type == KV_Q8)
                rows.k_scale = rows.v_scale = scale;
            kernels->attention(out, NULL, &query, type, &rows, 1);
        }
        double seconds = (double)(thread_now_ns() - begin) * 1e-9 / N_LAYERS;
        best = seconds < best ? seconds : best;
    }
    printf("%s attention %s us: %.1f GOP/s: %.1f\n", kernels->name, kv_type_name(type), best * 1e6,
           4.0 * N_ROWS * N_KV_HEADS * N_HEADS * DIM / best * 1e-9);
    free(kv);
    free(scale);
    free(q);
}

int main(int argc, char **argv)
{
    static const char *const isas[] = {"scalar", "avx2", "avxvnni", "avx512", "vbmi", "amx"};
    static const enum tensor_type types[] = {
        TENSOR_Q4_0,    TENSOR_Q8_0,  TENSOR_Q4_K,  TENSOR_Q6_K,  TENSOR_Q5_K,    TENSOR_Q2_K,
        TENSOR_Q3_K,    TENSOR_Q4_1,  TENSOR_Q5_0,  TENSOR_Q5_1,  TENSOR_IQ2_XXS, TENSOR_IQ2_S,
        TENSOR_IQ3_XXS, TENSOR_IQ3_S, TENSOR_IQ1_S, TENSOR_IQ1_M, TENSOR_IQ4_NL,  TENSOR_IQ4_XS,
        TENSOR_MXFP4,   TENSOR_F32,   TENSOR_F16,   TENSOR_BF16,
    };
    enum { N_TYPES = sizeof types / sizeof types[0] };
    const char *names[N_TYPES + 1], *shape_names[N_SHAPES];
    for (int i = 0; i < N_TYPES; i++)
        names[i] = tensor_format(types[i])->name;
    names[N_TYPES] = "attention";
    for (int i = 0; i < N_SHAPES; i++)
        shape_names[i] = shapes[i].name;
    words = argv + 1;
    n_words = argc - 1;

    for (int i = 3; i >= 0; i--) {
        struct err err;
        if (!is_wanted(isas[i], isas, 4))
            continue;
        if (!kernels_select(isas[i], &err)) {
            printf("%s\n", err.text);
            continue;
        }
        for (int j = 0; j < N_TYPES * N_SHAPES; j++)
            if (is_wanted(names[j / N_SHAPES], names, N_TYPES + 1) &&
                is_wanted(shapes[j % N_SHAPES].name, shape_names, N_SHAPES))
                measure_type(types[j / N_SHAPES], &shapes[j % N_SHAPES]);
        for (int type = KV_F32; type <= KV_Q8 && is_wanted("attention", names, N_TYPES + 1); type++)
            measure_attention((enum kv_type)type);
    }
    return 0;
}
