#include "server/chat_request.h"

#include <stdio.h>
#include <string.h>

#include "server/api_error.h"
#include "server/json_fields.h"

enum { PARAM_SIZE = 96 };

bool chat_request_id_is_valid(const char *id)
{
    size_t len = 0;
    while (id[len] > ' ' && id[len] < 0x7f)
        len++;
    return id[len] == '\0' && len > 0 && len <= CHAT_REQUEST_MAX_ID;
}

static bool missing(struct api_error *error, const char *param)
{
    return api_error_set(error, 400, "missing_required_parameter", param,
                         "Missing required parameter: '%s'.", param);
}

static bool out_of_memory(struct api_error *error)
{
    return api_error_set(error, 503, "out_of_memory", NULL, "not enough memory");
}

static bool read_role(const json_t *message, size_t i, enum chat_role *out, struct api_error *error)
{
    static const struct {
        const char *name;
        enum chat_role role;
    } roles[] = {
        {"system", CHAT_SYSTEM},       {"developer", CHAT_SYSTEM}, {"user", CHAT_USER},
        {"assistant", CHAT_ASSISTANT}, {"tool", CHAT_TOOL},        {"function", CHAT_TOOL},
    };
    char param[PARAM_SIZE];
    snprintf(param, sizeof param, "messages[%zu].role", i);
    const json_t *value = json_fields_get(message, "role");
    if (value == NULL)
        return missing(error, param);
    if (!json_is_string(value))
        return json_fields_wrong_type(value, param, "a string", error);
    for (size_t k = 0; k < sizeof roles / sizeof roles[0]; k++) {
        if (json_fields_is_plain(value) && strcmp(json_string_value(value), roles[k].name) == 0) {
            *out = roles[k].role;
            return true;
        }
    }
    return api_error_set(error, 400, "invalid_value", param,
                         "Invalid value: '%.64s'. Supported values are: 'system', 'developer', "
                         "'user', 'assistant', and 'tool'.",
                         json_string_value(value));
}

/* One content part; `param` names it. */
static bool append_part(struct buf *text, const json_t *part, const char *param,
                        struct api_error *error)
{
    static const struct {
        const char *type, *field;
    } parts[] = {
        {"text", "text"},
        {"input_text", "text"},
        {"output_text", "text"},
        {"refusal", "refusal"},
    };
    if (!json_is_object(part))
        return json_fields_wrong_type(part, param, "an object", error);
    const json_t *type = json_fields_get(part, "type");
    if (type == NULL || !json_is_string(type))
        return api_error_set(error, 400, "invalid_type", param,
                             "A content part needs a 'type' that is a string.");
    for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
        if (strcmp(json_string_value(type), parts[k].type) != 0)
            continue;
        const json_t *value = json_fields_get(part, parts[k].field);
        if (value == NULL || !json_is_string(value))
            return api_error_set(error, 400, "invalid_type", param,
                                 "A content part of type '%s' needs a string '%s'.", parts[k].type,
                                 parts[k].field);
        buf_append(text, json_string_value(value), json_string_length(value));
        return true;
    }
    return api_error_set(error, 400, "unsupported_value", param,
                         "Content of type '%.64s' is not supported by this model: only text is.",
                         json_string_value(type));
}

static bool append_content(struct buf *text, const json_t *message, size_t i, enum chat_role role,
                           struct api_error *error)
{
    char param[PARAM_SIZE];
    snprintf(param, sizeof param, "messages[%zu].content", i);
    const json_t *content = json_fields_get(message, "content");
    if (content == NULL) /* an assistant that only called tools has none */
        return role == CHAT_ASSISTANT || missing(error, param);
    if (json_is_string(content)) {
        buf_append(text, json_string_value(content), json_string_length(content));
        return true;
    }
    if (!json_is_array(content))
        return json_fields_wrong_type(content, param, "a string or an array of parts", error);
    for (size_t j = 0; j < json_array_size(content); j++) {
        snprintf(param, sizeof param, "messages[%zu].content[%zu]", i, j);
        if (!append_part(text, json_array_get(content, j), param, error))
            return false;
    }
    return true;
}

