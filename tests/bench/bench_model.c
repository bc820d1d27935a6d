/* bench_model - tokens per second of whole steps, as other engines' benchmarks count them.
 *
 *     bench_model [-t THREADS] [-c f32|f16|bf16|q8] MODEL.gguf [LOAD ...]
 *
 * A load is ppN, a prompt of N tokens, or tgN@DEPTH: one token for each of N sequences per step,
 * each sequence standing at DEPTH. Without loads: pp512 tg1@0 tg1@1024 tg1@4096 tg4@0 tg16@0.
 * Each prints a line "LOAD TOKENS-PER-SECOND", the median of several runs; the sampler and the
 * server are not in it. Before them come "weights N" and "bytes N", of what each token meets. Steps
 * of one sequence take turns with reading all its weights and doing nothing else, of which a line
 * "read TIMES-PER-SECOND" follows: no step could be faster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/cpu_quota.h"
#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf.h"
#include "core/kernels/kernels.h"
#include "core/kernels/prefetch.h"
#include "core/kernels/stripes.h"
#include "core/model/forward.h"
#include "core/model/kv_cache.h"
#include "core/model/model.h"

enum {
    CHUNK = 256,
    MAX_SEQUENCES = 64,
    MAX_DEPTH = 1 << 20,
    N_STEPS = 24,
    N_RUNS = 3,
    LONG_PROMPT = 1024, /* is measured once */
    ROOM = 64,          /* rows of the cache for the steps themselves */
};

static const char *const usual_loads[] = {"pp512",    "tg1@0", "tg1@1024",
                                          "tg1@4096", "tg4@0", "tg16@0"};

struct bench {
    struct gguf *file;
    struct model *model;
    struct thread_pool *pool;
    struct forward *forward;
    enum kv_type kv_type;
    struct kv_cache *caches[MAX_SEQUENCES];
    struct matrix *weights; /* that a token is multiplied with */
    int n_weights;
};

static bool list_weights(struct bench *bench, struct err *err)
{
    enum { OF_LAYER = 9, OF_EXPERT = 3 };
    const struct model *model = bench->model;
    int n_latent = model->latent_heads == NULL ? 0 : model->shape.n_heads;
    int n_in_layer = OF_LAYER + 1 + OF_EXPERT * model->shape.n_experts_used + 2 * n_latent;
    bench->weights =
        malloc(sizeof bench->weights[0] * (size_t)(n_in_layer * model->shape.n_layers + 1));
    if (bench->weights == NULL)
        return err_no_memory(err, "the list of weights");
    for (int i = 0; i < model->shape.n_layers; i++) {
        const struct layer *layer = &model->layers[i];
        const struct matrix *all[OF_LAYER] = {&layer->q,    &layer->k,      &layer->v,
                                              &layer->out,  &layer->gate,   &layer->up,
                                              &layer->down, &layer->q_down, &layer->mix};
        for (int j = 0; j < OF_LAYER; j++) {
            if (all[j]->data != NULL)
                bench->weights[bench->n_weights++] = *all[j];
        }
        for (int j = 0; j < n_latent; j++) {
            bench->weights[bench->n_weights++] = layer->latent_heads[j].key;
            bench->weights[bench->n_weights++] = layer->latent_heads[j].value;
        }
        if (layer->experts != NULL)
            bench->weights[bench->n_weights++] = layer->router;
        for (int j = 0; j < model->shape.n_experts_used; j++) {
            const struct expert *expert = &layer->experts[j];
            bench->weights[bench->n_weights++] = expert->gate;
            bench->weights[bench->n_weights++] = expert->up;
            bench->weights[bench->n_weights++] = expert->down;
        }
    }
    bench->weights[bench->n_weights++] = model->output;
    return true;
}

static bool open_bench(struct bench *bench, const char *path, int n_threads, struct err *err)
{
    return kernels_select(NULL, err) && gguf_open(&bench->file, path, err) &&
           model_open(&bench->model, bench->file, err) &&
           thread_pool_open(&bench->pool, n_threads, err) &&
           model_weave(bench->model, bench->file, bench->pool, err) && list_weights(bench, err) &&
           forward_open(&bench->forward, bench->model, bench->pool, CHUNK, MAX_SEQUENCES, err);
}

