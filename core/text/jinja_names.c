#include "core/text/jinja_names.h"

#include <stdint.h>
#include <string.h>

#include "core/text/jinja_run.h"

static size_t chain_of(const char *text, size_t len)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < len; i++)
        hash = hash * 31 + (unsigned char)text[i];
    return hash & (JINJA_N_NAMES - 1);
}

const struct jinja_name *jinja_name_find(struct jinja_name *const *names, const char *text,
                                         size_t len)
{
    const struct jinja_name *name = names[chain_of(text, len)];
    while (name != NULL && (name->len != len || memcmp(name->text, text, len) != 0))
        name = name->next;
    return name;
}

const struct jinja_name *jinja_name_add(struct jinja_run *run, struct jinja_name **names,
                                        const char *text, size_t len)
{
    const struct jinja_name *known = jinja_name_find(names, text, len);
    if (known != NULL)
        return known;
    struct jinja_name *name = jinja_alloc(run, sizeof *name + len + 1);
    if (name == NULL)
        return NULL;
    struct jinja_name **chain = &names[chain_of(text, len)];
    *name = (struct jinja_name){.next = *chain, .len = len};
    memcpy(name->text, text, len);
    *chain = name;
    return name;
}
