#include "server/response_request.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api_error.h"
#include "server/item.h"
#include "server/json_fields.h"
#include "server/metadata.h"

enum { PARAM_SIZE = 96, DECIMALS = 6 };

/* ---- what goes in ---- */

static bool read_input(const json_t *body, struct response_request *out, struct api_error *error)
{
    const json_t *input = json_fields_get(body, "input");
    bool follows = out->previous[0] != '\0' || out->conversation[0] != '\0';
    if (input == NULL && !follows)
        return api_error_set(error, 400, "missing_required_parameter", "input",
                             "Missing required parameter: 'input'.");
    if (input == NULL)
        return true;
    if (json_is_string(input))
        return item_add_text(json_string_value(input), json_string_length(input), &out->input,
                             error);
    if (!json_is_array(input))
        return json_fields_wrong_type(input, "input", "a string or an array of items", error);
    if (json_array_size(input) == 0 && !follows)
        return api_error_set(error, 400, "empty_array", "input",
                             "Invalid 'input': empty array. Expected at least one item.");
    return item_read_array(input, "input", &out->input, error);
}

static bool read_id(const json_t *value, const char *param, char out[ITEM_ID_SIZE],
                    struct api_error *error)
{
    if (value == NULL)
        return true;
    if (!json_is_string(value))
        return json_fields_wrong_type(value, param, "a string", error);
    const char *id = json_string_value(value);
    size_t len = json_string_length(value);
    if (len == 0 || len >= ITEM_ID_SIZE || strlen(id) != len)
        return api_error_set(error, 400, "invalid_value", param, "'%s' is not an id.", param);
    memcpy(out, id, len + 1);
    return true;
}

static bool read_place(const json_t *body, struct response_request *out, struct api_error *error)
{
    const json_t *conversation = json_fields_get(body, "conversation");
    if (json_is_object(conversation))
        conversation = json_fields_get(conversation, "id");
    if (!read_id(json_fields_get(body, "previous_response_id"), "previous_response_id",
                 out->previous, error) ||
        !read_id(conversation, "conversation", out->conversation, error))
        return false;
    if (out->previous[0] != '\0' && out->conversation[0] != '\0')
        return api_error_set(error, 400, "mutually_exclusive_parameters", "previous_response_id",
                             "'previous_response_id' and 'conversation' exclude each other.");
    return true;
}

static bool read_instructions(const json_t *body, struct response_request *out,
                              struct api_error *error)
{
    const json_t *value = json_fields_get(body, "instructions");
    if (value == NULL)
        return true;
    if (!json_is_string(value))
        return json_fields_wrong_type(value, "instructions", "a string", error);
    buf_append(&out->instructions, json_string_value(value), json_string_length(value));
    return true;
}

static bool read_ways(const json_t *body, struct response_request *out, struct api_error *error)
{
    const char *truncation = "auto";
    out->is_kept = true;
    if (!json_fields_bool(body, "store", &out->is_kept, error) ||
        !json_fields_bool(body, "background", &out->is_background, error) ||
        !json_fields_string(body, "truncation", &truncation, error))
        return false;
    if (strcmp(truncation, "auto") != 0 && strcmp(truncation, "disabled") != 0)
        return api_error_set(error, 400, "invalid_value", "truncation",
                             "'truncation' must be 'auto' or 'disabled'.");
    out->is_strict = strcmp(truncation, "disabled") == 0;
    if (out->is_background && !out->is_kept)
        return api_error_set(error, 400, "invalid_value", "background",
                             "A response in the background must be stored: set 'store' to true.");
    if (json_fields_get(body, "prompt") != NULL)
        return api_error_set(error, 400, "unsupported_parameter", "prompt",
                             "'prompt' is not supported: this server stores no prompts.");
    return true;
}

/* ---- how to generate, in the words of a chat completion ---- */

/* Fields that mean nothing there, or something else. */
static const char *const own_fields[] = {
    "input",
    "instructions",
    "previous_response_id",
    "conversation",
    "store",
    "background",
    "truncation",
    "include",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "metadata",
    "max_output_tokens",
    "max_tokens",
    "prompt",
    "top_logprobs",
    "stream_options",
    "max_tool_calls",
    "parallel_tool_calls",
    "context_management",
};

