/* jinja.h - templates in Jinja, the language that models' chat templates are written in.
 *
 * Speaks Jinja2 as transformers sets it up (trim_blocks, lstrip_blocks, loop controls, generation
 * blocks, its tojson), as far as chat templates go: no inheritance and no includes. A template is
 * untrusted: parsing and rendering end with an error when they want more steps, memory, output,
 * time or depth than they are given. Owner: whoever opened it. Thread: any (immutable); one
 * rendering is of one thread. */
#ifndef CORE_TEXT_JINJA_H
#define CORE_TEXT_JINJA_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_run.h"

struct err;
struct jinja;
struct prompt;

enum { JINJA_MAX_TEMPLATE_BYTES = 4 * 1024 * 1024 };

/* Copies the text. */
bool jinja_open(struct jinja **out, const char *text, size_t len, struct err *err);
void jinja_close(struct jinja **jinja);

/* True when the text mentions a variable of this name. */
bool jinja_mentions(const struct jinja *jinja, const char *name);

/* A rendering: begin, set variables, write, end. */
bool jinja_begin(const struct jinja *jinja, struct jinja_run *run,
                 const struct jinja_limits *limits, int64_t now, struct err *err);
bool jinja_set(struct jinja_run *run, const char *name, size_t len, struct jinja_value value);
/* Appends the output: what the template's own text spells as control spans, all else as plain
 * ones. *out_tracked_end is the place in it behind the last byte marked JINJA_TRACKED; 0: none. */
bool jinja_write_prompt(const struct jinja *jinja, struct jinja_run *run, struct prompt *out,
                        size_t *out_tracked_end);
void jinja_end(struct jinja_run *run);

#endif
