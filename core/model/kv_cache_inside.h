/* kv_cache_inside.h - the inside of struct kv_cache, for the kv_cache*.c files alone. */
#ifndef CORE_MODEL_KV_CACHE_INSIDE_H
#define CORE_MODEL_KV_CACHE_INSIDE_H

#include "core/model/kv_cache.h"
#include "core/model/recurrent_state.h"

/* Where a layer's rows lie. */
struct kv_layer {
    size_t n_heads;
    size_t n_rows;            /* of each head */
    size_t k_bytes, v_bytes;  /* of one row */
    char *k, *v;              /* [n_heads, n_rows] of k_bytes, of v_bytes */
    float *k_scale, *v_scale; /* [n_heads, n_rows]; KV_Q8 only */
};

struct kv_cache {
    struct kv_shape shape;
    int n_ring;         /* C */
    int64_t position;   /* tokens fed */
    int64_t ring_from;  /* the ring holds tokens ring_from .. position-1 and no older ones, even
                           after a rewind */
    int64_t short_from; /* the same of short layers; 0 where there are none */
    int64_t furthest;   /* the most tokens that it ever held: memory is touched up to there */
    char *block;        /* the mapping of n_bytes */
    size_t n_bytes;
    struct recurrent_state recurrent;
    struct kv_layer layers[]; /* [n_layers] */
};

/* Of a layer that is short (kv_cache.h). */
bool kv_is_short(const struct kv_layer *layer);
/* The ring of all its last tokens, behind which it has the rows at marks. */
int64_t kv_short_ring(const struct kv_shape *shape);
/* Rows of a head of a short layer that are written when n tokens were fed, the next mark's among
 * them. */
struct kv_short_rows {
    int64_t in_ring;
    int64_t at_marks;
};
struct kv_short_rows kv_short_rows(const struct kv_shape *shape, int64_t n);
/* The oldest ring token that a query at t sees: R tokens including its own, none of them a sink. */
int64_t kv_first_visible(const struct kv_cache *cache, int64_t t);
/* What one row of a layer takes in all heads. */
uint64_t kv_row_bytes(const struct kv_layer *layer, enum kv_type type);
/* kv_cache_rewind for rows alone. */
void kv_rewind_rows(struct kv_cache *cache, int64_t position);

#endif
