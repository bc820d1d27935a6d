#include "core/text/chat_adapt.h"

#include <string.h>

#include "core/text/jinja_dict.h"
#include "core/text/jinja_print.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"

static const char TOOLS_BEGIN[] =
    "You may call one or more functions to assist with the user query. The functions are "
    "described within <tools></tools> XML tags:\n<tools>";
static const char TOOLS_END[] = "\n</tools>\n\n";
static const char HERMES_CALLS[] =
    "For each function call return a JSON object with the function's name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": "
    "<args-json-object>}\n</tool_call>";
static const char OTHER_CALLS[] = "For each function call answer in this form:\n";
static const struct chat_call_form HERMES = {
    .open = "<tool_call>\n{\"name\": \"",
    .middle = "\", \"arguments\": ",
    .end = "}\n</tool_call>",
};

static struct jinja_value get(struct jinja_value dict, const char *key)
{
    const struct jinja_value *value =
        dict.type == JINJA_DICT ? jinja_dict_get_text(dict.dict, key) : NULL;
    return value != NULL ? *value : jinja_none();
}

static bool has_role(struct jinja_value message, const char *role)
{
    return jinja_string_is(get(message, "role").string, role);
}

static void put(struct jinja_writer *writer, const char *text)
{
    jinja_write(writer, text, strlen(text), JINJA_DATA);
}

static void put_content(struct jinja_writer *writer, struct jinja_value message)
{
    struct jinja_value content = get(message, "content");
    if (content.type == JINJA_STRING)
        jinja_write_string(writer, content.string);
}

static bool set_content(struct jinja_run *run, struct jinja_value message,
                        struct jinja_writer *writer)
{
    struct jinja_value content;
    return jinja_writer_end(writer, &content) &&
           jinja_dict_set_text(run, message.dict, "content", content);
}

static bool set_role(struct jinja_run *run, struct jinja_value message, const char *role)
{
    struct jinja_value value;
    return jinja_string_borrow(run, role, strlen(role), JINJA_CONTROL, &value) &&
           jinja_dict_set_text(run, message.dict, "role", value);
}

static bool new_message(struct jinja_run *run, const char *role, struct jinja_writer *content,
                        struct jinja_value *out)
{
    return jinja_dict_new(run, JINJA_DICT, out) && set_role(run, *out, role) &&
           set_content(run, *out, content);
}

static bool put_json(struct jinja_run *run, struct jinja_writer *writer, struct jinja_value value)
{
    static const struct jinja_json_style style = {.indent = -1};
    return jinja_write_json(run, value, &style, writer);
}

/* ---- what a template has no form for ---- */

static const struct chat_call_form *form_of(const struct chat_adaptation *how)
{
    return how->calls.open != NULL ? &how->calls : &HERMES;
}

/* The marks are the program's own words, and so may be control tokens. */
static void put_mark(struct jinja_writer *writer, const char *text)
{
    jinja_write(writer, text, strlen(text), JINJA_CONTROL);
}

/* In a JSON string where the mark before it opens one. */
static bool put_name(struct jinja_run *run, struct jinja_writer *writer, const char *open,
                     struct jinja_value name)
{
    size_t len = strlen(open);
    bool is_quoted = len > 0 && open[len - 1] == '"';
    struct jinja_writer json;
    struct jinja_value text;
    if (name.type != JINJA_STRING)
        return true;
    if (!is_quoted) {
        jinja_write_string(writer, name.string);
        return true;
    }
    jinja_writer_init(&json, run, 64);
    if (!put_json(run, &json, name) || !jinja_writer_end(&json, &text))
        return false;
    jinja_write_part(writer, text.string, 1, text.string->len - 1);
    return true;
}

/* Arguments of a call in Python. */
static bool put_keywords(struct jinja_run *run, struct jinja_writer *writer,
                         struct jinja_value arguments)
{
    for (size_t i = 0; i < arguments.dict->n; i++) {
        const struct jinja_item *item = &arguments.dict->items[i];
        put(writer, i > 0 ? ", " : "");
        jinja_write_string(writer, item->key.string);
        put(writer, "=");
        if (!(item->value.type == JINJA_STRING ? put_json(run, writer, item->value)
                                               : jinja_write_repr(run, item->value, writer)))
            return false;
    }
    return true;
}

