/* kv_cache.h - keys and values of one conversation: sinks that never move and a ring of recent
 * rows.
 *
 * StreamingLLM (arXiv 2309.17453) in the form that never touches a stored key again: token t < S is
 * a sink, its key rotated at t; any other token's key is rotated at its absolute position t and
 * stays in ring slot (t - S) mod C until the ring overwrites it. A query at t sees the sinks and
 * the R most recent tokens including itself, N = S + R rows at most. Its in-cache index is min(t, N
 * - 1): with it the query is rotated a second time, against the sinks. The ring is longer than R by
 * `slack` rows, so that a chunk of up to slack + 1 tokens can be stored before its attention is
 * computed, and so that the last `slack` tokens can be taken back exactly. What layers without rows
 * carry instead (recurrent_state.h) can be taken back to marked places only.
 *
 * Owner: a session. Thread: engine (workers read and write rows of it during a step).
 * Memory is constant from opening to closing; pages not yet written cost nothing. */
#ifndef CORE_MODEL_KV_CACHE_H
#define CORE_MODEL_KV_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kernels/kernels.h"

struct err;
struct kv_cache;

/* Places that a cache of layers without rows can go back to; a new one of a kind replaces the last.
 */
enum kv_mark {
    KV_MARK_SHARED, /* behind what other conversations may begin with too */
    KV_MARK_TURN,   /* where the last turn began */
    KV_MARK_REPLAY, /* before the last token of its prompt */
    KV_MARK_CUT,    /* in its answer */
    KV_N_MARKS
};

/* Of one layer. A short layer (a convolution) keeps of each token one vector and no key and value:
 * dim_v 0. A token meets those of the n_before tokens before it, so only those of the last tokens
 * are kept, and before each mark, a multiple of KV_MARK_SPACING, those that a token there meets. */
struct kv_heads {
    int n;
    int dim_k;
    int dim_v;
};

enum { KV_MARK_SPACING = 64 };

struct kv_shape {
    int n_layers;
    int n_kv_heads; /* of each layer */
    int head_dim_k;
    int head_dim_v;
    const struct kv_heads *layers; /* [n_layers] instead, outlives the caches; NULL: all alike */
    int n_before;                  /* tokens that a token meets in short layers */
    size_t n_state; /* numbers that layers without rows carry from token to token; 0: none do */
    enum kv_type type;
    int n_sinks;  /* S >= 0 */
    int n_window; /* N = S + R; R >= 1 */
    int n_slack;  /* >= 0 */
};

/* Where one token's row lies, and what its query sees: the same for all layers and heads. */
struct kv_view {
    int row;          /* where this token's own key and value go, in layers that are not short */
    int64_t position; /* t */
    int64_t in_cache; /* min(t, N - 1) */
    int n_segments;   /* 1 .. 3: sinks, ring up to its wrap, ring after its wrap */
    struct kv_segment {
        int first_row;
        int n_rows;
        int first_distance; /* see struct attention_rows */
        bool is_sink;
    } segments[3];
};

struct kv_heads kv_shape_heads(const struct kv_shape *shape, int layer);
size_t kv_shape_bytes(const struct kv_shape *shape); /* SIZE_MAX when it overflows */

bool kv_cache_open(struct kv_cache **out, const struct kv_shape *shape, struct err *err);
void kv_cache_close(struct kv_cache **cache);

const struct kv_shape *kv_cache_shape(const struct kv_cache *cache);

/* Tokens fed so far: the position of the next one. */
int64_t kv_cache_position(const struct kv_cache *cache);
/* Tokens that no later query will see again. */
int64_t kv_cache_evicted(const struct kv_cache *cache);

/* The view of the token `ahead` places after the last fed one (0: the next). The tokens of one
 * step must fit: ahead <= n_slack. */
struct kv_view kv_cache_view(const struct kv_cache *cache, int ahead);
/* After a step: `n_tokens` more are fed. */
void kv_cache_advance(struct kv_cache *cache, int n_tokens);

/* In short layers, where the vector of the token at a position is, and where it goes as well, or
 * -1.
 */
int kv_cache_short_row(const struct kv_cache *cache, int64_t position);
int kv_cache_mark_row(const struct kv_cache *cache, int64_t position);

/* True when going back to `position` restores exactly what the cache was then. */
bool kv_cache_can_rewind(const struct kv_cache *cache, int64_t position);
void kv_cache_rewind(struct kv_cache *cache, int64_t position);
/* Remembers this place; for caches that can go back without that it does nothing. */
void kv_cache_mark(struct kv_cache *cache, enum kv_mark which);
/* Going back to any position from here to the current one is exact, and so are 0 and marks. */
int64_t kv_cache_rewind_limit(const struct kv_cache *cache);
/* The last place up to `position` that it can go back to, or one not far before; with numbers of
 * layers without rows the last mark before, or 0. */
int64_t kv_cache_rewind_floor(const struct kv_cache *cache, int64_t position);

/* Makes `to` what `from` was when `position` tokens were fed: the same rows, so later results are
 * the same bit for bit. Both of one shape; kv_cache_can_rewind(from, position) must hold. What can
 * be taken back of `from` can then be taken back of `to`. */
void kv_cache_copy(struct kv_cache *to, const struct kv_cache *from, int64_t position);

/* All that a cache is besides its shape, its rows and the numbers of layers without. */
struct kv_state {
    int n_sinks;      /* as the shape says, unless kv_cache_set_sinks changed it */
    int64_t position; /* tokens fed */
    int64_t
        ring_from; /* the oldest token outside the sinks that can still be seen after a rewind */
    int n_recent;  /* last tokens whose vectors short layers have; 0 where no layer is short */
    int64_t marks[KV_N_MARKS]; /* tokens fed there; 0: none */
};
struct kv_state kv_cache_state(const struct kv_cache *cache);
/* Takes a state over; its rows are then what kv_cache_walk goes through. False, and nothing has
 * changed, when no cache of this shape can be in that state. */
bool kv_cache_set_state(struct kv_cache *cache, const struct kv_state *state);

/* Calls fn for stretches of memory that hold, all together, each row that can still be seen, the
 * numbers of layers without rows here and at marks, and nothing else; for the same shape and state
 * always in the same order and sizes. Stops at the first false and returns it. */
typedef bool kv_cache_bytes_fn(void *arg, void *bytes, size_t len);
bool kv_cache_walk(struct kv_cache *cache, kv_cache_bytes_fn *fn, void *arg);
uint64_t kv_cache_live_bytes(const struct kv_cache *cache); /* of all these stretches */

/* Memory that n tokens touch at most, in a fresh cache of this shape ... */
uint64_t kv_shape_touched_bytes(const struct kv_shape *shape, int64_t n);
/* ... and what this one has touched so far. */
uint64_t kv_cache_touched_bytes(const struct kv_cache *cache);

/* [n_state], all 0 before the first token; a step changes them in place. */
float *kv_cache_numbers(struct kv_cache *cache);

/* Row `row` of one layer and head, for kv_store and attention. The scale pointers are NULL unless
 * KV_Q8. Rows of a head are contiguous. */
void *kv_cache_k(struct kv_cache *cache, int layer, int head, int row);
void *kv_cache_v(struct kv_cache *cache, int layer, int head, int row);
float *kv_cache_k_scale(struct kv_cache *cache, int layer, int head, int row);
float *kv_cache_v_scale(struct kv_cache *cache, int layer, int head, int row);

#endif
