/* jinja_format.h - Python's "%s of %d" % values. Thread: the run's. */
#ifndef CORE_TEXT_JINJA_FORMAT_H
#define CORE_TEXT_JINJA_FORMAT_H

#include <stdbool.h>

#include "core/text/jinja_value.h"

struct jinja_string;

/* `values`: a tuple for several places, a dict for "%(name)s", anything else for one place. */
bool jinja_format_percent(struct jinja_run *run, const struct jinja_string *format,
                          struct jinja_value values, struct jinja_value *out);

#endif
