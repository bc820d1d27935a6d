#include "eval/stream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/min_max.h"
#include "core/model/forward.h"
#include "core/model/kv_cache.h"
#include "core/model/model.h"
#include "eval/subject.h"

struct stream {
    struct subject *subject;
    struct stream_shape shape;
    struct kv_cache *cache;
    int32_t *recent; /* recompute only: [n_window] the tokens that the next pass goes over */
    int n_recent;
    int64_t n_fed; /* recompute only; elsewhere the cache knows */
};

static struct kv_shape kv_shape_of(const struct subject *subject, const struct stream_shape *shape,
                                   int n_slack)
{
    struct kv_shape kv = model_kv_shape(subject->model);
    kv.type = shape->kv_type;
    kv.n_sinks = shape->mode == SESSION_MODE_STREAMING ? shape->n_sinks : 0;
    kv.n_window = shape->n_window;
    kv.n_slack = n_slack;
    return kv;
}

bool stream_open(struct stream **out, struct subject *subject, const struct stream_shape *shape,
                 struct err *err)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return err_no_memory(err, "a stream");
    *stream = (struct stream){.subject = subject, .shape = *shape};
    struct kv_shape kv = kv_shape_of(subject, shape, SUBJECT_CHUNK - 1);
    if (!kv_cache_open(&stream->cache, &kv, err)) {
        stream_close(&stream);
        return false;
    }
    if (shape->mode == SESSION_MODE_RECOMPUTE) {
        stream->recent = calloc((size_t)shape->n_window, sizeof stream->recent[0]);
        if (stream->recent == NULL) {
            stream_close(&stream);
            return err_no_memory(err, "a stream's recent tokens");
        }
    }
    *out = stream;
    return true;
}

void stream_close(struct stream **stream_ptr)
{
    struct stream *stream = *stream_ptr;
    if (stream == NULL)
        return;
    kv_cache_close(&stream->cache);
    free(stream->recent);
    free(stream);
    *stream_ptr = NULL;
}

void stream_shape_name(const struct stream_shape *shape, char *out, size_t max)
{
    switch (shape->mode) {
    case SESSION_MODE_STREAMING:
        snprintf(out, max, "streaming %d+%d", shape->n_sinks, shape->n_window - shape->n_sinks);
        break;
    case SESSION_MODE_WINDOW:
        snprintf(out, max, "window 0+%d", shape->n_window);
        break;
    case SESSION_MODE_RECOMPUTE:
        snprintf(out, max, "recompute %d", shape->n_window);
        break;
    case SESSION_MODE_DENSE:
        snprintf(out, max, "dense");
        break;
    }
}

enum wanted_logits { WANT_NONE, WANT_LAST, WANT_ALL };

/* One step. n <= SUBJECT_CHUNK, and <= SUBJECT_LOGITS where all logits are wanted. */
static void run(struct stream *stream, const int32_t *ids, int n, enum wanted_logits wanted)
{
    struct forward_token tokens[SUBJECT_CHUNK];
    for (int i = 0; i < n; i++)
        tokens[i] = (struct forward_token){
            .id = ids[i],
            .cache = stream->cache,
            .wants_logits = wanted == WANT_ALL || (wanted == WANT_LAST && i == n - 1),
        };
    forward_run(stream->subject->forward, tokens, n);
}

static void run_all(struct stream *stream, const int32_t *ids, int n, enum wanted_logits wanted)
{
    for (int done = 0, chunk; done < n; done += chunk) {
        chunk = min_int(SUBJECT_CHUNK, n - done);
        run(stream, ids + done, chunk, done + chunk == n ? wanted : WANT_NONE);
    }
}

static void remember(struct stream *stream, const int32_t *ids, int n)
{
    int max = stream->shape.n_window;
    stream->n_fed += n;
    if (n > max) {
        ids += n - max;
        n = max;
    }
    int n_kept = min_int(stream->n_recent, max - n);
    memmove(stream->recent, stream->recent + stream->n_recent - n_kept,
            (size_t)n_kept * sizeof ids[0]);
    memcpy(stream->recent + n_kept, ids, (size_t)n * sizeof ids[0]);
    stream->n_recent = n_kept + n;
}

void stream_feed(struct stream *stream, const int32_t *ids, int n)
{
    if (stream->shape.mode == SESSION_MODE_RECOMPUTE)
        remember(stream, ids, n);
    else
        run_all(stream, ids, n, WANT_NONE);
}

