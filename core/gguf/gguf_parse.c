/* gguf_parse.c - from the bytes of a model file to checked entries and tensors.
 *
 * Every number in the file is a lie until proven otherwise: lengths are compared with what is left
 * before anything is read or allocated, sums and products are overflow-checked, and no allocation
 * is larger than a small multiple of the bytes that the file really has. Names are kept sorted, not
 * hashed: an attacker cannot make sorting quadratic. */
#include "core/gguf/gguf_parse.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/kernels/tensor_type.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF numbers are read in place and need a little-endian machine"
#endif

enum {
    MAX_ENTRIES = 65536,
    MAX_TENSORS = 65536,
    MAX_NAME_BYTES = 65535,
    MAX_TEXT_BYTES = 64 << 20,
    MAX_ARRAY_LEN = 16 << 20,
    MAX_DIMS = 4,
    DEFAULT_ALIGNMENT = 32,
    MIN_ALIGNMENT = 8,
    MAX_ALIGNMENT = 65536,
    /* The least that one of each can take in a file: what a count may claim is bounded by it. */
    MIN_ENTRY_BYTES = 8 + 1 + 4 + 1,
    MIN_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8,
};

/* What is left of the file. */
struct cursor {
    const unsigned char *at;
    size_t n_left;
};

static bool fail_short(struct err *err, const char *what)
{
    return err_set(err, ERR_FORMAT, "the file ends in the middle of %s; download it again", what);
}

static bool take_bytes(struct cursor *cursor, size_t n, const unsigned char **out)
{
    if (n > cursor->n_left)
        return false;
    *out = cursor->at;
    cursor->at += n;
    cursor->n_left -= n;
    return true;
}

static bool take_u32(struct cursor *cursor, uint32_t *out)
{
    const unsigned char *bytes;
    if (!take_bytes(cursor, sizeof *out, &bytes))
        return false;
    memcpy(out, bytes, sizeof *out);
    return true;
}

static bool take_u64(struct cursor *cursor, uint64_t *out)
{
    const unsigned char *bytes;
    if (!take_bytes(cursor, sizeof *out, &bytes))
        return false;
    memcpy(out, bytes, sizeof *out);
    return true;
}

static bool take_text(struct cursor *cursor, size_t max_len, struct gguf_text *out)
{
    uint64_t len;
    const unsigned char *bytes;
    if (!take_u64(cursor, &len) || len > max_len || !take_bytes(cursor, (size_t)len, &bytes))
        return false;
    *out = (struct gguf_text){.data = (const char *)bytes, .len = (size_t)len};
    return true;
}

static bool take_name(struct cursor *cursor, const char *what, struct gguf_text *out,
                      struct err *err)
{
    if (!take_text(cursor, MAX_NAME_BYTES, out))
        return err_set(err, ERR_FORMAT, "a %s name runs past the end of the file or %d bytes", what,
                       MAX_NAME_BYTES);
    if (out->len == 0)
        return err_set(err, ERR_FORMAT, "a %s has an empty name", what);
    return true;
}

size_t gguf_scalar_bytes(uint32_t type)
{
    switch (type) {
    case GGUF_U8:
    case GGUF_I8:
    case GGUF_BOOL:
        return 1;
    case GGUF_U16:
    case GGUF_I16:
        return 2;
    case GGUF_U32:
    case GGUF_I32:
    case GGUF_F32:
        return 4;
    case GGUF_U64:
    case GGUF_I64:
    case GGUF_F64:
        return 8;
    default:
        return 0;
    }
}

static int compare_text(const struct gguf_text *a, const struct gguf_text *b)
{
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    if (order != 0)
        return order;
    return (a->len > b->len) - (a->len < b->len);
}

static int compare_refs(const void *a, const void *b)
{
    const struct name_ref *ref_a = a;
    const struct name_ref *ref_b = b;
    return compare_text(&ref_a->name, &ref_b->name);
}

