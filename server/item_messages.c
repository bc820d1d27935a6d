#include "server/item_messages.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "server/item_list.h"
#include "server/json_load.h"
#include "server/message_extra.h"
#include "server/message_log.h"

/* The assistant's message that is being put together of several items. */
struct assembly {
    bool is_open;
    struct buf content;
    json_t *calls; /* array */
};

static const char *text_of(const json_t *item, const char *name)
{
    const char *text = json_string_value(json_object_get(item, name));
    return text == NULL ? "" : text;
}

/* A string, or the texts of an array of parts. */
static void append_text(const json_t *content, struct buf *out)
{
    if (json_is_string(content))
        buf_append(out, json_string_value(content), json_string_length(content));
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const json_t *text = json_object_get(part, "text");
        if (text == NULL)
            text = json_object_get(part, "refusal");
        if (json_is_string(text))
            buf_append(out, json_string_value(text), json_string_length(text));
    }
}

/* Takes `extra` over: an object, or NULL. */
static bool push(struct message_log *out, enum chat_role role, const struct buf *content,
                 json_t *extra)
{
    char *text = extra == NULL ? NULL : json_dumps(extra, JSON_COMPACT);
    struct chat_message message = {
        .role = role,
        .content = buf_text(content),
        .len = content->len,
        .extra = text,
        .extra_len = text == NULL ? 0 : strlen(text),
    };
    bool is_good =
        !content->failed && (extra == NULL || text != NULL) && message_log_push(out, &message);
    free(text);
    json_decref(extra);
    return is_good;
}

static bool flush(struct assembly *open, struct message_log *out)
{
    if (!open->is_open)
        return true;
    json_t *extra = NULL;
    if (json_array_size(open->calls) > 0)
        extra = json_pack("{s:O}", "tool_calls", open->calls);
    bool is_good = push(out, CHAT_ASSISTANT, &open->content, extra);
    buf_clear(&open->content);
    json_array_clear(open->calls);
    open->is_open = false;
    return is_good;
}

static bool add_message(struct assembly *open, const json_t *item, struct message_log *out)
{
    const char *role = text_of(item, "role");
    if (!flush(open, out))
        return false;
    if (strcmp(role, "assistant") == 0) {
        open->is_open = true;
        append_text(json_object_get(item, "content"), &open->content);
        return true;
    }
    struct buf content;
    buf_init(&content);
    append_text(json_object_get(item, "content"), &content);
    bool is_good = push(out, strcmp(role, "user") == 0 ? CHAT_USER : CHAT_SYSTEM, &content, NULL);
    buf_done(&content);
    return is_good;
}

static bool add_call(struct assembly *open, const json_t *item)
{
    open->is_open = true;
    const char *name = text_of(item, "name"), *arguments = text_of(item, "arguments");
    json_t *call = message_extra_call(text_of(item, "call_id"), name, strlen(name), arguments,
                                      strlen(arguments));
    return json_array_append_new(open->calls, call) == 0;
}

static bool add_call_output(struct assembly *open, const json_t *item, struct message_log *out)
{
    if (!flush(open, out))
        return false;
    struct buf content;
    buf_init(&content);
    append_text(json_object_get(item, "output"), &content);
    bool is_good = push(out, CHAT_TOOL, &content,
                        json_pack("{s:O}", "tool_call_id", json_object_get(item, "call_id")));
    buf_done(&content);
    return is_good;
}

static bool add_item(struct assembly *open, const json_t *item, struct message_log *out)
{
    const char *type = text_of(item, "type");
    if (strcmp(type, "message") == 0)
        return add_message(open, item, out);
    if (strcmp(type, "function_call") == 0)
        return add_call(open, item);
    if (strcmp(type, "function_call_output") == 0)
        return add_call_output(open, item, out);
    return true;
}

bool item_messages_append(const struct item_list *items, struct message_log *out, struct err *err)
{
    struct assembly open = {.calls = json_array()};
    bool is_good = open.calls != NULL;
    buf_init(&open.content);
    for (size_t i = 0; is_good && i < items->n; i++) {
        json_t *item =
            json_load_text(items->items[i].json, items->items[i].len, JSON_ALLOW_NUL, NULL);
        is_good = item != NULL && add_item(&open, item, out);
        json_decref(item);
    }
    is_good = is_good && flush(&open, out);
    json_decref(open.calls);
    buf_done(&open.content);
    return is_good || err_no_memory(err, "the messages");
}
