#include "server/output_format.h"

#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/text/grammar.h"
#include "core/text/grammar_regex.h"
#include "server/answer_grammar.h"
#include "server/api_error.h"
#include "server/grammar_cache.h"
#include "server/json_fields.h"
#include "server/json_load.h"
#include "server/json_schema.h"

enum { MAX_GRAMMAR_TEXT = 256 * 1024, MAX_CHOICES = 1024, PARAM_SIZE = 96 };

static bool refuse(struct api_error *error, const char *param, const struct err *err)
{
    if (err->code != ERR_INVALID && err->code != ERR_UNSUPPORTED) {
        api_error_from(error, err);
        return false;
    }
    return api_error_set(error, 400, "invalid_value", param, "Invalid '%s': %s.", param, err->text);
}

/* Takes `text` over. */
static bool compile(struct buf *text, const char *param, struct grammar_cache *cache,
                    struct grammar **out, struct api_error *error)
{
    struct err err;
    bool is_good = text->failed ? err_no_memory(&err, "a grammar")
                                : grammar_cache_get(cache, buf_text(text), text->len, out, &err);
    buf_done(text);
    return is_good || refuse(error, param, &err);
}

/* ---- JSON ---- */

/* What the fields share. */
struct context {
    const struct answer_frame *frame;
    struct grammar_cache *cache;
    bool has_frame;
};

/* Begins a grammar whose rule "answer" is still to be written; ends it on failure. */
static bool begin(struct context *context, struct buf *text, struct err *err)
{
    context->has_frame = true;
    buf_init(text);
    bool is_good = answer_grammar_write(context->frame, text, err);
    if (!is_good)
        buf_done(text);
    return is_good;
}

static bool any_object(const char *param, struct context *context, struct grammar **out,
                       struct api_error *error)
{
    struct buf text;
    struct err err;
    if (!begin(context, &text, &err))
        return refuse(error, "tools", &err);
    buf_append_text(&text, "answer ::= json-object\n");
    return compile(&text, param, context->cache, out, error);
}

static bool from_schema(const json_t *schema, bool is_strict, const char *name, const char *param,
                        struct context *context, struct grammar **out, struct api_error *error)
{
    struct buf text;
    struct err err;
    if (!json_is_object(schema) && !json_is_boolean(schema))
        return json_fields_wrong_type(schema, param, "an object", error);
    if (!begin(context, &text, &err))
        return refuse(error, "tools", &err);
    bool is_good = json_schema_write(schema, "answer", is_strict, &text, &err);
    if (is_good && grammar_cache_get(context->cache, buf_text(&text), text.len, out, &err)) {
        buf_done(&text);
        return true;
    }
    buf_done(&text);
    if (err.code != ERR_INVALID && err.code != ERR_UNSUPPORTED)
        return refuse(error, param, &err);
    return api_error_set(error, 400, "invalid_json_schema", param,
                         "Invalid schema for %s '%.64s': %s.", param, name, err.text);
}

static bool read_schema(const json_t *format, const char *param, struct context *context,
                        struct grammar **out, struct api_error *error)
{
    char inner[PARAM_SIZE];
    const json_t *wrapped = json_fields_get(format, "json_schema");
    const json_t *object = wrapped != NULL ? wrapped : format;
    snprintf(inner, sizeof inner, wrapped != NULL ? "%s.json_schema" : "%s", param);
    if (!json_is_object(object))
        return json_fields_wrong_type(object, inner, "an object", error);
    const json_t *strict = json_fields_get(object, "strict");
    const json_t *schema = json_fields_get(object, "schema");
    const char *name = json_string_value(json_fields_get(object, "name"));
    if (strict != NULL && !json_is_boolean(strict))
        return json_fields_wrong_type(strict, inner, "a boolean for 'strict'", error);
    if (schema == NULL && wrapped == NULL)
        return api_error_set(error, 400, "missing_required_parameter", param,
                             "Missing required parameter: '%s.schema'.", param);
    if (schema == NULL)
        return any_object(param, context, out, error);
    return from_schema(schema, json_is_true(strict), name != NULL ? name : "unnamed", param,
                       context, out, error);
}

static bool read_format(const json_t *format, const char *param, struct context *context,
                        struct grammar **out, struct api_error *error)
{
    *out = NULL;
    if (!json_is_object(format))
        return json_fields_wrong_type(format, param, "an object", error);
    const char *type = json_string_value(json_object_get(format, "type"));
    if (type == NULL)
        return api_error_set(error, 400, "missing_required_parameter", param,
                             "Missing required parameter: '%s.type'.", param);
    if (strcmp(type, "text") == 0)
        return true;
    if (strcmp(type, "json_schema") == 0)
        return read_schema(format, param, context, out, error);
    if (strcmp(type, "json_object") == 0) {
        const json_t *schema = json_fields_get(format, "schema"); /* as llama.cpp has it */
        return schema == NULL
                   ? any_object(param, context, out, error)
                   : from_schema(schema, false, "json_object", param, context, out, error);
    }
    return api_error_set(error, 400, "invalid_value", param,
                         "Invalid value: '%.64s'. Supported values of '%s.type' are: 'text', "
                         "'json_object' and 'json_schema'.",
                         type, param);
}

/* ---- other ways to say it ---- */

static bool check_text(const json_t *value, const char *param, struct api_error *error)
{
    if (!json_is_string(value))
        return json_fields_wrong_type(value, param, "a string", error);
    return json_string_length(value) <= MAX_GRAMMAR_TEXT ||
           api_error_set(error, 400, "string_above_max_length", param,
                         "'%s' may have at most %d bytes.", param, (int)MAX_GRAMMAR_TEXT);
}

