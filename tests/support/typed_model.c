#include "tests/support/typed_model.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/half.h"
#include "core/kernels/quant.h"
#include "tests/support/check.h"

/* Where a type keeps its scale and its minimum. The numbers of a block are about level when
 * the minimum is `level` times the scale. */
struct format {
    enum tensor_type type;
    int scale_at; /* -1: the type is a float */
    int min_at;   /* -1: none */
    float level;
};
static const struct format formats[TYPED_N_TYPES] = {
    {TENSOR_F32, -1, -1, 0},     {TENSOR_F16, -1, -1, 0},    {TENSOR_BF16, -1, -1, 0},
    {TENSOR_Q4_0, 0, -1, 0},     {TENSOR_Q4_1, 0, 2, -7.5F}, {TENSOR_Q5_0, 0, -1, 0},
    {TENSOR_Q5_1, 0, 2, -15.5F}, {TENSOR_Q8_0, 0, -1, 0},    {TENSOR_Q2_K, 80, 82, 1.5F},
    {TENSOR_Q3_K, 108, -1, 0},   {TENSOR_Q4_K, 0, 2, 7.5F},  {TENSOR_Q5_K, 0, 2, 15.5F},
    {TENSOR_Q6_K, 208, -1, 0},   {TENSOR_IQ2_XXS, 0, -1, 0},
};

enum tensor_type typed_type(int which)
{
    return formats[which].type;
}

const char *typed_name(int which)
{
    return which == TYPED_MIXED ? "mixed" : tensor_format(formats[which].type)->name;
}

static uint32_t random_state;

static uint32_t random_word(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

static float random_level(void)
{
    return (float)random_word() * 0x1p-23F - 1;
}

/* Weights in one type, and the same numbers as floats. */
struct weights {
    const struct format *format;
    size_t n, n_blocks, n_bytes;
    uint8_t *blocks;
    float *floats;
};

static void put_half(uint8_t *at, float x)
{
    uint16_t half = f16_from_float(x);
    memcpy(at, &half, sizeof half);
}

static void fill_floats(struct weights *weights, float deviation)
{
    for (size_t i = 0; i < weights->n; i++) {
        float x = random_level() * deviation * 1.7F;
        uint16_t half = bf16_from_float(x);
        if (weights->format->type == TENSOR_F32)
            memcpy(weights->blocks + 4 * i, &x, sizeof x);
        else if (weights->format->type == TENSOR_F16)
            put_half(weights->blocks + 2 * i, x);
        else
            memcpy(weights->blocks + 2 * i, &half, sizeof half);
    }
}

/* Each block has `scale`, more or less, of either sign: then a type whose numbers are not level (of
 * 4 bits, -8 .. 7) has no mean over a row. */
static void scale_blocks(struct weights *weights, float scale, float spread)
{
    const struct format *format = weights->format;
    size_t block_bytes = weights->n_bytes / weights->n_blocks;
    for (size_t i = 0; i < weights->n_blocks; i++) {
        uint8_t *block = weights->blocks + i * block_bytes;
        float own = scale * (1 + spread * random_level()) * (random_level() < 0 ? -1 : 1);
        put_half(block + format->scale_at, own);
        if (format->min_at >= 0)
            put_half(block + format->min_at, own * format->level);
    }
}

static double deviation(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)n);
}

static struct weights new_weights(const struct format *format, size_t n_in, size_t n_out,
                                  double gain)
{
    const struct tensor_format *layout = tensor_format(format->type);
    struct weights weights = {.format = format, .n = n_in * n_out};
    double wanted = gain / sqrt((double)n_in);
    weights.n_blocks = weights.n / layout->block_len;
    weights.n_bytes = weights.n_blocks * layout->block_bytes;
    weights.blocks = malloc(weights.n_bytes);
    weights.floats = malloc(weights.n * sizeof(float));
    assert_true(weights.blocks != NULL && weights.floats != NULL);
    if (format->scale_at < 0) {
        fill_floats(&weights, (float)wanted);
    } else {
        for (size_t i = 0; i < weights.n_bytes; i++)
            weights.blocks[i] = (uint8_t)(random_word() >> 16);
        scale_blocks(&weights, 1, 0);
        dequantize_row(format->type, weights.blocks, weights.floats, weights.n);
        scale_blocks(&weights, (float)(wanted / deviation(weights.floats, weights.n)), 0.5F);
    }
    dequantize_row(format->type, weights.blocks, weights.floats, weights.n);
    return weights;
}

