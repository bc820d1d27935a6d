#include "server/anthropic_messages.h"

#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "server/json_fields.h"

enum { PARAM_SIZE = 96 };

/* A message while its blocks are read. */
struct draft {
    json_t *out; /* the list; results of tools go there at once */
    bool is_assistant;
    struct buf text, thoughts;
    json_t *calls;
    bool has_results;
};

static bool append(json_t *list, json_t *value, struct api_error *error)
{
    return json_array_append_new(list, value) == 0 || api_error_no_memory(error);
}

/* ---- text ---- */

/* What the assistant said is one text, however it was cut; others' blocks are paragraphs. */
static void add_text(struct buf *text, const char *more, size_t len, bool is_assistant)
{
    if (!is_assistant && text->len > 0 && len > 0)
        buf_append_char(text, '\n');
    buf_append(text, more, len);
}

static bool string_field(const json_t *block, const char *name, const char *param,
                         const json_t **out, struct api_error *error)
{
    char path[PARAM_SIZE];
    snprintf(path, sizeof path, "%.70s.%.16s", param, name);
    *out = json_fields_get(block, name);
    if (*out == NULL)
        return json_fields_missing(path, error);
    return json_is_string(*out) || json_fields_wrong_type(*out, path, "a string", error);
}

static bool fail_type(const char *type, const char *param, struct api_error *error)
{
    return api_error_set(error, 400, "unsupported_value", param,
                         "%s: content of type '%.64s' is not supported by this model: only text "
                         "is.",
                         param, type);
}

static bool type_of(const json_t *block, const char *param, const char **out,
                    struct api_error *error)
{
    const json_t *type;
    if (!json_is_object(block))
        return json_fields_wrong_type(block, param, "an object", error);
    if (!string_field(block, "type", param, &type, error))
        return false;
    *out = json_string_value(type);
    return true;
}

/* A string, or blocks that are nothing but text. Absent: empty. */
static bool read_text(const json_t *content, const char *param, struct buf *text,
                      struct api_error *error)
{
    if (content == NULL)
        return true;
    if (json_is_string(content)) {
        buf_append(text, json_string_value(content), json_string_length(content));
        return true;
    }
    if (!json_is_array(content))
        return json_fields_wrong_type(content, param, "a string or an array of blocks", error);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *block = json_array_get(content, i), *said;
        const char *type = NULL;
        char path[PARAM_SIZE];
        snprintf(path, sizeof path, "%.60s[%zu]", param, i);
        if (!type_of(block, path, &type, error))
            return false;
        if (strcmp(type, "text") != 0)
            return fail_type(type, path, error);
        if (!string_field(block, "text", path, &said, error))
            return false;
        add_text(text, json_string_value(said), json_string_length(said), false);
    }
    return true;
}

/* ---- blocks ---- */

static bool read_text_block(const json_t *block, const char *param, struct draft *draft,
                            struct api_error *error)
{
    const json_t *text;
    if (!string_field(block, "text", param, &text, error))
        return false;
    add_text(&draft->text, json_string_value(text), json_string_length(text), draft->is_assistant);
    return true;
}

static bool read_thinking(const json_t *block, const char *param, struct draft *draft,
                          struct api_error *error)
{
    const json_t *text;
    if (!string_field(block, "thinking", param, &text, error))
        return false;
    buf_append(&draft->thoughts, json_string_value(text), json_string_length(text));
    return true;
}

/* Only another server could read them. */
static bool pass_over(const json_t *block, const char *param, struct draft *draft,
                      struct api_error *error)
{
    (void)block, (void)param, (void)draft, (void)error;
    return true;
}

static bool read_tool_use(const json_t *block, const char *param, struct draft *draft,
                          struct api_error *error)
{
    const json_t *id, *name;
    json_t *input = json_object_get(block, "input");
    if (!string_field(block, "id", param, &id, error) ||
        !string_field(block, "name", param, &name, error))
        return false;
    if (input != NULL && !json_is_object(input)) {
        char path[PARAM_SIZE];
        snprintf(path, sizeof path, "%.70s.input", param);
        return json_fields_wrong_type(input, path, "an object", error);
    }
    return append(draft->calls,
                  json_pack("{s:O, s:s, s:{s:O, s:O*}}", "id", id, "type", "function", "function",
                            "name", name, "arguments", input),
                  error);
}

static bool read_tool_result(const json_t *block, const char *param, struct draft *draft,
                             struct api_error *error)
{
    const json_t *id;
    char path[PARAM_SIZE];
    struct buf text;
    if (!string_field(block, "tool_use_id", param, &id, error))
        return false;
    snprintf(path, sizeof path, "%.70s.content", param);
    buf_init(&text);
    draft->has_results = true;
    bool is_good = read_text(json_fields_get(block, "content"), path, &text, error) &&
                   append(draft->out,
                          json_pack("{s:s, s:O, s:s%}", "role", "tool", "tool_call_id", id,
                                    "content", buf_text(&text), text.len),
                          error);
    is_good = is_good && (!text.failed || api_error_no_memory(error));
    buf_done(&text);
    return is_good;
}

