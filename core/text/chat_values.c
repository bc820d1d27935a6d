#include "core/text/chat_values.h"

#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/jinja_dict.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"
#include "core/text/json_reader.h"

static bool set_text(struct jinja_run *run, struct jinja_dict *dict, const char *key,
                     const char *text, size_t len, enum jinja_mark mark)
{
    struct jinja_value value;
    return jinja_string_borrow(run, text, len, mark, &value) &&
           jinja_dict_set_text(run, dict, key, value);
}

static bool is_key(struct jinja_value key, const char *text)
{
    return jinja_string_is(key.string, text);
}

/* Sets what else the message carries. */
static bool set_extra(struct jinja_run *run, const struct chat_message *message,
                      enum jinja_mark mark, struct jinja_dict *dict)
{
    struct jinja_value extra;
    if (message->extra_len == 0)
        return true;
    if (!json_read(run, "a message", message->extra, message->extra_len, mark, &extra))
        return false;
    if (extra.type != JINJA_DICT)
        return jinja_fail(run, "what a message carries is no object");
    for (size_t i = 0; i < extra.dict->n; i++) {
        const struct jinja_item *item = &extra.dict->items[i];
        if (!is_key(item->key, "role") && !is_key(item->key, "content") &&
            !jinja_dict_set(run, dict, item->key, item->value))
            return false;
    }
    return true;
}

static bool set_message(struct jinja_run *run, const struct chat_message *message,
                        enum jinja_mark mark, struct jinja_dict *dict)
{
    static const char *const roles[] = {
        [CHAT_SYSTEM] = "system",
        [CHAT_USER] = "user",
        [CHAT_ASSISTANT] = "assistant",
        [CHAT_TOOL] = "tool",
    };
    const char *role = roles[message->role];
    enum jinja_mark extra_mark = message->len > 0 ? JINJA_DATA : mark;
    return set_text(run, dict, "role", role, strlen(role), JINJA_CONTROL) &&
           set_text(run, dict, "content", message->content, message->len, mark) &&
           set_extra(run, message, extra_mark, dict) &&
           (message->reasoning_len == 0 ||
            set_text(run, dict, "reasoning_content", message->reasoning, message->reasoning_len,
                     JINJA_DATA));
}

/* ---- the shape ---- */

/* What is no JSON stays text: *out is then not an object. */
static bool try_json(struct jinja_run *run, const struct jinja_string *text,
                     struct jinja_value *out)
{
    struct err err = {0}, *outer = run->err;
    run->err = &err;
    bool is_read = json_read(run, "arguments", text->data, text->len, JINJA_DATA, out);
    run->err = outer;
    if (is_read)
        return true;
    *out = jinja_none();
    return err.code == ERR_INVALID || err_set(outer, err.code, "%s", err.text);
}

static bool write_arguments(struct jinja_run *run, struct jinja_dict *function,
                            struct jinja_value arguments)
{
    static const struct jinja_json_style style = {.indent = -1};
    struct jinja_writer writer;
    struct jinja_value text;
    jinja_writer_init(&writer, run, 256);
    return jinja_write_json(run, arguments, &style, &writer) && jinja_writer_end(&writer, &text) &&
           jinja_dict_set_text(run, function, "arguments", text);
}

/* They come as JSON text or as the object; most templates expect the object. */
static bool shape_arguments(struct jinja_run *run, struct jinja_dict *function, bool are_text)
{
    const struct jinja_value *arguments = jinja_dict_get_text(function, "arguments");
    struct jinja_value object;
    bool is_text = arguments != NULL && arguments->type == JINJA_STRING;
    if (arguments == NULL || is_text == are_text)
        return true;
    if (!is_text)
        return write_arguments(run, function, *arguments);
    if (!try_json(run, arguments->string, &object))
        return false;
    return object.type != JINJA_DICT || jinja_dict_set_text(run, function, "arguments", object);
}

/* Nine digits that are the same for a call and its result: a hash of the id. */
static bool shape_id(struct jinja_run *run, struct jinja_dict *dict, const char *key)
{
    const struct jinja_value *id = jinja_dict_get_text(dict, key);
    struct jinja_value value;
    if (id == NULL || id->type != JINJA_STRING)
        return true;
    uint32_t hash = 2166136261;
    for (size_t i = 0; i < id->string->len; i++)
        hash = (hash ^ (unsigned char)id->string->data[i]) * 16777619;
    char digits[16];
    snprintf(digits, sizeof digits, "%09u", hash % 1000000000);
    return jinja_string_copy(run, digits, 9, JINJA_DATA, &value) &&
           jinja_dict_set_text(run, dict, key, value);
}

