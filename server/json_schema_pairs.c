/* Parameters of a call that is no JSON object: each a name and a value between marks. */
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "server/free_text.h"
#include "server/json_schema_writer.h"

struct pairs {
    struct schema_writer *writer;
    const struct json_schema_pairs *form;
};

/* How deep what a value is made of has a form of its own; below it is as in JSON, whose rules a
 * schema that contains itself uses again. */
enum { MAX_NESTED = 5 };

static bool write_value(const struct pairs *pairs, const json_t *schema, struct buf *out);
static bool write_members(const struct pairs *pairs, const json_t *flat, struct buf *out);

/* ---- values ---- */

static const char ANY_PYTHON[] = "json-value | \"True\" | \"False\" | \"None\"";

static void write_mark(const struct pairs *pairs, struct buf *out)
{
    if (pairs->form->is_nested)
        json_schema_write_literal(out, pairs->form->text_end, strlen(pairs->form->text_end));
    buf_append_char(out, ' ');
}

static void write_text(const struct pairs *pairs, struct buf *out)
{
    write_mark(pairs, out);
    free_text_write(out, &pairs->form->text_end, 1);
    write_mark(pairs, out);
}

static void write_any(const struct pairs *pairs, struct buf *out)
{
    if (pairs->form->text_end == NULL)
        buf_append_text(out, ANY_PYTHON);
    else
        write_text(pairs, out);
    if (pairs->form->is_nested)
        buf_append_text(out, " | json-value");
}

/* A value that is listed, as it is spelt. */
static bool write_listed(const struct pairs *pairs, const json_t *value, struct buf *out)
{
    bool is_python = pairs->form->text_end == NULL;
    if (is_python && (json_is_boolean(value) || json_is_null(value))) {
        buf_append_text(out, json_is_null(value)   ? "\"None\""
                             : json_is_true(value) ? "\"True\""
                                                   : "\"False\"");
        return true;
    }
    if (!is_python && json_is_string(value)) {
        write_mark(pairs, out);
        json_schema_write_literal(out, json_string_value(value), json_string_length(value));
        write_mark(pairs, out);
        return true;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    if (text == NULL)
        return err_no_memory(pairs->writer->err, "a schema");
    json_schema_write_literal(out, text, strlen(text));
    free(text);
    return true;
}

static bool write_enum(const struct pairs *pairs, const json_t *schema, struct buf *out)
{
    const json_t *only = json_object_get(schema, "const");
    const json_t *values = json_object_get(schema, "enum");
    if (only != NULL)
        return write_listed(pairs, only, out);
    bool is_good = true;
    for (size_t i = 0; i < json_array_size(values) && is_good; i++) {
        buf_append_text(out, i == 0 ? "" : " | ");
        is_good = write_listed(pairs, json_array_get(values, i), out);
    }
    return is_good;
}

/* As it is written within JSON. */
static bool write_json(const struct pairs *pairs, const json_t *schema, struct buf *out)
{
    struct schema_rule_name rule;
    if (!schema_visit(pairs->writer, schema, &rule))
        return false;
    buf_append_text(out, rule.text);
    return true;
}

static const json_t *branches_of(const json_t *schema)
{
    const json_t *any = json_object_get(schema, "anyOf");
    return any != NULL ? any : json_object_get(schema, "oneOf");
}

static bool says_nothing(const json_t *schema)
{
    static const char *const keywords[] = {
        "type",        "properties", "required",  "items",
        "prefixItems", "minLength",  "maxLength", "pattern",
        "format",      "minimum",    "maximum",   "multipleOf",
        "not",         "minItems",   "maxItems",  "additionalProperties"};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (json_object_get(schema, keywords[i]) != NULL)
            return false;
    }
    return true;
}

static bool has_type(const json_t *schema, const char *name)
{
    const json_t *type = json_object_get(schema, "type");
    size_t n = json_is_array(type) ? json_array_size(type) : 1;
    for (size_t i = 0; i < n; i++) {
        const char *one = json_string_value(json_is_array(type) ? json_array_get(type, i) : type);
        if (one != NULL && strcmp(one, name) == 0)
            return true;
    }
    return false;
}

/* Each branch is written on its own: what stands beside the branches of a parameter is about it,
 * not its value. */
static bool write_branches(const struct pairs *pairs, const json_t *branches, struct buf *out)
{
    bool is_good = true;
    for (size_t i = 0; i < json_array_size(branches) && is_good; i++) {
        buf_append_text(out, i == 0 ? "(" : " | (");
        is_good = write_value(pairs, json_array_get(branches, i), out);
        buf_append_text(out, ")");
    }
    return is_good;
}

