/* model.h - a model as this process uses it: its shape, its weights bound by name, its family.
 *
 * Everything is read-only after opening and weaving; weights point to where the file is mapped, or
 * are copies of it in another order. Owner: the engine.
 * Thread: any. Every hyper-parameter is range-checked and compared with the tensors' real shapes
 * before it is believed. */
#ifndef CORE_MODEL_MODEL_H
#define CORE_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/kernels/matmul.h"
#include "core/model/experts.h"
#include "core/model/kv_cache.h"

struct err;
struct gguf;
struct family;
struct thread_pool;

/* Tokens that a convolution sees, its own included. */
enum { MODEL_MAX_TAPS = 64 };

/* How a layer turns positions into angles. */
enum model_rope {
    MODEL_ROPE,
    MODEL_ROPE_LOCAL, /* layers with a sliding window, where they have a base of their own */
    MODEL_N_ROPES,
    MODEL_ROPE_NONE, /* not at all */
};

/* Of models whose heads make their keys and values of one latent vector (forward_latent.c); they
 * are cached as one KV head. */
struct model_latent {
    int n;       /* numbers of it; 0: heads have keys and values of their own */
    int n_query; /* of the vector that queries are made of; 0: the stream's */
    int dim_k;   /* of a query as it is made: the last n_rot are rotated, the others meet latents */
    int dim_v;   /* of a head's result */
};

/* Of models most of whose layers carry a state from token to token (forward_delta.c), each head a
 * matrix [dim, dim], instead of rows. */
struct model_delta {
    int period;   /* each period-th layer has rows; 0: all have */
    int n_heads;  /* of values */
    int n_groups; /* of these, which share a query and a key */
    int dim;
    int n_taps;      /* tokens that a convolution reaches back to, its own included */
    bool is_in_turn; /* neighbouring heads are of different groups, else of the same */
};

struct model_shape {
    char architecture[32]; /* general.architecture */
    int n_layers;
    int n_further_layers; /* behind these, of which no use is made: they predict further tokens */
    int n_embd;
    int n_heads;
    int n_kv_heads;
    int head_dim_k; /* of q and k */
    int head_dim_v;
    struct kv_heads local_heads; /* of layers with a sliding window, the same or not */
    struct model_latent latent;
    int n_taps; /* tokens that a layer's convolution sees; 0: no layer has one */
    struct model_delta delta;
    int n_shared_kv;    /* the last so many layers read the keys and values of earlier ones */
    int n_ff;           /* of the widest feed-forward in layers without experts, or of an expert */
    int n_ff_shared;    /* of that for all tokens in layers with experts; 0 for none */
    int n_dense;        /* the first so many layers have no experts, and of the others */
    int expert_period;  /* each expert_period-th one has */
    int n_experts;      /* of each layer; 0 for none */
    int n_experts_used; /* of these, by each token */
    int n_ff_expert;
    struct experts_routing routing; /* of families whose experts are chosen by scores */
    int n_layer_input; /* numbers that each layer gets of a token beside the stream; 0 for none */
    int n_vocab;
    int n_context;   /* tokens that the model was trained to see at once */
    int n_rot;       /* leading entries of a head that are rotated; even; 0 with ALiBi */
    int n_rot_local; /* by MODEL_ROPE_LOCAL */
    float norm_eps;
    double rope_base;
    double rope_scale;      /* positions are divided by it; 1 for none */
    int n_context_unscaled; /* n_context before scaling by YaRN or LongRoPE; else the same */
    struct model_yarn {
        bool is_used;      /* pairs that turn fast keep their positions, the slow ones are scaled */
        double n_fast;     /* turns in the unscaled context from which on a pair is fast */
        double n_slow;     /* and up to which it is slow */
        bool is_unrounded; /* else both begin at whole pairs */
    } yarn;
    double rope_magnitude;  /* of rotated heads, beside their own; 1 for none */
    double score_magnitude; /* of queries and keys by YaRN, rotated or not; 1 for none */
    double rope_local_base; /* of MODEL_ROPE_LOCAL, never scaled; 0 for none */
    float alibi_max_bias;   /* 0 without ALiBi */
    float clamp_qkv;        /* 0 for none */
    float embedding_scale;
    float residual_scale;    /* of what attention and feed-forward add to the stream */
    float logit_scale;       /* logits are divided by it, before their soft cap */
    float attention_scale;   /* of scores */
    float temperature_scale; /* queries grow by it, times the log of how many n_context_unscaled
                                their position has begun; 0 for none */
    float score_soft_cap;    /* scores become cap * tanh(score / cap); 0 for none */
    float logit_soft_cap;    /* the same for logits */
    int n_local;             /* tokens that a layer with a sliding window sees; 0 for none */
    int local_period;        /* each local_period-th layer has no sliding window */
    bool parallel_residual;  /* attention and feed-forward read the same input */
};