/* n_deep matrices behind each other. */
static void add_matrix(struct typed_pair *pair, const char *name, uint64_t n_in, uint64_t n_out,
                       uint64_t n_deep, double gain)
{
    int which = pair->which == TYPED_MIXED ? pair->n_added % TYPED_N_TYPES : pair->which;
    struct weights weights = new_weights(&formats[which], n_in, n_out * n_deep, gain);
    const uint64_t dims[] = {n_in, n_out, n_deep, 0};
    gguf_add_tensor(&pair->typed, name, weights.format->type, dims, weights.blocks,
                    weights.n_bytes);
    gguf_add_tensor(&pair->floats, name, TENSOR_F32, dims, weights.floats,
                    weights.n * sizeof(float));
    pair->n_added++;
    free(weights.blocks);
    free(weights.floats);
}

static void add_vector(struct typed_pair *pair, const char *name, size_t n)
{
    float ones[TYPED_EMBD];
    for (size_t i = 0; i < n; i++)
        ones[i] = 1;
    gguf_add_tensor(&pair->typed, name, TENSOR_F32, (uint64_t[]){n, 0}, ones, n * sizeof *ones);
    gguf_add_tensor(&pair->floats, name, TENSOR_F32, (uint64_t[]){n, 0}, ones, n * sizeof *ones);
}

static void add_u32(struct gguf_builder *builder, const char *architecture, const char *name,
                    uint32_t value)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", architecture, name);
    gguf_add_u32(builder, key, value);
}

static void add_keys(struct gguf_builder *builder, const char *architecture, int n_experts_used)
{
    char key[96];
    gguf_add_text(builder, "general.architecture", architecture);
    add_u32(builder, architecture, "block_count", TYPED_LAYERS);
    add_u32(builder, architecture, "embedding_length", TYPED_EMBD);
    add_u32(builder, architecture, "feed_forward_length", TYPED_FF);
    add_u32(builder, architecture, "context_length", 128);
    add_u32(builder, architecture, "attention.head_count", TYPED_HEADS);
    add_u32(builder, architecture, "attention.head_count_kv", TYPED_KV_HEADS);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", architecture);
    gguf_add_f32(builder, key, 1e-5F);
    if (n_experts_used > 0) {
        add_u32(builder, architecture, "expert_count", TYPED_EXPERTS);
        add_u32(builder, architecture, "expert_used_count", (uint32_t)n_experts_used);
    }
}

enum { MOST_MATRICES = 9 };

/* Matrices and vectors of one layer, each list ends with no name. */
struct tensors {
    struct {
        const char *name;
        uint64_t n_in, n_out, n_deep;
    } matrices[MOST_MATRICES + 1];
    struct {
        const char *name;
        size_t n;
    } vectors[5];
};

static const struct tensors phi3 = {
    {{"attn_qkv", TYPED_EMBD, (TYPED_HEADS + 2 * TYPED_KV_HEADS) * TYPED_HEAD_DIM, 1},
     {"attn_output", TYPED_HEADS *TYPED_HEAD_DIM, TYPED_EMBD, 1},
     {"ffn_up", TYPED_EMBD, 2 * TYPED_FF, 1},
     {"ffn_down", TYPED_FF, TYPED_EMBD, 1}},
    {{"attn_norm", TYPED_EMBD}, {"ffn_norm", TYPED_EMBD}},
};

static const struct tensors qwen3moe = {
    {{"attn_q", TYPED_EMBD, TYPED_HEADS *TYPED_HEAD_DIM, 1},
     {"attn_k", TYPED_EMBD, TYPED_KV_HEADS *TYPED_HEAD_DIM, 1},
     {"attn_v", TYPED_EMBD, TYPED_KV_HEADS *TYPED_HEAD_DIM, 1},
     {"attn_output", TYPED_HEADS *TYPED_HEAD_DIM, TYPED_EMBD, 1},
     {"ffn_gate_inp", TYPED_EMBD, TYPED_EXPERTS, 1},
     {"ffn_gate_exps", TYPED_EMBD, TYPED_FF, TYPED_EXPERTS},
     {"ffn_up_exps", TYPED_EMBD, TYPED_FF, TYPED_EXPERTS},
     {"ffn_down_exps", TYPED_FF, TYPED_EMBD, TYPED_EXPERTS}},
    {{"attn_norm", TYPED_EMBD},
     {"ffn_norm", TYPED_EMBD},
     {"attn_q_norm", TYPED_HEAD_DIM},
     {"attn_k_norm", TYPED_HEAD_DIM}},
};

