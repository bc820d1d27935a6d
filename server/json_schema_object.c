/* Objects, as one expression. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/grammar_regex.h"
#include "core/text/utf8.h"
#include "server/json_schema_writer.h"

/* Keys that are none of the declared ones, spelt without escapes: a tree of the declared names, one
 * rule for each place in it. */
static bool write_key_rules(struct schema_writer *writer, const char *const *names, size_t n,
                            size_t at, struct schema_rule_name *out)
{
    struct buf text, others;
    bool is_good = true;
    bool is_name = false;
    if (++writer->depth > SCHEMA_MAX_DEPTH * 4)
        return schema_fail(writer, "a property's name is too long for 'additionalProperties'");
    buf_init(&text);
    buf_init(&others);
    for (size_t i = 0, j; i < n && is_good; i = j) {
        j = i + 1;
        if (names[i][at] == '\0') {
            is_name = true;
            continue;
        }
        uint32_t point, other;
        size_t len = utf8_decode(names[i] + at, strlen(names[i] + at), &point);
        while (j < n && utf8_decode(names[j] + at, strlen(names[j] + at), &other) > 0 &&
               other == point)
            j++;
        struct schema_rule_name below;
        is_good = write_key_rules(writer, names + i, j - i, at + len, &below);
        buf_append_format(&others, "\\U%08X", point);
        buf_append_format(&text, "[\\U%08X] %s | ", point, below.text);
    }
    if (!is_name)
        buf_append_text(&text, "\"\\\"\" | ");
    buf_append_format(&text, "[^\"\\\\\\x00-\\x1F%s] json-plain* \"\\\"\"", buf_text(&others));
    is_good = is_good && schema_add_rule(writer, &text, out);
    buf_done(&text);
    buf_done(&others);
    writer->depth--;
    return is_good;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool schema_needs_escape(const char *name)
{
    for (; *name != '\0'; name++) {
        if ((unsigned char)*name < 0x20 || *name == '"' || *name == '\\')
            return true;
    }
    return false;
}

bool schema_add_other_string(struct schema_writer *writer, const char **names, size_t n,
                             struct schema_rule_name *out)
{
    qsort(names, n, sizeof *names, compare_names);
    return write_key_rules(writer, names, n, 0, out);
}

/* A rule for one more property, whose value fits `additional`. */
static bool add_other_pair(struct schema_writer *writer, const json_t *properties,
                           const json_t *additional, struct schema_rule_name *out)
{
    struct schema_rule_name value, key;
    size_t n = 0;
    const char *name;
    json_t *ignored;
    struct buf text;
    const char **names = calloc(json_object_size(properties) + 1, sizeof *names);
    if (names == NULL)
        return err_no_memory(writer->err, "a schema");
    json_object_foreach((json_t *)properties, name, ignored)
    {
        if (!schema_needs_escape(name))
            names[n++] = name;
    }
    bool is_good =
        schema_visit(writer, additional, &value) && schema_add_other_string(writer, names, n, &key);
    free(names);
    if (!is_good)
        return false;
    buf_init(&text);
    buf_append_format(&text, "\"\\\"\" %s \":\" json-space %s", key.text, value.text);
    is_good = schema_add_rule(writer, &text, out);
    buf_done(&text);
    return is_good;
}

bool schema_is_required(const json_t *required, const char *name)
{
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *one = json_string_value(json_array_get(required, i));
        if (one != NULL && strcmp(one, name) == 0)
            return true;
    }
    return false;
}

/* `"name": value`, as an expression. */
static bool write_pair(struct schema_writer *writer, const char *name, const json_t *schema,
                       struct buf *out)
{
    struct schema_rule_name value;
    json_t *text = json_string(name);
    char *key = text != NULL ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
    json_decref(text);
    if (key == NULL)
        return err_no_memory(writer->err, "a schema");
    bool is_good = schema_visit(writer, schema, &value);
    if (is_good) {
        json_schema_write_literal(out, key, strlen(key));
        buf_append_format(out, " \":\" json-space %s ", value.text);
    }
    free(key);
    return is_good;
}

struct object {
    const json_t *properties; /* those that are declared, and those that are required only */
    const json_t *required;
    bool is_closed;           /* only what is declared may be there: the schema says so */
    const json_t *additional; /* NULL: there are no others, but those that fit ... */
    const json_t *patterns;   /* ... these: values by regular expressions of their names, or NULL */
    const json_t *names;      /* what all names must be; NULL: anything */
    int min, max;             /* of all properties; max -1: any number */
};

static size_t count_required(const struct object *object)
{
    size_t n = 0;
    const char *name;
    json_t *ignored;
    json_object_foreach((json_t *)object->properties, name, ignored)
    {
        n += schema_is_required(object->required, name);
    }
    return n;
}