static bool shape_calls(struct jinja_run *run, struct jinja_dict *message,
                        const struct chat_shape *shape)
{
    const struct jinja_value *calls = jinja_dict_get_text(message, "tool_calls");
    if (calls == NULL || calls->type != JINJA_LIST)
        return true;
    for (size_t i = 0; i < calls->list->n; i++) {
        struct jinja_value call = calls->list->items[i];
        if (call.type != JINJA_DICT)
            continue;
        const struct jinja_value *function = jinja_dict_get_text(call.dict, "function");
        bool has_function = function != NULL && function->type == JINJA_DICT;
        if ((has_function && !shape_arguments(run, function->dict, shape->has_text_arguments)) ||
            (shape->has_short_ids && !shape_id(run, call.dict, "id")))
            return false;
    }
    return true;
}

/* "text" as [{"type": "text", "text": "text"}]. */
static bool make_parts(struct jinja_run *run, struct jinja_dict *message,
                       struct jinja_value content)
{
    struct jinja_value parts, part;
    return jinja_list_new(run, JINJA_LIST, 1, &parts) && jinja_dict_new(run, JINJA_DICT, &part) &&
           set_text(run, part.dict, "type", "text", 4, JINJA_CONTROL) &&
           jinja_dict_set_text(run, part.dict, "text", content) &&
           jinja_list_push(run, parts.list, part) &&
           jinja_dict_set_text(run, message, "content", parts);
}

static bool shape_content(struct jinja_run *run, struct jinja_dict *message,
                          const struct chat_shape *shape)
{
    const struct jinja_value *content = jinja_dict_get_text(message, "content");
    const struct jinja_value *calls = jinja_dict_get_text(message, "tool_calls");
    if (content == NULL || content->type != JINJA_STRING)
        return true;
    bool is_silent = content->string->len == 0 && calls != NULL && jinja_is_true(*calls);
    if (is_silent && !shape->has_empty_content)
        return jinja_dict_set_text(run, message, "content", jinja_none());
    return !shape->has_parts || make_parts(run, message, *content);
}

/* Under the other name, too. gpt-oss's template takes one of both beside a call, and says either in
 * the place of thoughts. */
static bool shape_thoughts(struct jinja_run *run, struct jinja_dict *message)
{
    const struct jinja_value *thoughts = jinja_dict_get_text(message, "reasoning_content");
    const struct jinja_value *calls = jinja_dict_get_text(message, "tool_calls");
    if (thoughts == NULL || !jinja_is_true(*thoughts))
        return true;
    return jinja_dict_set_text(run, message, "thinking", *thoughts) &&
           (calls == NULL || !jinja_is_true(*calls) ||
            set_text(run, message, "content", "", 0, JINJA_CONTROL));
}

bool chat_values_shape(struct jinja_run *run, struct jinja_value messages,
                       const struct chat_shape *shape)
{
    for (size_t i = 0; i < messages.list->n; i++) {
        struct jinja_dict *message = messages.list->items[i].dict;
        if (!shape_content(run, message, shape) || !shape_calls(run, message, shape) ||
            (shape->has_thinking && !shape_thoughts(run, message)) ||
            (shape->has_short_ids && !shape_id(run, message, "tool_call_id")))
            return false;
    }
    return true;
}

bool chat_values_messages(struct jinja_run *run, const struct chat_message *messages, size_t n,
                          bool tracks_last, struct jinja_value *out)
{
    struct jinja_value list, message;
    if (!jinja_list_new(run, JINJA_LIST, n, &list))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool is_tracked = tracks_last && i + 1 == n;
        if (!jinja_dict_new(run, JINJA_DICT, &message) ||
            !set_message(run, &messages[i], is_tracked ? JINJA_TRACKED : JINJA_DATA,
                         message.dict) ||
            !jinja_list_push(run, list.list, message))
            return false;
    }
    *out = list;
    return true;
}
