#include "core/text/chat_probe.h"

#include <string.h>

#include "core/base/err.h"
#include "core/text/chat_jinja.h"
#include "core/text/chat_template.h"
#include "core/text/prompt.h"

/* Words that no template has by itself. */
#define SAID "zq7user"
#define RULE "zq7system"
#define TOOL "zq7tool"
#define VALUE "zq7value"
#define SECOND_VALUE "zq8value"
#define RESULT "zq7result"
#define THOUGHT "zq7thought"

static const char TOOLS[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"" TOOL "\",\"description\":\"d\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\","
    "\"description\":\"d\"}},\"required\":[\"key\"]}}}]";
#define CALL_OF(id, value)                                                    \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" TOOL \
    "\",\"arguments\":\"{\\\"key\\\":\\\"" value "\\\"}\"}}"
static const char CALL[] = "{\"tool_calls\":[" CALL_OF("call_zq7", VALUE) "]}";
static const char CALLS[] =
    "{\"tool_calls\":[" CALL_OF("call_zq7", VALUE) "," CALL_OF("call_zq8", SECOND_VALUE) "]}";
static const char ANSWER[] = "{\"tool_call_id\":\"call_zq7\",\"name\":\"" TOOL "\"}";
static const char SECOND_ANSWER[] = "{\"tool_call_id\":\"call_zq8\",\"name\":\"" TOOL "\"}";

static struct chat_message message(enum chat_role role, const char *content, const char *extra)
{
    return (struct chat_message){.role = role,
                                 .content = content,
                                 .len = strlen(content),
                                 .extra = extra,
                                 .extra_len = extra == NULL ? 0 : strlen(extra)};
}

struct probe {
    struct chat_jinja *chat;
    const struct chat_specials *specials;
    struct prompt prompt; /* what the last try gave */
};

/* Renders as it is, with nothing tried on failure. */
static bool renders(struct probe *probe, const struct chat_message *messages, size_t n,
                    bool with_tools, struct err *err)
{
    with_tools |= probe->chat->has_tools;
    const struct chat_render_options options = {
        .add_generation_prompt = true,
        .tools = with_tools ? TOOLS : NULL,
        .tools_len = with_tools ? strlen(TOOLS) : 0,
    };
    prompt_truncate(&probe->prompt, 0);
    return chat_jinja_render_as_is(probe->chat, probe->specials, messages, n, &options,
                                   &probe->prompt, err);
}

static bool shows(const struct probe *probe, const char *word)
{
    return strstr(buf_text(&probe->prompt.text), word) != NULL;
}

static bool probe_user(struct probe *probe, struct err *err)
{
    const struct chat_message user = message(CHAT_USER, SAID, NULL);
    struct chat_shape *shape = &probe->chat->shape;
    bool is_rendered = false;
    for (unsigned i = 0; i < 4; i++) {
        shape->has_parts = (i & 1) != 0;
        shape->has_empty_tools = (i & 2) != 0;
        bool is_rendered_now = renders(probe, &user, 1, false, i == 0 ? err : NULL);
        if (is_rendered_now && shows(probe, SAID))
            return true;
        is_rendered |= i == 0 && is_rendered_now;
    }
    return is_rendered &&
           err_set(err, ERR_UNSUPPORTED, "the chat template does not show what the user says");
}

static void probe_system(struct probe *probe)
{
    const struct chat_message messages[] = {message(CHAT_SYSTEM, RULE, NULL),
                                            message(CHAT_USER, SAID, NULL)};
    probe->chat->needs.folds_systems =
        !renders(probe, messages, 2, false, NULL) || !shows(probe, RULE);
}

static void probe_tools(struct probe *probe)
{
    const struct chat_message user = message(CHAT_USER, SAID, NULL);
    struct chat_adaptation *needs = &probe->chat->needs;
    for (int i = 0; i < 2; i++) {
        needs->carries_tools = i == 1;
        if (renders(probe, &user, 1, true, NULL) && shows(probe, TOOL))
            return;
    }
    needs->carries_tools = false;
    needs->writes_tools = true;
}

static bool renders_calls(struct probe *probe)
{
    const struct chat_message messages[] = {
        message(CHAT_USER, SAID, NULL), message(CHAT_ASSISTANT, "", CALL),
        message(CHAT_TOOL, RESULT, ANSWER), message(CHAT_ASSISTANT, "ok", NULL),
        message(CHAT_USER, SAID, NULL)};
    return renders(probe, messages, 5, true, NULL);
}

/* Arguments that were text to a template that wants objects come out escaped twice. */
static bool shows_calls(const struct probe *probe)
{
    return shows(probe, VALUE) && !shows(probe, "\\\"" VALUE);
}

static int count_nones(const struct probe *probe)
{
    int n = 0;
    for (const char *at = buf_text(&probe->prompt.text); (at = strstr(at, "None")) != NULL; at++)
        n++;
    return n;
}

/* What a template makes of no content may be the word for it. */
static void avoid_nones(struct probe *probe)
{
    struct chat_shape *shape = &probe->chat->shape;
    if (shape->has_empty_content)
        return;
    int n_nones = count_nones(probe);
    shape->has_empty_content = true;
    shape->has_empty_content =
        renders_calls(probe) && shows_calls(probe) && count_nones(probe) < n_nones;
}

/* Tries the shapes that calls may have; the usual one stays when none is shown. */
static void probe_calls(struct probe *probe)
{
    const struct chat_shape usual = probe->chat->shape;
    for (unsigned i = 0; i < 8; i++) {
        struct chat_shape *shape = &probe->chat->shape;
        *shape = usual;
        shape->has_text_arguments = (i & 1) != 0;
        shape->has_empty_content = (i & 2) != 0;
        shape->has_short_ids = (i & 4) != 0;
        if (!renders_calls(probe) || !shows_calls(probe))
            continue;
        probe->chat->needs.writes_results = !shows(probe, RESULT);
        avoid_nones(probe);
        return;
    }
    probe->chat->shape = usual;
    probe->chat->needs.writes_calls = true;
    probe->chat->needs.writes_results = !renders_calls(probe) || !shows(probe, RESULT);
}

static void probe_many_calls(struct probe *probe)
{
    const struct chat_message messages[] = {
        message(CHAT_USER, SAID, NULL), message(CHAT_ASSISTANT, "", CALLS),
        message(CHAT_TOOL, RESULT, ANSWER), message(CHAT_TOOL, RESULT, SECOND_ANSWER)};
    struct chat_jinja *chat = probe->chat;
    chat->has_many_calls = !chat->needs.writes_calls && renders(probe, messages, 4, true, NULL) &&
                           shows(probe, VALUE) && shows(probe, SECOND_VALUE);
}

/* Beside a call, because thoughts of other answers are often left out. */
static void probe_thoughts(struct probe *probe)
{
    struct chat_message messages[] = {message(CHAT_USER, SAID, NULL),
                                      message(CHAT_ASSISTANT, "", CALL),
                                      message(CHAT_TOOL, RESULT, ANSWER)};
    struct chat_shape *shape = &probe->chat->shape;
    messages[1].reasoning = THOUGHT;
    messages[1].reasoning_len = strlen(THOUGHT);
    for (int i = 0; i < 2; i++) {
        shape->has_thinking = i == 1;
        if (renders(probe, messages, 3, true, NULL) && shows(probe, THOUGHT))
            return;
    }
    shape->has_thinking = false;
}

static void probe_earlier_thoughts(struct probe *probe)
{
    struct chat_message messages[] = {message(CHAT_USER, SAID, NULL),
                                      message(CHAT_ASSISTANT, "ok", NULL),
                                      message(CHAT_USER, SAID, NULL)};
    messages[1].reasoning = THOUGHT;
    messages[1].reasoning_len = strlen(THOUGHT);
    probe->chat->keeps_thoughts = renders(probe, messages, 3, false, NULL) && shows(probe, THOUGHT);
}

bool chat_probe(struct chat_jinja *chat, const struct chat_specials *specials, struct err *err)
{
    struct probe probe = {.chat = chat, .specials = specials};
    prompt_init(&probe.prompt);
    bool is_good = probe_user(&probe, err);
    if (is_good) {
        probe_system(&probe);
        probe_tools(&probe);
        probe_calls(&probe);
        probe_many_calls(&probe);
        probe_thoughts(&probe);
        probe_earlier_thoughts(&probe);
    }
    prompt_done(&probe.prompt);
    return is_good;
}
