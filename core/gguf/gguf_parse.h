/* gguf_parse.h - the inside of struct gguf, for gguf.c and gguf_parse.c alone. */
#ifndef CORE_GGUF_GGUF_PARSE_H
#define CORE_GGUF_GGUF_PARSE_H

#include "core/gguf/gguf.h"

struct entry {
    enum gguf_type type;
    const unsigned char *value; /* scalars */
    struct gguf_text text;      /* strings */
    struct gguf_array array;    /* arrays; the index of strings is owned */
};

struct name_ref {
    struct gguf_text name;
    size_t i; /* into entries or tensors */
};

/* One string of an array: its length prefix inside the file, already checked. */
struct gguf_array_index {
    const unsigned char *prefix;
};

enum { GGUF_TEXT_PREFIX_BYTES = 8 }; /* the length before a string's bytes */

struct gguf {
    const unsigned char *bytes;
    size_t n_bytes;
    bool is_mapped;     /* else the caller's memory */
    int fd;             /* of a file that is mapped, until it is let go; else -1 */
    uint32_t *released; /* [pages] bytes of each that nobody reads any more; NULL: none */
    struct entry *entries;
    struct name_ref *entry_names; /* sorted */
    size_t n_entries;
    struct gguf_tensor *tensors;
    struct name_ref *tensor_names; /* sorted */
    size_t n_tensors;
};

/* Fills entries and tensors from bytes. What it allocated before a failure stays in *file. */
bool gguf_parse(struct gguf *file, struct err *err);

/* Bytes of a scalar; 0 for strings, arrays and unknown types. */
size_t gguf_scalar_bytes(uint32_t type);

/* NULL when `name` is not among the sorted names. */
const struct name_ref *gguf_find_name(const struct name_ref *refs, size_t n, const char *name);

#endif
