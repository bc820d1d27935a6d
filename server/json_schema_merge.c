/* $ref, allOf, and two schemas made one. What was merged is owned by the writer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "server/json_schema_writer.h"

enum { MAX_BRANCHES = 64 };

/* ---- $ref ---- */

/* One step of a JSON pointer (RFC 6901), its escapes undone; NULL when it is too long. */
static const char *take_step(const char *at, char *out, size_t size)
{
    size_t n = 0;
    for (; *at != '\0' && *at != '/'; at++) {
        char c = *at;
        if (c == '~' && (at[1] == '0' || at[1] == '1'))
            c = *++at == '0' ? '~' : '/';
        else if (c == '%' && at[1] != '\0' && at[2] != '\0') {
            c = (char)strtol((char[]){at[1], at[2], '\0'}, NULL, 16);
            at += 2;
        }
        if (n + 1 == size)
            return NULL;
        out[n++] = c;
    }
    out[n] = '\0';
    return at;
}

static const json_t *follow(const json_t *root, const char *pointer)
{
    const json_t *found = root;
    char step[512];
    while (found != NULL && *pointer == '/') {
        pointer = take_step(pointer + 1, step, sizeof step);
        if (pointer == NULL)
            return NULL;
        found = json_is_array(found) ? json_array_get(found, strtoul(step, NULL, 10))
                                     : json_object_get(found, step);
    }
    return *pointer == '\0' ? found : NULL;
}

const json_t *schema_resolve(struct schema_writer *writer, const json_t *reference)
{
    const char *text = json_string_value(reference);
    const json_t *found = NULL;
    if (text != NULL && text[0] == '#')
        found = follow(writer->root, text + 1);
    if (found == NULL)
        schema_fail(writer,
                    "'$ref' to '%.100s' leads nowhere: only places within the schema, as "
                    "'#/$defs/name', are supported",
                    text != NULL ? text : "what is not a string");
    return found;
}

/* ---- merging ---- */

json_t *schema_own(struct schema_writer *writer, json_t *made)
{
    if (made == NULL || json_array_append_new(writer->made, made) != 0) {
        err_no_memory(writer->err, "a schema");
        return NULL;
    }
    return made;
}

/* {"allOf": [a, b]}, to be merged when it is visited. */
static json_t *both(const json_t *a, const json_t *b)
{
    return json_pack("{s:[O,O]}", "allOf", (json_t *)a, (json_t *)b);
}

static bool is_type(const json_t *types, const char *name)
{
    if (json_is_string(types))
        return strcmp(json_string_value(types), name) == 0;
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *one = json_string_value(json_array_get(types, i));
        if (one != NULL && strcmp(one, name) == 0)
            return true;
    }
    return false;
}

static json_t *common_types(const json_t *a, const json_t *b)
{
    static const char *const names[] = {"object",  "array",   "string", "number",
                                        "integer", "boolean", "null"};
    json_t *types = json_array();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool is_integer = strcmp(names[i], "integer") == 0;
        bool in_a = is_type(a, names[i]) || (is_integer && is_type(a, "number"));
        bool in_b = is_type(b, names[i]) || (is_integer && is_type(b, "number"));
        bool has_number = is_integer && is_type(a, "number") && is_type(b, "number");
        if (in_a && in_b && !has_number)
            json_array_append_new(types, json_string(names[i]));
    }
    return types;
}

static bool has_value(const json_t *array, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (json_equal(json_array_get(array, i), value))
            return true;
    }
    return false;
}

static json_t *common_values(const json_t *a, const json_t *b)
{
    json_t *values = json_array();
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (has_value(b, json_array_get(a, i)))
            json_array_append(values, json_array_get(a, i));
    }
    return values;
}

static json_t *all_values(const json_t *a, const json_t *b)
{
    json_t *values = json_is_array(a) ? json_copy((json_t *)a) : json_array();
    for (size_t i = 0; i < json_array_size(b); i++) {
        if (!has_value(values, json_array_get(b, i)))
            json_array_append(values, json_array_get(b, i));
    }
    return values;
}

