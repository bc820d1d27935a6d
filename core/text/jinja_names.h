/* jinja_names.h - the names of a template's variables, each once: two pointers are equal when the
 * names are.
 *
 * Owner: the template's arena. Thread: any once it is parsed (immutable). */
#ifndef CORE_TEXT_JINJA_NAMES_H
#define CORE_TEXT_JINJA_NAMES_H

#include <stddef.h>

struct jinja_run;

struct jinja_name {
    struct jinja_name *next;
    size_t len;
    char text[]; /* NUL-terminated */
};

enum { JINJA_N_NAMES = 256 }; /* chains of the table, a power of two; NULL at first */

/* The one name of this text; NULL when there is no memory. */
const struct jinja_name *jinja_name_add(struct jinja_run *run, struct jinja_name **names,
                                        const char *text, size_t len);
/* NULL when the template has no such name. */
const struct jinja_name *jinja_name_find(struct jinja_name *const *names, const char *text,
                                         size_t len);

#endif
