/* jinja_print.h - values as text: as Python's str() and repr() have it, and as JSON.
 *
 * Thread: the run's. */
#ifndef CORE_TEXT_JINJA_PRINT_H
#define CORE_TEXT_JINJA_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_value.h"

struct jinja_writer;

enum { JINJA_FLOAT_SIZE = 32 };

/* What {{ value }} writes; a string is given back as it is. */
bool jinja_to_string(struct jinja_run *run, struct jinja_value value, struct jinja_value *out);
/* Python's repr(). */
bool jinja_write_repr(struct jinja_run *run, struct jinja_value value, struct jinja_writer *out);
/* Python's repr() of a float; returns the length. */
size_t jinja_print_float(double real, char out[JINJA_FLOAT_SIZE]);

/* As json.dumps has it, which transformers' tojson calls. */
struct jinja_json_style {
    bool is_ascii; /* \u escapes for all else */
    bool sorts_keys;
    int indent;                                              /* < 0: on one line */
    const struct jinja_string *indent_text;                  /* in place of spaces; NULL for none */
    const struct jinja_string *between_items, *between_pair; /* NULL: the usual */
};
bool jinja_write_json(struct jinja_run *run, struct jinja_value value,
                      const struct jinja_json_style *style, struct jinja_writer *out);

#endif
