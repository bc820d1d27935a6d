#include "server/json_schema.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "server/json_schema_writer.h"

/* No surrogate without its other half and no NUL: JSON readers refuse them. Digits and exponents
 * have bounds, so that no model counts for ever and no number is beyond a double. */
static const char COMMON[] =
    "json-value ::= json-object | json-array | json-string | json-number | json-boolean | "
    "json-null\n"
    "json-object ::= \"{\" (json-pair (\",\" json-space json-pair)*)? \"}\"\n"
    "json-pair ::= json-string \":\" json-space json-value\n"
    "json-array ::= \"[\" (json-value (\",\" json-space json-value)*)? \"]\"\n"
    "json-string ::= \"\\\"\" json-char* \"\\\"\"\n"
    "json-char ::= json-plain | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" json-point)\n"
    "json-plain ::= [^\"\\\\\\x00-\\x1F]\n"
    "json-point ::= \"0\" (\"0\" (\"0\" [1-9a-fA-F] | [1-9a-fA-F] json-hex) | [1-9a-fA-F] json-hex "
    "json-hex) | [1-9a-cA-CefEF] json-hex json-hex json-hex | [dD] ([0-7] json-hex json-hex | "
    "[89abAB] json-hex json-hex \"\\\\u\" [dD] [c-fC-F] json-hex json-hex)\n"
    "json-hex ::= [0-9a-fA-F]\n"
    "json-integer ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15})\n"
    "json-number ::= json-integer (\".\" [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?\n"
    "json-boolean ::= \"true\" | \"false\"\n"
    "json-null ::= \"null\"\n"
    "json-space ::= \" \"?\n";

void json_schema_write_common(struct buf *out)
{
    buf_append_text(out, COMMON);
}

/* ---- what the parts share ---- */

bool schema_fail(struct schema_writer *writer, const char *format, ...)
{
    char text[sizeof writer->err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(writer->err, ERR_INVALID, "%s", text);
}

bool schema_refuse(struct schema_writer *writer, const char *keyword)
{
    return !writer->is_strict || schema_fail(writer, "'%.64s' is not supported", keyword);
}

bool schema_get_count(struct schema_writer *writer, const json_t *schema, const char *keyword,
                      int *out)
{
    const json_t *value = json_object_get(schema, keyword);
    double count = json_is_number(value) ? json_number_value(value) : -1;
    if (value == NULL) {
        *out = -1;
        return true;
    }
    if (!(count >= 0 && count <= 1000000 && count == (int)count))
        return schema_fail(writer, "'%s' must be a whole number from 0 to 1000000", keyword);
    *out = (int)count;
    return true;
}

void json_schema_write_literal(struct buf *out, const char *text, size_t len)
{
    buf_append_text(out, "\"");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            buf_append_format(out, "\\%c", c);
        else if (c < 0x20)
            buf_append_format(out, "\\x%02X", c);
        else
            buf_append_char(out, (char)c);
    }
    buf_append_text(out, "\"");
}

/* ---- keywords ---- */

/* Those that say something about the value, by what is done with them; all others are annotations.
 */
static bool check_keywords(struct schema_writer *writer, const json_t *schema)
{
    static const char *const refused[] = {"if",
                                          "then",
                                          "else",
                                          "dependentRequired",
                                          "dependentSchemas",
                                          "dependencies",
                                          "unevaluatedProperties",
                                          "unevaluatedItems",
                                          "contains",
                                          "minContains",
                                          "maxContains",
                                          "$dynamicRef",
                                          "$recursiveRef"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const json_t *value = json_object_get(schema, refused[i]);
        bool says_nothing = value == NULL || json_is_false(value) || json_is_null(value) ||
                            (json_is_object(value) && json_object_size(value) == 0);
        if (strncmp(refused[i], "unevaluated", 11) == 0 && json_is_false(value))
            continue; /* nothing but what is declared is ever said */
        if (!says_nothing && !schema_refuse(writer, refused[i]))
            return false;
    }
    return true;
}

/* ---- values ---- */

static const char *const TYPES[] = {"object", "array",   "string", "integer",
                                    "number", "boolean", "null"};
enum { N_TYPES = 7 };
enum type_bit {
    OBJECT = 1,
    ARRAY = 2,
    STRING = 4,
    INTEGER = 8,
    NUMBER = 16,
    BOOLEAN = 32,
    NO_VALUE = 64,
    ANY = 127 & ~INTEGER,
};

static bool add_type(struct schema_writer *writer, const json_t *name, unsigned *types)
{
    for (int i = 0; i < N_TYPES && json_is_string(name); i++) {
        if (strcmp(json_string_value(name), TYPES[i]) == 0) {
            *types |= 1u << i;
            return true;
        }
    }
    return schema_fail(writer, "'type' must be one or several of object, array, string, number, "
                               "integer, boolean, null");
}

static bool has_one_of(const json_t *schema, const char *const *keywords)
{
    for (; *keywords != NULL; keywords++) {
        if (json_object_get(schema, *keywords) != NULL)
            return true;
    }
    return false;
}