static const struct tensors deepseek2 = {
    {{"attn_q_a", TYPED_EMBD, 256, 1},
     {"attn_q_b", 256, (uint64_t)TYPED_HEADS *(TYPED_LATENT + TYPED_ROTATED), 1},
     {"attn_kv_a_mqa", TYPED_EMBD, TYPED_LATENT + TYPED_ROTATED, 1},
     {"attn_k_b", TYPED_LATENT, TYPED_LATENT, TYPED_HEADS},
     {"attn_v_b", TYPED_LATENT, TYPED_HEAD_DIM, TYPED_HEADS},
     {"attn_output", TYPED_HEADS *TYPED_HEAD_DIM, TYPED_EMBD, 1},
     {"ffn_gate", TYPED_EMBD, TYPED_FF, 1},
     {"ffn_up", TYPED_EMBD, TYPED_FF, 1},
     {"ffn_down", TYPED_FF, TYPED_EMBD, 1}},
    {{"attn_norm", TYPED_EMBD},
     {"ffn_norm", TYPED_EMBD},
     {"attn_q_a_norm", 256},
     {"attn_kv_a_norm", TYPED_LATENT}},
};

static const struct tensors joint_deepseek2 = {
    {{"attn_q", TYPED_EMBD, (uint64_t)TYPED_HEADS *(TYPED_LATENT + TYPED_ROTATED), 1},
     {"attn_kv_a_mqa", TYPED_EMBD, TYPED_LATENT + TYPED_ROTATED, 1},
     {"attn_kv_b", TYPED_LATENT, (uint64_t)TYPED_HEADS *(TYPED_LATENT + TYPED_HEAD_DIM), 1},
     {"attn_output", TYPED_HEADS *TYPED_HEAD_DIM, TYPED_EMBD, 1},
     {"ffn_gate", TYPED_EMBD, TYPED_FF, 1},
     {"ffn_up", TYPED_EMBD, TYPED_FF, 1},
     {"ffn_down", TYPED_FF, TYPED_EMBD, 1}},
    {{"attn_norm", TYPED_EMBD}, {"ffn_norm", TYPED_EMBD}, {"attn_kv_a_norm", TYPED_LATENT}},
};

static void add_layer(struct typed_pair *pair, int layer, const struct tensors *tensors)
{
    char name[64];
    for (int i = 0; tensors->matrices[i].name != NULL; i++) {
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, tensors->matrices[i].name);
        add_matrix(pair, name, tensors->matrices[i].n_in, tensors->matrices[i].n_out,
                   tensors->matrices[i].n_deep, 1.3);
    }
    for (int i = 0; tensors->vectors[i].name != NULL; i++) {
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, tensors->vectors[i].name);
        add_vector(pair, name, tensors->vectors[i].n);
    }
}

static void begin(struct typed_pair *pair, int which)
{
    *pair = (struct typed_pair){.which = which};
    random_state = (uint32_t)which;
    gguf_builder_init(&pair->typed);
    gguf_builder_init(&pair->floats);
}

static void add_tensors(struct typed_pair *pair, const struct tensors *of_layer)
{
    add_vector(pair, "output_norm.weight", TYPED_EMBD);
    add_matrix(pair, "token_embd.weight", TYPED_EMBD, TYPED_VOCAB, 1, sqrt(TYPED_EMBD));
    add_matrix(pair, "output.weight", TYPED_EMBD, TYPED_VOCAB, 1, 2.5);
    for (int i = 0; i < TYPED_LAYERS; i++)
        add_layer(pair, i, of_layer);
}

void typed_pair_init(struct typed_pair *pair, int which, int n_experts_used)
{
    const char *architecture = n_experts_used > 0 ? "qwen3moe" : "phi3";
    begin(pair, which);
    add_keys(&pair->typed, architecture, n_experts_used);
    add_keys(&pair->floats, architecture, n_experts_used);
    add_tensors(pair, n_experts_used > 0 ? &qwen3moe : &phi3);
}

static void add_latent_keys(struct gguf_builder *builder)
{
    add_keys(builder, "deepseek2", 0);
    gguf_add_u32(builder, "deepseek2.attention.kv_lora_rank", TYPED_LATENT);
    gguf_add_u32(builder, "deepseek2.attention.q_lora_rank", 256);
    gguf_add_u32(builder, "deepseek2.rope.dimension_count", TYPED_ROTATED);
    gguf_add_u32(builder, "deepseek2.attention.key_length", TYPED_LATENT + TYPED_ROTATED);
    gguf_add_u32(builder, "deepseek2.attention.value_length", TYPED_HEAD_DIM);
}

void typed_pair_init_latent(struct typed_pair *pair, int which, bool is_joint)
{
    begin(pair, which);
    add_latent_keys(&pair->typed);
    add_latent_keys(&pair->floats);
    add_tensors(pair, is_joint ? &joint_deepseek2 : &deepseek2);
}

void typed_pair_done(struct typed_pair *pair)
{
    gguf_builder_done(&pair->typed);
    gguf_builder_done(&pair->floats);
}