/* {"type":"function","name":...} becomes {"type":"function","function":{"name":...}}. */
static bool add_tool(const json_t *tool, size_t i, json_t *list, struct api_error *error)
{
    const json_t *type = json_object_get(tool, "type");
    char param[PARAM_SIZE];
    snprintf(param, sizeof param, "tools[%zu].type", i);
    if (type == NULL)
        return json_fields_missing(param, error);
    if (!json_is_string(type))
        return json_fields_wrong_type(type, param, "a string", error);
    if (strcmp(json_string_value(type), "function") != 0)
        return true;
    json_t *function = json_copy((json_t *)tool);
    json_object_del(function, "type");
    json_t *nested = json_pack("{s:s, s:o}", "type", "function", "function", function);
    return json_array_append_new(list, nested) == 0 || api_error_no_memory(error);
}

/* Agents offer tools of other kinds (web_search, namespace) beside their functions, and do without:
 * only a request that has nothing but such is refused. */
static bool add_tools(const json_t *body, json_t *chat, struct api_error *error)
{
    const json_t *tools = json_fields_get(body, "tools");
    if (tools == NULL)
        return true;
    if (!json_is_array(tools))
        return json_fields_wrong_type(tools, "tools", "an array", error);
    json_t *list = json_array();
    if (json_object_set_new(chat, "tools", list) != 0)
        return api_error_no_memory(error);
    for (size_t i = 0; i < json_array_size(tools); i++) {
        if (!add_tool(json_array_get(tools, i), i, list, error))
            return false;
    }
    if (json_array_size(list) > 0 || json_array_size(tools) == 0)
        return true;
    const json_t *type = json_object_get(json_array_get(tools, 0), "type");
    return api_error_set(error, 400, "unsupported_value", "tools[0].type",
                         "Tools of type '%.64s' are not supported: only functions are.",
                         json_string_value(type));
}

static bool add_tool_choice(const json_t *body, json_t *chat, struct api_error *error)
{
    json_t *choice = (json_t *)json_fields_get(body, "tool_choice");
    if (choice == NULL)
        return true;
    const json_t *name = json_object_get(choice, "name");
    json_t *nested = json_is_string(name)
                         ? json_pack("{s:s, s:{s:O}}", "type", "function", "function", "name", name)
                         : json_incref(choice);
    return json_object_set_new(chat, "tool_choice", nested) == 0 || api_error_no_memory(error);
}

/* {"type":"json_schema","name":...} becomes {"type":"json_schema","json_schema":{"name":...}}. */
static bool add_format(const json_t *body, json_t *chat, struct api_error *error)
{
    const json_t *text = json_fields_get(body, "text");
    if (text != NULL && !json_is_object(text))
        return json_fields_wrong_type(text, "text", "an object", error);
    json_t *format = (json_t *)json_fields_get(text, "format");
    if (format == NULL)
        return true;
    if (!json_is_object(format))
        return json_fields_wrong_type(format, "text.format", "an object", error);
    const char *type = json_string_value(json_object_get(format, "type"));
    json_t *nested = NULL;
    if (type != NULL && strcmp(type, "json_schema") == 0) {
        json_t *schema = json_copy(format);
        json_object_del(schema, "type");
        nested = json_pack("{s:s, s:o}", "type", type, "json_schema", schema);
    } else {
        nested = json_incref(format);
    }
    return json_object_set_new(chat, "response_format", nested) == 0 || api_error_no_memory(error);
}

static bool add_numbers(const json_t *body, json_t *chat, struct api_error *error)
{
    long long max = 0;
    if (!json_fields_integer(body, "max_output_tokens", 1, INT_MAX, &max, error))
        return false;
    if (max > 0 && json_object_set_new(chat, "max_completion_tokens", json_integer(max)) != 0)
        return api_error_no_memory(error);
    json_t *effort = json_object_get(json_fields_get(body, "reasoning"), "effort");
    return effort == NULL || json_object_set(chat, "reasoning_effort", effort) == 0 ||
           api_error_no_memory(error);
}

