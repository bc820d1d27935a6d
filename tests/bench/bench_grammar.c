/* bench_grammar.c - what a grammar costs for each token, with the vocabularies that are named (GGUF
 * files) and with one of 150,000 random words.
 *
 *     bench_grammar [VOCABULARY.gguf ...]
 *
 * The logits are random, so most first choices are wrong and the whole mask is often needed: a
 * model that follows the format costs less. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/text/grammar.h"
#include "core/text/grammar_matcher.h"
#include "core/text/sampler.h"
#include "core/text/token_trie.h"
#include "core/text/tokenizer.h"
#include "tests/support/gguf_builder.h"

enum { N_SYNTHETIC = 150000, N_ANSWERS = 20, MAX_TOKENS = 120 };

static const char GBNF[] =
    "root ::= \"{\" pair (\", \" pair){2,8} \"}\"\n"
    "pair ::= \"\\\"\" [a-z]{3,9} \"\\\": \" value\n"
    "value ::= string | number | \"true\" | \"null\" | \"[\" value (\", \" value){0,3} \"]\"\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1F] | \"\\\\\" [\"\\\\/bfnrt]){0,60} \"\\\"\"\n"
    "number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,8}) (\".\" [0-9]{1,4})?\n";

static uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_grammar: %s\n", what);
    exit(1);
}

static struct tokenizer *open_file(const char *path)
{
    struct gguf *file = NULL;
    struct tokenizer *tokenizer = NULL;
    struct err err;
    if (!gguf_open(&file, path, &err) || !tokenizer_open(&tokenizer, file, &err))
        fail(err.text);
    gguf_close(&file);
    return tokenizer;
}

/* All single bytes of JSON, then words, some behind a space. */
static char **make_words(uint32_t *random)
{
    char **words = calloc(N_SYNTHETIC, sizeof *words);
    for (int i = 0; words != NULL && i < N_SYNTHETIC; i++) {
        char word[24];
        int len = 0;
        if (i < 94) {
            word[len++] = (char)('!' + i);
        } else {
            if (random_next(random) % 2 == 0)
                len += snprintf(word, sizeof word, "\xC4\xA0");
            int n = 2 + (int)(random_next(random) % 9);
            for (int k = 0; k < n; k++)
                word[len++] = "etaoinshrdlucmfwygpbvkxqjz0123456789\":,"[random_next(random) % 39];
        }
        word[len] = '\0';
        words[i] = strdup(word);
    }
    return words;
}

static struct tokenizer *make_synthetic(void)
{
    uint32_t random = 1;
    struct gguf_builder builder;
    struct gguf *file = NULL;
    struct tokenizer *tokenizer = NULL;
    struct err err;
    size_t n_bytes;
    char **words = make_words(&random);
    if (words == NULL)
        fail("not enough memory");
    gguf_builder_init(&builder);
    gguf_add_text(&builder, "tokenizer.ggml.model", "gpt2");
    gguf_add_texts(&builder, "tokenizer.ggml.tokens", (const char *const *)words, N_SYNTHETIC);
    gguf_add_texts(&builder, "tokenizer.ggml.merges", NULL, 0);
    void *bytes = gguf_builder_finish(&builder, &n_bytes);
    if (!gguf_open_memory(&file, bytes, n_bytes, &err) || !tokenizer_open(&tokenizer, file, &err))
        fail(err.text);
    gguf_close(&file);
    gguf_builder_done(&builder);
    for (int i = 0; i < N_SYNTHETIC; i++)
        free(words[i]);
    free(words);
    free(bytes);
    return tokenizer;
}

/* Of this thread: other work on the machine does not count. */
static int64_t cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double ms_since(int64_t begin)
{
    return (double)(cpu_now_ns() - begin) / 1e6;
}

/* Mean time to choose a token, with a grammar or without. */
static double choose_all(const struct tokenizer *tokenizer, struct grammar *grammar,
                         struct sampler_settings settings, double *worst, int *n_tokens)
{
    int n_vocab = tokenizer_n_vocab(tokenizer);
    float *logits = malloc((size_t)n_vocab * sizeof *logits);
    double total = 0;
    uint32_t random = 7;
    *worst = 0;
    *n_tokens = 0;
    for (int a = 0; a < N_ANSWERS; a++) {
        struct sampler *sampler = NULL;
        struct grammar_matcher *matcher = NULL;
        struct err err;
        settings.seed = (uint64_t)a;
        if (logits == NULL || !sampler_open(&sampler, &settings, n_vocab, &err) ||
            (grammar != NULL && !grammar_matcher_open(&matcher, grammar, tokenizer, true, &err)))
            fail("not enough memory");
        for (int t = 0; t < MAX_TOKENS; t++) {
            for (int i = 0; i < n_vocab; i++)
                logits[i] = (float)(random_next(&random) >> 8) * 0x1p-22F;
            int64_t begin = cpu_now_ns();
            int32_t id = matcher != NULL ? sampler_choose_allowed(sampler, logits, matcher)
                                         : sampler_choose(sampler, logits);
            if (matcher != NULL && id >= 0)
                grammar_matcher_accept(matcher, id);
            double ms = ms_since(begin);
            total += ms;
            *worst = ms > *worst ? ms : *worst;
            ++*n_tokens;
            if (id < 0 || (matcher != NULL && grammar_matcher_must_end(matcher)))
                break;
        }
        sampler_close(&sampler);
        grammar_matcher_close(&matcher);
    }
    free(logits);
    return total / *n_tokens;
}

static void measure(const char *name, const struct tokenizer *tokenizer)
{
    static const struct {
        const char *name;
        struct sampler_settings settings;
    } samplers[] = {
        {"greedy", {.temperature = 0, .top_p = 1, .repetition_penalty = 1}},
        {"temperature 1", {.temperature = 1, .top_p = 1, .repetition_penalty = 1}},
        {"top_k 40, top_p 0.95",
         {.temperature = 0.8F,
          .top_p = 0.95F,
          .min_p = 0.05F,
          .top_k = 40,
          .repetition_penalty = 1}},
        {"top_p 0.95", {.temperature = 0.8F, .top_p = 0.95F, .repetition_penalty = 1}},
    };
    struct grammar *grammar = NULL;
    struct err err;
    int64_t begin = cpu_now_ns();
    if (!grammar_new(&grammar, GBNF, sizeof GBNF - 1, &err))
        fail(err.text);
    printf("%s: %d tokens, %u nodes in the tree; the grammar compiles in %.2f ms\n", name,
           tokenizer_n_vocab(tokenizer), tokenizer_trie(tokenizer)->n_nodes, ms_since(begin));
    for (size_t i = 0; i < sizeof samplers / sizeof samplers[0]; i++) {
        double worst, plain_worst;
        int n, n_plain;
        double plain = choose_all(tokenizer, NULL, samplers[i].settings, &plain_worst, &n_plain);
        double mean = choose_all(tokenizer, grammar, samplers[i].settings, &worst, &n);
        printf("  %-22s %7.3f ms/token, at most %7.3f (without: %7.3f, %7.3f), %d tokens\n",
               samplers[i].name, mean, worst, plain, plain_worst, n);
    }
    grammar_free(&grammar);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct tokenizer *tokenizer = open_file(argv[i]);
        measure(argv[i], tokenizer);
        tokenizer_close(&tokenizer);
    }
    struct tokenizer *tokenizer = make_synthetic();
    measure("random words", tokenizer);
    tokenizer_close(&tokenizer);
    return 0;
}
