#include "server/tool_grammar.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "server/json_schema.h"
#include "server/tool_format.h"
#include "server/tool_request.h"

static const json_t *find_function(const json_t *tools, const char *name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        if (strcmp(json_string_value(json_object_get(function, "name")), name) == 0)
            return function;
    }
    return NULL;
}

/* The rule "arguments-i". */
static bool write_arguments(const json_t *function, size_t i, struct buf *out, struct err *err)
{
    char rule[32];
    snprintf(rule, sizeof rule, "arguments-%zu", i);
    const json_t *schema = json_object_get(function, "parameters");
    bool is_strict = json_is_true(json_object_get(function, "strict"));
    if (json_object_size(schema) > 0)
        return json_schema_write(schema, rule, is_strict, out, err);
    buf_append_format(out, "%s ::= json-object\n", rule);
    return true;
}

/* Of several tools the model chooses one by its name. */
static void write_choice(const char *name, const struct tool_format *format, size_t i,
                         struct buf *out)
{
    if (i > 0)
        buf_append_text(out, " | ");
    if (name != NULL) {
        json_schema_write_literal(out, name, strlen(name));
        buf_append_char(out, ' ');
        json_schema_write_literal(out, format->force_middle, strlen(format->force_middle));
    }
    buf_append_format(out, " arguments-%zu ", i);
}

bool tool_grammar_write(const struct tool_request *tools, const struct tool_format *format,
                        struct buf *out, struct err *err)
{
    if (format->force_end == NULL)
        return true;
    json_t *list = json_loadb(tools->json, tools->json_len, JSON_ALLOW_NUL, NULL);
    if (list == NULL)
        return err_no_memory(err, "the tools");
    buf_append_text(out, "root ::= (");
    for (size_t i = 0; i < tools->n; i++)
        write_choice(tools->n > 1 ? tools->names[i] : NULL, format, i, out);
    buf_append_text(out, ") ");
    json_schema_write_literal(out, format->force_end, strlen(format->force_end));
    buf_append_char(out, '\n');
    json_schema_write_common(out);
    bool is_good = true;
    for (size_t i = 0; i < tools->n && is_good; i++)
        is_good = write_arguments(find_function(list, tools->names[i]), i, out, err);
    json_decref(list);
    return is_good && (!out->failed || err_no_memory(err, "the grammar of the tools"));
}