/* A schema without a type means the one that its keywords speak about. */
static unsigned guess_types(const json_t *schema)
{
    static const char *const object[] = {
        "properties",    "required",      "additionalProperties", "patternProperties",
        "propertyNames", "minProperties", "maxProperties",        NULL};
    static const char *const array[] = {"items",    "prefixItems", "minItems",
                                        "maxItems", "uniqueItems", NULL};
    static const char *const string[] = {"minLength", "maxLength", "pattern", "format", NULL};
    static const char *const number[] = {"minimum",          "maximum",    "exclusiveMinimum",
                                         "exclusiveMaximum", "multipleOf", NULL};
    unsigned types = 0;
    types |= has_one_of(schema, object) ? OBJECT : 0;
    types |= has_one_of(schema, array) ? ARRAY : 0;
    types |= has_one_of(schema, string) ? STRING : 0;
    types |= has_one_of(schema, number) ? NUMBER : 0;
    return types != 0 ? types : ANY;
}

static bool read_types(struct schema_writer *writer, const json_t *schema, unsigned *out)
{
    const json_t *type = json_object_get(schema, "type");
    *out = 0;
    if (type == NULL) {
        *out = guess_types(schema);
    } else if (json_is_array(type)) {
        for (size_t i = 0; i < json_array_size(type); i++) {
            if (!add_type(writer, json_array_get(type, i), out))
                return false;
        }
    } else if (!add_type(writer, type, out)) {
        return false;
    }
    if (json_is_true(json_object_get(schema, "nullable")))
        *out |= NO_VALUE;
    return true;
}

static unsigned type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return OBJECT;
    case JSON_ARRAY:
        return ARRAY;
    case JSON_STRING:
        return STRING;
    case JSON_INTEGER:
        return INTEGER | NUMBER;
    case JSON_REAL:
        return NUMBER |
               (json_real_value(value) == (double)(int64_t)json_real_value(value) ? INTEGER : 0);
    case JSON_TRUE:
    case JSON_FALSE:
        return BOOLEAN;
    default:
        return NO_VALUE;
    }
}

/* Literals as json.dumps would write them, so that a model's habits fit. */
static bool write_value(struct schema_writer *writer, const json_t *value, struct buf *out)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    if (text == NULL)
        return schema_fail(writer, "a value in 'enum' or 'const' cannot be written");
    json_schema_write_literal(out, text, strlen(text));
    free(text);
    return true;
}

static bool write_enum(struct schema_writer *writer, const json_t *schema, unsigned types,
                       struct buf *out)
{
    const json_t *values = json_object_get(schema, "enum");
    const json_t *only = json_object_get(schema, "const");
    const char *bar = "";
    if (values != NULL && !json_is_array(values))
        return schema_fail(writer, "'enum' must be an array");
    size_t n = only != NULL ? 1 : json_array_size(values);
    for (size_t i = 0; i < n; i++) {
        const json_t *value = only != NULL ? only : json_array_get(values, i);
        bool is_listed = values == NULL || only == NULL;
        for (size_t k = 0; k < json_array_size(values) && !is_listed; k++)
            is_listed = json_equal(json_array_get(values, k), only);
        if (!is_listed || (type_of(value) & types) == 0)
            continue;
        buf_append_text(out, bar);
        if (!write_value(writer, value, out))
            return false;
        bar = " | ";
    }
    if (bar[0] == '\0')
        buf_append_text(out, "[]"); /* nothing fits: whoever needs it cannot be completed */
    return true;
}

static bool write_types(struct schema_writer *writer, const json_t *schema, unsigned types,
                        struct buf *out)
{
    const char *bar = "";
    if ((types & NUMBER) != 0)
        types &= ~(unsigned)INTEGER;
    for (int i = 0; i < N_TYPES; i++) {
        bool is_good = true;
        if ((types >> i & 1) == 0)
            continue;
        buf_append_text(out, bar);
        bar = " | ";
        switch ((enum type_bit)(1u << i)) {
        case OBJECT:
            is_good = schema_write_object(writer, schema, out);
            break;
        case ARRAY:
            is_good = schema_write_array(writer, schema, out);
            break;
        case STRING:
            is_good = schema_write_string(writer, schema, out);
            break;
        case INTEGER:
        case NUMBER:
            is_good = schema_write_number(writer, schema, 1u << i == INTEGER, out);
            break;
        case BOOLEAN:
            buf_append_text(out, "json-boolean");
            break;
        default:
            buf_append_text(out, "json-null");
        }
        if (!is_good)
            return false;
    }
    if (bar[0] == '\0')
        buf_append_text(out, "[]");
    return true;
}