/* Each branch of one with each of the other. */
static json_t *branch_pairs(const json_t *a, const json_t *b)
{
    json_t *pairs = json_array();
    for (size_t i = 0; i < json_array_size(a); i++) {
        for (size_t j = 0; j < json_array_size(b) && json_array_size(pairs) <= MAX_BRANCHES; j++)
            json_array_append_new(pairs, both(json_array_get(a, i), json_array_get(b, j)));
    }
    return pairs;
}

static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_annotation(const char *keyword)
{
    static const char *const names[] = {
        "title",   "description", "default", "examples",      "example",      "$comment",
        "$schema", "$id",         "id",      "deprecated",    "readOnly",     "writeOnly",
        "$defs",   "definitions", "$anchor", "discriminator", "externalDocs", "xml"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(keyword, names[i]) == 0)
            return true;
    }
    return begins(keyword, "x-");
}

/* The value of a keyword that both have; NULL with an error when that cannot be said. */
static json_t *merge_values(struct schema_writer *writer, const char *key, json_t *a, json_t *b)
{
    json_t *merged = NULL;
    bool wants_larger = begins(key, "min") || strcmp(key, "exclusiveMinimum") == 0;
    bool wants_smaller = begins(key, "max") || strcmp(key, "exclusiveMaximum") == 0;
    if (is_annotation(key) || json_equal(a, b))
        return json_incref(a);
    if (strcmp(key, "type") == 0)
        return common_types(a, b);
    if (strcmp(key, "enum") == 0)
        return common_values(a, b);
    if (strcmp(key, "required") == 0)
        return all_values(a, b);
    if (strcmp(key, "items") == 0 || strcmp(key, "additionalProperties") == 0 ||
        strcmp(key, "propertyNames") == 0)
        return both(a, b);
    if (strcmp(key, "uniqueItems") == 0)
        return json_true();
    if (strcmp(key, "nullable") == 0)
        return json_false();
    if ((wants_larger || wants_smaller) && json_is_number(a) && json_is_number(b)) {
        bool is_a = (json_number_value(a) > json_number_value(b)) == wants_larger;
        return json_incref(is_a ? a : b);
    }
    if ((strcmp(key, "anyOf") == 0 || strcmp(key, "oneOf") == 0) && json_is_array(a) &&
        json_is_array(b)) {
        merged = branch_pairs(a, b);
        if (json_array_size(merged) <= MAX_BRANCHES)
            return merged;
        json_decref(merged);
        schema_fail(writer, "'%s' in 'allOf' has too many combinations", key);
        return NULL;
    }
    if (strcmp(key, "const") == 0) { /* two different values: nothing fits */
        json_object_set_new(writer->made_in, "enum", json_array());
        return json_incref(a);
    }
    schema_fail(writer, "'%s' is there twice by '$ref' or 'allOf', with different values", key);
    return NULL;
}

/* A property that only one side declares must fit what the other says of additional ones. */
static json_t *narrow(const json_t *property, const json_t *other)
{
    const json_t *additional = json_object_get(other, "additionalProperties");
    if (additional == NULL || json_is_true(additional))
        return json_incref((json_t *)property);
    return both(property, additional);
}

static json_t *merge_properties(const json_t *a, const json_t *b)
{
    const json_t *in_a = json_object_get(a, "properties"), *in_b = json_object_get(b, "properties");
    json_t *merged = json_object();
    const char *name;
    json_t *property;
    json_object_foreach((json_t *)in_a, name, property)
    {
        const json_t *other = json_object_get(in_b, name);
        json_object_set_new(merged, name,
                            other != NULL ? both(property, other) : narrow(property, b));
    }
    json_object_foreach((json_t *)in_b, name, property)
    {
        if (json_object_get(in_a, name) == NULL)
            json_object_set_new(merged, name, narrow(property, a));
    }
    return merged;
}

