#include "server/item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "server/json_fields.h"
#include "server/random_id.h"

enum { PARAM_SIZE = 96, MAX_NAME = 128 };

static const char reference_start[] = "{\"type\":\"item_reference\",";

void item_make_id(const char *prefix, char out[ITEM_ID_SIZE])
{
    char random[RANDOM_ID_SIZE];
    random_id_make(random);
    snprintf(out, ITEM_ID_SIZE, "%.8s_%s", prefix, random);
}

static bool missing(struct api_error *error, const char *param, const char *field)
{
    char path[PARAM_SIZE];
    snprintf(path, sizeof path, "%.70s.%s", param, field);
    return api_error_set(error, 400, "missing_required_parameter", path,
                         "Missing required parameter: '%s'.", path);
}

/* A required string field; `*out` is borrowed. */
static bool need_string(const json_t *object, const char *field, const char *param,
                        const json_t **out, struct api_error *error)
{
    char path[PARAM_SIZE];
    snprintf(path, sizeof path, "%.70s.%s", param, field);
    const json_t *value = json_fields_get(object, field);
    if (value == NULL)
        return missing(error, param, field);
    if (!json_is_string(value))
        return json_fields_wrong_type(value, path, "a string", error);
    *out = value;
    return true;
}

/* ---- content parts ---- */

static json_t *input_text(const json_t *text)
{
    return json_pack("{s:s, s:O}", "type", "input_text", "text", text);
}

static json_t *output_text(const json_t *text)
{
    return json_pack("{s:s, s:O, s:[], s:[]}", "type", "output_text", "text", text, "annotations",
                     "logprobs");
}

static json_t *refusal(const json_t *text)
{
    return json_pack("{s:s, s:O}", "type", "refusal", "refusal", text);
}

static bool read_part(const json_t *part, bool is_assistant, const char *param, json_t *parts,
                      struct api_error *error)
{
    static const char *const text_types[] = {"input_text", "output_text", "text", "summary_text",
                                             "reasoning_text"};
    const json_t *type = NULL, *text = NULL;
    if (!json_is_object(part))
        return json_fields_wrong_type(part, param, "an object", error);
    if (!need_string(part, "type", param, &type, error))
        return false;
    bool is_text = false, is_refusal = strcmp(json_string_value(type), "refusal") == 0;
    for (size_t i = 0; i < sizeof text_types / sizeof text_types[0]; i++)
        is_text = is_text || strcmp(json_string_value(type), text_types[i]) == 0;
    if (!is_text && !is_refusal)
        return api_error_set(error, 400, "unsupported_value", param,
                             "Content of type '%.64s' is not supported by this model: only text "
                             "is.",
                             json_string_value(type));
    if (!need_string(part, is_refusal ? "refusal" : "text", param, &text, error))
        return false;
    json_t *made = is_refusal ? refusal(text) : is_assistant ? output_text(text) : input_text(text);
    return json_array_append_new(parts, made) == 0 || api_error_no_memory(error);
}

/* Adds the parts of a "content" or "output" that is a string or an array of parts. */
static bool read_parts(const json_t *content, bool is_assistant, const char *param, json_t *parts,
                       struct api_error *error)
{
    if (json_is_string(content)) {
        json_t *made = is_assistant ? output_text(content) : input_text(content);
        return json_array_append_new(parts, made) == 0 || api_error_no_memory(error);
    }
    if (!json_is_array(content))
        return json_fields_wrong_type(content, param, "a string or an array of parts", error);
    for (size_t i = 0; i < json_array_size(content); i++) {
        char path[PARAM_SIZE];
        snprintf(path, sizeof path, "%.70s[%zu]", param, i);
        if (!read_part(json_array_get(content, i), is_assistant, path, parts, error))
            return false;
    }
    return true;
}

/* ---- items ---- */

static bool read_message(const json_t *given, const char *param, json_t *out,
                         struct api_error *error)
{
    static const char *const roles[] = {"user", "assistant", "system", "developer"};
    const json_t *role = NULL;
    const char *found = NULL;
    char path[PARAM_SIZE];
    if (!need_string(given, "role", param, &role, error))
        return false;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(json_string_value(role), roles[i]) == 0)
            found = roles[i];
    }
    snprintf(path, sizeof path, "%.70s.role", param);
    if (found == NULL)
        return api_error_set(error, 400, "invalid_value", path,
                             "Invalid value: '%.64s'. Supported values are: 'user', 'assistant', "
                             "'system', and 'developer'.",
                             json_string_value(role));
    const json_t *content = json_fields_get(given, "content");
    if (content == NULL)
        return missing(error, param, "content");
    json_t *parts = json_array();
    snprintf(path, sizeof path, "%.70s.content", param);
    if (json_object_set_new(out, "role", json_string(found)) != 0 ||
        json_object_set_new(out, "content", parts) != 0)
        return api_error_no_memory(error);
    return read_parts(content, strcmp(found, "assistant") == 0, path, parts, error);
}

static bool copy_string(const json_t *given, const char *field, const char *param, json_t *out,
                        struct api_error *error)
{
    const json_t *value = NULL;
    return need_string(given, field, param, &value, error) &&
           (json_object_set(out, field, (json_t *)value) == 0 || api_error_no_memory(error));
}

static bool read_call(const json_t *given, const char *param, json_t *out, struct api_error *error)
{
    return copy_string(given, "call_id", param, out, error) &&
           copy_string(given, "name", param, out, error) &&
           copy_string(given, "arguments", param, out, error);
}

