/* forward_state.h - the inside of struct forward, for the forward*.c files alone. */
#ifndef CORE_MODEL_FORWARD_STATE_H
#define CORE_MODEL_FORWARD_STATE_H

#include "core/base/thread_pool.h"
#include "core/kernels/matmul.h"
#include "core/model/experts.h"
#include "core/model/forward.h"
#include "core/model/forward_steps.h"
#include "core/model/kv_cache.h"
#include "core/model/model.h"

/* More parts than threads, so that a core that is slowed down by a neighbour does less. */
enum { FORWARD_PARTS_PER_THREAD = 4 };

/* Rotations of each token of the batch by one kind of position; [max_tokens, n_pairs]. */
struct rotations {
    float *cos;
    float *sin;
};

struct rope {
    int n_pairs;              /* of a head's first entries */
    double *frequencies;      /* [n_pairs] radians per position */
    double *frequencies_long; /* the same, for caches with a long window; NULL: no difference */
    double magnitude;         /* cos and sin are longer by it than those of an angle */
    struct rotations ring;    /* at the absolute position: keys, and queries against the ring */
    struct rotations sink;    /* at the in-cache index: queries against the sinks */
};

/* Tokens of the batch that follow each other in one cache and are attended together. */
struct forward_tile {
    int first;
    int n; /* 1 .. FORWARD_MAX_TILE, of a tile */
};
enum { FORWARD_MAX_TILE = 16 };

/* How much memory the numbers of one token take, see struct activations. */
enum { ACTIVATION_GROUP = 32, SUMS_PER_GROUP = 2, STARTS_PER_GROUP = 3 };
static inline size_t activation_groups(int n_in)
{
    return ((size_t)n_in + ACTIVATION_GROUP - 1) / ACTIVATION_GROUP;
}

struct forward {
    const struct model *model;
    struct thread_pool *pool;
    int max_tokens;
    int max_logits;
    bool wants_quantized; /* some product of this model reads quantized inputs */
    void *memory;         /* all that follows lies in it */

    /* The batch of this step. */
    const struct forward_token *tokens;
    int n_tokens;
    struct kv_view *views;      /* [max_tokens] */
    struct forward_tile *tiles; /* [n_tiles], of the layer at hand */
    int n_tiles;
    struct forward_tile *runs; /* [n_runs] all tokens of a cache */
    int n_runs;
    struct rope ropes[MODEL_N_ROPES];
    int n_ropes; /* of these, in use */
    int layer;

    forward_observer_fn *observer; /* NULL: none */
    void *observer_arg;

    float *x;                                    /* [max_tokens, n_embd] residual stream */
    struct activations inputs[FORWARD_N_INPUTS]; /* n_embd wide */
    float *q;                                    /* [max_tokens, n_heads * heads.dim_k] */
    float *k;                                    /* [max_tokens, heads.n * heads.dim_k] */
    float *v;                                    /* [max_tokens, heads.n * heads.dim_v] */
    float *gated;      /* [max_tokens, n_heads, 2, heads.dim_k] q and gates, of layers with these */
    float *head_gates; /* [max_tokens, n_heads * heads.dim_v] */
    struct activations heads;               /* n_heads * heads.dim_v wide: attention's result */
    float *stretches;                       /* the same, of stretches of rows; see */
    struct attention_state *stretch_states; /* [n_heads]     forward_attention.c */
    struct activations hidden;              /* as wide as the layer's gate or up */
    float *up;                              /* [max_tokens, n_ff]; gated families only */
    float *layer_inputs;                    /* [max_tokens, n_layers * n_layer_input] */
    float *layer_rows;                      /* [n_threads, n_layers * n_layer_input] */
    struct experts_work {
        struct experts_batch batch;
        bool reads_floats; /* some expert has float weights, which meet inputs as they are */
        float *logits;     /* [max_tokens, n_experts] */
        float *routed;     /* [max_tokens, n_embd] what routers with a norm of their own read */
        float *sum;        /* [max_tokens, n_embd] of experts and what is beside them */
        float *shares;     /* [max_tokens], of all tokens' feed-forward, where a layer weighs it */
        struct activations input;  /* of all slots, n_embd wide; x for float weights alone */
        struct activations hidden; /* the same, n_ff_expert wide */
        float *up;                 /* [n_slots, n_ff_expert] */
        float *said;               /* [max_tokens and padding, n_embd]: what one expert says; each
                                      thread has columns of its own */
    } experts;
    struct latent_work {
        struct activations query_input; /* latent.n_query wide */
        float *q;                       /* [max_tokens, n_heads * latent.dim_k] */
        float *kv;                      /* [max_tokens, latent.n + n_rot] */
        struct activations by_head;     /* [n_heads, max_tokens] what meets a head's matrix */
        struct activations values;      /* n_heads * latent.dim_v wide */
    } latent;
    struct convolution_work {
        float *mixed;              /* [max_tokens, 3 * n_embd] */
        struct activations result; /* n_embd wide */
    } convolution;
    struct delta_work {
        float *qkv;                /* [max_tokens, delta.qkv.n_out] */
        float *mixed;              /* the same, behind the convolution */
        float *beta, *alpha;       /* [max_tokens, n_heads]; or both in beta */
        float *said;               /* [max_tokens, n_heads * dim] */
        float *q_unit, *k_unit;    /* [dim] weights of the norm that brings a head to its length */
        struct activations values; /* n_heads * dim wide: gates, then what is said */
    } delta;
    float *projected;        /* [max_tokens, n_embd] before it is added to x */
    struct activations last; /* n_embd wide: rows that want logits */
    float *logits;           /* [max_logits, n_vocab] */