/* A required name that is not declared is a property like any additional one. */
static bool declare_required(struct schema_writer *writer, struct object *object)
{
    json_t *all = NULL;
    for (size_t i = 0; i < json_array_size(object->required); i++) {
        const char *name = json_string_value(json_array_get(object->required, i));
        if (name == NULL)
            return schema_fail(writer, "'required' must be an array of strings");
        if (json_object_get(all != NULL ? all : object->properties, name) != NULL)
            continue;
        if (object->is_closed)
            return schema_fail(
                writer, "'required' names '%.64s', which 'additionalProperties' forbids", name);
        if (all == NULL) {
            all = json_is_object(object->properties) ? json_copy((json_t *)object->properties)
                                                     : json_object();
            if (all == NULL || json_array_append_new(writer->made, all) != 0)
                return err_no_memory(writer->err, "a schema");
            object->properties = all;
        }
        json_object_set_new(all, name,
                            object->additional != NULL ? json_incref((json_t *)object->additional)
                                                       : json_true());
    }
    return true;
}

/* Names that are listed are properties that may be missing, and there are no others. */
static bool declare_names(struct schema_writer *writer, struct object *object)
{
    const json_t *names, *listed;
    if (object->names == NULL)
        return true;
    if (!schema_flatten(writer, object->names, &names))
        return false;
    listed = json_object_get(names, "enum");
    bool says_nothing = json_is_true(names) || json_object_size(names) == 0 ||
                        (json_object_size(names) == 1 && json_object_get(names, "type") != NULL);
    object->names = says_nothing ? NULL : names;
    if (says_nothing || !json_is_array(listed))
        return true;
    json_t *all = schema_own(writer, json_is_object(object->properties)
                                         ? json_copy((json_t *)object->properties)
                                         : json_object());
    for (size_t i = 0; i < json_array_size(listed) && all != NULL; i++) {
        const char *name = json_string_value(json_array_get(listed, i));
        if (name != NULL && json_object_get(all, name) == NULL && object->additional != NULL)
            json_object_set(all, name, (json_t *)object->additional);
    }
    object->properties = all;
    object->additional = NULL;
    object->names = NULL;
    return all != NULL;
}

static bool read_object(struct schema_writer *writer, const json_t *schema, struct object *out)
{
    const json_t *additional = json_object_get(schema, "additionalProperties");
    *out = (struct object){.properties = json_object_get(schema, "properties"),
                           .required = json_object_get(schema, "required"),
                           .patterns = json_object_get(schema, "patternProperties"),
                           .names = json_object_get(schema, "propertyNames")};
    if (out->patterns != NULL && !json_is_object(out->patterns))
        return schema_fail(writer, "'patternProperties' must be an object");
    if (json_object_size(out->patterns) == 0)
        out->patterns = NULL;
    if (out->properties != NULL && !json_is_object(out->properties))
        return schema_fail(writer, "'properties' must be an object");
    if (out->required != NULL && !json_is_array(out->required))
        return schema_fail(writer, "'required' must be an array of strings");
    bool is_open =
        additional == NULL && json_object_size(out->properties) == 0 && out->patterns == NULL;
    if (is_open)
        out->additional = json_true();
    else if (additional != NULL && !json_is_false(additional))
        out->additional = additional;
    out->is_closed = json_is_false(additional) && out->patterns == NULL;
    return declare_names(writer, out) && declare_required(writer, out) &&
           schema_get_count(writer, schema, "minProperties", &out->min) &&
           schema_get_count(writer, schema, "maxProperties", &out->max);
}

/* `key` is a rule with its quotes. */
static bool append_pair(struct schema_writer *writer, const char *key, const json_t *schema,
                        struct buf *out)
{
    struct schema_rule_name value;
    if (!schema_visit(writer, schema, &value))
        return false;
    buf_append_format(out, "%s%s \":\" json-space %s", out->len > 0 ? " | " : "", key, value.text);
    return true;
}

/* A rule for a property whose name fits one of the patterns, or what all names must be. */
static bool add_named_pair(struct schema_writer *writer, const struct object *object,
                           struct schema_rule_name *out)
{
    struct buf text;
    struct schema_rule_name key;
    const char *pattern;
    json_t *value;
    bool is_good = true;
    buf_init(&text);
    json_object_foreach((json_t *)object->patterns, pattern, value)
    {
        json_t *name =
            schema_own(writer, json_pack("{s:s, s:s}", "type", "string", "pattern", pattern));
        is_good = is_good && name != NULL && schema_visit(writer, name, &key) &&
                  append_pair(writer, key.text, value, &text);
    }
    if (object->patterns == NULL) {
        json_t *name = schema_own(
            writer, json_pack("{s:s, s:[O]}", "type", "string", "allOf", (json_t *)object->names));
        is_good = name != NULL && schema_visit(writer, name, &key) &&
                  append_pair(writer, key.text, object->additional, &text);
    }
    is_good = is_good && schema_add_rule(writer, &text, out);
    buf_done(&text);
    return is_good;
}

