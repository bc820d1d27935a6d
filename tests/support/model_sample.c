#include "tests/support/model_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

const char *const model_sample_keys[SAMPLE_N_KEYS] = {
    "llama.block_count",
    "llama.embedding_length",
    "llama.feed_forward_length",
    "llama.context_length",
    "llama.attention.head_count",
    "llama.attention.head_count_kv",
    "llama.attention.key_length",
    "llama.attention.value_length",
    "llama.attention.layer_norm_rms_epsilon",
    "llama.attention.sliding_window",
    "llama.attention.clamp_kqv",
    "llama.attn_logit_softcapping",
    "llama.final_logit_softcapping",
    "llama.attention.scale",
    "llama.embedding_scale",
    "llama.residual_scale",
    "llama.logit_scale",
    "llama.rope.dimension_count",
    "llama.rope.freq_base",
    "llama.rope.scaling.type",
    "llama.rope.scaling.factor",
    "llama.rope.scale_linear",
    "llama.use_parallel_residual",
    "llama.expert_count",
};

static void add_key(struct gguf_builder *builder, const struct model_damage *damage,
                    const char *key, uint32_t u32, float f32)
{
    if (damage->name != NULL && strcmp(damage->name, key) == 0) {
        if (damage->kind == SET_U32)
            gguf_add_u32(builder, key, damage->u32);
        else if (damage->kind == SET_F32)
            gguf_add_f32(builder, key, damage->f32);
        else if (damage->kind == SET_TEXT)
            gguf_add_text(builder, key, damage->text);
    } else if (u32 > 0) {
        gguf_add_u32(builder, key, u32);
    } else if (f32 > 0) {
        gguf_add_f32(builder, key, f32);
    }
}

void model_sample_add_tensor(struct gguf_builder *builder, const struct model_damage *damage,
                             const char *name, uint64_t n_in, uint64_t n_out)
{
    if (damage->name != NULL && strcmp(damage->name, name) == 0) {
        if (damage->kind == OMIT)
            return;
        n_in += 1; /* any other kind: a shape that is off by one */
    }
    size_t n = (size_t)(n_in * (n_out == 0 ? 1 : n_out));
    float *values = malloc(n * sizeof(float));
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = 0.1F * (float)((int)(i * 7 % 11) - 5);
    gguf_add_tensor(builder, name, TENSOR_F32, (uint64_t[]){n_in, n_out, 0}, values,
                    n * sizeof(float));
    free(values);
}

void model_sample_add(struct gguf_builder *builder, const struct model_damage *damage)
{
    static const uint32_t counts[SAMPLE_N_KEYS] = {SAMPLE_LAYERS, SAMPLE_EMBD,  SAMPLE_FF,
                                                   128,           SAMPLE_HEADS, SAMPLE_KV_HEADS};
    if (damage->name == NULL || strcmp(damage->name, "general.architecture") != 0)
        gguf_add_text(builder, "general.architecture", "llama");
    else if (damage->kind == SET_TEXT)
        gguf_add_text(builder, "general.architecture", damage->text);
    for (int i = 0; i < SAMPLE_N_KEYS; i++)
        add_key(builder, damage, model_sample_keys[i], counts[i],
                strstr(model_sample_keys[i], "epsilon") ? 1e-5F : 0);

    model_sample_add_tensor(builder, damage, "token_embd.weight", SAMPLE_EMBD, SAMPLE_VOCAB);
    model_sample_add_tensor(builder, damage, "output_norm.weight", SAMPLE_EMBD, 0);
    for (int i = 0; i < SAMPLE_LAYERS; i++) {
        static const struct {
            const char *name;
            uint64_t n_in, n_out;
        } tensors[] = {
            {"attn_norm", SAMPLE_EMBD, 0},
            {"attn_q", SAMPLE_EMBD, SAMPLE_EMBD},
            {"attn_k", SAMPLE_EMBD, SAMPLE_KV_HEADS * SAMPLE_HEAD_DIM},
            {"attn_v", SAMPLE_EMBD, SAMPLE_KV_HEADS * SAMPLE_HEAD_DIM},
            {"attn_output", SAMPLE_EMBD, SAMPLE_EMBD},
            {"ffn_norm", SAMPLE_EMBD, 0},
            {"ffn_gate", SAMPLE_EMBD, SAMPLE_FF},
            {"ffn_up", SAMPLE_EMBD, SAMPLE_FF},
            {"ffn_down", SAMPLE_FF, SAMPLE_EMBD},
        };
        for (size_t j = 0; j < sizeof tensors / sizeof tensors[0]; j++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", i, tensors[j].name);
            model_sample_add_tensor(builder, damage, name, tensors[j].n_in, tensors[j].n_out);
        }
    }
}

bool model_sample_open(struct opened_model *opened, const struct gguf_builder *builder)
{
    size_t n;
    *opened = (struct opened_model){.bytes = gguf_builder_finish(builder, &n)};
    if (!gguf_open_memory(&opened->file, opened->bytes, n, &opened->err))
        fail_msg("%s", opened->err.text);
    return model_open(&opened->model, opened->file, &opened->err);
}

bool model_sample_open_damaged(struct opened_model *opened, const struct model_damage *damage)
{
    struct gguf_builder builder;
    gguf_builder_init(&builder);
    model_sample_add(&builder, damage);
    bool ok = model_sample_open(opened, &builder);
    gguf_builder_done(&builder);
    return ok;
}

void model_sample_close(struct opened_model *opened)
{
    model_close(&opened->model);
    gguf_close(&opened->file);
    free(opened->bytes);
}
