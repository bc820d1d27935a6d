#include "server/tool_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api_error.h"
#include "server/json_fields.h"

enum { PARAM_SIZE = 96 };

static bool is_name(const json_t *value)
{
    const char *name = json_string_value(value);
    size_t len = name == NULL ? 0 : json_string_length(value);
    if (len == 0 || len > TOOL_REQUEST_MAX_NAME)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return true;
}

static bool check_type(const json_t *tool, size_t i, struct api_error *error)
{
    char param[PARAM_SIZE];
    snprintf(param, sizeof param, "tools[%zu].type", i);
    const json_t *type = json_fields_get(tool, "type");
    if (type == NULL)
        return json_fields_missing(param, error);
    if (!json_is_string(type))
        return json_fields_wrong_type(type, param, "a string", error);
    return strcmp(json_string_value(type), "function") == 0 ||
           api_error_set(error, 400, "unsupported_value", param,
                         "Tools of type '%.40s' are not supported by this server: only 'function' "
                         "is.",
                         json_string_value(type));
}

static bool check_tool(const json_t *tool, size_t i, struct api_error *error)
{
    char param[PARAM_SIZE];
    snprintf(param, sizeof param, "tools[%zu]", i);
    if (!json_is_object(tool))
        return json_fields_wrong_type(tool, param, "an object", error);
    if (!check_type(tool, i, error))
        return false;
    snprintf(param, sizeof param, "tools[%zu].function", i);
    const json_t *function = json_fields_get(tool, "function");
    if (function == NULL)
        return json_fields_missing(param, error);
    if (!json_is_object(function))
        return json_fields_wrong_type(function, param, "an object", error);
    snprintf(param, sizeof param, "tools[%zu].function.name", i);
    const json_t *name = json_fields_get(function, "name");
    if (name == NULL)
        return json_fields_missing(param, error);
    if (!is_name(name))
        return api_error_set(error, 400, "invalid_value", param,
                             "A function's name must be 1 to %d letters, digits, '_', '-' or '.'.",
                             (int)TOOL_REQUEST_MAX_NAME);
    snprintf(param, sizeof param, "tools[%zu].function.parameters", i);
    const json_t *parameters = json_fields_get(function, "parameters");
    return parameters == NULL || json_is_object(parameters) ||
           json_fields_wrong_type(parameters, param, "an object", error);
}

static const char *tool_name(const json_t *tool)
{
    return json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
}

static bool check_tools(const json_t *tools, struct api_error *error)
{
    if (!json_is_array(tools))
        return json_fields_wrong_type(tools, "tools", "an array of objects", error);
    if (json_array_size(tools) > TOOL_REQUEST_MAX_TOOLS)
        return api_error_set(error, 400, "array_above_max_length", "tools",
                             "There may be at most %d tools.", (int)TOOL_REQUEST_MAX_TOOLS);
    for (size_t i = 0; i < json_array_size(tools); i++) {
        if (!check_tool(json_array_get(tools, i), i, error))
            return false;
    }
    return true;
}

/* ---- tool_choice ---- */

static bool bad_choice(struct api_error *error)
{
    return api_error_set(error, 400, "invalid_value", "tool_choice",
                         "'tool_choice' must be 'none', 'auto', 'required', a function, or "
                         "allowed_tools.");
}

/* Adds the tool that `choice` names to *kept. */
static bool keep_named(const json_t *tools, const json_t *choice, json_t *kept,
                       struct api_error *error)
{
    const json_t *function = json_object_get(choice, "function");
    const json_t *name = json_object_get(function != NULL ? function : choice, "name");
    if (!json_is_string(name))
        return bad_choice(error);
    for (size_t i = 0; i < json_array_size(tools); i++) {
        json_t *tool = json_array_get(tools, i);
        if (strcmp(tool_name(tool), json_string_value(name)) == 0)
            return json_array_append(kept, tool) == 0 || api_error_no_memory(error);
    }
    return api_error_set(error, 400, "invalid_value", "tool_choice",
                         "'tool_choice' names the function '%.64s', which is not in 'tools'.",
                         json_string_value(name));
}

static bool keep_by_word(const json_t *tools, const char *word, json_t *kept,
                         struct tool_request *out, struct api_error *error)
{
    if (word != NULL && strcmp(word, "none") == 0)
        return true;
    if (word != NULL && strcmp(word, "required") == 0)
        out->choice = TOOL_CHOICE_REQUIRED;
    else if (word == NULL || strcmp(word, "auto") != 0)
        return bad_choice(error);
    if (out->choice == TOOL_CHOICE_REQUIRED && json_array_size(tools) == 0)
        return api_error_set(error, 400, "invalid_value", "tool_choice",
                             "'tool_choice' is 'required', but there are no tools.");
    return json_array_extend(kept, (json_t *)tools) == 0 || api_error_no_memory(error);
}