/* Any number of additional properties between the two counts and nothing declared. */
static bool write_map(struct schema_writer *writer, const struct object *object, struct buf *out)
{
    struct schema_rule_name pair = {"json-pair"};
    if (object->max >= 0 && object->max < object->min)
        return schema_fail(writer, "'maxProperties' is less than 'minProperties'");
    if (object->patterns != NULL || object->names != NULL) {
        if (!add_named_pair(writer, object, &pair))
            return false;
    } else if (!json_is_true(object->additional) &&
               !add_other_pair(writer, NULL, object->additional, &pair)) {
        return false;
    }
    buf_append_text(out, "\"{\" ");
    schema_write_list(out, pair.text, object->min < 0 ? 0 : object->min, object->max);
    buf_append_text(out, "\"}\"");
    return true;
}

static bool add_tail_rule(struct schema_writer *writer, const char *comma, const struct buf *pair,
                          const char *next, const char *skipped, struct schema_rule_name *out)
{
    struct buf text;
    buf_init(&text);
    buf_append_format(&text, "%s%s %s", comma, buf_text(pair), next);
    if (skipped != NULL)
        buf_append_format(&text, " | %s", skipped);
    bool is_good = schema_add_rule(writer, &text, out);
    buf_done(&text);
    return is_good;
}

bool schema_prepend(struct schema_writer *writer, const char *comma, const struct buf *pair,
                    bool may_be_missing, struct schema_tail *tail)
{
    const struct schema_tail next = *tail;
    return add_tail_rule(writer, comma, pair, next.after.text,
                         may_be_missing ? next.after.text : NULL, &tail->after) &&
           add_tail_rule(writer, "", pair, next.after.text, may_be_missing ? next.first.text : NULL,
                         &tail->first);
}

static bool begin_tail(struct schema_writer *writer, const struct object *object,
                       struct schema_tail *tail)
{
    struct buf after, first;
    struct schema_rule_name pair;
    buf_init(&after);
    buf_init(&first);
    bool is_good = true;
    if (object->additional != NULL) {
        is_good = add_other_pair(writer, object->properties, object->additional, &pair);
        buf_append_format(&after, "(%s%s)*", SCHEMA_COMMA, pair.text);
        schema_write_list(&first, pair.text, 0, -1);
    } else {
        buf_append_text(&after, "\"\"");
        buf_append_text(&first, "\"\"");
    }
    is_good = is_good && schema_add_rule(writer, &after, &tail->after) &&
              schema_add_rule(writer, &first, &tail->first);
    buf_done(&after);
    buf_done(&first);
    return is_good;
}

static bool prepend(struct schema_writer *writer, const struct object *object, const char *name,
                    struct schema_tail *tail)
{
    struct buf pair;
    bool may_be_missing = !schema_is_required(object->required, name);
    buf_init(&pair);
    bool is_good = write_pair(writer, name, json_object_get(object->properties, name), &pair) &&
                   schema_prepend(writer, SCHEMA_COMMA, &pair, may_be_missing, tail);
    buf_done(&pair);
    return is_good;
}

static bool write_record(struct schema_writer *writer, const struct object *object, struct buf *out)
{
    struct schema_tail tail;
    size_t n = json_object_size(object->properties), i = 0;
    const char *name;
    json_t *ignored;
    const char **names = calloc(n + 1, sizeof *names);
    if (names == NULL)
        return err_no_memory(writer->err, "a schema");
    json_object_foreach((json_t *)object->properties, name, ignored)
    {
        names[i++] = name;
    }
    bool is_good = begin_tail(writer, object, &tail);
    while (i > 0 && is_good)
        is_good = prepend(writer, object, names[--i], &tail);
    free(names);
    buf_append_format(out, "\"{\" %s \"}\"", tail.first.text);
    return is_good;
}

bool schema_write_object(struct schema_writer *writer, const json_t *schema, struct buf *out)
{
    struct object object;
    if (!read_object(writer, schema, &object))
        return false;
    bool is_map = json_object_size(object.properties) == 0 &&
                  (object.additional != NULL) != (object.patterns != NULL) &&
                  (object.patterns == NULL || object.names == NULL);
    if (is_map)
        return write_map(writer, &object, out);
    if ((object.patterns != NULL && !schema_refuse(writer, "patternProperties")) ||
        (object.names != NULL && !schema_refuse(writer, "propertyNames")))
        return false;
    bool has_enough = object.min <= (int)count_required(&object);
    bool has_too_many = object.max >= 0 && (object.additional != NULL ||
                                            (int)json_object_size(object.properties) > object.max);
    if ((!has_enough && !schema_refuse(writer, "minProperties")) ||
        (has_too_many && !schema_refuse(writer, "maxProperties")))
        return false;
    return write_record(writer, &object, out);
}