/* Back to the names that the client knows. */
static void rename_param(struct api_error *error)
{
    static const struct {
        const char *chat, *response;
    } names[] = {
        {"response_format.json_schema", "text.format"},
        {"response_format", "text.format"},
        {"reasoning_effort", "reasoning.effort"},
        {"max_completion_tokens", "max_output_tokens"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t len = strlen(names[i].chat);
        if (strncmp(error->param, names[i].chat, len) != 0)
            continue;
        char rest[sizeof error->param];
        snprintf(rest, sizeof rest, "%s", error->param + len);
        snprintf(error->param, sizeof error->param, "%s%.60s", names[i].response, rest);
        return;
    }
}

static bool read_generation(const json_t *body, const struct generation_defaults *defaults,
                            struct response_request *out, struct api_error *error)
{
    json_t *chat = json_copy((json_t *)body);
    if (chat == NULL)
        return api_error_no_memory(error);
    for (size_t i = 0; i < sizeof own_fields / sizeof own_fields[0]; i++)
        json_object_del(chat, own_fields[i]);
    bool is_good = add_tools(body, chat, error) && add_tool_choice(body, chat, error) &&
                   add_format(body, chat, error) && add_numbers(body, chat, error);
    if (is_good && !generation_request_read(chat, defaults, &out->generation, error)) {
        rename_param(error);
        is_good = false;
    }
    json_decref(chat);
    return is_good;
}

/* "include" asks for the likelihoods of tokens, top_logprobs says of how many. */
static bool read_logprobs(const json_t *body, struct response_request *out, struct api_error *error)
{
    const json_t *include = json_fields_get(body, "include");
    long long n_top = 0;
    if (include != NULL && !json_is_array(include))
        return json_fields_wrong_type(include, "include", "an array", error);
    for (size_t i = 0; i < json_array_size(include); i++) {
        const char *name = json_string_value(json_array_get(include, i));
        if (name != NULL && strcmp(name, "message.output_text.logprobs") == 0)
            out->generation.wants_logprobs = true;
    }
    if (!json_fields_integer(body, "top_logprobs", 0, TOKEN_REPORT_MAX_TOP, &n_top, error))
        return false;
    out->generation.wants_logprobs = out->generation.wants_logprobs || n_top > 0;
    out->generation.n_top = (int)n_top;
    return true;
}

/* ---- what the response says of its request ---- */

/* The body's own value, or what holds without one. Takes `otherwise` over. */
static bool echo(json_t *out, const json_t *body, const char *name, json_t *otherwise)
{
    json_t *given = (json_t *)json_fields_get(body, name);
    if (given == NULL)
        return json_object_set_new(out, name, otherwise) == 0;
    json_decref(otherwise);
    return json_object_set(out, name, given) == 0;
}

static json_t *echo_text(const json_t *body)
{
    json_t *text = json_copy((json_t *)json_fields_get(body, "text"));
    if (text == NULL)
        text = json_object();
    if (json_fields_get(text, "format") == NULL)
        json_object_set_new(text, "format", json_pack("{s:s}", "type", "text"));
    return text;
}

static json_t *echo_reasoning(const json_t *body)
{
    json_t *reasoning = json_pack("{s:n, s:n}", "effort", "summary");
    const json_t *given = json_fields_get(body, "reasoning");
    if (json_is_object(given))
        json_object_update_existing(reasoning, (json_t *)given);
    return reasoning;
}

/* Each tool with the members that clients' types require; NULL without memory. */
static json_t *echo_tools(const json_t *body)
{
    json_t *tools = json_array(), *tool;
    size_t i;
    json_array_foreach((json_t *)json_fields_get(body, "tools"), i, tool)
    {
        json_t *whole = json_pack("{s:n, s:n, s:b}", "description", "parameters", "strict", 0);
        bool is_added =
            json_object_update(whole, tool) == 0 && json_array_append(tools, whole) == 0;
        json_decref(whole);
        if (!is_added) {
            json_decref(tools);
            return NULL;
        }
    }
    return tools;
}

static bool make_echo(const json_t *body, const char *model, const struct response_request *request,
                      json_t *out)
{
    const struct sampler_settings *sampling = &request->generation.sampling;
    json_t *reasoning = echo_reasoning(body), *text = echo_text(body);
    bool is_good =
        echo(out, body, "instructions", json_null()) &&
        echo(out, body, "max_output_tokens", json_null()) &&
        echo(out, body, "max_tool_calls", json_null()) &&
        json_object_set_new(out, "model", json_string(model)) == 0 &&
        echo(out, body, "parallel_tool_calls", json_true()) &&
        echo(out, body, "temperature", json_real((double)sampling->temperature)) &&
        echo(out, body, "top_p", json_real((double)sampling->top_p)) &&
        echo(out, body, "presence_penalty", json_real((double)sampling->presence_penalty)) &&
        echo(out, body, "frequency_penalty", json_real((double)sampling->frequency_penalty)) &&
        echo(out, body, "top_logprobs", json_integer(0)) &&
        echo(out, body, "tool_choice", json_string("auto")) &&
        json_object_set_new(out, "tools", echo_tools(body)) == 0 &&
        json_object_set(out, "text", text) == 0 &&
        json_object_set(out, "reasoning", reasoning) == 0 &&
        echo(out, body, "metadata", json_object()) && echo(out, body, "user", json_null()) &&
        echo(out, body, "safety_identifier", json_null()) &&
        echo(out, body, "prompt_cache_key", json_null()) &&
        json_object_set_new(out, "truncation",
                            json_string(request->is_strict ? "disabled" : "auto")) == 0 &&
        json_object_set_new(out, "service_tier", json_string("default")) == 0 &&
        json_object_set_new(out, "store", json_boolean(request->is_kept)) == 0 &&
        json_object_set_new(out, "background", json_boolean(request->is_background)) == 0;
    json_decref(reasoning);
    json_decref(text);
    return is_good;
}

static bool write_echo(const json_t *body, const char *model, struct response_request *request,
                       struct api_error *error)
{
    json_t *object = json_object();
    char *text = NULL;
    if (object != NULL && make_echo(body, model, request, object))
        text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(DECIMALS));
    if (text != NULL)
        buf_append_text(&request->echo, text);
    free(text);
    json_decref(object);
    return request->echo.len > 0 || api_error_no_memory(error);
}

