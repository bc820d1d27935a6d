/* bench_model - tokens per second of whole steps, as other engines' benchmarks count them.
 *
 *     bench_model MODEL.gguf [THREADS] [KV-TYPE] [DEEPEST]
 *
 * pp512: a prompt of 512 tokens. tg: one token for each of n sequences per step, each sequence
 * standing at `depth`, up to DEEPEST. Medians of several runs; the sampler and the server are not
 * in it. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/cpu_quota.h"
#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf.h"
#include "core/kernels/kernels.h"
#include "core/model/forward.h"
#include "core/model/kv_cache.h"
#include "core/model/model.h"

enum { PROMPT = 512, CHUNK = 256, MAX_SEQUENCES = 16, N_STEPS = 24, N_RUNS = 3, ROOM = 64 };

struct bench {
    struct gguf *file;
    struct model *model;
    struct thread_pool *pool;
    struct forward *forward;
    enum kv_type kv_type;
    struct kv_cache *caches[MAX_SEQUENCES];
};

static bool open_bench(struct bench *bench, const char *path, int n_threads, struct err *err)
{
    return kernels_select(NULL, err) && gguf_open(&bench->file, path, err) &&
           model_open(&bench->model, bench->file, err) &&
           thread_pool_open(&bench->pool, n_threads, err) &&
           model_weave(bench->model, bench->file, bench->pool, err) &&
           forward_open(&bench->forward, bench->model, bench->pool, CHUNK, MAX_SEQUENCES, err);
}

static bool open_caches(struct bench *bench, int n, int n_window, struct err *err)
{
    const struct model_shape *shape = &bench->model->shape;
    struct kv_shape kv = {.n_layers = shape->n_layers,
                          .n_kv_heads = shape->n_kv_heads,
                          .head_dim_k = shape->head_dim_k,
                          .head_dim_v = shape->head_dim_v,
                          .type = bench->kv_type,
                          .n_sinks = 4,
                          .n_window = n_window,
                          .n_slack = CHUNK - 1};
    bool is_open = true;
    for (int i = 0; i < n && is_open; i++)
        is_open = kv_cache_open(&bench->caches[i], &kv, err);
    return is_open;
}

static void close_caches(struct bench *bench)
{
    for (int i = 0; i < MAX_SEQUENCES; i++)
        kv_cache_close(&bench->caches[i]);
}

static int32_t some_token(const struct bench *bench, int64_t i)
{
    return (int32_t)((i * 7919 + 13) % bench->model->shape.n_vocab);
}

static void read_prompt(struct bench *bench, struct kv_cache *cache, int n_tokens)
{
    struct forward_token tokens[CHUNK];
    for (int done = 0; done < n_tokens;) {
        int n = n_tokens - done < CHUNK ? n_tokens - done : CHUNK;
        for (int i = 0; i < n; i++)
            tokens[i] = (struct forward_token){.id = some_token(bench, done + i),
                                               .cache = cache,
                                               .wants_logits = done + i == n_tokens - 1};
        forward_run(bench->forward, tokens, n);
        done += n;
    }
}

static void speak(struct bench *bench, int n_sequences)
{
    struct forward_token tokens[MAX_SEQUENCES];
    for (int i = 0; i < n_sequences; i++)
        tokens[i] = (struct forward_token){
            .id = some_token(bench, i * 31 + 5), .cache = bench->caches[i], .wants_logits = true};
    forward_run(bench->forward, tokens, n_sequences);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare);
    return values[n / 2];
}

static double seconds_since(int64_t begin_ns)
{
    return (double)(clock_now_ns() - begin_ns) * 1e-9;
}

static bool bench_prompt(struct bench *bench, struct err *err)
{
    double rates[N_RUNS];
    if (!open_caches(bench, 1, PROMPT + ROOM, err))
        return false;
    read_prompt(bench, bench->caches[0], CHUNK);
    for (int run = 0; run < N_RUNS; run++) {
        kv_cache_rewind(bench->caches[0], 0);
        int64_t begin = clock_now_ns();
        read_prompt(bench, bench->caches[0], PROMPT);
        rates[run] = PROMPT / seconds_since(begin);
    }
    close_caches(bench);
    printf("pp%d                    %8.1f tokens/s\n", PROMPT, median(rates, N_RUNS));
    return true;
}

static bool bench_speech(struct bench *bench, int n_sequences, int depth, struct err *err)
{
    double rates[N_STEPS];
    if (!open_caches(bench, n_sequences, depth + ROOM, err)) {
        close_caches(bench);
        return false;
    }
    for (int i = 0; i < n_sequences && depth > 0; i++)
        read_prompt(bench, bench->caches[i], depth);
    speak(bench, n_sequences);
    for (int step = 0; step < N_STEPS; step++) {
        int64_t begin = clock_now_ns();
        speak(bench, n_sequences);
        rates[step] = n_sequences / seconds_since(begin);
    }
    close_caches(bench);
    printf("tg, %2d sequences @ %4d %8.1f tokens/s\n", n_sequences, depth, median(rates, N_STEPS));
    return true;
}

static bool run(struct bench *bench, int deepest, struct err *err)
{
    static const int loads[][2] = {{1, 0}, {1, 1024}, {1, 4096}, {4, 0}, {16, 0}};
    bool is_good = bench_prompt(bench, err);
    for (size_t i = 0; i < sizeof loads / sizeof loads[0] && is_good; i++)
        is_good = loads[i][1] > deepest || bench_speech(bench, loads[i][0], loads[i][1], err);
    return is_good;
}

int main(int argc, char **argv)
{
    struct bench bench = {.kv_type = KV_F16};
    struct err err = {0};
    if (argc < 2 || (argc > 3 && !kv_type_parse(argv[3], &bench.kv_type))) {
        fprintf(stderr, "usage: bench_model MODEL.gguf [THREADS] [f32|f16|bf16|q8] [DEEPEST]\n");
        return 2;
    }
    int n_threads = argc > 2 ? atoi(argv[2]) : cpu_quota_threads();
    bool is_good = open_bench(&bench, argv[1], n_threads, &err);
    if (is_good) {
        printf("%s, %d threads, %s kernels, %s cache\n", argv[1], n_threads, kernels->name,
               kv_type_name(bench.kv_type));
        is_good = run(&bench, argc > 4 ? atoi(argv[4]) : INT_MAX, &err);
    }
    if (!is_good)
        fprintf(stderr, "bench_model: %s\n", err.text);
    forward_close(&bench.forward);
    thread_pool_close(&bench.pool);
    model_close(&bench.model);
    gguf_close(&bench.file);
    return is_good ? 0 : 1;
}
