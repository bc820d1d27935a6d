#include "core/text/jinja_scope.h"

#include <string.h>

#include "core/text/jinja_run.h"

struct jinja_scope *jinja_scope_new(struct jinja_run *run, struct jinja_scope *parent)
{
    struct jinja_scope *scope = jinja_alloc(run, sizeof *scope);
    if (scope != NULL)
        scope->parent = parent;
    return scope;
}

static struct jinja_variable *find_here(const struct jinja_scope *scope,
                                        const struct jinja_name *name)
{
    for (size_t i = 0; i < scope->n; i++) {
        if (scope->items[i].name == name)
            return &scope->items[i];
    }
    return NULL;
}

bool jinja_scope_set(struct jinja_run *run, struct jinja_scope *scope,
                     const struct jinja_name *name, struct jinja_value value)
{
    struct jinja_variable *known = find_here(scope, name);
    if (known != NULL) {
        known->value = value;
        return true;
    }
    if (scope->n == scope->max) {
        size_t max = scope->max == 0 ? 4 : scope->max * 2;
        struct jinja_variable *items = jinja_alloc_array(run, max, sizeof *items);
        if (items == NULL)
            return false;
        if (scope->n > 0)
            memcpy(items, scope->items, scope->n * sizeof *items);
        scope->items = items;
        scope->max = max;
    }
    scope->items[scope->n++] = (struct jinja_variable){name, value};
    return true;
}

const struct jinja_value *jinja_scope_find(const struct jinja_scope *scope,
                                           const struct jinja_name *name)
{
    for (; scope != NULL; scope = scope->parent) {
        const struct jinja_variable *variable = find_here(scope, name);
        if (variable != NULL)
            return &variable->value;
    }
    return NULL;
}