static bool read_message(const json_t *item, size_t i, struct buf *text, struct message_log *log,
                         struct api_error *error)
{
    struct chat_message message = {0};
    if (!json_is_object(item)) {
        char param[PARAM_SIZE];
        snprintf(param, sizeof param, "messages[%zu]", i);
        return json_fields_wrong_type(item, param, "an object", error);
    }
    buf_clear(text);
    if (!read_role(item, i, &message.role, error) ||
        !append_content(text, item, i, message.role, error))
        return false;
    message.content = buf_text(text);
    message.len = text->len;
    return (!text->failed && message_log_push(log, &message)) || out_of_memory(error);
}

static bool read_messages(const json_t *list, struct message_log *log, struct api_error *error)
{
    struct buf text;
    buf_init(&text);
    bool is_good = true;
    for (size_t i = 0; i < json_array_size(list) && is_good; i++)
        is_good = read_message(json_array_get(list, i), i, &text, log, error);
    buf_done(&text);
    return is_good;
}

static bool read_chat(const json_t *body, struct chat_request *request, struct api_error *error)
{
    const json_t *list = json_fields_get(body, "messages");
    if (list == NULL)
        return missing(error, "messages");
    if (!json_is_array(list))
        return json_fields_wrong_type(list, "messages", "an array of objects", error);
    if (json_array_size(list) == 0)
        return api_error_set(error, 400, "empty_array", "messages",
                             "Invalid 'messages': empty array. Expected at least one message.");

    if (!read_messages(list, &request->messages, error))
        return false;

    const char *id = NULL;
    if (!json_fields_string(body, "session_id", &id, error))
        return false;
    if (id != NULL && !chat_request_id_is_valid(id))
        return api_error_set(error, 400, "invalid_value", "session_id",
                             "'session_id' must be 1 to %d visible ASCII characters.",
                             CHAT_REQUEST_MAX_ID);
    if (id != NULL)
        snprintf(request->session_id, sizeof request->session_id, "%s", id);
    return true;
}

static bool read_prompt(const json_t *body, struct chat_request *request, struct api_error *error)
{
    const json_t *prompt = json_fields_get(body, "prompt");
    if (prompt == NULL)
        return missing(error, "prompt");
    if (json_is_array(prompt) && json_array_size(prompt) == 1 &&
        json_is_string(json_array_get(prompt, 0)))
        prompt = json_array_get(prompt, 0);
    if (json_is_array(prompt))
        return api_error_set(error, 400, "unsupported_value", "prompt",
                             "'prompt' must be one string: lists and token ids are not supported.");
    if (!json_is_string(prompt))
        return json_fields_wrong_type(prompt, "prompt", "a string", error);
    if (json_string_length(prompt) == 0)
        return api_error_set(error, 400, "invalid_value", "prompt",
                             "'prompt' must have at least one character.");
    buf_append(&request->prompt, json_string_value(prompt), json_string_length(prompt));
    return !request->prompt.failed || out_of_memory(error);
}

static bool parse(const char *body, size_t len, const struct generation_defaults *defaults,
                  struct chat_request *out, struct api_error *error)
{
    struct chat_request request = {.is_chat = out->is_chat};
    json_t *root;
    if (!json_fields_parse(body, len, &root, error))
        return false;
    bool is_good =
        (request.is_chat ? read_chat(root, &request, error) : read_prompt(root, &request, error)) &&
        generation_request_read(root, defaults, &request.generation, error);
    json_decref(root);
    if (is_good)
        *out = request;
    else
        chat_request_done(&request);
    return is_good;
}

bool chat_request_parse(const char *body, size_t len, const struct generation_defaults *defaults,
                        struct chat_request *out, struct api_error *error)
{
    out->is_chat = true;
    return parse(body, len, defaults, out, error);
}

bool chat_request_parse_completion(const char *body, size_t len,
                                   const struct generation_defaults *defaults,
                                   struct chat_request *out, struct api_error *error)
{
    out->is_chat = false;
    return parse(body, len, defaults, out, error);
}

void chat_request_done(struct chat_request *request)
{
    generation_request_done(&request->generation);
    message_log_done(&request->messages);
    buf_done(&request->prompt);
}
