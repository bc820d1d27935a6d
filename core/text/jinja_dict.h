/* jinja_dict.h - Python's dict: items in the order they came, found by key.
 *
 * Owner: the run. Thread: the run's. */
#ifndef CORE_TEXT_JINJA_DICT_H
#define CORE_TEXT_JINJA_DICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text/jinja_value.h"

struct jinja_item {
    struct jinja_value key; /* none, bool, int, float, string */
    struct jinja_value value;
    uint64_t hash;
};

struct jinja_dict {
    struct jinja_item *items; /* [n] */
    size_t n;
    size_t max;
    uint32_t *index; /* [n_index], a power of two: place in items + 1, 0 for free; NULL when few */
    size_t n_index;
};

bool jinja_dict_new(struct jinja_run *run, enum jinja_type type, struct jinja_value *out);
/* A key that is a list or a dict fails. */
bool jinja_dict_set(struct jinja_run *run, struct jinja_dict *dict, struct jinja_value key,
                    struct jinja_value value);
/* The same for a key that is our own text. */
bool jinja_dict_set_text(struct jinja_run *run, struct jinja_dict *dict, const char *key,
                         struct jinja_value value);
/* NULL when there is none. Borrowed until the dict changes. */
const struct jinja_value *jinja_dict_get(const struct jinja_dict *dict, struct jinja_value key);
const struct jinja_value *jinja_dict_get_text(const struct jinja_dict *dict, const char *key);
/* Takes the item out and gives its value; *out is JINJA_ABSENT when there is none. */
bool jinja_dict_take(struct jinja_run *run, struct jinja_dict *dict, struct jinja_value key,
                     struct jinja_value *out);

#endif
