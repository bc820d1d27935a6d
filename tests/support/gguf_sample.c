#include "tests/support/gguf_sample.h"

#include <stdbool.h>

#include "core/gguf/gguf.h"
#include "core/kernels/tensor_type.h"
#include "tests/support/gguf_builder.h"

void gguf_sample_add(struct gguf_builder *builder)
{
    static const char *const texts[] = {"a", "", "long text"};
    static const float numbers[64] = {1, 2, 3};
    gguf_add_text(builder, "general.architecture", "test");
    gguf_add_u32(builder, "count", 7);
    gguf_add_f32(builder, "ratio", 0.5F);
    gguf_add_bool(builder, "flag", 1);
    gguf_add_texts(builder, "list", texts, 3);
    gguf_add_tensor(builder, "first", TENSOR_F32, (uint64_t[]){8, 2, 0}, numbers, 64);
    gguf_add_tensor(builder, "second", TENSOR_Q8_0, (uint64_t[]){32, 0}, numbers, 34);
}

void *gguf_sample(size_t *out_n)
{
    struct gguf_builder builder;
    gguf_builder_init(&builder);
    gguf_sample_add(&builder);
    void *bytes = gguf_builder_finish(&builder, out_n);
    gguf_builder_done(&builder);
    return bytes;
}

uint64_t gguf_sample_walk(const struct gguf *file)
{
    uint64_t sum = gguf_file_bytes(file);
    for (size_t i = 0; i < gguf_n_tensors(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        for (size_t j = 0; j < tensor->n_bytes; j++)
            sum += ((const unsigned char *)tensor->data)[j];
    }
    struct gguf_array array;
    if (gguf_get_array(file, "list", &array)) {
        for (size_t i = 0; i < array.n; i++) {
            struct gguf_text text = gguf_array_text(&array, i);
            for (size_t j = 0; j < text.len; j++)
                sum += (unsigned char)text.data[j];
            sum += (uint64_t)gguf_array_int(&array, i) + (gguf_array_float(&array, i) > 0);
        }
    }
    return sum;
}
