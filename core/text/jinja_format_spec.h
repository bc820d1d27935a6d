/* jinja_format_spec.h - one value in the form that Python's format(value, ">8.2f") gives it.
 *
 * Thread: the run's. */
#ifndef CORE_TEXT_JINJA_FORMAT_SPEC_H
#define CORE_TEXT_JINJA_FORMAT_SPEC_H

#include <stdbool.h>

#include "core/text/jinja_value.h"

struct jinja_string;
struct jinja_writer;

/* Appends it to `out`. With an empty `spec` that is its text. */
bool jinja_format_value(struct jinja_run *run, struct jinja_value value,
                        const struct jinja_string *spec, struct jinja_writer *out);

#endif
