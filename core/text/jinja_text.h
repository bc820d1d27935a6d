/* jinja_text.h - what Python's strings can do, for filters and methods. Marks are kept.
 *
 * All fail as jinja_run.h says. Thread: the run's. */
#ifndef CORE_TEXT_JINJA_TEXT_H
#define CORE_TEXT_JINJA_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_string.h"

enum jinja_side { JINJA_LEFT = 1, JINJA_RIGHT = 2, JINJA_BOTH = 3 };

/* `characters` NULL: whitespace. */
bool jinja_text_strip(struct jinja_run *run, const struct jinja_string *string,
                      enum jinja_side side, const struct jinja_string *characters,
                      struct jinja_value *out);

/* `separator` NULL: runs of whitespace; max_splits < 0: all. From the right with JINJA_RIGHT. */
bool jinja_text_split(struct jinja_run *run, const struct jinja_string *string,
                      const struct jinja_string *separator, int64_t max_splits,
                      enum jinja_side side, struct jinja_value *out);
bool jinja_text_splitlines(struct jinja_run *run, const struct jinja_string *string,
                           bool keeps_ends, struct jinja_value *out);

/* max < 0: all. */
bool jinja_text_replace(struct jinja_run *run, const struct jinja_string *string,
                        const struct jinja_string *from, const struct jinja_string *to, int64_t max,
                        struct jinja_value *out);

enum jinja_case {
    JINJA_UPPER,
    JINJA_LOWER,
    JINJA_CAPITAL,      /* the first character upper, the rest lower */
    JINJA_TITLE,        /* the first letter of each run of letters */
    JINJA_TITLE_FILTER, /* as the filter `title` does it: what follows space or a bracket */
    JINJA_SWAPPED,
};
bool jinja_text_case(struct jinja_run *run, const struct jinja_string *string,
                     enum jinja_case which, struct jinja_value *out);

bool jinja_text_starts(const struct jinja_string *string, const struct jinja_string *start);
bool jinja_text_ends(const struct jinja_string *string, const struct jinja_string *end);

/* Strings of the items with the separator between them. */
bool jinja_text_join(struct jinja_run *run, const struct jinja_string *separator,
                     const struct jinja_list *items, struct jinja_value *out);

/* Whether all cased characters are upper or lower, and there is one. */
bool jinja_text_is_case(const struct jinja_string *string, bool is_upper);

#endif
