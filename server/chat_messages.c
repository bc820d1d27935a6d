#include "server/chat_messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "server/json_fields.h"
#include "server/message_extra.h"
#include "server/message_log.h"

enum { PARAM_SIZE = 96 };

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
        return json_fields_missing(param, error);
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
        return role == CHAT_ASSISTANT || json_fields_missing(param, error);
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

/* An assistant's thoughts, under the name that this server gives them or vLLM's; what is no text is
 * not ours. */
static void read_reasoning(const json_t *item, struct chat_message *message)
{
    static const char *const names[] = {"reasoning_content", "reasoning"};
    for (size_t i = 0; i < 2 && message->role == CHAT_ASSISTANT && message->reasoning_len == 0;
         i++) {
        const json_t *text = json_object_get(item, names[i]);
        message->reasoning = json_string_value(text);
        message->reasoning_len = json_string_length(text);
    }
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
    char *extra;
    if (!message_extra_read(item, i, message.role == CHAT_ASSISTANT, message.role == CHAT_TOOL,
                            &extra, error))
        return false;
    read_reasoning(item, &message);
    message.content = buf_text(text);
    message.len = text->len;
    message.extra = extra;
    message.extra_len = extra == NULL ? 0 : strlen(extra);
    bool is_pushed = !text->failed && message_log_push(log, &message);
    free(extra);
    return is_pushed || api_error_no_memory(error);
}

bool chat_messages_read(const json_t *body, struct message_log *out, struct api_error *error)
{
    const json_t *list = json_fields_get(body, "messages");
    if (list == NULL)
        return json_fields_missing("messages", error);
    if (!json_is_array(list))
        return json_fields_wrong_type(list, "messages", "an array of objects", error);
    if (json_array_size(list) == 0)
        return api_error_set(error, 400, "empty_array", "messages",
                             "Invalid 'messages': empty array. Expected at least one message.");
    struct buf text;
    buf_init(&text);
    bool is_good = true;
    for (size_t i = 0; i < json_array_size(list) && is_good; i++)
        is_good = read_message(json_array_get(list, i), i, &text, out, error);
    buf_done(&text);
    return is_good;
}
