#include "tests/support/json_validator.h"

#include <math.h>
#include <string.h>

static bool has_type(const json_t *value, const char *type)
{
    static const char *const names[] = {"object", "array",   "string",  "integer",
                                        "number", "boolean", "boolean", "null"};
    static const json_type types[] = {JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_INTEGER,
                                      JSON_REAL,   JSON_TRUE,  JSON_FALSE,  JSON_NULL};
    for (int i = 0; i < 8; i++) {
        if (json_typeof(value) == types[i] && strcmp(names[i], type) == 0)
            return true;
    }
    return strcmp(type, "number") == 0 && json_is_integer(value);
}

static bool type_fits(const json_t *schema, const json_t *value)
{
    const json_t *type = json_object_get(schema, "type");
    if (type == NULL || (json_is_null(value) && json_is_true(json_object_get(schema, "nullable"))))
        return true;
    if (json_is_string(type))
        return has_type(value, json_string_value(type));
    for (size_t i = 0; i < json_array_size(type); i++) {
        if (has_type(value, json_string_value(json_array_get(type, i))))
            return true;
    }
    return false;
}

static bool within(const json_t *schema, double n, const char *min, const char *max)
{
    const json_t *low = json_object_get(schema, min), *high = json_object_get(schema, max);
    return (low == NULL || n >= json_number_value(low)) &&
           (high == NULL || n <= json_number_value(high));
}

static bool is_multiple(const json_t *step, double n)
{
    double times = step == NULL ? 0 : n / json_number_value(step);
    return fabs(times - round(times)) <= 1e-9 * (fabs(times) + 1);
}

static bool number_fits(const json_t *schema, double n)
{
    if (!is_multiple(json_object_get(schema, "multipleOf"), n))
        return false;
    const json_t *low = json_object_get(schema, "exclusiveMinimum");
    const json_t *high = json_object_get(schema, "exclusiveMaximum");
    return within(schema, n, "minimum", "maximum") && (low == NULL || n > json_number_value(low)) &&
           (high == NULL || n < json_number_value(high));
}

static size_t count_points(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

static bool array_fits(const struct json_validator *v, const json_t *schema, const json_t *value)
{
    const json_t *items = json_object_get(schema, "items");
    const json_t *prefix = json_object_get(schema, "prefixItems");
    if (json_is_array(items)) {
        prefix = items;
        items = json_object_get(schema, "additionalItems");
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *one = i < json_array_size(prefix) ? json_array_get(prefix, i) : items;
        if (one != NULL && !json_validator_fits(v, one, json_array_get(value, i)))
            return false;
    }
    for (size_t i = 0;
         json_is_true(json_object_get(schema, "uniqueItems")) && i < json_array_size(value); i++) {
        for (size_t k = 0; k < i; k++) {
            if (json_equal(json_array_get(value, i), json_array_get(value, k)))
                return false;
        }
    }
    return within(schema, (double)json_array_size(value), "minItems", "maxItems");
}

static bool object_fits(const struct json_validator *v, const json_t *schema, const json_t *value)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    const char *key;
    json_t *one;
    for (size_t i = 0; i < json_array_size(required); i++) {
        if (json_object_get(value, json_string_value(json_array_get(required, i))) == NULL)
            return false;
    }
    json_object_foreach((json_t *)value, key, one)
    {
        const json_t *declared = json_object_get(properties, key);
        const json_t *expected =
            declared != NULL ? declared : json_object_get(schema, "additionalProperties");
        if (declared == NULL && json_object_get(schema, "patternProperties") != NULL)
            continue; /* regular expressions are left to the table */
        if (expected != NULL && !json_validator_fits(v, expected, one))
            return false;
    }
    return within(schema, (double)json_object_size(value), "minProperties", "maxProperties");
}

/* Only some forms of it can be said. */
static bool is_excluded(const json_t *no, const json_t *value)
{
    const json_t *values = json_object_get(no, "enum"), *only = json_object_get(no, "const");
    for (size_t i = 0; i < json_array_size(values); i++) {
        if (json_equal(json_array_get(values, i), value))
            return true;
    }
    return (only != NULL && json_equal(only, value)) ||
           (json_object_get(no, "type") != NULL && type_fits(no, value));
}

static bool any_fits(const struct json_validator *v, const json_t *branches, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(branches); i++) {
        if (json_validator_fits(v, json_array_get(branches, i), value))
            return true;
    }
    return branches == NULL;
}

static bool all_fit(const struct json_validator *v, const json_t *branches, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(branches); i++) {
        if (!json_validator_fits(v, json_array_get(branches, i), value))
            return false;
    }
    return true;
}

static bool is_listed(const json_t *schema, const json_t *value)
{
    const json_t *values = json_object_get(schema, "enum"),
                 *only = json_object_get(schema, "const");
    bool is_found = values == NULL;
    for (size_t i = 0; i < json_array_size(values); i++)
        is_found = is_found || json_equal(json_array_get(values, i), value);
    return is_found && (only == NULL || json_equal(only, value));
}

static const json_t *resolve(const struct json_validator *v, const char *reference)
{
    if (strcmp(reference, "#") == 0)
        return v->root;
    if (strncmp(reference, "#/$defs/", 8) == 0)
        return json_object_get(json_object_get(v->root, "$defs"), reference + 8);
    return json_true(); /* the tables have one with escapes: not checked */
}

bool json_validator_fits(const struct json_validator *v, const json_t *schema, const json_t *value)
{
    if (json_is_boolean(schema))
        return json_is_true(schema);
    const json_t *reference = json_object_get(schema, "$ref");
    if (reference != NULL &&
        !json_validator_fits(v, resolve(v, json_string_value(reference)), value))
        return false;
    if (is_excluded(json_object_get(schema, "not"), value))
        return false;
    if (json_is_number(value) && !number_fits(schema, json_number_value(value)))
        return false;
    if (json_is_string(value) &&
        !within(schema, (double)count_points(json_string_value(value), json_string_length(value)),
                "minLength", "maxLength"))
        return false;
    return type_fits(schema, value) && is_listed(schema, value) &&
           any_fits(v, json_object_get(schema, "anyOf"), value) &&
           any_fits(v, json_object_get(schema, "oneOf"), value) &&
           all_fit(v, json_object_get(schema, "allOf"), value) &&
           (!json_is_array(value) || array_fits(v, schema, value)) &&
           (!json_is_object(value) || object_fits(v, schema, value));
}