/* Booleans and null have other names; all else is as in JSON. */
static bool write_python(const struct pairs *pairs, const json_t *schema, struct buf *out)
{
    bool has_boolean = has_type(schema, "boolean");
    bool has_null = has_type(schema, "null");
    const json_t *type = json_object_get(schema, "type");
    size_t n_types = json_is_array(type) ? json_array_size(type) : 1;
    if (has_boolean)
        buf_append_text(out, "\"True\" | \"False\"");
    if (has_null)
        buf_append_text(out, has_boolean ? " | \"None\"" : "\"None\"");
    if (n_types == (size_t)has_boolean + has_null)
        return true;
    buf_append_text(out, has_boolean || has_null ? " | " : "");
    return write_json(pairs, schema, out);
}

/* Strings have no end but the mark, so that nothing more is asked of them. */
static bool is_text(const json_t *schema)
{
    bool has_string =
        json_object_get(schema, "type") == NULL &&
        (json_object_get(schema, "pattern") != NULL || json_object_get(schema, "format") != NULL ||
         json_object_get(schema, "minLength") != NULL ||
         json_object_get(schema, "maxLength") != NULL);
    return has_string || has_type(schema, "string");
}

/* ---- values between marks ---- */

static bool write_items(const struct pairs *pairs, const json_t *schema, struct buf *out)
{
    struct schema_writer *writer = pairs->writer;
    const json_t *items = json_object_get(schema, "items");
    struct schema_rule_name item;
    struct buf text;
    int min, max;
    if (!schema_get_count(writer, schema, "minItems", &min) ||
        !schema_get_count(writer, schema, "maxItems", &max))
        return false;
    buf_init(&text);
    bool is_good = write_value(pairs, items == NULL ? json_true() : items, &text) &&
                   schema_add_rule(writer, &text, &item);
    buf_done(&text);
    if (!is_good)
        return false;
    buf_append_text(out, "\"[\" ");
    schema_write_list(out, item.text, min < 0 ? 0 : min, max);
    buf_append_text(out, "\"]\"");
    return true;
}

static bool write_braces(const struct pairs *pairs, const json_t *schema, struct buf *out)
{
    buf_append_text(out, "\"{\" ");
    bool is_good = write_members(pairs, schema, out);
    buf_append_text(out, " \"}\"");
    return is_good;
}

/* Of several types each has its form, and what is left JSON's. */
static bool write_nested(const struct pairs *pairs, const json_t *schema, struct buf *out)
{
    bool has_text = is_text(schema);
    bool has_items = (has_type(schema, "array") || json_object_get(schema, "items") != NULL) &&
                     json_object_get(schema, "prefixItems") == NULL;
    bool has_members = has_type(schema, "object") || json_object_get(schema, "properties") != NULL;
    bool is_deep = pairs->writer->depth > MAX_NESTED;
    const json_t *type = json_object_get(schema, "type");
    size_t n_types = json_is_array(type) ? json_array_size(type) : 1;
    size_t n_written = 0;
    bool is_good = true;
    if (has_text && ++n_written > 0)
        write_text(pairs, out);
    if (has_items && !is_deep) {
        buf_append_text(out, n_written++ > 0 ? " | " : "");
        is_good = write_items(pairs, schema, out);
    }
    if (has_members && !is_deep && is_good) {
        buf_append_text(out, n_written++ > 0 ? " | " : "");
        is_good = write_braces(pairs, schema, out);
    }
    if (n_written >= n_types || !is_good)
        return is_good;
    buf_append_text(out, n_written > 0 ? " | " : "");
    return write_json(pairs, schema, out);
}

static bool write_flat(const struct pairs *pairs, const json_t *schema, struct buf *out)
{
    const json_t *branches = branches_of(schema);
    if (json_is_false(schema))
        return write_json(pairs, schema, out);
    if (json_object_get(schema, "const") != NULL ||
        json_array_size(json_object_get(schema, "enum")) > 0)
        return write_enum(pairs, schema, out);
    if (json_array_size(branches) > 0)
        return write_branches(pairs, branches, out);
    if (json_is_true(schema) || says_nothing(schema)) {
        write_any(pairs, out);
        return true;
    }
    if (pairs->form->text_end == NULL)
        return write_python(pairs, schema, out);
    if (pairs->form->is_nested)
        return write_nested(pairs, schema, out);
    if (!is_text(schema))
        return write_json(pairs, schema, out);
    write_text(pairs, out);
    return true;
}