static bool open_caches(struct bench *bench, int n, int n_window, struct err *err)
{
    struct kv_shape kv = model_kv_shape(bench->model);
    kv.type = bench->kv_type;
    kv.n_sinks = 4;
    kv.n_window = n_window;
    kv.n_slack = CHUNK - 1;
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

static size_t matrix_bytes(const struct matrix *w)
{
    const struct tensor_format *format = tensor_format(w->type);
    return (size_t)w->n_out * (size_t)w->n_in / format->block_len * format->block_bytes;
}

static void count_weights(const struct bench *bench, double *out_n, double *out_bytes)
{
    *out_n = *out_bytes = 0;
    for (int i = 0; i < bench->n_weights; i++) {
        *out_n += (double)bench->weights[i].n_out * bench->weights[i].n_in;
        *out_bytes += (double)matrix_bytes(&bench->weights[i]);
    }
}

/* Fetched ahead, as products do it, without which some CPUs read weights slower than they multiply
 * them. */
static void read_part(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    const struct matrix *w = arg;
    const uint8_t *bytes = w->stripes != NULL ? w->stripes : w->data;
    int n_lines = (int)((w->stripes != NULL ? stripes_bytes(w) : matrix_bytes(w)) / 64);
    int end = thread_pool_part_begin(n_lines, part + 1, n_parts);
    uint64_t sum = 0;
    for (int line = thread_pool_part_begin(n_lines, part, n_parts); line < end; line++) {
        const uint8_t *p = bytes + 64 * (size_t)line;
        uint64_t words[8]; /* the compiler leaves none out, and needs no aligned ones */
        prefetch(p + WEIGHTS_AHEAD, 64);
        memcpy(words, p, sizeof words);
        for (int i = 0; i < 8; i++)
            sum += words[i];
    }
    __asm__ volatile("" : : "r"(sum));
}

static void read_weights(const struct bench *bench)
{
    enum { PARTS_PER_THREAD = 16 };
    for (int i = 0; i < bench->n_weights; i++)
        thread_pool_run(bench->pool, read_part, &bench->weights[i],
                        PARTS_PER_THREAD * thread_pool_size(bench->pool));
}

static bool bench_prompt(struct bench *bench, int n_tokens, double *out_rate, struct err *err)
{
    double rates[N_RUNS];
    if (!open_caches(bench, 1, n_tokens + ROOM, err))
        return false;
    int n_runs = n_tokens < LONG_PROMPT ? N_RUNS : 1;
    read_prompt(bench, bench->caches[0], n_tokens < CHUNK ? n_tokens : CHUNK);
    for (int run = 0; run < n_runs; run++) {
        kv_cache_rewind(bench->caches[0], 0);
        int64_t begin = clock_now_ns();
        read_prompt(bench, bench->caches[0], n_tokens);
        rates[run] = n_tokens / seconds_since(begin);
    }
    *out_rate = median(rates, n_runs);
    return true;
}

static bool bench_speech(struct bench *bench, int n_sequences, int depth, double *out_rate,
                         double *out_read, struct err *err)
{
    double rates[N_STEPS], reads[N_STEPS];
    if (!open_caches(bench, n_sequences, depth + ROOM, err))
        return false;
    for (int i = 0; i < n_sequences && depth > 0; i++)
        read_prompt(bench, bench->caches[i], depth);
    speak(bench, n_sequences);
    for (int step = 0; step < N_STEPS; step++) {
        int64_t begin = clock_now_ns();
        speak(bench, n_sequences);
        rates[step] = n_sequences / seconds_since(begin);
        begin = clock_now_ns();
        if (n_sequences == 1)
            read_weights(bench);
        reads[step] = 1 / seconds_since(begin);
    }
    *out_rate = median(rates, N_STEPS);
    *out_read = n_sequences == 1 ? median(reads, N_STEPS) : 0;
    return true;
}

static bool run_load(struct bench *bench, const char *load, struct err *err)
{
    int n = 0, depth = 0, end = 0;
    double rate = 0, read = 0;
    bool is_good = false;
    if (sscanf(load, "pp%d%n", &n, &end) == 1 && load[end] == '\0' && n >= 1 && n <= MAX_DEPTH)
        is_good = bench_prompt(bench, n, &rate, err);
    else if (sscanf(load, "tg%d@%d%n", &n, &depth, &end) == 2 && load[end] == '\0' && n >= 1 &&
             n <= MAX_SEQUENCES && depth >= 0 && depth <= MAX_DEPTH)
        is_good = bench_speech(bench, n, depth, &rate, &read, err);
    else
        return err_set(err, ERR_INVALID, "\"%s\" is not a load like pp512 or tg16@0", load);
    close_caches(bench);
    if (is_good)
        printf("%s %.2f\n", load, rate);
    if (is_good && read > 0)
        printf("read %.2f\n", read);
    fflush(stdout);
    return is_good;
}

static bool run(struct bench *bench, const char *const *loads, int n_loads, struct err *err)
{
    bool is_good = true;
    for (int i = 0; i < n_loads && is_good; i++)
        is_good = run_load(bench, loads[i], err);
    return is_good;
}

int main(int argc, char **argv)
{
    struct bench bench = {.kv_type = KV_F16};
    struct err err = {0};
    int n_threads = cpu_quota_threads(), option;
    bool is_usage = true;
    while ((option = getopt(argc, argv, "t:c:")) != -1) {
        if (option == 't')
            n_threads = atoi(optarg);
        else
            is_usage &= option == 'c' && kv_type_parse(optarg, &bench.kv_type);
    }
    if (!is_usage || optind >= argc) {
        fprintf(stderr, "usage: bench_model [-t THREADS] [-c f32|f16|bf16|q8] MODEL.gguf "
                        "[ppN | tgN@DEPTH ...]\n");
        return 2;
    }
    const char *path = argv[optind++];
    bool has_loads = optind < argc;
    bool is_good = open_bench(&bench, path, n_threads, &err);
    if (is_good) {
        printf("# %s, %d threads, %s kernels, %s cache\n", path, n_threads, kernels->name,
               kv_type_name(bench.kv_type));
        double n_weights, n_bytes;
        count_weights(&bench, &n_weights, &n_bytes);
        printf("weights %.0f\nbytes %.0f\n", n_weights, n_bytes);
        is_good = run(&bench, has_loads ? (const char *const *)argv + optind : usual_loads,
                      has_loads ? argc - optind : (int)(sizeof usual_loads / sizeof usual_loads[0]),
                      &err);
    }
    if (!is_good)
        fprintf(stderr, "bench_model: %s\n", err.text);
    free(bench.weights);
    forward_close(&bench.forward);
    thread_pool_close(&bench.pool);
    model_close(&bench.model);
    gguf_close(&bench.file);
    return is_good ? 0 : 1;
}
