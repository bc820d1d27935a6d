#include "server/json_fields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/api_error.h"
#include "server/json_load.h"

/* Building a value costs about 0.3 us, so this is some 30 ms at worst; a chat message needs six. */
enum { MAX_STRUCTURE = 100000 };

/* Counts commas, colons and opening brackets outside of strings; stops at the limit. */
static size_t count_structure(const char *body, size_t len)
{
    size_t n = 0;
    bool in_string = false;
    for (size_t i = 0; i < len && n <= MAX_STRUCTURE; i++) {
        char c = body[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == ',' || c == ':' || c == '{' || c == '['))
            n++;
    }
    return n;
}

/* Some editors and shells put a byte order mark before what a client then sends (RFC 8259, 8.1). */
static size_t mark_len(const char *body, size_t len)
{
    static const char mark[3] = "\xEF\xBB\xBF";
    return len >= sizeof mark && memcmp(body, mark, sizeof mark) == 0 ? sizeof mark : 0;
}

bool json_fields_parse(const char *body, size_t len, json_t **out, struct api_error *error)
{
    size_t skip = mark_len(body, len);
    body += skip;
    len -= skip;
    if (count_structure(body, len) > MAX_STRUCTURE)
        return api_error_set(error, 400, "invalid_json", NULL,
                             "the request body has more than %d values", (int)MAX_STRUCTURE);
    json_error_t failure;
    json_t *root = json_load_text(body, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &failure);
    if (root == NULL && json_load_lacked_memory())
        return api_error_no_memory(error);
    if (root == NULL)
        return api_error_set(error, 400, "invalid_json", NULL,
                             "the request body is not valid JSON: %s (line %d, column %d)",
                             failure.text, failure.line, failure.column);
    if (!json_is_object(root)) {
        json_decref(root);
        return api_error_set(error, 400, "invalid_json", NULL,
                             "the request body must be a JSON object");
    }
    *out = root;
    return true;
}

const json_t *json_fields_get(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a decimal";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

bool json_fields_missing(const char *param, struct api_error *error)
{
    return api_error_set(error, 400, "missing_required_parameter", param,
                         "Missing required parameter: '%s'.", param);
}

bool json_fields_wrong_type(const json_t *value, const char *param, const char *expected,
                            struct api_error *error)
{
    return api_error_set(error, 400, "invalid_type", param,
                         "Invalid type for '%s': expected %s, but got %s instead.", param, expected,
                         type_name(value));
}

bool json_fields_is_plain(const json_t *string)
{
    return strlen(json_string_value(string)) == json_string_length(string);
}

bool json_fields_bool(const json_t *object, const char *name, bool *out, struct api_error *error)
{
    const json_t *value = json_fields_get(object, name);
    if (value == NULL)
        return true;
    if (!json_is_boolean(value))
        return json_fields_wrong_type(value, name, "a boolean", error);
    *out = json_is_true(value);
    return true;
}

/* Some clients know decimals only and write 3.0, which is the same number (RFC 8259, 6). Above 2^53
 * a decimal does not say which integer it means. */
static bool read_integer(const json_t *value, long long *out)
{
    double number = json_number_value(value);
    if (json_is_real(value) && (floor(number) != number || fabs(number) > 0x1p53))
        return false;
    *out = json_is_real(value) ? (long long)number : json_integer_value(value);
    return json_is_number(value);
}

/* What no integer of 64 bits is. */
static bool is_beyond(const json_t *value)
{
    double number = json_real_value(value);
    return json_is_real(value) && floor(number) == number && fabs(number) >= 0x1p63;
}

static bool fail_below(const char *name, long long min, const char *number, struct api_error *error)
{
    return api_error_set(error, 400, "integer_below_min_value", name,
                         "Invalid '%s': integer below minimum value. Expected a value >= %lld, "
                         "but got %s instead.",
                         name, min, number);
}

static bool fail_above(const char *name, long long max, const char *number, struct api_error *error)
{
    return api_error_set(error, 400, "integer_above_max_value", name,
                         "Invalid '%s': integer above maximum value. Expected a value <= %lld, "
                         "but got %s instead.",
                         name, max, number);
}

bool json_fields_integer(const json_t *object, const char *name, long long min, long long max,
                         long long *out, struct api_error *error)
{
    const json_t *value = json_fields_get(object, name);
    char text[32];
    if (value == NULL)
        return true;
    if (is_beyond(value)) {
        double number = json_real_value(value);
        snprintf(text, sizeof text, "%.17g", number);
        return number < 0 ? fail_below(name, min, text, error) : fail_above(name, max, text, error);
    }
    long long number = 0;
    if (!read_integer(value, &number))
        return json_fields_wrong_type(value, name, "an integer", error);
    snprintf(text, sizeof text, "%lld", number);
    if (number < min)
        return fail_below(name, min, text, error);
    if (number > max)
        return fail_above(name, max, text, error);
    *out = number;
    return true;
}

bool json_fields_float(const json_t *object, const char *name, double min, double max, float *out,
                       struct api_error *error)
{
    const json_t *value = json_fields_get(object, name);
    if (value == NULL)
        return true;
    if (!json_is_number(value))
        return json_fields_wrong_type(value, name, "a decimal", error);
    double number = json_number_value(value);
    if (!(number >= min))
        return api_error_set(error, 400, "decimal_below_min_value", name,
                             "Invalid '%s': decimal below minimum value. Expected a value >= %g, "
                             "but got %g instead.",
                             name, min, number);
    if (!(number <= max))
        return api_error_set(error, 400, "decimal_above_max_value", name,
                             "Invalid '%s': decimal above maximum value. Expected a value <= %g, "
                             "but got %g instead.",
                             name, max, number);
    *out = (float)number;
    return true;
}

bool json_fields_string(const json_t *object, const char *name, const char **out,
                        struct api_error *error)
{
    const json_t *value = json_fields_get(object, name);
    if (value == NULL)
        return true;
    if (!json_is_string(value))
        return json_fields_wrong_type(value, name, "a string", error);
    if (!json_fields_is_plain(value))
        return api_error_set(error, 400, "invalid_value", name, "'%s' has a NUL character.", name);
    *out = json_string_value(value);
    return true;
}
