#include "server/message_extra.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/answer_parser.h"
#include "server/api_error.h"
#include "server/json_fields.h"
#include "server/json_load.h"

enum { PARAM_SIZE = 96 };

/* A JSON object's text becomes the object, nothing an empty one; what is none stays a string. */
static json_t *make_arguments(const char *text, size_t len)
{
    if (strspn(text, " \t\r\n") == len)
        return json_object();
    json_t *object = json_load_text(text, len, JSON_ALLOW_NUL, NULL);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return json_stringn(text, len);
}

/* In OpenAI's order, since templates write a call as it is. Takes `arguments` over. */
static json_t *make_call(const char *id, const char *name, size_t name_len, json_t *arguments)
{
    return json_pack("{s:s, s:s, s:{s:s%, s:o}}", "id", id, "type", "function", "function", "name",
                     name, name_len, "arguments", arguments);
}

json_t *message_extra_call(const char *id, const char *name, size_t name_len, const char *arguments,
                           size_t arguments_len)
{
    return make_call(id, name, name_len, make_arguments(arguments, arguments_len));
}

static char *dump(const json_t *extra)
{
    return json_dumps(extra, JSON_COMPACT | JSON_PRESERVE_ORDER);
}

char *message_extra_with_arguments(const char *extra, size_t len, const char *arguments)
{
    json_t *root = json_load_text(extra, len, JSON_ALLOW_NUL, NULL);
    json_t *calls = json_object_get(root, "tool_calls");
    bool is_good = json_array_size(calls) > 0;
    for (size_t i = 0; i < json_array_size(calls) && is_good; i++) {
        json_t *function = json_object_get(json_array_get(calls, i), "function");
        is_good = json_object_set_new(function, "arguments", json_string(arguments)) == 0;
    }
    char *text = is_good ? dump(root) : NULL;
    json_decref(root);
    return text;
}

/* ---- of a request ---- */

/* Where a call is in the request, for the errors about it. */
struct place {
    size_t message, call;
    bool is_old_form; /* the only one, as "function_call" */
};

/* messages[i].tool_calls[k].field */
static const char *path(char param[PARAM_SIZE], struct place place, const char *field)
{
    static const char function[] = ".function";
    size_t n = strncmp(field, function, sizeof function - 1) == 0 ? sizeof function - 1 : 0;
    if (place.is_old_form)
        snprintf(param, PARAM_SIZE, "messages[%zu].function_call%.30s", place.message, field + n);
    else
        snprintf(param, PARAM_SIZE, "messages[%zu].tool_calls[%zu]%.30s", place.message, place.call,
                 field);
    return param;
}

static json_t *read_arguments(const json_t *function, struct place place, struct api_error *error)
{
    char param[PARAM_SIZE];
    json_t *arguments = json_object_get(function, "arguments");
    if (arguments == NULL || json_is_null(arguments))
        return json_object();
    if (json_is_object(arguments))
        return json_incref(arguments);
    if (json_is_string(arguments))
        return make_arguments(json_string_value(arguments), json_string_length(arguments));
    json_fields_wrong_type(arguments, path(param, place, ".function.arguments"), "a string", error);
    return NULL;
}

static bool read_call(const json_t *call, struct place place, json_t *calls,
                      struct api_error *error)
{
    char param[PARAM_SIZE];
    if (!json_is_object(call))
        return json_fields_wrong_type(call, path(param, place, ""), "an object", error);
    const json_t *id = json_fields_get(call, "id");
    if (id != NULL && (!json_is_string(id) || !json_fields_is_plain(id)))
        return json_fields_wrong_type(id, path(param, place, ".id"), "a string", error);
    const json_t *function = json_fields_get(call, "function");
    if (function == NULL)
        return json_fields_missing(path(param, place, ".function"), error);
    if (!json_is_object(function))
        return json_fields_wrong_type(function, path(param, place, ".function"), "an object",
                                      error);
    const json_t *name = json_fields_get(function, "name");
    if (name == NULL)
        return json_fields_missing(path(param, place, ".function.name"), error);
    if (!json_is_string(name))
        return json_fields_wrong_type(name, path(param, place, ".function.name"), "a string",
                                      error);
    json_t *arguments = read_arguments(function, place, error);
    if (arguments == NULL)
        return false;
    json_t *made = make_call(id == NULL ? "" : json_string_value(id), json_string_value(name),
                             json_string_length(name), arguments);
    return json_array_append_new(calls, made) == 0 || api_error_no_memory(error);
}

