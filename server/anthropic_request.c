#include "server/anthropic_request.h"

#include <string.h>

#include "server/anthropic_messages.h"
#include "server/api_error.h"
#include "server/json_fields.h"

static bool set(json_t *object, const char *name, json_t *value, struct api_error *error)
{
    return json_object_set_new(object, name, value) == 0 || api_error_no_memory(error);
}

/* Those that are called the same and mean the same; after Anthropic's own some of this server's. */
static bool copy_fields(const json_t *body, json_t *chat, struct api_error *error)
{
    static const char *const names[] = {"model",    "max_tokens", "temperature", "top_p",
                                        "top_k",    "stream",     "seed",        "min_p",
                                        "metadata", "session_id", "ignore_eos"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *value = json_object_get(body, names[i]);
        if (value != NULL && !set(chat, names[i], json_incref(value), error))
            return false;
    }
    return true;
}

static bool copy_stops(const json_t *body, json_t *chat, struct api_error *error)
{
    json_t *stops = (json_t *)json_fields_get(body, "stop_sequences");
    if (stops == NULL)
        return true;
    if (!json_is_array(stops))
        return json_fields_wrong_type(stops, "stop_sequences", "an array of strings", error);
    return set(chat, "stop", json_incref(stops), error);
}

/* One user's requests are likely to go on with one another. */
static bool convert_user(const json_t *body, json_t *chat, struct api_error *error)
{
    json_t *user = json_object_get(json_object_get(body, "metadata"), "user_id");
    return !json_is_string(user) || set(chat, "user", json_incref(user), error);
}

/* ---- thoughts and the answer's form ---- */

/* Who does not ask for thoughts gets none, as there: clients take the first block for the text. How
 * many there may be is the model's choice. */
static bool convert_thinking(const json_t *body, json_t *chat, struct api_error *error)
{
    const json_t *thinking = json_fields_get(body, "thinking");
    const json_t *given = json_fields_get(body, "chat_template_kwargs");
    bool is_wanted = false;
    if (thinking != NULL && !json_is_object(thinking))
        return json_fields_wrong_type(thinking, "thinking", "an object", error);
    if (thinking != NULL) {
        const char *type = json_string_value(json_object_get(thinking, "type"));
        is_wanted = type != NULL && (strcmp(type, "enabled") == 0 || strcmp(type, "adaptive") == 0);
        if (!is_wanted && (type == NULL || strcmp(type, "disabled") != 0))
            return api_error_set(error, 400, "invalid_value", "thinking.type",
                                 "thinking.type: must be 'enabled', 'adaptive' or 'disabled'.");
    }
    if (given != NULL && !json_is_object(given))
        return json_fields_wrong_type(given, "chat_template_kwargs", "an object", error);
    json_t *all = json_pack("{s:b}", "enable_thinking", is_wanted);
    if (all == NULL || (given != NULL && json_object_update(all, (json_t *)given) != 0)) {
        json_decref(all);
        return api_error_no_memory(error);
    }
    return set(chat, "chat_template_kwargs", all, error);
}

static bool convert_effort(const json_t *config, json_t *chat, struct api_error *error)
{
    const char *effort = NULL;
    if (!json_fields_string(config, "effort", &effort, error))
        return false;
    if (effort == NULL)
        return true;
    bool is_above = strcmp(effort, "max") == 0 || strcmp(effort, "xhigh") == 0;
    return set(chat, "reasoning_effort", json_string(is_above ? "high" : effort), error);
}

static bool convert_format(const json_t *format, json_t *chat, struct api_error *error)
{
    if (format == NULL)
        return true;
    const char *type = json_string_value(json_object_get(format, "type"));
    json_t *schema = json_object_get(format, "schema");
    if (type == NULL || strcmp(type, "json_schema") != 0 || !json_is_object(schema))
        return api_error_set(error, 400, "invalid_value", "output_config.format",
                             "output_config.format: must be of type 'json_schema', with a 'schema' "
                             "that is an object.");
    return set(chat, "response_format",
               json_pack("{s:s, s:{s:s, s:b, s:O}}", "type", "json_schema", "json_schema", "name",
                         "answer", "strict", true, "schema", schema),
               error);
}

static bool convert_output(const json_t *body, json_t *chat, struct api_error *error)
{
    const json_t *config = json_fields_get(body, "output_config");
    const json_t *format = json_fields_get(body, "output_format"); /* where it was first */
    if (config != NULL && !json_is_object(config))
        return json_fields_wrong_type(config, "output_config", "an object", error);
    if (config != NULL && json_fields_get(config, "format") != NULL)
        format = json_fields_get(config, "format");
    return convert_effort(config, chat, error) && convert_format(format, chat, error);
}