/* ---- the whole ---- */

static bool check_metadata(const json_t *body, struct api_error *error)
{
    struct buf metadata;
    buf_init(&metadata);
    bool is_good = metadata_read(body, &metadata, error);
    buf_done(&metadata);
    return is_good;
}

static bool read(const json_t *body, const struct generation_defaults *defaults, const char *model,
                 struct response_request *out, struct api_error *error)
{
    return read_place(body, out, error) && read_ways(body, out, error) &&
           read_instructions(body, out, error) && check_metadata(body, error) &&
           read_input(body, out, error) && read_generation(body, defaults, out, error) &&
           read_logprobs(body, out, error) && write_echo(body, model, out, error) &&
           (!(out->instructions.failed || out->echo.failed) || api_error_no_memory(error));
}

bool response_request_parse(const char *body, size_t len,
                            const struct generation_defaults *defaults, const char *model,
                            struct response_request *out, struct api_error *error)
{
    struct response_request request = {0};
    json_t *root;
    if (!json_fields_parse(body, len, &root, error))
        return false;
    item_list_init(&request.input);
    buf_init(&request.instructions);
    buf_init(&request.echo);
    bool is_good = read(root, defaults, model, &request, error);
    json_decref(root);
    if (is_good)
        *out = request;
    else
        response_request_done(&request);
    return is_good;
}

void response_request_done(struct response_request *request)
{
    item_list_done(&request->input);
    buf_done(&request->instructions);
    buf_done(&request->echo);
    generation_request_done(&request->generation);
}