/* OpenAI's form of before there were tools; its result is a message of role "function". */
static bool read_old_call(const json_t *message, size_t i, json_t *extra, struct api_error *error)
{
    json_t *function = (json_t *)json_fields_get(message, "function_call");
    if (function == NULL)
        return true;
    json_t *call = json_pack("{s:O}", "function", function);
    json_t *calls = json_array();
    bool is_good = (call != NULL && json_object_set(extra, "tool_calls", calls) == 0) ||
                   api_error_no_memory(error);
    is_good = is_good && read_call(call, (struct place){i, 0, true}, calls, error);
    json_decref(call);
    json_decref(calls);
    return is_good;
}

static bool read_calls(const json_t *message, size_t i, json_t *extra, struct api_error *error)
{
    char param[PARAM_SIZE];
    const json_t *list = json_fields_get(message, "tool_calls");
    if (list == NULL || (json_is_array(list) && json_array_size(list) == 0))
        return read_old_call(message, i, extra, error);
    snprintf(param, sizeof param, "messages[%zu].tool_calls", i);
    if (!json_is_array(list))
        return json_fields_wrong_type(list, param, "an array of objects", error);
    json_t *calls = json_array();
    if (json_object_set_new(extra, "tool_calls", calls) != 0)
        return api_error_no_memory(error);
    for (size_t k = 0; k < json_array_size(list); k++) {
        if (!read_call(json_array_get(list, k), (struct place){i, k, false}, calls, error))
            return false;
    }
    return true;
}

static bool read_string(const json_t *message, size_t i, const char *field, json_t *extra,
                        struct api_error *error)
{
    char param[PARAM_SIZE];
    json_t *value = json_object_get(message, field);
    if (value == NULL || json_is_null(value))
        return true;
    snprintf(param, sizeof param, "messages[%zu].%s", i, field);
    if (!json_is_string(value))
        return json_fields_wrong_type(value, param, "a string", error);
    return json_object_set(extra, field, value) == 0 || api_error_no_memory(error);
}

static bool check_call_id(const json_t *message, size_t i, struct api_error *error)
{
    char param[PARAM_SIZE];
    snprintf(param, sizeof param, "messages[%zu].tool_call_id", i);
    const json_t *role = json_object_get(message, "role");
    bool is_old_form = json_is_string(role) && json_string_value(role)[0] == 'f'; /* function */
    return is_old_form || json_fields_get(message, "tool_call_id") != NULL ||
           json_fields_missing(param, error);
}

bool message_extra_read(const json_t *message, size_t i, bool is_assistant, bool is_tool,
                        char **out, struct api_error *error)
{
    *out = NULL;
    json_t *extra = json_object();
    if (extra == NULL)
        return api_error_no_memory(error);
    bool is_good = read_string(message, i, "name", extra, error);
    if (is_good && is_tool)
        is_good = check_call_id(message, i, error) &&
                  read_string(message, i, "tool_call_id", extra, error);
    if (is_good && is_assistant)
        is_good = read_calls(message, i, extra, error);
    if (is_good && json_object_size(extra) > 0) {
        *out = dump(extra);
        is_good = *out != NULL || api_error_no_memory(error);
    }
    json_decref(extra);
    return is_good;
}

/* ---- of an answer ---- */

char *message_extra_of_answer(const struct answer *answer, bool *out_failed)
{
    *out_failed = false;
    if (answer->n_calls == 0)
        return NULL;
    json_t *calls = json_array();
    for (size_t i = 0; i < answer->n_calls; i++) {
        const struct answer_call *call = &answer->calls[i];
        json_array_append_new(calls,
                              message_extra_call(call->id, buf_text(&call->name), call->name.len,
                                                 buf_text(&call->arguments), call->arguments.len));
    }
    bool is_whole = json_array_size(calls) == answer->n_calls;
    json_t *extra = json_pack("{s:o}", "tool_calls", calls);
    char *text = is_whole && extra != NULL ? dump(extra) : NULL;
    json_decref(extra);
    *out_failed = text == NULL;
    return text;
}
