/* gguf.c - opening a model file and asking it. The checks are in gguf_parse.c.
 *
 * A file that is cut short while it is mapped raises SIGBUS on the next touch; no check at opening
 * can prevent that. Hence gguf_detach, and until then the program's handler of that signal. */
#include "core/gguf/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/checksum.h"
#include "core/base/err.h"
#include "core/gguf/gguf_parse.h"

static bool open_bytes(struct gguf **out, const void *bytes, size_t n_bytes, struct err *err)
{
    struct gguf *file = calloc(1, sizeof *file);
    if (file == NULL)
        return err_no_memory(err, "the model's metadata");
    file->bytes = bytes;
    file->n_bytes = n_bytes;
    file->fd = -1;
    if (!gguf_parse(file, err)) {
        gguf_close(&file);
        return false;
    }
    *out = file;
    return true;
}

bool gguf_open_memory(struct gguf **out, const void *bytes, size_t n_bytes, struct err *err)
{
    return open_bytes(out, bytes, n_bytes, err);
}

/* O_NONBLOCK: a FIFO must be refused, not waited for. */
static bool map_file(const char *path, struct gguf_bytes *out, int *out_fd, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "there is no such file; check the path");
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot open it: %s", strerror(errno));

    bool ok = false;
    struct stat info;
    void *bytes;
    if (fstat(fd, &info) != 0)
        err_set(err, ERR_IO, "cannot look at it: %s", strerror(errno));
    else if (S_ISDIR(info.st_mode))
        err_set(err, ERR_INVALID, "this is a folder; name the .gguf file in it");
    else if (!S_ISREG(info.st_mode))
        err_set(err, ERR_INVALID, "this is not a regular file; give a .gguf file");
    else if (info.st_size == 0)
        err_set(err, ERR_FORMAT, "the file is empty; download it again");
    else if ((bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
        err_set(err, ERR_IO, "cannot map it into memory: %s", strerror(errno));
    else {
        *out = (struct gguf_bytes){bytes, (size_t)info.st_size};
        *out_fd = fd;
        ok = true;
    }
    if (!ok)
        close(fd);
    return ok;
}

bool gguf_map(struct gguf_bytes *out, const char *path, struct err *err)
{
    int fd = -1;
    if (!map_file(path, out, &fd, err))
        return err_prefix(err, "model file %s", path);
    close(fd);
    return true;
}

void gguf_unmap(struct gguf_bytes *bytes)
{
    if (bytes->data != NULL)
        munmap((void *)bytes->data, bytes->n);
    *bytes = (struct gguf_bytes){0};
}

bool gguf_open(struct gguf **out, const char *path, struct err *err)
{
    struct gguf_bytes bytes = {0};
    int fd = -1;
    if (!map_file(path, &bytes, &fd, err))
        return err_prefix(err, "model file %s", path);
    if (!open_bytes(out, bytes.data, bytes.n, err)) {
        gguf_unmap(&bytes);
        close(fd);
        return err_prefix(err, "model file %s", path);
    }
    (*out)->is_mapped = true;
    (*out)->fd = fd;
    return true;
}

void gguf_close(struct gguf **file_ptr)
{
    struct gguf *file = *file_ptr;
    if (file == NULL)
        return;
    for (size_t i = 0; i < file->n_entries; i++)
        free((void *)file->entries[i].array.index);
    free(file->entries);
    free(file->entry_names);
    free(file->tensors);
    free(file->tensor_names);
    free(file->released);
    if (file->is_mapped)
        munmap((void *)file->bytes, file->n_bytes);
    if (file->fd >= 0)
        close(file->fd);
    free(file);
    *file_ptr = NULL;
}

struct gguf_shown gguf_show(struct gguf_text text)
{
    struct gguf_shown shown = {0};
    for (size_t i = 0; i < text.len && i < sizeof shown.text - 1; i++) {
        char c = text.data[i];
        shown.text[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    return shown;
}

/* Metadata comes first in the file, and training changes a tensor everywhere: its beginning and its
 * middle tell. */
uint64_t gguf_fingerprint(const struct gguf *file)
{
    enum { SAMPLE = 1024 };
    const unsigned char *data_begin = (const unsigned char *)file->bytes + file->n_bytes;
    uint64_t hash = checksum_hash(CHECKSUM_HASH, &file->n_bytes, sizeof file->n_bytes);
    for (size_t i = 0; i < gguf_n_tensors(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        const unsigned char *data = tensor->data;
        size_t n = tensor->n_bytes < SAMPLE ? tensor->n_bytes : SAMPLE;
        hash = checksum_hash(hash, data, n);
        hash = checksum_hash(hash, data + (tensor->n_bytes - n) / 2, n);
        data_begin = data < data_begin ? data : data_begin;
    }
    return checksum_hash(hash, file->bytes,
                         (size_t)(data_begin - (const unsigned char *)file->bytes));
}

size_t gguf_file_bytes(const struct gguf *file)
{
    return file->n_bytes;
}

/* NULL when the key is missing. */
static const struct entry *find_entry(const struct gguf *file, const char *key)
{
    const struct name_ref *ref = gguf_find_name(file->entry_names, file->n_entries, key);
    return ref == NULL ? NULL : &file->entries[ref->i];
}

static uint16_t read_u16(const unsigned char *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t read_u32(const unsigned char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t read_u64(const unsigned char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* Any integer of up to 64 bits; false for other types and for what int64 cannot hold. */
static bool read_integer(enum gguf_type type, const unsigned char *value, int64_t *out)
{
    switch (type) {
    case GGUF_U8:
        *out = value[0];
        return true;
    case GGUF_I8:
        *out = (int8_t)value[0];
        return true;
    case GGUF_U16:
        *out = read_u16(value);
        return true;
    case GGUF_I16:
        *out = (int16_t)read_u16(value);
        return true;
    case GGUF_U32:
        *out = read_u32(value);
        return true;
    case GGUF_I32:
        *out = (int32_t)read_u32(value);
        return true;
    case GGUF_U64:
    case GGUF_I64:
        *out = (int64_t)read_u64(value);
        return type == GGUF_I64 || *out >= 0;
    default:
        return false;
    }
}

static bool read_real(enum gguf_type type, const unsigned char *value, double *out)
{
    float f32;
    switch (type) {
    case GGUF_F32:
        memcpy(&f32, value, sizeof f32);
        *out = (double)f32;
        return true;
    case GGUF_F64:
        memcpy(out, value, sizeof *out);
        return true;
    default:
        return false;
    }
}

bool gguf_has(const struct gguf *file, const char *key)
{
    return find_entry(file, key) != NULL;
}

bool gguf_get_int(const struct gguf *file, const char *key, int64_t min, int64_t max, int64_t *out)
{
    const struct entry *entry = find_entry(file, key);
    int64_t value;
    if (entry == NULL || !read_integer(entry->type, entry->value, &value))
        return false;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

bool gguf_get_float(const struct gguf *file, const char *key, double *out)
{
    const struct entry *entry = find_entry(file, key);
    double value;
    if (entry == NULL || !read_real(entry->type, entry->value, &value) || !isfinite(value))
        return false;
    *out = value;
    return true;
}

bool gguf_get_bool(const struct gguf *file, const char *key, bool *out)
{
    const struct entry *entry = find_entry(file, key);
    if (entry == NULL || entry->type != GGUF_BOOL)
        return false;
    *out = entry->value[0] != 0;
    return true;
}

bool gguf_get_text(const struct gguf *file, const char *key, struct gguf_text *out)
{
    const struct entry *entry = find_entry(file, key);
    if (entry == NULL || entry->type != GGUF_STRING)
        return false;
    *out = entry->text;
    return true;
}

bool gguf_get_array(const struct gguf *file, const char *key, struct gguf_array *out)
{
    const struct entry *entry = find_entry(file, key);
    if (entry == NULL || entry->type != GGUF_ARRAY)
        return false;
    *out = entry->array;
    return true;
}

int64_t gguf_array_int(const struct gguf_array *array, size_t i)
{
    int64_t value = 0;
    if (array->type == GGUF_BOOL)
        return array->data[i] != 0;
    if (array->data == NULL ||
        !read_integer(array->type, array->data + i * gguf_scalar_bytes(array->type), &value))
        return 0;
    return value;
}

double gguf_array_float(const struct gguf_array *array, size_t i)
{
    double value = 0;
    if (array->data == NULL ||
        !read_real(array->type, array->data + i * gguf_scalar_bytes(array->type), &value))
        return 0;
    return value;
}

struct gguf_text gguf_array_text(const struct gguf_array *array, size_t i)
{
    if (array->index == NULL)
        return (struct gguf_text){.data = "", .len = 0};
    const unsigned char *prefix = array->index[i].prefix;
    return (struct gguf_text){.data = (const char *)prefix + GGUF_TEXT_PREFIX_BYTES,
                              .len = (size_t)read_u64(prefix)};
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *file, const char *name)
{
    const struct name_ref *ref = gguf_find_name(file->tensor_names, file->n_tensors, name);
    return ref == NULL ? NULL : &file->tensors[ref->i];
}

size_t gguf_n_tensors(const struct gguf *file)
{
    return file->n_tensors;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *file, size_t i)
{
    return &file->tensors[i];
}
