/* stream.h - a stream of tokens through a model, in one of the four modes of attention that
 * session_mode.h names.
 *
 * Owner: the command that runs. Thread: main. */
#ifndef EVAL_STREAM_H
#define EVAL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kernels/kernels.h"
#include "core/session/session_mode.h"

struct err;
struct kv_cache;
struct stream;
struct subject;

struct stream_shape {
    enum session_mode mode;
    int n_sinks;  /* S, streaming only */
    int n_window; /* N; dense: the longest that the stream will get */
    enum kv_type kv_type;
};

/* The subject is borrowed until stream_close. */
bool stream_open(struct stream **out, struct subject *subject, const struct stream_shape *shape,
                 struct err *err);
void stream_close(struct stream **stream);

/* "streaming 4+1020", "window 0+1024", "recompute 1024", "dense". */
void stream_shape_name(const struct stream_shape *shape, char *out, size_t max);

/* Feeds tokens without asking what comes next. */
void stream_feed(struct stream *stream, const int32_t *ids, int n);
/* Feeds one token; its logits [n_vocab] are valid until the next call and may be written to. */
float *stream_step(struct stream *stream, int32_t id);
/* Feeds ids[0 .. n-1]; out_losses[i] = -ln p(ids[i + 1]), so `ids` holds n + 1. Where out_is_best
 * is not NULL it says whether ids[i + 1] was the most likely token. */
void stream_score(struct stream *stream, const int32_t *ids, int n, double *out_losses,
                  bool *out_is_best);

/* Takes back the last n tokens, at most SUBJECT_CHUNK - 1. Not for recompute. */
void stream_take_back(struct stream *stream, int n);
/* Begins anew. */
void stream_clear(struct stream *stream);
/* Advances by n tokens with made-up keys and values: what is in a row does not change how long it
 * takes to attend to it. */
void stream_pad(struct stream *stream, int n);

int64_t stream_position(const struct stream *stream);
int64_t stream_evicted(const struct stream *stream);
/* Bytes of keys and values that a stream of this shape needs per N tokens seen, without the slack
 * that only serves feeding in chunks. */
size_t stream_kv_bytes(const struct subject *subject, const struct stream_shape *shape);

/* -ln softmax(logits)[id], summed in double. */
double stream_loss(const float *logits, int n_vocab, int32_t id);
int32_t stream_best(const float *logits, int n_vocab);

#endif