float *stream_step(struct stream *stream, int32_t id)
{
    if (stream->shape.mode == SESSION_MODE_RECOMPUTE) {
        remember(stream, &id, 1);
        kv_cache_rewind(stream->cache, 0);
        run_all(stream, stream->recent, stream->n_recent, WANT_LAST);
    } else {
        run(stream, &id, 1, WANT_LAST);
    }
    return forward_logits(stream->subject->forward, 0);
}

double stream_loss(const float *logits, int n_vocab, int32_t id)
{
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < n_vocab; i++)
        max = fmax(max, (double)logits[i]);
    for (int i = 0; i < n_vocab; i++)
        sum += exp((double)logits[i] - max);
    return log(sum) + max - (double)logits[id];
}

int32_t stream_best(const float *logits, int n_vocab)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n_vocab; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

static void score_row(const struct stream *stream, const float *logits, int32_t next, double *loss,
                      bool *is_best)
{
    int n_vocab = subject_n_vocab(stream->subject);
    *loss = stream_loss(logits, n_vocab, next);
    if (is_best != NULL)
        *is_best = stream_best(logits, n_vocab) == next;
}

void stream_score(struct stream *stream, const int32_t *ids, int n, double *out_losses,
                  bool *out_is_best)
{
    bool is_fresh = stream->shape.mode == SESSION_MODE_RECOMPUTE;
    for (int done = 0, chunk; done < n; done += chunk) {
        chunk = is_fresh ? 1 : min_int(SUBJECT_LOGITS, n - done);
        if (is_fresh)
            stream_step(stream, ids[done]);
        else
            run(stream, ids + done, chunk, WANT_ALL);
        for (int i = done; i < done + chunk; i++)
            score_row(stream, forward_logits(stream->subject->forward, i - done), ids[i + 1],
                      &out_losses[i], out_is_best == NULL ? NULL : &out_is_best[i]);
    }
}

void stream_take_back(struct stream *stream, int n)
{
    kv_cache_rewind(stream->cache, kv_cache_position(stream->cache) - n);
}

void stream_clear(struct stream *stream)
{
    stream->n_recent = 0;
    stream->n_fed = 0;
    kv_cache_rewind(stream->cache, 0);
}

/* Numbers in [-1, 1) by Knuth's 64-bit congruence. */
static void make_up(float *x, int n, uint64_t *state)
{
    for (int i = 0; i < n; i++) {
        *state = *state * 6364136223846793005U + 1442695040888963407U;
        x[i] = (float)(*state >> 40) / 8388608.0F - 1;
    }
}

static void pad_row(struct stream *stream, const struct kv_view *view, uint64_t *state)
{
    enum { MAX_PIECE = 1024 }; /* no model's head is as wide */
    const struct kv_shape *shape = kv_cache_shape(stream->cache);
    float x[MAX_PIECE];
    for (int layer = 0; layer < shape->n_layers; layer++) {
        struct kv_heads heads = kv_shape_heads(shape, layer);
        int row = heads.dim_v > 0 ? view->row : kv_cache_short_row(stream->cache, view->position);
        int dim_k = min_int(heads.dim_k, MAX_PIECE), dim_v = min_int(heads.dim_v, MAX_PIECE);
        for (int head = 0; head < heads.n; head++) {
            make_up(x, dim_k, state);
            kernels->kv_store(kv_cache_k(stream->cache, layer, head, row),
                              kv_cache_k_scale(stream->cache, layer, head, row), x, dim_k,
                              shape->type);
            make_up(x, dim_v, state);
            kernels->kv_store(kv_cache_v(stream->cache, layer, head, row),
                              kv_cache_v_scale(stream->cache, layer, head, row), x, dim_v,
                              shape->type);
        }
    }
}

void stream_pad(struct stream *stream, int n)
{
    static const int32_t first_token = 0;
    uint64_t state = 1;
    for (int i = 0; i < n; i++) {
        if (stream->shape.mode == SESSION_MODE_RECOMPUTE) {
            remember(stream, &first_token, 1);
        } else {
            struct kv_view view = kv_cache_view(stream->cache, 0);
            pad_row(stream, &view, &state);
            kv_cache_advance(stream->cache, 1);
        }
    }
}

int64_t stream_position(const struct stream *stream)
{
    return stream->shape.mode == SESSION_MODE_RECOMPUTE ? stream->n_fed
                                                        : kv_cache_position(stream->cache);
}

int64_t stream_evicted(const struct stream *stream)
{
    return stream->shape.mode == SESSION_MODE_RECOMPUTE ? stream->n_fed - stream->n_recent
                                                        : kv_cache_evicted(stream->cache);
}

size_t stream_kv_bytes(const struct subject *subject, const struct stream_shape *shape)
{
    struct kv_shape kv = kv_shape_of(subject, shape, 0);
    return kv_shape_bytes(&kv);
}
