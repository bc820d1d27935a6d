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
#define RESULT "zq7result"

static const char TOOLS[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"" TOOL "\",\"description\":\"d\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\","
    "\"description\":\"d\"}},\"required\":[\"key\"]}}}]";
static const char CALL[] =
    "{\"tool_calls\":[{\"id\":\"call_zq7\",\"type\":\"function\",\"function\":{\"name\":\"" TOOL
    "\",\"arguments\":\"{\\\"key\\\":\\\"" VALUE "\\\"}\"}}]}";
static const char ANSWER[] = "{\"tool_call_id\":\"call_zq7\",\"name\":\"" TOOL "\"}";

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
    bool is_rendered = renders(probe, &user, 1, false, err);
    if (is_rendered && shows(probe, SAID))
        return true;
    probe->chat->shape.has_parts = true;
    if (renders(probe, &user, 1, false, NULL) && shows(probe, SAID))
        return true;
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
    probe->chat->needs.writes_tools = !renders(probe, &user, 1, true, NULL) || !shows(probe, TOOL);
}

/* Tries the shapes that calls may have; the usual one stays when none is shown. */
static void probe_calls(struct probe *probe)
{
    const struct chat_message messages[] = {
        message(CHAT_USER, SAID, NULL), message(CHAT_ASSISTANT, "", CALL),
        message(CHAT_TOOL, RESULT, ANSWER), message(CHAT_ASSISTANT, "ok", NULL),
        message(CHAT_USER, SAID, NULL)};
    const struct chat_shape usual = probe->chat->shape;
    for (unsigned i = 0; i < 8; i++) {
        struct chat_shape *shape = &probe->chat->shape;
        *shape = usual;
        shape->has_text_arguments = (i & 1) != 0;
        shape->has_empty_content = (i & 2) != 0;
        shape->has_short_ids = (i & 4) != 0;
        /* Arguments that were text to a template that wants objects come out escaped twice. */
        if (!renders(probe, messages, 5, true, NULL) || !shows(probe, VALUE) ||
            shows(probe, "\\\"" VALUE))
            continue;
        probe->chat->needs.writes_results = !shows(probe, RESULT);
        return;
    }
    probe->chat->shape = usual;
    probe->chat->needs.writes_calls = true;
    probe->chat->needs.writes_results =
        !renders(probe, messages, 5, true, NULL) || !shows(probe, RESULT);
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
    }
    prompt_done(&probe.prompt);
    return is_good;
}