static bool read_grammar(const json_t *value, const char *param, struct context *context,
                         struct grammar **out, struct api_error *error)
{
    struct buf text;
    if (!check_text(value, param, error))
        return false;
    buf_init(&text);
    buf_append(&text, json_string_value(value), json_string_length(value));
    return compile(&text, param, context->cache, out, error);
}

static bool read_regex(const json_t *value, const char *param, struct context *context,
                       struct grammar **out, struct api_error *error)
{
    struct buf text;
    struct err err;
    if (!check_text(value, param, error))
        return false;
    if (!begin(context, &text, &err))
        return refuse(error, "tools", &err);
    buf_append_text(&text, "answer ::= ");
    if (!grammar_regex_write(json_string_value(value), json_string_length(value),
                             GRAMMAR_REGEX_TEXT, 0, -1, &text, &err)) {
        buf_done(&text);
        return refuse(error, param, &err);
    }
    return compile(&text, param, context->cache, out, error);
}

static bool read_choice(const json_t *value, const char *param, struct context *context,
                        struct grammar **out, struct api_error *error)
{
    struct buf text;
    struct err err;
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n == 0 || n > MAX_CHOICES)
        return json_fields_wrong_type(value, param, "an array of 1 to 1024 strings", error);
    if (!begin(context, &text, &err))
        return refuse(error, "tools", &err);
    buf_append_text(&text, "answer ::= ");
    for (size_t i = 0; i < n; i++) {
        const json_t *choice = json_array_get(value, i);
        if (!json_is_string(choice)) {
            buf_done(&text);
            return json_fields_wrong_type(choice, param, "an array of strings", error);
        }
        buf_append_text(&text, i == 0 ? "" : " | ");
        json_schema_write_literal(&text, json_string_value(choice), json_string_length(choice));
    }
    return compile(&text, param, context->cache, out, error);
}

/* A schema, as an object or as its text. */
static bool read_json(const json_t *value, const char *param, struct context *context,
                      struct grammar **out, struct api_error *error)
{
    if (!json_is_string(value))
        return from_schema(value, false, param, param, context, out, error);
    json_error_t failure;
    json_t *schema = json_load_text(json_string_value(value), json_string_length(value),
                                    JSON_REJECT_DUPLICATES, &failure);
    if (schema == NULL)
        return api_error_set(error, 400, "invalid_value", param, "'%s' is not valid JSON: %s.",
                             param, failure.text);
    bool is_good = from_schema(schema, false, param, param, context, out, error);
    json_decref(schema);
    return is_good;
}

/* vLLM's json_object: true or nothing. */
static bool read_object(const json_t *value, const char *param, struct context *context,
                        struct grammar **out, struct api_error *error)
{
    if (!json_is_boolean(value))
        return json_fields_wrong_type(value, param, "a boolean", error);
    return json_is_false(value) || any_object(param, context, out, error);
}

static bool refuse_tags(const json_t *value, const char *param, struct context *context,
                        struct grammar **out, struct api_error *error)
{
    (void)value, (void)context, (void)out;
    return api_error_set(error, 400, "unsupported_parameter", param,
                         "'%s' is not supported by this server.", param);
}

/* ---- which of them ---- */

struct way {
    const char *name;
    bool (*read)(const json_t *value, const char *param, struct context *context,
                 struct grammar **out, struct api_error *error);
};

/* At most one of the fields of `object` may say what the answer looks like. `prefix` is before
 * their names in errors. */
static bool read_ways(const json_t *object, const char *prefix, const struct way *ways, size_t n,
                      struct context *context, struct grammar **out, struct api_error *error)
{
    const char *first = NULL;
    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        struct grammar *grammar = NULL;
        char param[PARAM_SIZE];
        const json_t *value = json_fields_get(object, ways[i].name);
        bool says_nothing = value == NULL || (json_is_string(value) && !*json_string_value(value));
        if (says_nothing)
            continue;
        snprintf(param, sizeof param, "%s%s", prefix, ways[i].name);
        if (!ways[i].read(value, param, context, &grammar, error)) {
            grammar_free(out);
            return false;
        }
        if (grammar == NULL)
            continue;
        if (first != NULL) {
            grammar_free(out);
            grammar_free(&grammar);
            return api_error_set(error, 400, "mutually_exclusive_parameters", param,
                                 "'%s%s' and '%s' cannot both say what the answer looks like.",
                                 prefix, first, param);
        }
        first = ways[i].name;
        *out = grammar;
    }
    return true;
}

/* What vLLM has instead of the guided_* fields. */
static bool read_structured(const json_t *value, const char *param, struct context *context,
                            struct grammar **out, struct api_error *error)
{
    static const struct way ways[] = {
        {"json", read_json},       {"regex", read_regex},        {"choice", read_choice},
        {"grammar", read_grammar}, {"json_object", read_object}, {"structural_tag", refuse_tags},
    };
    if (!json_is_object(value))
        return json_fields_wrong_type(value, param, "an object", error);
    return read_ways(value, "structured_outputs.", ways, sizeof ways / sizeof ways[0], context, out,
                     error);
}

bool output_format_read(const json_t *body, const struct answer_frame *frame,
                        struct grammar_cache *cache, struct grammar **out, bool *out_has_frame,
                        struct api_error *error)
{
    static const struct way ways[] = {
        {"response_format", read_format}, {"grammar", read_grammar},
        {"guided_grammar", read_grammar}, {"guided_regex", read_regex},
        {"guided_choice", read_choice},   {"guided_json", read_json},
        {"json_schema", read_json},       {"structured_outputs", read_structured},
    };
    struct context context = {.frame = frame, .cache = cache};
    bool is_good = read_ways(body, "", ways, sizeof ways / sizeof ways[0], &context, out, error);
    *out_has_frame = context.has_frame;
    return is_good;
}
