/* jinja_scope.h - variables by name, each scope inside another.
 *
 * Owner: the run. Thread: the run's. */
#ifndef CORE_TEXT_JINJA_SCOPE_H
#define CORE_TEXT_JINJA_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/jinja_value.h"

struct jinja_name;

struct jinja_variable {
    const struct jinja_name *name;
    struct jinja_value value;
};

struct jinja_scope {
    struct jinja_scope *parent;
    struct jinja_variable *items; /* [n] */
    size_t n;
    size_t max;
};

/* NULL, with the failure set, when the memory is spent. */
struct jinja_scope *jinja_scope_new(struct jinja_run *run, struct jinja_scope *parent);
bool jinja_scope_set(struct jinja_run *run, struct jinja_scope *scope,
                     const struct jinja_name *name, struct jinja_value value);
/* In this scope or around it; NULL for nowhere. */
const struct jinja_value *jinja_scope_find(const struct jinja_scope *scope,
                                           const struct jinja_name *name);

#endif
