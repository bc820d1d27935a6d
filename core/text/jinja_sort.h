/* jinja_sort.h - lists in order, stable, by keys that are found in the items.
 *
 * Thread: the run's. */
#ifndef CORE_TEXT_JINJA_SORT_H
#define CORE_TEXT_JINJA_SORT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_value.h"

struct jinja_keyed {
    struct jinja_value key;
    struct jinja_value item;
};

/* The value at "a.b.0" in the item, of "a,b" a tuple (JINJA_ABSENT: the item itself), in lower case
 * when it is a string and case does not matter. */
bool jinja_key_of(struct jinja_run *run, struct jinja_value item, struct jinja_value path,
                  bool is_case_sensitive, struct jinja_value *out);
/* All items of a value with their keys; sorted when `sorts`. */
bool jinja_keys_of(struct jinja_run *run, struct jinja_value value, struct jinja_value path,
                   bool is_case_sensitive, struct jinja_keyed **out, size_t *out_n);
bool jinja_sort(struct jinja_run *run, struct jinja_keyed *items, size_t n, bool is_reverse);

#endif
