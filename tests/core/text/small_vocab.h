/* small_vocab.h - tokenizers from a few tokens written in the test. */
#ifndef TESTS_CORE_TEXT_SMALL_VOCAB_H
#define TESTS_CORE_TEXT_SMALL_VOCAB_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/text/prompt.h"
#include "core/text/tokenizer.h"
#include "tests/support/gguf_builder.h"

enum { SMALL_VOCAB_MAX = 1024, ARRAY_TYPE = 9, I32_TYPE = 5, F32_TYPE = 6 };

struct small_vocab {
    const char *model; /* "llama", "gpt2" ... */
    const char *pre;   /* NULL: none */
    size_t n;
    struct small_token {
        const char *name;
        float score;
        int32_t type;
    } tokens[SMALL_VOCAB_MAX];
    const char *merges[SMALL_VOCAB_MAX];
    size_t n_merges;
    /* Lies for hostile files: lengths of the arrays that differ from n */
    size_t n_scores, n_types;
    bool no_types;
};

static inline void small_vocab_add(struct small_vocab *vocab, const char *name, float score,
                                   int32_t type)
{
    vocab->tokens[vocab->n++] = (struct small_token){name, score, type};
}

static inline void small_vocab_merge(struct small_vocab *vocab, const char *merge)
{
    vocab->merges[vocab->n_merges++] = merge;
}

/* <unk> 0, <s> 1, </s> 2, bytes 3 .. 258, then spaces, letters and a few words. */
static inline void small_vocab_spm(struct small_vocab *vocab)
{
    static char names[256][8];
    *vocab = (struct small_vocab){.model = "llama"};
    small_vocab_add(vocab, "<unk>", 0, 2);
    small_vocab_add(vocab, "<s>", 0, 3);
    small_vocab_add(vocab, "</s>", 0, 3);
    for (int i = 0; i < 256; i++) {
        snprintf(names[i], sizeof names[i], "<0x%02X>", i);
        small_vocab_add(vocab, names[i], 0, 6);
    }
}

/* Byte tokens 0 .. 255 in the order of GPT-2's characters. */
static inline void small_vocab_bpe(struct small_vocab *vocab, const char *pre)
{
    static char names[256][4];
    *vocab = (struct small_vocab){.model = "gpt2", .pre = pre};
    int n_moved = 0;
    for (int c = 0; c < 256; c++) {
        bool is_printable = (c >= '!' && c <= '~') || (c >= 0xA1 && c <= 0xFF && c != 0xAD);
        int point = is_printable ? c : 0x100 + n_moved++;
        if (point < 0x80)
            snprintf(names[c], sizeof names[c], "%c", point);
        else
            snprintf(names[c], sizeof names[c], "%c%c", 0xC0 | point >> 6, 0x80 | (point & 0x3F));
        small_vocab_add(vocab, names[c], 0, 1);
    }
}

static inline void small_vocab_put_array(struct gguf_builder *builder, const char *key,
                                         uint32_t type, size_t n)
{
    gguf_put_text(&builder->entries, key);
    gguf_put_u32(&builder->entries, ARRAY_TYPE);
    gguf_put_u32(&builder->entries, type);
    gguf_put_u64(&builder->entries, n);
    builder->n_entries++;
}

/* All but the tokenizer's own flags and ids, which a test adds itself. */
static inline void small_vocab_put(const struct small_vocab *vocab, struct gguf_builder *builder)
{
    const char *names[SMALL_VOCAB_MAX];
    size_t n_scores = vocab->n_scores == 0 ? vocab->n : vocab->n_scores;
    size_t n_types = vocab->n_types == 0 ? vocab->n : vocab->n_types;
    for (size_t i = 0; i < vocab->n; i++)
        names[i] = vocab->tokens[i].name;
    gguf_add_text(builder, "tokenizer.ggml.model", vocab->model);
    if (vocab->pre != NULL)
        gguf_add_text(builder, "tokenizer.ggml.pre", vocab->pre);
    gguf_add_texts(builder, "tokenizer.ggml.tokens", names, vocab->n);
    small_vocab_put_array(builder, "tokenizer.ggml.scores", F32_TYPE, n_scores);
    for (size_t i = 0; i < n_scores; i++)
        buf_append(&builder->entries, &vocab->tokens[i].score, sizeof(float));
    if (!vocab->no_types) {
        small_vocab_put_array(builder, "tokenizer.ggml.token_type", I32_TYPE, n_types);
        for (size_t i = 0; i < n_types; i++)
            gguf_put_u32(&builder->entries, (uint32_t)vocab->tokens[i].type);
    }
    if (strcmp(vocab->model, "gpt2") == 0 || vocab->n_merges > 0)
        gguf_add_texts(builder, "tokenizer.ggml.merges", vocab->merges, vocab->n_merges);
}

/* NULL when it cannot be opened: then *err tells. */
static inline struct tokenizer *small_vocab_finish(struct gguf_builder *builder, struct err *err)
{
    size_t n_bytes;
    void *bytes = gguf_builder_finish(builder, &n_bytes);
    struct gguf *file = NULL;
    struct tokenizer *tokenizer = NULL;
    if (gguf_open_memory(&file, bytes, n_bytes, err))
        (void)tokenizer_open(&tokenizer, file, err);
    gguf_close(&file);
    free(bytes);
    gguf_builder_done(builder);
    return tokenizer;
}

static inline struct tokenizer *small_vocab_open(const struct small_vocab *vocab, struct err *err)
{
    struct gguf_builder builder;
    gguf_builder_init(&builder);
    small_vocab_put(vocab, &builder);
    return small_vocab_finish(&builder, err);
}

/* The ids of one plain text, printed: "12 7 9". */
static inline const char *small_vocab_ids(const struct tokenizer *tokenizer,
                                          const struct prompt *prompt, size_t begin, bool is_start)
{
    static char printed[4096];
    struct token_list list;
    struct err err = {0};
    token_list_init(&list);
    printed[0] = '\0';
    if (!tokenizer_encode(tokenizer, prompt, begin, is_start, &list, &err))
        return err.text[0] == '\0' ? "failed" : "failed with a reason";
    size_t end = 0;
    for (size_t i = 0; i < list.n && end < sizeof printed - 16; i++)
        end += (size_t)snprintf(printed + end, sizeof printed - end, i == 0 ? "%d" : " %d",
                                list.ids[i]);
    token_list_done(&list);
    return printed;
}

static inline const char *small_vocab_plain(const struct tokenizer *tokenizer, const char *text,
                                            bool is_start)
{
    struct prompt prompt;
    prompt_init(&prompt);
    prompt_append_plain(&prompt, text, strlen(text));
    const char *ids = small_vocab_ids(tokenizer, &prompt, 0, is_start);
    prompt_done(&prompt);
    return ids;
}

#endif