/* One of a layer's feed-forwards, of which each token takes few. */
struct expert {
    struct matrix gate, up, down; /* gate and up [n_ff_expert, n_embd]; down the other way */
    const float *gate_b, *up_b, *down_b;
};

/* What makes a head's query one of latents, [latent.n, latent.dim_k - n_rot], and a sum of latents
 * the head's result, [latent.dim_v, latent.n]. */
struct latent_head {
    struct matrix key, value;
};

/* Of a layer that carries a state. */
struct delta_weights {
    struct matrix qkv;  /* [(2 n_groups + n_heads) * dim, n_embd] */
    struct matrix gate; /* [n_heads * dim, n_embd] */
    struct matrix beta,
        alpha;                /* [n_heads, n_embd]; or, without alpha, both of each group in turn */
    const float *rate, *bias; /* [n_heads]: state decays by exp(rate * softplus(alpha + bias)) */
    const float *norm;        /* [dim] */
    size_t first_state;       /* where its numbers are among those of a cache */
};

/* Weights of one layer. A NULL data pointer (or vector) means that the family has none. */
struct layer {
    enum model_rope rope;
    int reach; /* distance to the furthest row that its queries see; INT32_MAX: no limit */
    struct kv_heads heads;
    bool has_state;                       /* which `delta` changes, instead of rows */
    bool has_own_keys;                    /* and values; else it reads those of an earlier one */
    int cache_layer;                      /* where in a cache its keys and values are */
    int n_ff;                             /* of its feed-forward for all tokens; 0 for none */
    const float *attn_norm, *attn_norm_b; /* [n_embd] */
    const float *attn_norm_2, *attn_norm_2_b; /* [n_embd] falcon 40B */
    struct matrix q, k, v;    /* [heads * head_dim, n_embd]; slices when fused. Without k the layer
                                 reads another's keys and values; without v, its own v are its k */
    struct matrix q_down;     /* [latent.n_query, n_embd], of which q is made */
    const float *q_down_norm; /* [latent.n_query] */
    const float *latent_norm; /* [latent.n], whose product and what is rotated are k */
    struct latent_head *latent_heads; /* [n_heads]; NULL: none */
    bool is_convolution;              /* and no attention, forward_convolution.c; `heads` are what
                                         is cached then: some channels each, dim_v 0 */
    struct matrix mix;                /* [3 * n_embd, n_embd] what it is made of */
    const float *taps;                /* [n_taps, n_embd], with a state [n_taps, delta.qkv.n_out]:
                                         the last is a token's own */
    void *turned; /* owned: taps, or keys of latent heads, that the file has the other way round */
    struct delta_weights delta;
    bool is_gated; /* each head of q has as many rows again, whose sigmoids weigh
                      what it says */
    const float *q_b, *k_b, *v_b;
    const float *q_norm, *k_norm; /* [dim_k], or of all heads; before they are rotated */
    const float *v_norm;          /* [dim_v] */
    struct matrix out;            /* [n_embd, n_heads * head_dim_v] */
    const float *out_b;
    const float
        *sink_scores; /* [n_heads] learned; in the softmax beside those of rows, for nothing */
    const float *ffn_norm, *ffn_norm_b; /* [n_embd] */
    struct matrix gate, up, down;       /* gate and up [n_ff, n_embd]; down [n_embd, n_ff] */
    const float *gate_b, *up_b, *down_b;
    struct matrix router; /* [n_experts, n_embd]: whose product chooses experts; never woven */
    const float *router_b;
    const float *router_norm;   /* [n_embd] of the stream, which it reads then; its product is
                                   divided by sqrt(n_embd) */
    const float *choice_b;      /* [n_experts] added to scores, but not to weights */
    struct expert *experts;     /* [n_experts] */
    const float *expert_scales; /* [n_experts] of what they say */
    const float *expert_norm, *post_expert_norm; /* [n_embd] of what they read, of what they say */
    const float *post_both_norm; /* [n_embd] of that and what the feed-forward says, together */
    struct matrix share; /* [1, n_embd]: the sigmoid of whose product weighs, beside experts, the
                            feed-forward for all tokens */
    const float *post_attn_norm, *post_ffn_norm; /* [n_embd] of what is added to the stream */
    struct matrix input_gate, input_up;          /* [n_layer_input, n_embd]; the other way */
    const float *input_norm;                     /* [n_embd] of what that adds */
    const float *out_scale;                      /* [1] of the stream behind the layer */
};