static bool read_call_output(const json_t *given, const char *param, json_t *out,
                             struct api_error *error)
{
    char path[PARAM_SIZE];
    if (!copy_string(given, "call_id", param, out, error))
        return false;
    const json_t *output = json_fields_get(given, "output");
    if (output == NULL)
        return missing(error, param, "output");
    if (json_is_string(output))
        return json_object_set(out, "output", (json_t *)output) == 0 || api_error_no_memory(error);
    json_t *parts = json_array();
    snprintf(path, sizeof path, "%.70s.output", param);
    return (json_object_set_new(out, "output", parts) == 0 || api_error_no_memory(error)) &&
           read_parts(output, false, path, parts, error);
}

/* What a model thought is sent back by clients that keep it; only its text can be used. */
static bool read_reasoning(const json_t *given, const char *param, json_t *out,
                           struct api_error *error)
{
    static const char *const fields[] = {"summary", "content"};
    (void)param;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const json_t *value = json_fields_get(given, fields[i]);
        json_t *kept = json_is_array(value) ? json_deep_copy(value) : json_array();
        if (json_object_set_new(out, fields[i], kept) != 0)
            return api_error_no_memory(error);
    }
    return true;
}

static bool read_reference(const json_t *given, const char *param, json_t *out,
                           struct api_error *error)
{
    const json_t *id = NULL;
    if (!need_string(given, "id", param, &id, error))
        return false;
    size_t len = json_string_length(id);
    if (!json_fields_is_plain(id) || len == 0 || len >= ITEM_ID_SIZE)
        return api_error_set(error, 404, "not_found", param, "There is no such item.");
    return json_object_set(out, "id", (json_t *)id) == 0 || api_error_no_memory(error);
}

struct item_kind {
    const char *type, *prefix;
    bool (*read)(const json_t *given, const char *param, json_t *out, struct api_error *error);
};

static const struct item_kind kinds[] = {
    {"message", "msg", read_message},
    {"function_call", "fc", read_call},
    {"function_call_output", "fco", read_call_output},
    {"reasoning", "rs", read_reasoning},
    {"item_reference", NULL, read_reference},
};

static const struct item_kind *find_kind(const json_t *given, const char *param,
                                         struct api_error *error)
{
    const json_t *type = json_fields_get(given, "type");
    if (type == NULL && (json_fields_get(given, "role") != NULL))
        return &kinds[0];
    if (type == NULL && json_fields_get(given, "id") != NULL)
        return &kinds[sizeof kinds / sizeof kinds[0] - 1];
    if (type != NULL && !json_is_string(type)) {
        json_fields_wrong_type(type, param, "an item whose 'type' is a string", error);
        return NULL;
    }
    for (size_t i = 0; type != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(json_string_value(type), kinds[i].type) == 0)
            return &kinds[i];
    }
    if (type == NULL)
        missing(error, param, "type");
    else
        api_error_set(error, 400, "unsupported_value", param,
                      "Items of type '%.64s' are not supported: use message, function_call, "
                      "function_call_output, reasoning or item_reference.",
                      json_string_value(type));
    return NULL;
}

static bool push(struct item_list *out, const char *id, const json_t *made, struct api_error *error)
{
    char *text = json_dumps(made, JSON_COMPACT);
    bool is_pushed = text != NULL && item_list_push(out, id, text, strlen(text));
    free(text);
    return is_pushed || api_error_no_memory(error);
}

/* "type" comes first, "id" second. */
static json_t *start(const struct item_kind *kind, char id[ITEM_ID_SIZE])
{
    if (kind->prefix == NULL)
        return json_pack("{s:s}", "type", kind->type);
    item_make_id(kind->prefix, id);
    return json_pack("{s:s, s:s, s:s}", "type", kind->type, "id", id, "status", "completed");
}

static bool read_item(const json_t *given, const char *param, struct item_list *out,
                      struct api_error *error)
{
    char id[ITEM_ID_SIZE] = "";
    if (!json_is_object(given))
        return json_fields_wrong_type(given, param, "an object", error);
    const struct item_kind *kind = find_kind(given, param, error);
    if (kind == NULL)
        return false;
    json_t *made = start(kind, id);
    bool is_good =
        (made != NULL || api_error_no_memory(error)) && kind->read(given, param, made, error);
    if (is_good && kind->prefix == NULL)
        snprintf(id, sizeof id, "%s", json_string_value(json_object_get(made, "id")));
    is_good = is_good && push(out, id, made, error);
    json_decref(made);
    return is_good;
}

bool item_read_array(const json_t *array, const char *param, struct item_list *out,
                     struct api_error *error)
{
    if (!json_is_array(array))
        return json_fields_wrong_type(array, param, "an array of items", error);
    for (size_t i = 0; i < json_array_size(array); i++) {
        char path[PARAM_SIZE];
        snprintf(path, sizeof path, "%.70s[%zu]", param, i);
        if (!read_item(json_array_get(array, i), path, out, error))
            return false;
    }
    return true;
}

bool item_add_text(const char *text, size_t len, struct item_list *out, struct api_error *error)
{
    char id[ITEM_ID_SIZE];
    item_make_id("msg", id);
    json_t *made =
        json_pack("{s:s, s:s, s:s, s:s, s:[{s:s, s:s%}]}", "type", "message", "id", id, "status",
                  "completed", "role", "user", "content", "type", "input_text", "text", text, len);
    bool is_good = (made != NULL || api_error_no_memory(error)) && push(out, id, made, error);
    json_decref(made);
    return is_good;
}

bool item_is_reference(const struct item *item)
{
    return strncmp(item->json, reference_start, sizeof reference_start - 1) == 0;
}
