/* fuzz_gguf.c - libFuzzer target: any bytes as a model file. Seeds: tests/fuzz/corpus/gguf, made by
 * tests/fuzz/make_gguf_corpus.py.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. tests/fuzz/fuzz_gguf.c \
 *       core/gguf/gguf.c core/gguf/gguf_parse.c core/kernels/tensor_type.c core/base/err.c
 *   ./a.out NEW_FINDINGS_FOLDER tests/fuzz/corpus/gguf */
#include <stdlib.h>
#include <string.h>

#include "core/gguf/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static volatile uint64_t sink;

static void touch(const void *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sink += ((const uint8_t *)data)[i];
}

static void read_key(const struct gguf *file, const char *key)
{
    int64_t integer;
    double real;
    struct gguf_text text;
    struct gguf_array array;
    if (gguf_get_int(file, key, INT64_MIN, INT64_MAX, &integer))
        sink += (uint64_t)integer;
    if (gguf_get_float(file, key, &real))
        sink += real > 0;
    if (gguf_get_text(file, key, &text))
        touch(text.data, text.len);
    if (!gguf_get_array(file, key, &array))
        return;
    for (size_t i = 0; i < array.n; i++) {
        text = gguf_array_text(&array, i);
        touch(text.data, text.len);
        sink += (uint64_t)gguf_array_int(&array, i);
        sink += gguf_array_float(&array, i) > 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct gguf *file = NULL;
    if (!gguf_open_memory(&file, bytes, n_bytes, NULL))
        return 0;
    read_key(file, "tokenizer.ggml.tokens");
    read_key(file, "tokenizer.ggml.scores");
    read_key(file, "general.architecture");
    read_key(file, "llama.block_count");
    for (size_t i = 0; i < gguf_n_tensors(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        touch(tensor->data, tensor->n_bytes);
        touch(tensor->name.data, tensor->name.len);
    }
    gguf_close(&file);
    return 0;
}
