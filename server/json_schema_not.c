/* "not", where what it leaves can be said: other types, other values of a list, other strings. */
#include <string.h>

#include "core/base/err.h"
#include "server/json_schema_writer.h"

static bool has_word(const json_t *words, const char *word)
{
    if (json_is_string(words))
        return strcmp(json_string_value(words), word) == 0;
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *one = json_string_value(json_array_get(words, i));
        if (one != NULL && strcmp(one, word) == 0)
            return true;
    }
    return false;
}

static bool has_value(const json_t *array, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (json_equal(json_array_get(array, i), value))
            return true;
    }
    return false;
}

/* The types of a schema that are not in `without`. */
static json_t *types_without(const json_t *schema, const json_t *without)
{
    static const char *const names[] = {"object",  "array",   "string", "number",
                                        "integer", "boolean", "null"};
    const json_t *types = json_object_get(schema, "type");
    json_t *left = json_array();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool is_integer = strcmp(names[i], "integer") == 0;
        bool is_there = types == NULL ? !is_integer : has_word(types, names[i]);
        bool is_out = has_word(without, names[i]) || (is_integer && has_word(without, "number"));
        if (is_there && !is_out)
            json_array_append_new(left, json_string(names[i]));
    }
    return left;
}

static json_t *values_without(const json_t *values, const json_t *without)
{
    json_t *left = json_array();
    for (size_t i = 0; i < json_array_size(values); i++) {
        if (!has_value(without, json_array_get(values, i)))
            json_array_append(left, json_array_get(values, i));
    }
    return left;
}

/* `left` is a copy of the schema without "not". */
static bool remove_types(struct schema_writer *writer, json_t *left, const json_t *types)
{
    const json_t *own = json_object_get(left, "type");
    bool is_partial = has_word(types, "integer") && !has_word(types, "number") &&
                      (own == NULL || has_word(own, "number"));
    if (is_partial)
        return schema_refuse(writer, "not");
    json_object_set_new(left, "type", types_without(left, types));
    return true;
}

/* Listed values are taken from the list; null from the types; strings stay as "not" of the string,
 * which knows how to be another one (schema_write_string). */
static bool remove_values(struct schema_writer *writer, json_t *left, const json_t *values)
{
    const json_t *listed = json_object_get(left, "enum"), *only = json_object_get(left, "const");
    if (only != NULL && has_value(values, only))
        json_object_set_new(left, "enum", json_array());
    else if (listed != NULL)
        json_object_set_new(left, "enum", values_without(listed, values));
    if (only != NULL || listed != NULL)
        return true;
    json_t *strings = schema_own(writer, json_array()), *none = schema_own(writer, json_array());
    json_t *types = schema_own(writer, types_without(left, none));
    for (size_t i = 0; i < json_array_size(values) && types != NULL; i++) {
        json_t *value = json_array_get(values, i);
        if (json_is_string(value))
            json_array_append(strings, value);
        else if (json_is_null(value))
            json_array_append_new(none, json_string("null"));
        else if (!schema_refuse(writer, "not"))
            return false;
    }
    json_object_set_new(left, "type", types_without(left, none));
    if (json_array_size(strings) > 0 && has_word(types, "string"))
        json_object_set_new(left, "not", json_pack("{s:O}", "enum", strings));
    return types != NULL;
}

bool schema_apply_not(struct schema_writer *writer, const json_t *schema, const json_t **out)
{
    const json_t *no;
    json_t *left = schema_own(writer, json_copy((json_t *)schema));
    if (left == NULL || !schema_flatten(writer, json_object_get(schema, "not"), &no))
        return false;
    json_object_del(left, "not");
    *out = left;
    const json_t *types = json_object_get(no, "type"), *values = json_object_get(no, "enum");
    const json_t *only = json_object_get(no, "const");
    bool has_branches =
        json_object_get(schema, "anyOf") != NULL || json_object_get(schema, "oneOf") != NULL;
    size_t n = json_object_size(no) - (json_object_get(no, "description") != NULL);
    if (json_is_false(no))
        return true;
    if (json_is_true(no) || json_object_size(no) == 0) {
        json_object_set_new(left, "enum", json_array());
        return true;
    }
    if (has_branches || n != 1 || (types == NULL && only == NULL && !json_is_array(values)))
        return schema_refuse(writer, "not");
    if (types != NULL)
        return remove_types(writer, left, types);
    if (only != NULL)
        values = schema_own(writer, json_pack("[O]", (json_t *)only));
    return values != NULL && remove_values(writer, left, values);
}
