/* gguf_sample.h - a small model file with a bit of everything, and a reader of all of it. */
#ifndef TESTS_SUPPORT_GGUF_SAMPLE_H
#define TESTS_SUPPORT_GGUF_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

struct gguf;
struct gguf_builder;

/* Texts, numbers, a list and the tensors "first" and "second". */
void gguf_sample_add(struct gguf_builder *builder);
/* A file of just that; the caller frees. */
void *gguf_sample(size_t *out_n);

/* Reads everything that a file offers, so that a sanitizer sees any pointer that strays. Returns a
 * sum of it. */
uint64_t gguf_sample_walk(const struct gguf *file);

#endif