static bool put_call(struct jinja_run *run, struct jinja_writer *writer,
                     const struct chat_call_form *form, struct jinja_value function)
{
    struct jinja_value arguments = get(function, "arguments");
    if (!put_name(run, writer, form->open, get(function, "name")))
        return false;
    put_mark(writer, form->middle);
    if (form->is_python && arguments.type == JINJA_DICT)
        return put_keywords(run, writer, arguments);
    if (arguments.type != JINJA_STRING)
        return put_json(run, writer, arguments);
    jinja_write_string(writer, arguments.string);
    return true;
}

/* Text, with what the message says before it. */
static bool write_calls(struct jinja_run *run, const struct chat_call_form *form,
                        struct jinja_value message)
{
    struct jinja_value calls = get(message, "tool_calls"), taken, key;
    struct jinja_writer writer;
    jinja_writer_init(&writer, run, 256);
    put_content(&writer, message);
    for (size_t i = 0; i < calls.list->n; i++) {
        bool goes_on = i > 0 && form->next != NULL;
        bool is_first = writer.bytes == NULL || writer.bytes->used == 0;
        put_mark(&writer, i > 0 && !goes_on ? form->end : "");
        put(&writer, is_first || goes_on ? "" : "\n");
        put_mark(&writer, goes_on ? form->next : form->open);
        if (!put_call(run, &writer, form, get(calls.list->items[i], "function")))
            return false;
    }
    put_mark(&writer, form->end);
    return set_content(run, message, &writer) &&
           jinja_string_borrow(run, "tool_calls", 10, JINJA_CONTROL, &key) &&
           jinja_dict_take(run, message.dict, key, &taken);
}

static bool write_result(struct jinja_run *run, struct jinja_value message)
{
    struct jinja_writer writer;
    jinja_writer_init(&writer, run, 256);
    put(&writer, "<tool_response>\n");
    put_content(&writer, message);
    put(&writer, "\n</tool_response>");
    return set_content(run, message, &writer) && set_role(run, message, "user");
}

/* *out is the list with a system message first, which may be a new one. */
static bool begin_with_system(struct jinja_run *run, struct jinja_value list,
                              struct jinja_value *out)
{
    bool has_system = list.list->n > 0 && has_role(list.list->items[0], "system");
    struct jinja_writer empty;
    struct jinja_value system;
    jinja_writer_init(&empty, run, 16);
    *out = list;
    if (has_system)
        return true;
    if (!new_message(run, "system", &empty, &system) ||
        !jinja_list_new(run, JINJA_LIST, list.list->n + 1, out) ||
        !jinja_list_push(run, out->list, system))
        return false;
    for (size_t i = 0; i < list.list->n; i++) {
        if (!jinja_list_push(run, out->list, list.list->items[i]))
            return false;
    }
    return true;
}

static void put_example(struct jinja_writer *writer, const struct chat_call_form *form)
{
    if (form == &HERMES) {
        put(writer, HERMES_CALLS);
        return;
    }
    put(writer, OTHER_CALLS);
    put(writer, form->open);
    put(writer, "<function-name>");
    put(writer, form->middle);
    put(writer, form->is_python ? "<name>=<value>, ..." : "<args-json-object>");
    put(writer, form->end);
}

static bool write_tools(struct jinja_run *run, const struct chat_call_form *form,
                        struct jinja_value tools, struct jinja_value system)
{
    struct jinja_value said = get(system, "content");
    bool has_words = said.type == JINJA_STRING && said.string->len > 0;
    struct jinja_writer writer;
    jinja_writer_init(&writer, run, 1024);
    put_content(&writer, system);
    put(&writer, has_words ? "\n\n" : "");
    put(&writer, TOOLS_BEGIN);
    for (size_t i = 0; i < tools.list->n; i++) {
        put(&writer, "\n");
        if (!put_json(run, &writer, tools.list->items[i]))
            return false;
    }
    put(&writer, TOOLS_END);
    put_example(&writer, form);
    return set_content(run, system, &writer);
}

/* Functions alone: the template knows nothing else. */
static bool carry_tools(struct jinja_run *run, struct jinja_value tools, struct jinja_value system)
{
    struct jinja_writer writer;
    struct jinja_value text;
    jinja_writer_init(&writer, run, 1024);
    for (size_t i = 0; i < tools.list->n; i++) {
        put(&writer, i == 0 ? "[" : ", ");
        if (!put_json(run, &writer, get(tools.list->items[i], "function")))
            return false;
    }
    put(&writer, "]");
    return jinja_writer_end(&writer, &text) && jinja_dict_set_text(run, system.dict, "tools", text);
}

