/* key_reader.h - reads a model's numbers from keys "ARCHITECTURE.NAME", with a range for each.
 *
 * The first failure sticks, so that a reader asks once at the end. Owner: model_open, for the
 * length of it. */
#ifndef CORE_MODEL_KEY_READER_H
#define CORE_MODEL_KEY_READER_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct gguf;

struct key_reader {
    const struct gguf *file;
    const char *architecture;
    struct err *err;
    bool failed;
};

struct key {
    char text[96];
};

struct key key_reader_key(const struct key_reader *reader, const char *name);
bool key_reader_has(const struct key_reader *reader, const char *name);
/* "the model's KEY PROBLEM" */
void key_reader_fail(struct key_reader *reader, const char *name, const char *problem);

/* A whole number in 1 .. max, or `missing` without the key; missing < 0: the key must be there. */
int key_reader_count(struct key_reader *reader, const char *name, int64_t missing, int max);
/* The same, or 0, which converters write for none. */
int key_reader_optional_count(struct key_reader *reader, const char *name, int max);
/* The same for layer i, of which the key has a number for each or one for all. */
int key_reader_count_of_layer(struct key_reader *reader, const char *name, int n_layers, int i,
                              int64_t missing, int max);
/* Whether that is a number for each, and 0 for this one. */
bool key_reader_is_none_of_layer(const struct key_reader *reader, const char *name, int n_layers,
                                 int i);
/* A real number in min .. max. */
double key_reader_real(struct key_reader *reader, const char *name, double missing, double min,
                       double max);
/* Whether it is this number, or not there. */
bool key_reader_is(const struct key_reader *reader, const char *name, double wanted);

#endif
