#include "tests/support/gguf_builder.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 32, TYPE_U32 = 4, TYPE_F32 = 6, TYPE_BOOL = 7, TYPE_TEXT = 8, TYPE_ARRAY = 9 };

void gguf_put_u32(struct buf *buf, uint32_t value)
{
    buf_append(buf, &value, sizeof value);
}

void gguf_put_u64(struct buf *buf, uint64_t value)
{
    buf_append(buf, &value, sizeof value);
}

void gguf_put_text(struct buf *buf, const char *text)
{
    gguf_put_u64(buf, strlen(text));
    buf_append_text(buf, text);
}

void gguf_put_header(struct buf *buf, uint32_t version, uint64_t n_tensors, uint64_t n_entries)
{
    buf_append_text(buf, "GGUF");
    gguf_put_u32(buf, version);
    gguf_put_u64(buf, n_tensors);
    gguf_put_u64(buf, n_entries);
}

void gguf_put_padding(struct buf *buf, size_t alignment)
{
    while (buf->len % alignment != 0)
        buf_append_char(buf, '\0');
}

void gguf_builder_init(struct gguf_builder *builder)
{
    *builder = (struct gguf_builder){0};
    buf_init(&builder->entries);
    buf_init(&builder->tensors);
    buf_init(&builder->data);
}

void gguf_builder_done(struct gguf_builder *builder)
{
    buf_done(&builder->entries);
    buf_done(&builder->tensors);
    buf_done(&builder->data);
}

static void begin_entry(struct gguf_builder *builder, const char *key, uint32_t type)
{
    gguf_put_text(&builder->entries, key);
    gguf_put_u32(&builder->entries, type);
    builder->n_entries++;
}

void gguf_add_u32(struct gguf_builder *builder, const char *key, uint32_t value)
{
    begin_entry(builder, key, TYPE_U32);
    gguf_put_u32(&builder->entries, value);
}

void gguf_add_f32(struct gguf_builder *builder, const char *key, float value)
{
    begin_entry(builder, key, TYPE_F32);
    buf_append(&builder->entries, &value, sizeof value);
}

void gguf_add_bool(struct gguf_builder *builder, const char *key, int value)
{
    begin_entry(builder, key, TYPE_BOOL);
    buf_append_char(&builder->entries, (char)(value != 0));
}

void gguf_add_text(struct gguf_builder *builder, const char *key, const char *value)
{
    begin_entry(builder, key, TYPE_TEXT);
    gguf_put_text(&builder->entries, value);
}

void gguf_add_texts(struct gguf_builder *builder, const char *key, const char *const *texts,
                    size_t n)
{
    begin_entry(builder, key, TYPE_ARRAY);
    gguf_put_u32(&builder->entries, TYPE_TEXT);
    gguf_put_u64(&builder->entries, n);
    for (size_t i = 0; i < n; i++)
        gguf_put_text(&builder->entries, texts[i]);
}

void gguf_add_bools(struct gguf_builder *builder, const char *key, const bool *values, size_t n)
{
    begin_entry(builder, key, TYPE_ARRAY);
    gguf_put_u32(&builder->entries, TYPE_BOOL);
    gguf_put_u64(&builder->entries, n);
    for (size_t i = 0; i < n; i++)
        buf_append_char(&builder->entries, (char)values[i]);
}

void gguf_add_tensor(struct gguf_builder *builder, const char *name, uint32_t type,
                     const uint64_t *dims, const void *bytes, size_t n_bytes)
{
    uint32_t n_dims = 0;
    while (dims[n_dims] != 0)
        n_dims++;
    gguf_put_text(&builder->tensors, name);
    gguf_put_u32(&builder->tensors, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        gguf_put_u64(&builder->tensors, dims[i]);
    gguf_put_u32(&builder->tensors, type);
    gguf_put_padding(&builder->data, ALIGNMENT);
    gguf_put_u64(&builder->tensors, builder->data.len);
    builder->n_tensors++;
    if (bytes != NULL)
        buf_append(&builder->data, bytes, n_bytes);
    else
        for (size_t i = 0; i < n_bytes; i++)
            buf_append_char(&builder->data, '\0');
}

void *gguf_builder_finish(const struct gguf_builder *builder, size_t *out_n)
{
    struct buf file;
    buf_init(&file);
    gguf_put_header(&file, 3, builder->n_tensors, builder->n_entries);
    buf_append(&file, builder->entries.data, builder->entries.len);
    buf_append(&file, builder->tensors.data, builder->tensors.len);
    gguf_put_padding(&file, ALIGNMENT);
    buf_append(&file, builder->data.data, builder->data.len);

    void *bytes = aligned_alloc(64, (file.len + 63) / 64 * 64);
    if (bytes == NULL || file.failed)
        abort();
    memcpy(bytes, file.data, file.len);
    *out_n = file.len;
    buf_done(&file);
    return bytes;
}