static bool write_all(struct jinja_run *run, const struct chat_adaptation *how,
                      struct jinja_value tools, struct jinja_value *messages, bool *out_changes)
{
    for (size_t i = 0; i < messages->list->n; i++) {
        struct jinja_value message = messages->list->items[i];
        struct jinja_value calls = get(message, "tool_calls");
        bool has_calls = how->writes_calls && calls.type == JINJA_LIST && calls.list->n > 0;
        bool is_result = how->writes_results && has_role(message, "tool");
        *out_changes |= has_calls || is_result;
        if ((has_calls && !write_calls(run, form_of(how), message)) ||
            (is_result && !write_result(run, message)))
            return false;
    }
    bool has_tools =
        tools.type == JINJA_LIST && tools.list->n > 0 && (how->writes_tools || how->carries_tools);
    if (!has_tools)
        return true;
    *out_changes = true;
    if (!begin_with_system(run, *messages, messages))
        return false;
    struct jinja_value system = messages->list->items[0];
    return how->writes_tools ? write_tools(run, form_of(how), tools, system)
                             : carry_tools(run, tools, system);
}

/* ---- fewer messages ---- */

/* Contents of a and b with an empty line between them, in b's place. */
static bool join_into(struct jinja_run *run, struct jinja_value a, struct jinja_value b)
{
    struct jinja_writer writer;
    jinja_writer_init(&writer, run, 256);
    put_content(&writer, a);
    put(&writer, "\n\n");
    put_content(&writer, b);
    return set_content(run, b, &writer);
}

static bool is_folded(const struct chat_adaptation *how, struct jinja_value message, bool is_later)
{
    return has_role(message, "system") &&
           (how->folds_systems || (how->folds_later_systems && is_later));
}

/* System messages go into the user's message behind them, or become one of their own. */
static bool fold(struct jinja_run *run, const struct chat_adaptation *how,
                 const struct jinja_list *list, struct jinja_list *out, bool *out_changes)
{
    struct jinja_value waiting = jinja_none();
    bool is_later = false;
    for (size_t i = 0; i <= list->n; i++) {
        struct jinja_value message = i < list->n ? list->items[i] : jinja_none();
        bool is_user = i < list->n && has_role(message, "user");
        if (i < list->n && is_folded(how, message, is_later)) {
            *out_changes = true;
            if (waiting.type != JINJA_NONE && !join_into(run, waiting, message))
                return false;
            waiting = message;
            continue;
        }
        if (waiting.type != JINJA_NONE &&
            !(is_user ? join_into(run, waiting, message)
                      : set_role(run, waiting, "user") && jinja_list_push(run, out, waiting)))
            return false;
        waiting = jinja_none();
        is_later |= i < list->n && !has_role(message, "system");
        if (i < list->n && !jinja_list_push(run, out, message))
            return false;
    }
    return true;
}

static bool are_alike(struct jinja_value a, struct jinja_value b)
{
    return jinja_string_same(get(a, "role").string, get(b, "role").string) &&
           !has_role(a, "tool") && get(a, "tool_calls").type == JINJA_NONE &&
           get(b, "tool_calls").type == JINJA_NONE;
}

static bool merge(struct jinja_run *run, const struct jinja_list *list, struct jinja_list *out,
                  bool *out_changes)
{
    for (size_t i = 0; i < list->n; i++) {
        struct jinja_value message = list->items[i];
        bool is_alike = out->n > 0 && are_alike(out->items[out->n - 1], message);
        *out_changes |= is_alike;
        if (is_alike ? !join_into(run, out->items[out->n - 1], message)
                     : !jinja_list_push(run, out, message))
            return false;
        out->items[out->n - 1] = message;
    }
    return true;
}

bool chat_adapt(struct jinja_run *run, const struct chat_adaptation *how, struct jinja_value tools,
                struct jinja_value *messages, bool *out_changes)
{
    struct jinja_value folded, merged;
    *out_changes = false;
    if (!write_all(run, how, tools, messages, out_changes) ||
        !jinja_list_new(run, JINJA_LIST, messages->list->n, &folded) ||
        !fold(run, how, messages->list, folded.list, out_changes))
        return false;
    *messages = folded;
    if (!how->merges_neighbours)
        return true;
    if (!jinja_list_new(run, JINJA_LIST, folded.list->n, &merged) ||
        !merge(run, folded.list, merged.list, out_changes))
        return false;
    *messages = merged;
    return true;
}
