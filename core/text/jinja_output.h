/* jinja_output.h - where the text of statements goes: into a string, or into the prompt.
 *
 * All fail as jinja_run.h says. Thread: the run's. */
#ifndef CORE_TEXT_JINJA_OUTPUT_H
#define CORE_TEXT_JINJA_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_string.h"

struct prompt;

struct jinja_output {
    struct jinja_writer writer;
    struct prompt *prompt; /* NULL: the writer */
    size_t max_bytes;
    size_t tracked_end; /* in the prompt, just past the last JINJA_TRACKED byte */
};

/* To where the run's output goes. */
bool jinja_output_string(struct jinja_run *run, const struct jinja_string *string);
bool jinja_output_value(struct jinja_run *run, struct jinja_value value);

/* What stands outside of statements whose output is wanted as a string. */
struct jinja_capture {
    struct jinja_output *outer;
    struct jinja_scope *outer_scope;
    struct jinja_output output;
};

/* From here on, in a new scope within `parent`, output is collected. A begin that failed needs no
 * end. */
bool jinja_capture_begin(struct jinja_run *run, struct jinja_scope *parent,
                         struct jinja_capture *capture);
/* Until here; false when is_good is. */
bool jinja_capture_end(struct jinja_run *run, struct jinja_capture *capture, bool is_good,
                       struct jinja_value *out);

#endif
