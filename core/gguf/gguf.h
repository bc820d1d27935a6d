/* gguf.h - one GGUF model file, mapped read-only: metadata by key, tensors by name.
 *
 * The file is untrusted. gguf_open checks every count, size and offset against the file before
 * anything is returned; afterwards all that the getters return lies inside the file.
 * Owner: the engine. Thread: any after opening and detaching (immutable). Versions 2 and 3, little
 * endian. Format: the GGUF specification (ggml-org, docs/gguf.md). */
#ifndef CORE_GGUF_GGUF_H
#define CORE_GGUF_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct gguf;
struct thread_pool;

enum gguf_type {
    GGUF_U8 = 0,
    GGUF_I8 = 1,
    GGUF_U16 = 2,
    GGUF_I16 = 3,
    GGUF_U32 = 4,
    GGUF_I32 = 5,
    GGUF_F32 = 6,
    GGUF_BOOL = 7,
    GGUF_STRING = 8,
    GGUF_ARRAY = 9,
    GGUF_U64 = 10,
    GGUF_I64 = 11,
    GGUF_F64 = 12,
};

/* Bytes inside the file, not NUL-terminated, any content. */
struct gguf_text {
    const char *data;
    size_t len;
};

/* A text from the file as it may appear in a message: its beginning, without control bytes. */
struct gguf_shown {
    char text[65];
};
struct gguf_shown gguf_show(struct gguf_text text);

/* An array of scalars (unaligned bytes inside the file) or of strings. */
struct gguf_array {
    enum gguf_type type; /* of the elements; never GGUF_ARRAY */
    size_t n;
    const struct gguf_array_index *index; /* strings only, opaque: use gguf_array_text */
    const unsigned char *data;            /* scalars only: n little-endian elements */
};

struct gguf_tensor {
    struct gguf_text name;
    uint32_t type;   /* an enum tensor_type that tensor_format knows */
    int n_dims;      /* 1 .. 4 */
    int64_t dims[4]; /* dims[0] runs fastest; 1 beyond n_dims. All >= 1, product <= INT64_MAX */
    const void *data;
    size_t n_bytes;
};

/* Opens, maps and checks. The sentence in *err names the file and what to do about it. */
bool gguf_open(struct gguf **out, const char *path, struct err *err);
/* In two steps: the file's bytes, mapped and not looked at, to be given to gguf_open_memory and
 * unmapped after gguf_close. */
struct gguf_bytes {
    const void *data;
    size_t n;
};
bool gguf_map(struct gguf_bytes *out, const char *path, struct err *err);
void gguf_unmap(struct gguf_bytes *bytes);
/* The same from memory that the caller keeps (tests, fuzzing). Tensors lie as aligned as it does.
 */
bool gguf_open_memory(struct gguf **out, const void *bytes, size_t n_bytes, struct err *err);
void gguf_close(struct gguf **file);

/* Bytes of the file that lie at `data`, read beside the mapping: for what is large and needed once,
 * whose pages need then not be mapped. Any thread. False when the file has become shorter or its
 * disk fails, and after gguf_detach. */
bool gguf_read(const struct gguf *file, const void *data, size_t n_bytes, void *out);
/* These bytes of the file are never read again, and released once: whole pages among all of those
 * leave the memory. */
void gguf_release(struct gguf *file, const void *data, size_t n_bytes);
/* From now on nothing is read from the disk: all bytes that were not released are copied, on all
 * threads of the pool, to where they are mapped. To be called once; on failure, and for files from
 * the caller's memory, all stays as it was. */
bool gguf_detach(struct gguf *file, struct thread_pool *pool, struct err *err);

size_t gguf_file_bytes(const struct gguf *file);
/* Tells one model from another: a hash of all metadata and of a part of each tensor. Reads from the
 * disk what is not in memory. */
uint64_t gguf_fingerprint(const struct gguf *file);

/* Getters: true when the key is there with a value that fits. A missing key, another type or a
 * number out of range is false; outputs are then untouched. Any integer type converts to
 * integer getters when the value fits, any float type to float; `key` is NUL-terminated. */
bool gguf_has(const struct gguf *file, const char *key);
bool gguf_get_int(const struct gguf *file, const char *key, int64_t min, int64_t max, int64_t *out);
bool gguf_get_float(const struct gguf *file, const char *key, double *out); /* finite only */
bool gguf_get_bool(const struct gguf *file, const char *key, bool *out);
bool gguf_get_text(const struct gguf *file, const char *key, struct gguf_text *out);
bool gguf_get_array(const struct gguf *file, const char *key, struct gguf_array *out);

/* Elements, i < array.n. For integers of any width and truths (1 or 0); for F32/F64; for strings.
 */
int64_t gguf_array_int(const struct gguf_array *array, size_t i);
double gguf_array_float(const struct gguf_array *array, size_t i);
struct gguf_text gguf_array_text(const struct gguf_array *array, size_t i);

/* NULL when there is no tensor of this name. */
const struct gguf_tensor *gguf_find_tensor(const struct gguf *file, const char *name);
size_t gguf_n_tensors(const struct gguf *file);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *file, size_t i);

#endif
