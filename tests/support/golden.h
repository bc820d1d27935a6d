/* golden.h - the tiny models of tests/fixtures/golden, opened and run over their tokens. */
#ifndef TESTS_SUPPORT_GOLDEN_H
#define TESTS_SUPPORT_GOLDEN_H

#include <stdint.h>

#include "core/gguf/gguf.h"
#include "core/model/forward.h"
#include "core/model/kv_cache.h"
#include "core/model/model.h"

#define GOLDEN_FOLDER "tests/fixtures/golden"

enum { GOLDEN_N_TOKENS = 300, GOLDEN_MAX_CHUNK = 64 };

/* One golden model, opened. */
struct golden_subject {
    const char *name;
    struct gguf *file;
    struct model *model;
    struct thread_pool *pool;
    struct forward *forward;
    int32_t tokens[GOLDEN_N_TOKENS];
    float *logits; /* [GOLDEN_N_TOKENS, n_vocab] of the last stream */
};

/* How a stream is cached and fed. */
struct golden_stream {
    int n_sinks;
    int n_recent;
    int chunk;
    enum kv_type type;
    int skip; /* positions to jump over once the sinks are fed */
};

/* Modes that have a file. GOLDEN_LOCAL are streams around a sliding window of 12: a cache that is
 * just as long, and recent rows that are one fewer, so that a layer sees the last sink alone.
 * GOLDEN_WIDER is beyond the 64 tokens from which on phi3-long rotates by its other factors. */
enum { GOLDEN_FEW = 1, GOLDEN_MORE = 2, GOLDEN_WIDE = 4, GOLDEN_LOCAL = 8, GOLDEN_WIDER = 16 };

struct golden_model {
    const char *name;
    double dense_bound; /* to the file made by llama.cpp; 0: there is none */
    int modes;
};

/* The first GOLDEN_N_DEEP are those that the slower tests look at too. */
enum { GOLDEN_N_MODELS = 70, GOLDEN_N_DEEP = 14 };
extern const struct golden_model golden_models[GOLDEN_N_MODELS];

/* The set-up of a group of tests: the best kernels of this CPU, or those that are forced. */
int golden_select_kernels(void **state);

void golden_open_threads(struct golden_subject *subject, const char *name, int n_threads);
/* With one thread: models this small spend their time in barriers. */
void golden_open(struct golden_subject *subject, const char *name);
void golden_close(struct golden_subject *subject);

struct kv_cache *golden_open_cache(const struct golden_subject *subject,
                                   const struct golden_stream *stream);
/* Of token t, in the subject's logits. */
float *golden_row(const struct golden_subject *subject, int t);
/* Feeds tokens begin .. end-1 in one step and keeps all their logits. */
void golden_feed(struct golden_subject *subject, struct kv_cache *cache, int begin, int end);
/* All tokens. */
void golden_run(struct golden_subject *subject, const struct golden_stream *stream);

/* The larger of both; NaN counts as infinitely far. */
double golden_further(double far, double difference);

#endif