static bool read_block(const json_t *block, const char *param, struct draft *draft,
                       struct api_error *error)
{
    static const struct {
        const char *type, *role; /* NULL: anybody's */
        bool (*read)(const json_t *block, const char *param, struct draft *draft,
                     struct api_error *error);
    } kinds[] = {
        {"text", NULL, read_text_block},
        {"thinking", "assistant", read_thinking},
        {"redacted_thinking", "assistant", pass_over},
        {"tool_use", "assistant", read_tool_use},
        {"tool_result", "user", read_tool_result},
    };
    const char *type = NULL;
    if (!type_of(block, param, &type, error))
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(type, kinds[i].type) != 0)
            continue;
        if (kinds[i].role == NULL || (kinds[i].role[0] == 'a') == draft->is_assistant)
            return kinds[i].read(block, param, draft, error);
        return api_error_set(error, 400, "invalid_value", param,
                             "%s: a block of type '%s' can only be part of a message whose role is "
                             "'%s'.",
                             param, type, kinds[i].role);
    }
    return fail_type(type, param, error);
}

static bool read_content(const json_t *message, size_t i, struct draft *draft,
                         struct api_error *error)
{
    char param[PARAM_SIZE];
    const json_t *content = json_fields_get(message, "content");
    snprintf(param, sizeof param, "messages[%zu].content", i);
    if (content == NULL)
        return json_fields_missing(param, error);
    if (!json_is_array(content))
        return read_text(content, param, &draft->text, error);
    for (size_t k = 0; k < json_array_size(content); k++) {
        snprintf(param, sizeof param, "messages[%zu].content[%zu]", i, k);
        if (!read_block(json_array_get(content, k), param, draft, error))
            return false;
    }
    return true;
}

/* ---- messages ---- */

/* Where there were only results nothing is left to be said. */
static bool append_draft(struct draft *draft, const char *role, struct api_error *error)
{
    if (draft->text.failed || draft->thoughts.failed)
        return api_error_no_memory(error);
    if (draft->has_results && draft->text.len == 0)
        return true;
    json_t *message =
        json_pack("{s:s, s:s%}", "role", role, "content", buf_text(&draft->text), draft->text.len);
    bool is_whole = message != NULL;
    if (draft->thoughts.len > 0)
        is_whole &=
            json_object_set_new(message, "reasoning_content",
                                json_stringn(buf_text(&draft->thoughts), draft->thoughts.len)) == 0;
    if (json_array_size(draft->calls) > 0)
        is_whole &= json_object_set(message, "tool_calls", draft->calls) == 0;
    return (append(draft->out, message, error) && is_whole) || api_error_no_memory(error);
}

static bool convert_message(const json_t *message, size_t i, json_t *out, struct api_error *error)
{
    char param[PARAM_SIZE];
    const json_t *role;
    snprintf(param, sizeof param, "messages[%zu]", i);
    if (!json_is_object(message))
        return json_fields_wrong_type(message, param, "an object", error);
    if (!string_field(message, "role", param, &role, error))
        return false;
    const char *name = json_string_value(role);
    if (strcmp(name, "user") != 0 && strcmp(name, "assistant") != 0 && strcmp(name, "system") != 0)
        return api_error_set(error, 400, "invalid_value", param,
                             "%s.role: must be 'user' or 'assistant', and not '%.64s'.", param,
                             name);
    struct draft draft = {.out = out, .is_assistant = name[0] == 'a', .calls = json_array()};
    buf_init(&draft.text);
    buf_init(&draft.thoughts);
    bool is_good = read_content(message, i, &draft, error) && append_draft(&draft, name, error);
    buf_done(&draft.text);
    buf_done(&draft.thoughts);
    json_decref(draft.calls);
    return is_good;
}

/* Claude Code writes a line for a bill at the beginning, with a checksum that differs with each
 * request: it tells a model nothing, and would make each prompt a new one. */
static void drop_billing(struct buf *text)
{
    static const char header[] = "x-anthropic-billing-header:", mark[] = "cch=";
    const char *all = buf_text(text);
    if (strncmp(all, header, sizeof header - 1) != 0)
        return;
    size_t n = strcspn(all, "\n");
    const char *sum = strstr(all, mark);
    const char *end = sum == NULL ? NULL : strchr(sum, ';');
    if (end != NULL && (size_t)(end - all) < n)
        n = (size_t)(end - all) + 1;
    buf_drop_front(text, n + (all[n] == '\n'));
}

static bool convert_system(const json_t *body, json_t *out, struct api_error *error)
{
    struct buf text;
    buf_init(&text);
    bool is_good = read_text(json_fields_get(body, "system"), "system", &text, error) &&
                   (!text.failed || api_error_no_memory(error));
    if (is_good)
        drop_billing(&text);
    if (is_good && text.len > 0)
        is_good = append(
            out, json_pack("{s:s, s:s%}", "role", "system", "content", buf_text(&text), text.len),
            error);
    buf_done(&text);
    return is_good;
}

bool anthropic_messages_convert(const json_t *body, json_t *out, struct api_error *error)
{
    const json_t *list = json_fields_get(body, "messages");
    if (list == NULL)
        return json_fields_missing("messages", error);
    if (!json_is_array(list))
        return json_fields_wrong_type(list, "messages", "an array of objects", error);
    if (json_array_size(list) == 0)
        return api_error_set(error, 400, "empty_array", "messages",
                             "messages: at least one message is required.");
    bool is_good = convert_system(body, out, error);
    for (size_t i = 0; i < json_array_size(list) && is_good; i++)
        is_good = convert_message(json_array_get(list, i), i, out, error);
    return is_good;
}
