#include "core/model/key_reader.h"

#include <stdio.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"

struct key key_reader_key(const struct key_reader *reader, const char *name)
{
    struct key key;
    snprintf(key.text, sizeof key.text, "%s.%s", reader->architecture, name);
    return key;
}

bool key_reader_has(const struct key_reader *reader, const char *name)
{
    return gguf_has(reader->file, key_reader_key(reader, name).text);
}

void key_reader_fail(struct key_reader *reader, const char *name, const char *problem)
{
    if (!reader->failed)
        err_set(reader->err, ERR_FORMAT, "the model's %s %s", key_reader_key(reader, name).text,
                problem);
    reader->failed = true;
}

int key_reader_count(struct key_reader *reader, const char *name, int64_t missing, int max)
{
    int64_t value = missing;
    char problem[64];
    if (!key_reader_has(reader, name)) {
        if (missing < 0)
            key_reader_fail(reader, name, "is missing");
    } else if (!gguf_get_int(reader->file, key_reader_key(reader, name).text, 1, max, &value)) {
        snprintf(problem, sizeof problem, "is not one number in 1 .. %d", max);
        key_reader_fail(reader, name, problem);
    }
    return reader->failed ? 1 : (int)value;
}

int key_reader_optional_count(struct key_reader *reader, const char *name, int max)
{
    return key_reader_is(reader, name, 0) ? 0 : key_reader_count(reader, name, 0, max);
}

/* A whole number for each layer. */
static bool find_counts(const struct key_reader *reader, const char *name, int n_layers,
                        struct gguf_array *out)
{
    return gguf_get_array(reader->file, key_reader_key(reader, name).text, out) &&
           out->type != GGUF_STRING && out->type != GGUF_F32 && out->type != GGUF_F64 &&
           out->type != GGUF_BOOL && out->n == (size_t)n_layers;
}

bool key_reader_is_none_of_layer(const struct key_reader *reader, const char *name, int n_layers,
                                 int i)
{
    struct gguf_array all;
    return find_counts(reader, name, n_layers, &all) && gguf_array_int(&all, (size_t)i) == 0;
}

int key_reader_count_of_layer(struct key_reader *reader, const char *name, int n_layers, int i,
                              int64_t missing, int max)
{
    struct gguf_array all;
    char problem[64];
    if (!gguf_get_array(reader->file, key_reader_key(reader, name).text, &all))
        return key_reader_count(reader, name, missing, max);
    int64_t value = 0;
    if (find_counts(reader, name, n_layers, &all))
        value = gguf_array_int(&all, (size_t)i);
    if (value < 1 || value > max) {
        snprintf(problem, sizeof problem, "is not a number in 1 .. %d for each layer", max);
        key_reader_fail(reader, name, problem);
    }
    return reader->failed ? 1 : (int)value;
}

double key_reader_real(struct key_reader *reader, const char *name, double missing, double min,
                       double max)
{
    double value = missing;
    char problem[64];
    if (key_reader_has(reader, name) &&
        (!gguf_get_float(reader->file, key_reader_key(reader, name).text, &value) || value < min ||
         value > max)) {
        snprintf(problem, sizeof problem, "is not a number in %g .. %g", min, max);
        key_reader_fail(reader, name, problem);
    }
    return value;
}

bool key_reader_is(const struct key_reader *reader, const char *name, double wanted)
{
    double value;
    int64_t whole;
    struct key key = key_reader_key(reader, name);
    if (gguf_get_float(reader->file, key.text, &value))
        return value == wanted;
    if (gguf_get_int(reader->file, key.text, INT64_MIN, INT64_MAX, &whole))
        return (double)whole == wanted;
    return !gguf_has(reader->file, key.text);
}