static bool keep_allowed(const json_t *tools, const json_t *choice, json_t *kept,
                         struct tool_request *out, struct api_error *error)
{
    const json_t *allowed = json_object_get(choice, "allowed_tools");
    if (allowed == NULL)
        allowed = choice;
    const json_t *list = json_object_get(allowed, "tools");
    const char *mode = json_string_value(json_object_get(allowed, "mode"));
    bool is_required = mode != NULL && strcmp(mode, "required") == 0;
    if (!json_is_array(list) || json_array_size(list) == 0 || mode == NULL ||
        (!is_required && strcmp(mode, "auto") != 0))
        return bad_choice(error);
    out->choice = is_required ? TOOL_CHOICE_REQUIRED : TOOL_CHOICE_AUTO;
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!keep_named(tools, json_array_get(list, i), kept, error))
            return false;
    }
    return true;
}

/* The tools that may be used. */
static bool choose(const json_t *tools, const json_t *choice, json_t *kept,
                   struct tool_request *out, struct api_error *error)
{
    if (choice == NULL)
        return keep_by_word(tools, "auto", kept, out, error);
    if (json_is_string(choice))
        return keep_by_word(tools, json_string_value(choice), kept, out, error);
    const char *type = json_string_value(json_object_get(choice, "type"));
    if (type == NULL)
        return bad_choice(error);
    if (strcmp(type, "allowed_tools") == 0)
        return keep_allowed(tools, choice, kept, out, error);
    if (strcmp(type, "function") != 0)
        return bad_choice(error);
    out->choice = TOOL_CHOICE_NAMED;
    return keep_named(tools, choice, kept, error);
}

/* All tools are told to the model, so that a change of tool_choice changes nothing that it has
 * read. */
static bool take(const json_t *tools, const json_t *kept, struct tool_request *out)
{
    size_t n = json_array_size(kept);
    if (n == 0)
        return true;
    out->json = json_dumps(tools, JSON_COMPACT | JSON_PRESERVE_ORDER);
    out->names = calloc(n, sizeof *out->names);
    if (out->json == NULL || out->names == NULL)
        return false;
    out->json_len = strlen(out->json);
    out->n = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *tool = json_array_get(kept, i);
        snprintf(out->names[i], sizeof out->names[i], "%s", tool_name(tool));
        if (json_is_true(json_object_get(json_object_get(tool, "function"), "strict")))
            out->has_strict = true;
    }
    return true;
}

bool tool_request_read(const json_t *body, struct tool_request *out, struct api_error *error)
{
    *out = (struct tool_request){0};
    json_t *none = json_array();
    json_t *kept = json_array();
    const json_t *tools = json_fields_get(body, "tools");
    const json_t *choice = json_fields_get(body, "tool_choice");
    bool is_parallel = true;
    bool is_good = none != NULL && kept != NULL;
    if (!is_good)
        api_error_no_memory(error);
    if (is_good && tools == NULL)
        tools = none;
    is_good = is_good && check_tools(tools, error) &&
              json_fields_bool(body, "parallel_tool_calls", &is_parallel, error) &&
              choose(tools, choice, kept, out, error);
    out->is_single = !is_parallel;
    if (is_good && !take(tools, kept, out))
        is_good = api_error_no_memory(error);
    json_decref(kept);
    json_decref(none);
    if (!is_good)
        tool_request_done(out);
    return is_good;
}

void tool_request_done(struct tool_request *request)
{
    free(request->json);
    free(request->names);
    *request = (struct tool_request){0};
}

bool tool_request_copy(const struct tool_request *request, struct tool_request *out)
{
    *out = *request;
    if (request->n == 0)
        return true;
    size_t n_bytes = request->n * sizeof *out->names;
    out->json = strdup(request->json);
    out->names = malloc(n_bytes);
    if (out->json == NULL || out->names == NULL) {
        tool_request_done(out);
        return false;
    }
    memcpy(out->names, request->names, n_bytes);
    return true;
}

bool tool_request_has(const struct tool_request *request, const char *name, size_t len)
{
    for (size_t i = 0; i < request->n; i++) {
        if (strlen(request->names[i]) == len && memcmp(request->names[i], name, len) == 0)
            return true;
    }
    return false;
}
