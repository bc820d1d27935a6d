/* family.h - what differs between architectures: how weights are named and in which order a layer
 * does its steps.
 *
 * A new architecture is one file family_NAME.c and one line in the list of model.c. The steps are
 * in forward_steps.h, the binding helpers in binder.h. */
#ifndef CORE_MODEL_FAMILY_H
#define CORE_MODEL_FAMILY_H

#include <stdbool.h>

struct binder;
struct err;
struct forward;
struct layer;

enum family_norm { FAMILY_RMS_NORM, FAMILY_LAYER_NORM };

/* Which entries of a head turn together: (2i, 2i+1), or (i, i + n_rot/2); none means ALiBi. */
enum family_positions { FAMILY_ROPE_NEIGHBOURS, FAMILY_ROPE_SPLIT, FAMILY_ALIBI };

enum family_ffn {
    FAMILY_SILU_GATED,   /* down(silu(gate x) * up x) */
    FAMILY_GELU_GATED,   /* down(gelu(gate x) * up x) */
    FAMILY_SILU_CLAMPED, /* down(g sigmoid(1.702 g) * (u + 1)), g = min(gate x, 7), |u| = |up x| <=
                            7 */
    FAMILY_GELU,         /* down(gelu(up x)) */
    FAMILY_RELU2,        /* down(relu(up x)^2) */
};

/* Whether layers may have experts, and how what a token's experts say is weighed: by a softmax over
 * all of them, or over those that it has chosen. */
enum family_experts {
    FAMILY_NO_EXPERTS,
    FAMILY_EXPERTS_OF_ALL,
    FAMILY_EXPERTS_OF_CHOSEN,
    FAMILY_EXPERTS_AS_TOLD, /* by scores, as the file's keys have it */
};

struct family {
    const char *architecture; /* general.architecture in the file */
    enum family_norm norm;
    enum family_positions positions;
    enum family_ffn ffn;
    enum family_experts experts;
    bool has_ffn_beside_experts;       /* the usual one, which is as long as feed_forward_length */
    bool experts_sum_to_one;           /* where a file of FAMILY_EXPERTS_AS_TOLD does not say it */
    bool experts_by_sigmoid;           /* the same */
    bool experts_by_sigmoid_if_biased; /* the same, of files that have a bias of choices */
    bool predicts_further; /* its last layers may be there for that, and are left aside */
    bool sees_pictures;    /* the file's models of them are apart; of its text, positions are one */
    bool scales_embedding; /* by sqrt(n_embd) */
    bool multiplies_logits; /* by the file's logit_scale; others divide by it */
    bool norms_all_heads;   /* of q together, and of k, where the layer has norms of them */
    /* Each local_period-th layer sees all that the cache holds, the others a sliding window; 0: all
     * layers see all, and a sliding window in the file limits the context. */
    int local_period;
    bool has_local_heads;   /* layers with a sliding window may have heads of another shape, and the
                               last layers keys and values of earlier ones */
    double local_rope_base; /* of layers with a sliding window; 0: the same as of the others */
    bool local_is_unscaled; /* they rotate as the others would without scaling */
    bool yarn_is_unrounded; /* what is fast and what is slow may begin between two pairs */
    bool rotates_local;     /* alone, in files that have layers with a sliding window */
    int unrotated_period;   /* each unrotated_period-th layer rotates nothing; 0: none */
    bool scores_are_unscaled;
    bool has_delta;                /* most layers carry a state instead of rows */
    bool has_delta_groups_in_turn; /* as struct model_delta has it */
    bool has_convolutions; /* layers with 0 as their number of KV heads have that, not attention */
    const char *output_norm; /* its name in the file; NULL: "output_norm" */
    bool has_latent_heads;   /* keys and values of all heads are products of one vector */
    /* The size with this many layers scales scores by 1 / sqrt(n_embd / n_heads), and no key in the
     * file says so; 0: none does. */
    int n_layers_scaled_by_width;
    /* Keys without which the file would be taken for another function; ends with NULL. */
    const char *needed_keys[4];

    bool (*bind_layer)(struct binder *binder, struct layer *layer, struct err *err);
    /* Adds attention and feed-forward of one layer to the residual stream. */
    void (*run_layer)(struct forward *forward, const struct layer *layer);
};

extern const struct family family_arcee;
extern const struct family family_bailingmoe;
extern const struct family family_bailingmoe2;
extern const struct family family_chatglm;
extern const struct family family_cohere2;
extern const struct family family_command_r;
extern const struct family family_deepseek;
extern const struct family family_deepseek2;
extern const struct family family_dots1;
extern const struct family family_ernie4_5;
extern const struct family family_ernie4_5_moe;
extern const struct family family_exaone;
extern const struct family family_exaone4;
extern const struct family family_falcon;
extern const struct family family_gemma;
extern const struct family family_gemma2;
extern const struct family family_gemma3;
extern const struct family family_gemma4;
extern const struct family family_glm4;
extern const struct family family_glm4moe;
extern const struct family family_gpt_oss;
extern const struct family family_gptneox;
extern const struct family family_granite;
extern const struct family family_granitemoe;
extern const struct family family_internlm2;
extern const struct family family_lfm2;
extern const struct family family_lfm2moe;
extern const struct family family_llama;
extern const struct family family_minicpm;
extern const struct family family_mistral3;
extern const struct family family_mpt;
extern const struct family family_nemotron;
extern const struct family family_olmo2;
extern const struct family family_olmoe;
extern const struct family family_phi2;
extern const struct family family_phi3;
extern const struct family family_qwen2;
extern const struct family family_qwen2moe;
extern const struct family family_qwen2vl;
extern const struct family family_qwen3;
extern const struct family family_qwen35;
extern const struct family family_qwen35moe;
extern const struct family family_qwen3moe;
extern const struct family family_qwen3next;
extern const struct family family_qwen3vl;
extern const struct family family_qwen3vlmoe;
extern const struct family family_seed_oss;
extern const struct family family_smollm3;
extern const struct family family_stablelm;
extern const struct family family_starcoder2;

#endif
