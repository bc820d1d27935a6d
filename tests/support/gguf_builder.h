/* gguf_builder.h - model files in memory, well formed or not, for tests.
 *
 * The put functions write single fields, so that a test can lie in any of them; the add functions
 * write whole well-formed entries and count them. Failing allocations are ignored: a test dies. */
#ifndef TESTS_SUPPORT_GGUF_BUILDER_H
#define TESTS_SUPPORT_GGUF_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

void gguf_put_u32(struct buf *buf, uint32_t value);
void gguf_put_u64(struct buf *buf, uint64_t value);
void gguf_put_text(struct buf *buf, const char *text); /* length, bytes */
/* Magic, version, counts. */
void gguf_put_header(struct buf *buf, uint32_t version, uint64_t n_tensors, uint64_t n_entries);
/* Zeros up to a multiple of `alignment`. */
void gguf_put_padding(struct buf *buf, size_t alignment);

struct gguf_builder {
    struct buf entries;
    struct buf tensors;
    struct buf data;
    uint64_t n_entries;
    uint64_t n_tensors;
};

void gguf_builder_init(struct gguf_builder *builder);
void gguf_builder_done(struct gguf_builder *builder);

void gguf_add_u32(struct gguf_builder *builder, const char *key, uint32_t value);
void gguf_add_f32(struct gguf_builder *builder, const char *key, float value);
void gguf_add_bool(struct gguf_builder *builder, const char *key, int value);
void gguf_add_text(struct gguf_builder *builder, const char *key, const char *value);
void gguf_add_texts(struct gguf_builder *builder, const char *key, const char *const *texts,
                    size_t n);
void gguf_add_bools(struct gguf_builder *builder, const char *key, const bool *values, size_t n);
/* `bytes` may be NULL for zeros. dims ends with a 0. */
void gguf_add_tensor(struct gguf_builder *builder, const char *name, uint32_t type,
                     const uint64_t *dims, const void *bytes, size_t n_bytes);

/* The file, 64-byte aligned as a mapping is; free() it. */
void *gguf_builder_finish(const struct gguf_builder *builder, size_t *out_n);

#endif