bool schema_merge(struct schema_writer *writer, const json_t *a, const json_t *b,
                  const json_t **out)
{
    if (json_is_boolean(a) || json_is_boolean(b)) {
        *out = json_is_true(a) ? b : json_is_false(a) || json_is_true(b) ? a : b;
        return true;
    }
    if (!json_is_object(a) || !json_is_object(b))
        return schema_fail(writer, "a schema must be an object or a boolean");
    if (++writer->n_merges > SCHEMA_MAX_MERGES)
        return schema_fail(writer, "the schema has too many combinations");
    json_t *merged = schema_own(writer, json_copy((json_t *)a));
    if (merged == NULL)
        return false;
    const char *key;
    json_t *value;
    writer->made_in = merged;
    json_object_foreach((json_t *)b, key, value)
    {
        json_t *mine = json_object_get(a, key);
        json_t *joined = NULL;
        if (strcmp(key, "properties") == 0)
            continue;
        joined = mine == NULL ? json_incref(value) : merge_values(writer, key, mine, value);
        if (joined == NULL || json_object_set_new(merged, key, joined) != 0)
            return joined == NULL ? false : err_no_memory(writer->err, "a schema");
    }
    if (json_is_object(json_object_get(a, "properties")) ||
        json_is_object(json_object_get(b, "properties")))
        json_object_set_new(merged, "properties", merge_properties(a, b));
    *out = merged;
    return true;
}

/* ---- flattening ---- */

/* Whether anything but annotations stands beside this keyword. */
static bool has_siblings(const json_t *schema, const char *keyword)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)schema, key, value)
    {
        if (strcmp(key, keyword) != 0 && !is_annotation(key))
            return true;
    }
    return false;
}

static json_t *without(struct schema_writer *writer, const json_t *schema, const char *keyword)
{
    json_t *copy = schema_own(writer, json_copy((json_t *)schema));
    if (copy != NULL)
        json_object_del(copy, keyword);
    return copy;
}

static bool flatten_ref(struct schema_writer *writer, const json_t *schema, const json_t **out)
{
    const json_t *target = schema_resolve(writer, json_object_get(schema, "$ref"));
    if (target == NULL)
        return false;
    if (!has_siblings(schema, "$ref"))
        return schema_flatten(writer, target, out);
    const json_t *rest = without(writer, schema, "$ref");
    return rest != NULL && schema_flatten(writer, target, &target) &&
           schema_flatten(writer, rest, &rest) && schema_merge(writer, target, rest, out);
}

static bool flatten_all(struct schema_writer *writer, const json_t *schema, const json_t **out)
{
    const json_t *all = json_object_get(schema, "allOf");
    const json_t *merged = without(writer, schema, "allOf");
    if (!json_is_array(all))
        return schema_fail(writer, "'allOf' must be an array");
    if (merged == NULL)
        return false;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one;
        if (!schema_flatten(writer, json_array_get(all, i), &one) ||
            !schema_merge(writer, merged, one, &merged))
            return false;
    }
    *out = merged;
    return true;
}

bool schema_flatten(struct schema_writer *writer, const json_t *schema, const json_t **out)
{
    bool is_good = true;
    if (++writer->depth > SCHEMA_MAX_DEPTH)
        return schema_fail(writer,
                           "the schema is nested too deep, or '$ref' goes round in circles");
    if (json_object_get(schema, "$ref") != NULL)
        is_good = flatten_ref(writer, schema, out);
    else if (json_object_get(schema, "allOf") != NULL)
        is_good = flatten_all(writer, schema, out);
    else if (json_is_object(schema) || json_is_boolean(schema))
        *out = schema;
    else
        is_good = schema_fail(writer, "a schema must be an object or a boolean");
    writer->depth--;
    return is_good;
}