static bool sort_names(struct name_ref *refs, size_t n, const char *what, struct err *err)
{
    qsort(refs, n, sizeof refs[0], compare_refs);
    for (size_t i = 1; i < n; i++) {
        if (compare_refs(&refs[i - 1], &refs[i]) == 0)
            return err_set(err, ERR_FORMAT, "%s '%s' appears twice", what,
                           gguf_show(refs[i].name).text);
    }
    return true;
}

const struct name_ref *gguf_find_name(const struct name_ref *refs, size_t n, const char *name)
{
    struct name_ref wanted = {.name = {.data = name, .len = strlen(name)}};
    return n == 0 ? NULL : bsearch(&wanted, refs, n, sizeof refs[0], compare_refs);
}

static bool read_array_of_text(struct cursor *cursor, struct gguf_array *array, struct err *err)
{
    struct gguf_array_index *index = malloc((array->n + 1) * sizeof *index);
    if (index == NULL)
        return err_no_memory(err, "the model's metadata");
    array->index = index; /* owned by the entry from here on */
    for (size_t i = 0; i < array->n; i++) {
        struct gguf_text text;
        index[i].prefix = cursor->at;
        if (!take_text(cursor, MAX_TEXT_BYTES, &text))
            return fail_short(err, "a list of strings");
    }
    return true;
}

static bool read_array(struct cursor *cursor, struct gguf_array *array, struct err *err)
{
    uint32_t type;
    uint64_t n;
    if (!take_u32(cursor, &type) || !take_u64(cursor, &n))
        return fail_short(err, "its metadata");
    size_t element_bytes = type == GGUF_STRING ? GGUF_TEXT_PREFIX_BYTES : gguf_scalar_bytes(type);
    if (element_bytes == 0)
        return err_set(err, ERR_FORMAT, "a list has elements of type %u, which is not allowed",
                       type);
    if (n > MAX_ARRAY_LEN)
        return err_set(err, ERR_FORMAT, "a list claims %llu elements; %d are the limit",
                       (unsigned long long)n, MAX_ARRAY_LEN);
    if (n > cursor->n_left / element_bytes)
        return fail_short(err, "a list");
    array->type = (enum gguf_type)type;
    array->n = (size_t)n;
    if (type == GGUF_STRING)
        return read_array_of_text(cursor, array, err);
    return take_bytes(cursor, (size_t)n * element_bytes, &array->data) || fail_short(err, "a list");
}

static bool read_entry(struct cursor *cursor, struct gguf_text *key, struct entry *entry,
                       struct err *err)
{
    uint32_t type;
    if (!take_name(cursor, "metadata", key, err))
        return false;
    if (!take_u32(cursor, &type))
        return fail_short(err, "its metadata");
    entry->type = (enum gguf_type)type;
    if (type == GGUF_ARRAY)
        return read_array(cursor, &entry->array, err) ||
               err_prefix(err, "metadata '%s'", gguf_show(*key).text);
    if (type == GGUF_STRING)
        return take_text(cursor, MAX_TEXT_BYTES, &entry->text) ||
               err_set(err, ERR_FORMAT,
                       "the text of metadata '%s' runs past the end of the file or %d MiB",
                       gguf_show(*key).text, MAX_TEXT_BYTES >> 20);
    size_t n_bytes = gguf_scalar_bytes(type);
    if (n_bytes == 0)
        return err_set(err, ERR_FORMAT, "metadata '%s' has the unknown type %u",
                       gguf_show(*key).text, type);
    return take_bytes(cursor, n_bytes, &entry->value) || fail_short(err, "its metadata");
}

