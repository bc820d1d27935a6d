#include "tests/support/golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/min_max.h"
#include "core/base/thread_pool.h"
#include "core/kernels/kernels.h"
#include "tests/support/check.h"

const struct golden_model golden_models[GOLDEN_N_MODELS] = {
    {"llama-mha", 1e-3, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_WIDE},
    {"llama-gqa-tied", 1e-3, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_WIDE},
    {"qwen2-bias", 1e-3, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_WIDE},
    {"falcon-7b-style", 2e-2, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_WIDE},
    {"mpt-alibi", 2e-2, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_WIDE},
    {"gptneox-parallel", 2e-2, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_WIDE},
    {"gemma2-local", 2e-2, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_LOCAL},
    {"gemma3-local", 2e-2, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_LOCAL},
    {"smollm3-unrotated", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"gemma4-local", 2e-2, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_LOCAL},
    {"gpt_oss-all", 0, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_LOCAL},
    {"deepseek2-latent", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"lfm2-short", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"qwen35-delta", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"gemma4-experts", 0, GOLDEN_FEW | GOLDEN_MORE},
    {"gemma4-shared", 0, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_LOCAL},
    {"falcon-40b-style", 0, GOLDEN_FEW},
    {"gptneox-sequential", 0, GOLDEN_FEW},
    {"granite-scaled", 1e-3, GOLDEN_FEW},
    {"granite-unrotated", 1e-3, GOLDEN_FEW},
    {"llama-factors", 0, GOLDEN_FEW},
    {"llama-linear", 0, GOLDEN_FEW},
    {"llama-yarn", 1e-3, GOLDEN_FEW},
    {"qwen2-yarn", 1e-3, GOLDEN_FEW},
    {"phi3-fused", 0, GOLDEN_FEW},
    {"phi3-long", 1e-3, GOLDEN_FEW | GOLDEN_WIDE | GOLDEN_WIDER},
    {"qwen3-norms", 0, GOLDEN_FEW},
    {"gemma-scaled", 0, GOLDEN_FEW},
    {"qwen3moe-experts", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"llama-experts", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"gpt_oss-experts", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"llama-experts-apart", 0, GOLDEN_FEW},
    {"olmoe-experts", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"granitemoe-experts", 1e-3, GOLDEN_FEW},
    {"granitemoe-shared", 1e-3, GOLDEN_FEW},
    {"qwen2moe-shared", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"deepseek-experts", 1e-3, GOLDEN_FEW},
    {"deepseek2-groups", 1e-3, GOLDEN_FEW},
    {"deepseek2-joint", 1e-3, GOLDEN_FEW},
    {"deepseek2-lite", 0, GOLDEN_FEW},
    {"bailingmoe-experts", 1e-3, GOLDEN_FEW},
    {"bailingmoe2-groups", 1e-3, GOLDEN_FEW},
    {"dots1-experts", 1e-3, GOLDEN_FEW},
    {"glm4moe-experts", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"ernie4_5moe-experts", 1e-3, GOLDEN_FEW},
    {"lfm2moe-experts", 1e-3, GOLDEN_FEW | GOLDEN_MORE},
    {"arcee-plain", 1e-3, GOLDEN_FEW},
    {"command-r-parallel", 1e-3, GOLDEN_FEW},
    {"cohere2-local", 1e-3, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_LOCAL},
    {"ernie4_5-plain", 1e-3, GOLDEN_FEW},
    {"exaone-factors", 1e-3, GOLDEN_FEW},
    {"exaone4-behind", 1e-3, GOLDEN_FEW},
    {"exaone4-local", 0, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_LOCAL},
    {"glm4-around", 1e-3, GOLDEN_FEW},
    {"internlm2-plain", 1e-3, GOLDEN_FEW},
    {"minicpm-scaled", 1e-3, GOLDEN_FEW},
    {"mistral3-warm", 1e-3, GOLDEN_FEW | GOLDEN_WIDE | GOLDEN_WIDER},
    {"nemotron-plain", 1e-3, GOLDEN_FEW},
    {"olmo2-behind", 1e-3, GOLDEN_FEW},
    {"olmo2-local", 1e-3, GOLDEN_FEW | GOLDEN_MORE | GOLDEN_LOCAL},
    {"phi2-parallel", 2e-2, GOLDEN_FEW},
    {"seed_oss-bias", 1e-3, GOLDEN_FEW},
    {"stablelm-plain", 1e-3, GOLDEN_FEW},
    {"starcoder2-bias", 2e-2, GOLDEN_FEW},
    {"chatglm-bias", 1e-3, GOLDEN_FEW},
    {"qwen2vl-text", 1e-3, GOLDEN_FEW},
    {"qwen3vl-text", 1e-3, GOLDEN_FEW},
    {"qwen3vlmoe-text", 1e-3, GOLDEN_FEW},
    {"qwen3next-delta", 1e-3, GOLDEN_FEW},
    {"qwen35moe-delta", 1e-3, GOLDEN_FEW},
};

