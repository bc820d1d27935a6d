/* Tools in the built-in styles. */
#include <string.h>

#include "core/base/err.h"
#include "core/text/chat_adapt.h"
#include "core/text/chat_style.h"
#include "core/text/chat_template.h"
#include "core/text/chat_values.h"
#include "core/text/jinja_dict.h"
#include "core/text/jinja_run.h"
#include "core/text/jinja_string.h"
#include "core/text/json_reader.h"
#include "core/text/prompt.h"

/* As for a template (chat_jinja.c), of which this does a small part. */
enum { BASE_STEPS = 100000, STEPS_PER_MESSAGE = 100, BASE_MEMORY_BYTES = 1024 * 1024 };
static const int64_t TIME_NS = 10000000000;

static struct jinja_limits limits_of(const struct chat_message *messages, size_t n, size_t n_bytes)
{
    for (size_t i = 0; i < n; i++)
        n_bytes += messages[i].len + messages[i].extra_len + messages[i].reasoning_len;
    return (struct jinja_limits){
        .n_steps = BASE_STEPS + (int64_t)(n * STEPS_PER_MESSAGE + n_bytes * 4),
        .n_memory_bytes = BASE_MEMORY_BYTES + n * 4096 + n_bytes * 32,
        .time_ns = TIME_NS,
    };
}

static enum chat_role role_of(const struct jinja_string *role)
{
    return jinja_string_is(role, "system")      ? CHAT_SYSTEM
           : jinja_string_is(role, "assistant") ? CHAT_ASSISTANT
           : jinja_string_is(role, "tool")      ? CHAT_TOOL
                                                : CHAT_USER;
}

static void render(enum chat_style which, struct jinja_run *run, const struct jinja_list *list,
                   bool add_generation_prompt, struct prompt *out)
{
    struct chat_message *messages = jinja_alloc_array(run, list->n, sizeof *messages);
    if (messages == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        const struct jinja_dict *dict = list->items[i].dict;
        const struct jinja_string *content = jinja_dict_get_text(dict, "content")->string;
        messages[i].role = role_of(jinja_dict_get_text(dict, "role")->string);
        messages[i].content = content->data;
        messages[i].len = content->len;
    }
    chat_style_render(which, messages, list->n, add_generation_prompt, out);
}

bool chat_style_render_tools(enum chat_style which, const struct chat_message *messages,
                             size_t n_messages, const struct chat_render_options *options,
                             struct prompt *out, struct err *err)
{
    static const struct chat_adaptation how = {
        .writes_tools = true, .writes_calls = true, .writes_results = true};
    const struct jinja_limits limits = limits_of(messages, n_messages, options->tools_len);
    struct jinja_run run;
    struct jinja_value list, tools = jinja_none();
    bool is_changed;
    struct err fault = {0};
    jinja_run_init(&run, &limits, 0, &fault);
    bool is_good = (options->tools_len == 0 || json_read(&run, "the tools", options->tools,
                                                         options->tools_len, JINJA_DATA, &tools)) &&
                   chat_values_messages(&run, messages, n_messages, false, &list) &&
                   chat_adapt(&run, &how, tools, &list, &is_changed);
    if (is_good)
        render(which, &run, list.list, options->add_generation_prompt, out);
    jinja_run_done(&run);
    if (!is_good) /* whatever it is: the client can only send something else */
        return err_set(err, ERR_INVALID, "%s", fault.text);
    return !prompt_failed(out) || err_no_memory(err, "a prompt");
}