static bool read_entries(struct gguf *file, struct cursor *cursor, uint64_t n, struct err *err)
{
    if (n > MAX_ENTRIES || n > cursor->n_left / MIN_ENTRY_BYTES)
        return err_set(err, ERR_FORMAT,
                       "the file claims %llu metadata entries, more than it can hold",
                       (unsigned long long)n);
    file->entries = calloc((size_t)n + 1, sizeof file->entries[0]);
    file->entry_names = calloc((size_t)n + 1, sizeof file->entry_names[0]);
    if (file->entries == NULL || file->entry_names == NULL)
        return err_no_memory(err, "the model's metadata");
    file->n_entries = (size_t)n;
    for (size_t i = 0; i < n; i++) {
        file->entry_names[i].i = i;
        if (!read_entry(cursor, &file->entry_names[i].name, &file->entries[i], err))
            return false;
    }
    return sort_names(file->entry_names, file->n_entries, "metadata", err);
}

static bool read_alignment(const struct gguf *file, size_t *out, struct err *err)
{
    int64_t alignment = DEFAULT_ALIGNMENT;
    if (gguf_has(file, "general.alignment") &&
        (!gguf_get_int(file, "general.alignment", MIN_ALIGNMENT, MAX_ALIGNMENT, &alignment) ||
         (alignment & (alignment - 1)) != 0))
        return err_set(err, ERR_FORMAT, "general.alignment is not a power of two between %d and %d",
                       MIN_ALIGNMENT, MAX_ALIGNMENT);
    *out = (size_t)alignment;
    return true;
}

/* Dimensions and type, turned into a size that cannot overflow. */
static bool read_tensor_shape(struct cursor *cursor, struct gguf_tensor *tensor, struct err *err)
{
    uint32_t n_dims;
    if (!take_u32(cursor, &n_dims))
        return fail_short(err, "its list of tensors");
    if (n_dims < 1 || n_dims > MAX_DIMS)
        return err_set(err, ERR_FORMAT, "it has %u dimensions; 1 to %d are possible", n_dims,
                       MAX_DIMS);
    tensor->n_dims = (int)n_dims;
    int64_t n_elements = 1;
    for (int i = 0; i < MAX_DIMS; i++) {
        uint64_t dim = 1;
        if (i < tensor->n_dims && !take_u64(cursor, &dim))
            return fail_short(err, "its list of tensors");
        if (dim < 1 || dim > INT64_MAX ||
            __builtin_mul_overflow(n_elements, (int64_t)dim, &n_elements))
            return err_set(err, ERR_FORMAT, "its dimension %d is zero or too large", i);
        tensor->dims[i] = (int64_t)dim;
    }
    if (!take_u32(cursor, &tensor->type))
        return fail_short(err, "its list of tensors");

    const struct tensor_format *format = tensor_format(tensor->type);
    if (format == NULL)
        return err_set(err, ERR_UNSUPPORTED,
                       "its number format (type %u) is not one that sinkd reads; take a Q4_K_M, "
                       "Q5_K_M, Q6_K, Q8_0 or F16 file of the model",
                       tensor->type);
    if (tensor->dims[0] % (int64_t)format->block_len != 0)
        return err_set(err, ERR_FORMAT, "its rows of %lld elements are not whole %s blocks",
                       (long long)tensor->dims[0], format->name);
    size_t n_blocks = (size_t)n_elements / format->block_len;
    if (__builtin_mul_overflow(n_blocks, format->block_bytes, &tensor->n_bytes))
        return err_set(err, ERR_FORMAT, "it is too large");
    return true;
}

/* `data` is set to the offset for now: where the data begins is known only after the last info. */
static bool read_tensor(struct cursor *cursor, struct gguf_tensor *tensor, uint64_t *offset,
                        struct err *err)
{
    if (!take_name(cursor, "tensor", &tensor->name, err))
        return false;
    if (!read_tensor_shape(cursor, tensor, err))
        return err_prefix(err, "tensor '%s'", gguf_show(tensor->name).text);
    return take_u64(cursor, offset) || fail_short(err, "its list of tensors");
}

