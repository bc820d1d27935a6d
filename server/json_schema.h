/* json_schema.h - a JSON Schema as rules of a grammar (GBNF): what fits them is JSON and valid.
 *
 * Done: type, properties, required, additionalProperties, min/maxProperties, items, prefixItems,
 * min/maxItems, min/maxLength, pattern, format, minimum, maximum and their exclusive forms, enum,
 * const, anyOf, oneOf (like anyOf), allOf, $ref within the document, nullable. In part:
 * multipleOf (between two bounds, from 0, or without), uniqueItems (of up to 8 listed values), not
 * (of types, of listed values, of strings), patternProperties and propertyNames (where nothing else
 * is declared). An object has the declared properties in their order and others only where
 * additionalProperties says so; there is at most one space after ':' and ','. Keywords that would
 * narrow the value and cannot be done are refused when the schema is strict, else left out.
 * Annotations are ignored. The schema is untrusted: depth, size and work are bounded. Thread: any
 * (pure). */
#ifndef SERVER_JSON_SCHEMA_H
#define SERVER_JSON_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

/* Appends the rules that those below use: all begin with "json-". Once per grammar. "json-value"
 * and "json-object" say any. */
void json_schema_write_common(struct buf *out);

/* Appends the rule `name` (letters, digits, '-'), which says a value that fits the schema, and
 * rules "name-1", "name-2" ... that it needs. ERR_INVALID names the keyword and where it stands. */
bool json_schema_write(const json_t *schema, const char *name, bool is_strict, struct buf *out,
                       struct err *err);

/* How a call that is no JSON has each of its parameters, in expressions (GBNF) around name and
 * value. */
struct json_schema_pairs {
    const char *open, *middle, *close;
    const char *comma;    /* between two; may be empty */
    const char *text_end; /* strings are bare text, up to this; NULL: as in Python, True included */
    bool is_nested;       /* this mark also begins strings, and objects have such pairs, too */
};

/* The same for parameters of which `schema` is the object: declared ones in their order, required
 * ones at least. Bare text is held to nothing but a list of values.
 * NULL for `form`: a JSON object, json_schema_write. */
bool json_schema_write_pairs(const json_t *schema, const char *name,
                             const struct json_schema_pairs *form, bool is_strict, struct buf *out,
                             struct err *err);

/* Appends text as a GBNF literal. */
void json_schema_write_literal(struct buf *out, const char *text, size_t len);

#endif