/* Each branch together with what stands beside it. */
static bool write_branches(struct schema_writer *writer, const json_t *schema, const char *keyword,
                           struct buf *out)
{
    const json_t *branches = json_object_get(schema, keyword);
    if (!json_is_array(branches) || json_array_size(branches) == 0)
        return schema_fail(writer, "'%s' must be an array that is not empty", keyword);
    json_t *base = json_copy((json_t *)schema);
    if (base == NULL || json_array_append_new(writer->made, base) != 0)
        return err_no_memory(writer->err, "a schema");
    json_object_del(base, keyword);
    for (size_t i = 0; i < json_array_size(branches); i++) {
        const json_t *branch, *merged;
        struct schema_rule_name name;
        const json_t *one = json_array_get(branches, i);
        if (json_object_size(base) == 0) {
            merged = one;
        } else if (!schema_flatten(writer, one, &branch) ||
                   !schema_merge(writer, base, branch, &merged)) {
            return false;
        }
        if (!schema_visit(writer, merged, &name))
            return false;
        buf_append_text(out, i == 0 ? "" : " | ");
        buf_append_text(out, name.text);
    }
    return true;
}

static bool write_flat(struct schema_writer *writer, const json_t *schema, struct buf *out)
{
    unsigned types;
    if (json_is_true(schema)) {
        buf_append_text(out, "json-value");
        return true;
    }
    if (json_is_false(schema)) {
        buf_append_text(out, "[]");
        return true;
    }
    if (!check_keywords(writer, schema))
        return false;
    if (json_object_get(schema, "not") != NULL && !schema_apply_not(writer, schema, &schema))
        return false;
    if (json_object_get(schema, "anyOf") != NULL)
        return write_branches(writer, schema, "anyOf", out);
    if (json_object_get(schema, "oneOf") != NULL)
        return write_branches(writer, schema, "oneOf", out);
    if (!read_types(writer, schema, &types))
        return false;
    if (json_object_get(schema, "enum") != NULL || json_object_get(schema, "const") != NULL)
        return write_enum(writer, schema,
                          json_object_get(schema, "type") == NULL ? ANY | INTEGER : types, out);
    if (types == ANY && json_object_get(schema, "type") == NULL) {
        buf_append_text(out, "json-value");
        return true;
    }
    return write_types(writer, schema, types, out);
}

bool schema_visit(struct schema_writer *writer, const json_t *schema, struct schema_rule_name *out)
{
    const json_t *target = schema, *flat;
    /* A mere reference is its target's rule, which may be on its way already: recursion. */
    if (json_object_size(schema) == 1 && json_object_get(schema, "$ref") != NULL) {
        target = schema_resolve(writer, json_object_get(schema, "$ref"));
        if (target == NULL)
            return false;
    }
    bool is_shared = !json_is_boolean(target); /* booleans are one object for all */
    struct schema_rule *known = is_shared ? schema_find_rule(writer, target) : NULL;
    if (known != NULL && known->schema != NULL) {
        schema_name_rule(writer, known->rule, out);
        return true;
    }
    int rule;
    struct buf text;
    if (!schema_count_rule(writer, &rule))
        return false;
    if (++writer->depth > SCHEMA_MAX_DEPTH)
        return schema_fail(writer, "the schema is nested more than %d levels deep",
                           (int)SCHEMA_MAX_DEPTH);
    if (known != NULL)
        *known = (struct schema_rule){target, rule};
    buf_init(&text);
    bool is_good = schema_flatten(writer, target, &flat) && write_flat(writer, flat, &text) &&
                   schema_write_rule(writer, rule, &text);
    buf_done(&text);
    writer->depth--;
    if (is_good)
        schema_name_rule(writer, rule, out);
    return is_good;
}

static bool write_root_pairs(struct schema_writer *writer, const struct json_schema_pairs *form)
{
    int rule;
    struct buf text;
    buf_init(&text);
    bool is_good = schema_count_rule(writer, &rule) &&
                   schema_write_pairs(writer, writer->root, form, &text) &&
                   schema_write_rule(writer, rule, &text);
    buf_done(&text);
    return is_good;
}

bool json_schema_write_pairs(const json_t *schema, const char *name,
                             const struct json_schema_pairs *form, bool is_strict, struct buf *out,
                             struct err *err)
{
    struct err reason;
    struct schema_writer writer = {
        .root = schema,
        .name = name,
        .is_strict = is_strict,
        .out = out,
        .err = err != NULL ? err : &reason,
        .made = json_array(),
        .rules = calloc((size_t)SCHEMA_MAX_RULES * 2, sizeof *writer.rules),
        .texts = calloc((size_t)SCHEMA_MAX_RULES * 2, sizeof *writer.texts),
    };
    struct schema_rule_name root;
    bool has_memory = writer.made != NULL && writer.rules != NULL && writer.texts != NULL;
    bool is_good = !has_memory    ? err_no_memory(err, "a schema")
                   : form != NULL ? write_root_pairs(&writer, form)
                                  : schema_visit(&writer, schema, &root);
    free(writer.texts);
    json_decref(writer.made);
    free(writer.rules);
    return is_good;
}

bool json_schema_write(const json_t *schema, const char *name, bool is_strict, struct buf *out,
                       struct err *err)
{
    return json_schema_write_pairs(schema, name, NULL, is_strict, out, err);
}
