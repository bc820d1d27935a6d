/* json_fields.h - a request body's fields, each asked for with its type and range.
 *
 * An explicit null is the same as a missing field everywhere. Unknown fields are never looked at.
 * Each getter leaves *out as it is when the field is absent, so defaults are set before. Pure.
 * Thread: any. */
#ifndef SERVER_JSON_FIELDS_H
#define SERVER_JSON_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct api_error;

/* Parses a body that must be one JSON object. Refuses duplicate keys, and bodies with so many
 * values that building them would hold up all other clients. The caller owns *out. */
bool json_fields_parse(const char *body, size_t len, json_t **out, struct api_error *error);

/* The field, or NULL when it is absent or null. Borrowed. */
const json_t *json_fields_get(const json_t *object, const char *name);

bool json_fields_bool(const json_t *object, const char *name, bool *out, struct api_error *error);
bool json_fields_integer(const json_t *object, const char *name, long long min, long long max,
                         long long *out, struct api_error *error);
bool json_fields_float(const json_t *object, const char *name, double min, double max, float *out,
                       struct api_error *error);
/* Borrowed from the object; without NUL characters. */
bool json_fields_string(const json_t *object, const char *name, const char **out,
                        struct api_error *error);

/* False when the string has a NUL inside. A model may say one, so messages may hold one. */
bool json_fields_is_plain(const json_t *string);

/* Fills *error: missing_required_parameter. */
bool json_fields_missing(const char *param, struct api_error *error);
/* Fills *error: invalid_type, with the type that was found. */
bool json_fields_wrong_type(const json_t *value, const char *param, const char *expected,
                            struct api_error *error);

#endif