    char *scratch; /* [n_threads] of scratch_bytes */
    size_t scratch_bytes;
    size_t matmul_bytes; /* of these, the first ones are matmul's; then a tile's queries, rotated
                          * twice, its result, and how that was weighed */
};

/* Lays everything out in forward->memory, for max_tokens and max_logits: forward_memory.c. */
bool forward_reserve(struct forward *forward, struct err *err);

/* Frequencies of all ropes, once; rotations of token t, once for each step: forward_rope.c. */
void forward_fill_frequencies(struct forward *forward);
void forward_fill_rotations(const struct forward *forward, int t);

/* One product of the batch: y = in W^T + bias. */
struct product {
    const struct matrix *w;
    const float *bias;
    float *y; /* [n_tokens, w->n_out] */
};

/* Computes up to four products of one input in one dispatch. `finish` (or NULL) continues on the
 * rows just computed, while they are warm. */
struct products;
typedef void products_finish_fn(const struct products *products, const struct product *product,
                                int row_begin, int row_end, void *scratch);
struct products {
    struct forward *forward;
    const struct activations *in;
    const struct layer *layer; /* for finish */
    products_finish_fn *finish;
    struct product list[4];
    int n_list;
    int tile_rows;
};
void forward_multiply(struct products *products);

/* Rows of a tile, when n_rows are split over the threads. */
int forward_tile_rows(const struct forward *forward, int64_t n_rows, int parts_per_thread);
/* Of a product: a thread that is done waits for a part of another's at most. Parts follow each
 * other in memory, so that their number costs nothing. */
enum { PRODUCT_PARTS_PER_THREAD = 16 };
/* x += y, as much of it as the model adds. */
void forward_add_to_stream(const struct forward *forward, float *x, float *y, int n);
/* gate = act(gate) * up, by the family's function; up may change. */
void forward_activate(const struct forward *forward, float *gate, float *up, int n);

/* x += in W^T + bias, or its norm where `post_norm` is not NULL. */
void forward_add_product(struct forward *forward, const struct activations *in,
                         const struct matrix *w, const float *bias, const float *post_norm);
/* x += norm(projected) */
void forward_add_norm(struct forward *forward, const float *post_norm);
/* The 8-bit form of all inputs, or of inputs begin .. end-1 by the calling thread, when this model
 * has a use for it. */
void forward_quantize(struct forward *forward, struct activations *in);
void forward_quantize_part(const struct forward *forward, struct activations *in, int begin,
                           int end);
/* Inputs begin .. begin + n-1, as a batch of their own. */
struct activations forward_slots(const struct activations *all, int begin, int n);
void *forward_scratch(const struct forward *forward, int thread);

/* y = norm of one token's row, by the family's norm. */
void forward_norm_row(const struct forward *forward, float *y, const float *x, const float *w,
                      const float *b);

/* Of a layer with latent heads: q without what is rotated, and all that k is made of; the rest of
 * token t's q, k and v; what heads say of what they have read: forward_latent.c. */
void forward_latent_inputs(struct forward *forward, const struct activations *in,
                           const struct layer *layer);
void forward_latent_token(const struct forward *forward, const struct layer *layer, int t);
const struct activations *forward_latent_values(struct forward *forward, const struct layer *layer);

/* What brings heads of layers with a state to their length, once: forward_delta.c. */
void forward_fill_units(struct forward *forward);

/* Of all layers, once the batch is embedded: forward_layer_input.c. */
void forward_layer_inputs(struct forward *forward);

/* Cuts the batch into tiles for a layer with so many KV heads. */
void forward_find_tiles(struct forward *forward, int n_kv_heads);

/* How many parts to split the batch's tokens into. */
int forward_token_parts(const struct forward *forward, int n_tokens);

#endif