static bool write_value(const struct pairs *pairs, const json_t *schema, struct buf *out)
{
    struct schema_writer *writer = pairs->writer;
    const json_t *flat;
    if (++writer->depth > SCHEMA_MAX_DEPTH)
        return schema_fail(writer, "the schema is nested more than %d levels deep",
                           (int)SCHEMA_MAX_DEPTH);
    bool is_good = schema_flatten(writer, schema, &flat) && write_flat(pairs, flat, out);
    writer->depth--;
    return is_good;
}

/* ---- all parameters ---- */

/* NAME is an expression. */
static bool add_pair(const struct pairs *pairs, const char *name, const json_t *schema,
                     struct buf *out)
{
    struct schema_rule_name value;
    struct buf text;
    buf_init(&text);
    bool is_good =
        write_value(pairs, schema, &text) && schema_add_rule(pairs->writer, &text, &value);
    buf_done(&text);
    if (!is_good)
        return false;
    buf_append_format(out, "%s %s %s %s %s ", pairs->form->open, name, pairs->form->middle,
                      value.text, pairs->form->close);
    return true;
}

static bool add_named_pair(const struct pairs *pairs, const char *name, const json_t *schema,
                           struct buf *out)
{
    struct buf literal;
    buf_init(&literal);
    json_schema_write_literal(&literal, name, strlen(name));
    bool is_good = add_pair(pairs, buf_text(&literal), schema, out);
    buf_done(&literal);
    return is_good;
}

/* Any number of one kind, where a tool does not say what it takes. */
static bool write_any_pairs(const struct pairs *pairs, const json_t *schema, struct buf *out)
{
    struct schema_rule_name rule;
    struct buf pair;
    buf_init(&pair);
    bool is_good = add_pair(pairs, "[a-zA-Z_] [a-zA-Z0-9_]{0,63}", schema, &pair) &&
                   schema_add_rule(pairs->writer, &pair, &rule);
    buf_done(&pair);
    if (is_good)
        buf_append_format(out, "(%s (%s%s)*)?", rule.text, pairs->form->comma, rule.text);
    return is_good;
}

static bool prepend(const struct pairs *pairs, const char *name, const json_t *schema,
                    bool is_required, struct schema_tail *tail)
{
    struct buf pair;
    buf_init(&pair);
    bool is_good = add_named_pair(pairs, name, schema, &pair) &&
                   schema_prepend(pairs->writer, pairs->form->comma, &pair, !is_required, tail);
    buf_done(&pair);
    return is_good;
}

static bool begin_tail(const struct pairs *pairs, struct schema_tail *tail)
{
    struct buf nothing;
    buf_init(&nothing);
    buf_append_text(&nothing, "\"\"");
    bool is_good = schema_add_rule(pairs->writer, &nothing, &tail->after);
    tail->first = tail->after;
    buf_done(&nothing);
    return is_good;
}

/* In their order, and behind them those that are required and not declared. */
static bool write_declared(const struct pairs *pairs, const json_t *properties,
                           const json_t *required, struct buf *out)
{
    struct schema_tail tail;
    size_t n = json_object_size(properties), i = 0;
    const char *name;
    json_t *ignored;
    const char **names = calloc(n + 1, sizeof *names);
    if (names == NULL)
        return err_no_memory(pairs->writer->err, "a schema");
    json_object_foreach((json_t *)properties, name, ignored)
    {
        names[i++] = name;
    }
    bool is_good = begin_tail(pairs, &tail);
    for (size_t k = json_array_size(required); k > 0 && is_good; k--) {
        const char *one = json_string_value(json_array_get(required, k - 1));
        if (one != NULL && json_object_get(properties, one) == NULL)
            is_good = prepend(pairs, one, json_true(), true, &tail);
    }
    while (i > 0 && is_good) {
        name = names[--i];
        is_good = prepend(pairs, name, json_object_get(properties, name),
                          schema_is_required(required, name), &tail);
    }
    free(names);
    buf_append_text(out, tail.first.text);
    return is_good;
}

static bool write_members(const struct pairs *pairs, const json_t *flat, struct buf *out)
{
    const json_t *properties = json_object_get(flat, "properties");
    const json_t *required = json_object_get(flat, "required");
    const json_t *others = json_object_get(flat, "additionalProperties");
    if (json_object_size(properties) == 0 && json_array_size(required) == 0 &&
        !json_is_false(others))
        return write_any_pairs(pairs, others == NULL ? json_true() : others, out);
    return write_declared(pairs, properties, required, out);
}

bool schema_write_pairs(struct schema_writer *writer, const json_t *schema,
                        const struct json_schema_pairs *form, struct buf *out)
{
    const struct pairs pairs = {writer, form};
    const json_t *flat;
    return schema_flatten(writer, schema, &flat) && write_members(&pairs, flat, out);
}
