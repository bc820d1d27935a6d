/* json_reader.h - JSON text as a template's values: tools, tool calls, variables.
 *
 * Strict (RFC 8259), nested no deeper than JINJA_MAX_DEPTH. All strings are data.
 * Owner: the run. Thread: the run's. */
#ifndef CORE_TEXT_JSON_READER_H
#define CORE_TEXT_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_string.h"

/* Reads the whole text as one value; it must outlive the run. What it is, `what`, begins the
 * message of a fault. Integers beyond 64 bits become floats; of a key that comes twice the last
 * value counts. */
bool json_read(struct jinja_run *run, const char *what, const char *text, size_t len,
               enum jinja_mark mark, struct jinja_value *out);

#endif
