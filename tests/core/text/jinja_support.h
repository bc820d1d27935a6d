/* jinja_support.h - renders a template from JSON variables, for tests. */
#ifndef TESTS_CORE_TEXT_JINJA_SUPPORT_H
#define TESTS_CORE_TEXT_JINJA_SUPPORT_H

#include <string.h>

#include "core/base/err.h"
#include "core/text/jinja.h"
#include "core/text/jinja_dict.h"
#include "core/text/json_reader.h"
#include "core/text/prompt.h"

static const struct jinja_limits JINJA_TEST_LIMITS = {
    .n_steps = 1000000,
    .n_memory_bytes = 16 * 1024 * 1024,
    .n_output_bytes = 1024 * 1024,
    .time_ns = 20000000000,
};

static inline bool jinja_test_set_all(struct jinja_run *run, const struct jinja_dict *variables)
{
    for (size_t i = 0; i < variables->n; i++) {
        const struct jinja_string *name = variables->items[i].key.string;
        if (!jinja_set(run, name->data, name->len, variables->items[i].value))
            return false;
    }
    return true;
}

/* `variables`: a JSON object, or NULL with `dict`, which may be of another run. */
static inline bool jinja_test_render(const char *template, size_t len, const char *variables,
                                     const struct jinja_dict *dict, struct prompt *out,
                                     struct err *err)
{
    struct jinja *jinja = NULL;
    struct jinja_run run;
    struct jinja_value values;
    size_t tracked_end;
    prompt_truncate(out, 0);
    *err = (struct err){0};
    if (!jinja_open(&jinja, template, len, err))
        return false;
    bool is_good = jinja_begin(jinja, &run, &JINJA_TEST_LIMITS, 1700000000, err);
    if (is_good && variables != NULL) {
        is_good = json_read(&run, "variables", variables, strlen(variables), JINJA_DATA, &values);
        dict = is_good ? values.dict : NULL;
    }
    is_good = is_good && (dict == NULL || jinja_test_set_all(&run, dict)) &&
              jinja_write_prompt(jinja, &run, out, &tracked_end);
    jinja_end(&run);
    jinja_close(&jinja);
    return is_good;
}

#endif