/* Offsets must rise in the order of the list, as every writer lays them out: so none overlap. */
static bool place_tensors(struct gguf *file, const struct cursor *cursor, const uint64_t *offsets,
                          struct err *err)
{
    size_t alignment = 0;
    if (!read_alignment(file, &alignment, err))
        return false;
    size_t header_bytes = (size_t)(cursor->at - file->bytes);
    size_t padding = (alignment - header_bytes % alignment) % alignment;
    size_t n_data = padding < cursor->n_left ? cursor->n_left - padding : 0;
    uint64_t previous_end = 0;
    for (size_t i = 0; i < file->n_tensors; i++) {
        struct gguf_tensor *tensor = &file->tensors[i];
        if (offsets[i] % alignment != 0 || offsets[i] < previous_end)
            return err_set(err, ERR_FORMAT, "tensor '%s' lies at a wrong offset",
                           gguf_show(tensor->name).text);
        if (offsets[i] > n_data || tensor->n_bytes > n_data - offsets[i])
            return err_set(err, ERR_FORMAT,
                           "the file is truncated: tensor '%s' needs %zu bytes at %llu, and the "
                           "file has %zu for all tensors; download it again",
                           gguf_show(tensor->name).text, tensor->n_bytes,
                           (unsigned long long)offsets[i], n_data);
        tensor->data = cursor->at + padding + offsets[i];
        previous_end = offsets[i] + tensor->n_bytes;
    }
    return true;
}

static bool read_tensors(struct gguf *file, struct cursor *cursor, uint64_t n, struct err *err)
{
    if (n > MAX_TENSORS || n > cursor->n_left / MIN_TENSOR_BYTES)
        return err_set(err, ERR_FORMAT, "the file claims %llu tensors, more than it can hold",
                       (unsigned long long)n);
    bool ok = false;
    uint64_t *offsets = calloc((size_t)n + 1, sizeof offsets[0]);
    file->tensors = calloc((size_t)n + 1, sizeof file->tensors[0]);
    file->tensor_names = calloc((size_t)n + 1, sizeof file->tensor_names[0]);
    if (offsets == NULL || file->tensors == NULL || file->tensor_names == NULL) {
        err_no_memory(err, "the list of tensors");
        goto out;
    }
    file->n_tensors = (size_t)n;
    for (size_t i = 0; i < n; i++) {
        if (!read_tensor(cursor, &file->tensors[i], &offsets[i], err))
            goto out;
        file->tensor_names[i] = (struct name_ref){.name = file->tensors[i].name, .i = i};
    }
    ok = sort_names(file->tensor_names, file->n_tensors, "tensor", err) &&
         place_tensors(file, cursor, offsets, err);
out:
    free(offsets);
    return ok;
}

static bool check_magic(struct cursor *cursor, struct err *err)
{
    const unsigned char *magic;
    uint32_t version;
    if (!take_bytes(cursor, 4, &magic) || memcmp(magic, "GGUF", 4) != 0)
        return err_set(err, ERR_FORMAT,
                       "this is not a GGUF model; give sinkd a file whose name ends in .gguf");
    if (!take_u32(cursor, &version))
        return fail_short(err, "its header");
    if (version == 2 || version == 3)
        return true;
    if (version != 0 && (version & 0xffff) == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "this GGUF was written for big-endian machines; download the usual one");
    return err_set(err, ERR_UNSUPPORTED,
                   "this is GGUF version %u, and sinkd reads 2 and 3; download a newer conversion",
                   version);
}

bool gguf_parse(struct gguf *file, struct err *err)
{
    struct cursor cursor = {.at = file->bytes, .n_left = file->n_bytes};
    uint64_t n_tensors, n_entries;
    if (!check_magic(&cursor, err))
        return false;
    if (!take_u64(&cursor, &n_tensors) || !take_u64(&cursor, &n_entries))
        return fail_short(err, "its header");
    return read_entries(file, &cursor, n_entries, err) &&
           read_tensors(file, &cursor, n_tensors, err);
}