struct model {
    struct model_shape shape;
    const struct family *family; /* the recipe: core/model/family.h */
    struct matrix embedding;     /* [n_vocab, n_embd] */
    struct matrix output;        /* [n_vocab, n_embd]; the embedding when tied */
    const float *output_b;       /* [n_vocab] */
    const float *output_norm, *output_norm_b;
    struct matrix layer_embedding;  /* [n_vocab, n_layers * n_layer_input] */
    struct matrix layer_projection; /* [n_layers * n_layer_input, n_embd] */
    const float *layer_input_norm;  /* [n_layer_input] */
    const float *rope_factors;      /* [n_rot / 2] divide the frequencies; NULL for none */
    const float *rope_factors_long; /* [n_rot / 2] instead of these in caches with a window of more
                                       than n_context_unscaled (LongRoPE); NULL for none */
    float *alibi_slopes;            /* [n_heads]; NULL without ALiBi */
    struct layer *layers;           /* [n_layers] */
    struct kv_heads *cache_heads;   /* [n_layers] of which caches have those with keys and values of
                                       their own */
    struct expert *experts;         /* [n_layers, n_experts] */
    struct latent_head *latent_heads; /* [n_layers, n_heads] */
    uint64_t n_parameters;
    float *vectors; /* owned: norms and biases widened to float where the file is not F32 */
    void *stripes;  /* owned: what model_weave wrote; NULL before */
    size_t stripes_bytes;
};

/* Binds the weights in `file`, which must outlive the model. An unknown architecture gets one
 * sentence naming those supported. */
bool model_open(struct model **out, const struct gguf *file, struct err *err);
void model_close(struct model **model);

/* Of its caches, without a type and rows; the model must outlive it. */
struct kv_shape model_kv_shape(const struct model *model);

/* Its matrices but the embedding, some of them without data. */
int model_n_matrices(const struct model *model);
const struct matrix *model_matrix(const struct model *model, int i);

/* Writes the quantized weights a second time, in the order that products on this CPU read
 * (core/kernels/stripes.h), on all threads of the pool; until then products are slow. Then lets go
 * of the file (gguf_detach): nothing of the model is read from the disk afterwards. */
bool model_weave(struct model *model, struct gguf *file, struct thread_pool *pool, struct err *err);
/* For model_close. */
void model_unweave(struct model *model);

#endif