/* ---- tools ---- */

static bool is_of_ours(const json_t *tool)
{
    const char *type = json_string_value(json_object_get(tool, "type"));
    return type == NULL || strcmp(type, "custom") == 0;
}

static bool convert_tool(const json_t *tool, json_t *out, struct api_error *error)
{
    json_t *schema = json_object_get(tool, "input_schema");
    json_t *name = json_object_get(tool, "name");
    if (!json_is_object(schema) || !json_is_string(name))
        return api_error_set(
            error, 400, "invalid_value", "tools",
            "tools: each needs a 'name', and an 'input_schema' that is an object.");
    json_t *made = json_pack("{s:s, s:{s:O, s:O*, s:O, s:O*}}", "type", "function", "function",
                             "name", name, "description", json_object_get(tool, "description"),
                             "parameters", schema, "strict", json_object_get(tool, "strict"));
    return json_array_append_new(out, made) == 0 || api_error_no_memory(error);
}

/* Those that Anthropic runs or has trained its models on (web_search) are left out beside others,
 * since agents do without them. */
static bool convert_tools(const json_t *body, json_t *chat, struct api_error *error)
{
    const json_t *tools = json_fields_get(body, "tools");
    if (tools == NULL)
        return true;
    if (!json_is_array(tools))
        return json_fields_wrong_type(tools, "tools", "an array of objects", error);
    json_t *list = json_array();
    if (!set(chat, "tools", list, error))
        return false;
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        if (!json_is_object(tool))
            return json_fields_wrong_type(tool, "tools", "an array of objects", error);
        if (is_of_ours(tool) && !convert_tool(tool, list, error))
            return false;
    }
    return json_array_size(list) > 0 || json_array_size(tools) == 0 ||
           api_error_set(error, 400, "unsupported_value", "tools",
                         "tools: those of type '%.64s' are not supported by this server, only "
                         "'custom' ones are.",
                         json_string_value(json_object_get(json_array_get(tools, 0), "type")));
}

static json_t *choice_of(const char *type, const json_t *choice)
{
    if (strcmp(type, "auto") == 0 || strcmp(type, "none") == 0)
        return json_string(type);
    if (strcmp(type, "any") == 0)
        return json_string("required");
    json_t *name = json_object_get(choice, "name");
    if (strcmp(type, "tool") == 0 && json_is_string(name))
        return json_pack("{s:s, s:{s:O}}", "type", "function", "function", "name", name);
    return NULL;
}

static bool convert_choice(const json_t *body, json_t *chat, struct api_error *error)
{
    const json_t *choice = json_fields_get(body, "tool_choice");
    bool is_single = false;
    if (choice == NULL)
        return true;
    const char *type = json_string_value(json_object_get(choice, "type"));
    json_t *converted = type == NULL ? NULL : choice_of(type, choice);
    if (converted == NULL)
        return api_error_set(error, 400, "invalid_value", "tool_choice",
                             "tool_choice: must be of type 'auto', 'any', 'none', or 'tool' with a "
                             "'name'.");
    return set(chat, "tool_choice", converted, error) &&
           json_fields_bool(choice, "disable_parallel_tool_use", &is_single, error) &&
           set(chat, "parallel_tool_calls", json_boolean(!is_single), error);
}

static bool refuse_servers(const json_t *body, struct api_error *error)
{
    return json_array_size(json_object_get(body, "mcp_servers")) == 0 ||
           api_error_set(error, 400, "unsupported_parameter", "mcp_servers",
                         "mcp_servers: is not supported by this server, which calls nobody.");
}

bool anthropic_request_convert(const json_t *body, json_t **out, struct api_error *error)
{
    json_t *chat = json_object(), *messages = json_array();
    bool is_good =
        (chat != NULL && messages != NULL && json_object_set(chat, "messages", messages) == 0) ||
        api_error_no_memory(error);
    is_good = is_good && refuse_servers(body, error) && copy_fields(body, chat, error) &&
              copy_stops(body, chat, error) && convert_user(body, chat, error) &&
              convert_thinking(body, chat, error) && convert_output(body, chat, error) &&
              convert_tools(body, chat, error) && convert_choice(body, chat, error) &&
              anthropic_messages_convert(body, messages, error);
    json_decref(messages);
    if (is_good)
        *out = chat;
    else
        json_decref(chat);
    return is_good;
}