static void read_tokens(struct golden_subject *subject)
{
    char path[200];
    snprintf(path, sizeof path, GOLDEN_FOLDER "/%s/tokens.json", subject->name);
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    assert_int_equal(fgetc(stream), '[');
    for (int i = 0; i < GOLDEN_N_TOKENS; i++)
        assert_int_equal(fscanf(stream, "%d%*[,] ", &subject->tokens[i]), 1);
    fclose(stream);
}

int golden_select_kernels(void **state)
{
    (void)state;
    return kernels_select(NULL, NULL) ? 0 : -1;
}

void golden_open_threads(struct golden_subject *subject, const char *name, int n_threads)
{
    char path[200];
    struct err err = {0};
    *subject = (struct golden_subject){.name = name};
    snprintf(path, sizeof path, GOLDEN_FOLDER "/%s/model.gguf", name);
    if (!gguf_open(&subject->file, path, &err) ||
        !model_open(&subject->model, subject->file, &err) ||
        !thread_pool_open(&subject->pool, n_threads, &err) ||
        !model_weave(subject->model, subject->file, subject->pool, &err) ||
        !forward_open(&subject->forward, subject->model, subject->pool, GOLDEN_MAX_CHUNK * 2,
                      GOLDEN_MAX_CHUNK * 2, &err))
        fail_msg("%s: %s", name, err.text);
    subject->logits = calloc((size_t)GOLDEN_N_TOKENS * (size_t)subject->model->shape.n_vocab,
                             sizeof subject->logits[0]);
    assert_non_null(subject->logits);
    read_tokens(subject);
}

void golden_open(struct golden_subject *subject, const char *name)
{
    golden_open_threads(subject, name, 1);
}

void golden_close(struct golden_subject *subject)
{
    forward_close(&subject->forward);
    thread_pool_close(&subject->pool);
    model_close(&subject->model);
    gguf_close(&subject->file);
    free(subject->logits);
}

struct kv_cache *golden_open_cache(const struct golden_subject *subject,
                                   const struct golden_stream *stream)
{
    struct kv_shape kv = model_kv_shape(subject->model);
    kv.type = stream->type;
    kv.n_sinks = stream->n_sinks;
    kv.n_window = stream->n_sinks + stream->n_recent;
    kv.n_slack = stream->chunk - 1;
    struct kv_cache *cache = NULL;
    struct err err = {0};
    if (!kv_cache_open(&cache, &kv, &err))
        fail_msg("%s", err.text);
    return cache;
}

float *golden_row(const struct golden_subject *subject, int t)
{
    return subject->logits + (size_t)t * (size_t)subject->model->shape.n_vocab;
}

void golden_feed(struct golden_subject *subject, struct kv_cache *cache, int begin, int end)
{
    struct forward_token batch[GOLDEN_MAX_CHUNK] = {0};
    for (int t = begin; t < end; t++)
        batch[t - begin] = (struct forward_token){subject->tokens[t], cache, true};
    forward_run(subject->forward, batch, end - begin);
    for (int t = begin; t < end; t++)
        memcpy(golden_row(subject, t), forward_logits(subject->forward, t - begin),
               (size_t)subject->model->shape.n_vocab * sizeof(float));
}

void golden_run(struct golden_subject *subject, const struct golden_stream *stream)
{
    struct kv_cache *cache = golden_open_cache(subject, stream);
    int begin = 0;
    if (stream->skip > 0) {
        for (; begin < stream->n_sinks; begin++)
            golden_feed(subject, cache, begin, begin + 1);
        kv_cache_advance(cache, stream->skip); /* the rows passed over are all zero */
    }
    for (int end; begin < GOLDEN_N_TOKENS; begin = end) {
        end = min_int(begin + stream->chunk, GOLDEN_N_TOKENS);
        golden_feed(subject, cache, begin, end);
    }
    kv_cache_close(&cache);
}

double golden_further(double far, double difference)
{
    return difference <= far ? far : isnan(difference) ? INFINITY : difference;
}
