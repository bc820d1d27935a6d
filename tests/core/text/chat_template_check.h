/* chat_template_check.h - templates from texts and files, and what they make of messages. */
#ifndef TESTS_CORE_TEXT_CHAT_TEMPLATE_CHECK_H
#define TESTS_CORE_TEXT_CHAT_TEMPLATE_CHECK_H

#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/chat_template.h"
#include "core/text/prompt.h"
#include "tests/support/check.h"

#define FOLDER "tests/fixtures/jinja/templates/"

static const char TOOLS[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{"
    "\"type\":\"object\",\"properties\":{}}}}]";
static const char CALL[] =
    "{\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
    "\"arguments\":\"{\\\"a\\\": 1}\"}}]}";
static inline struct chat_message said(enum chat_role role, const char *content)
{
    return (struct chat_message){.role = role, .content = content, .len = strlen(content)};
}

static inline struct chat_message called(void)
{
    return (struct chat_message){
        .role = CHAT_ASSISTANT, .content = "", .extra = CALL, .extra_len = strlen(CALL)};
}

static inline struct chat_template *open_with_calls(const char *jinja, struct chat_call_form calls)
{
    const struct chat_template_source source = {.jinja = jinja,
                                                .jinja_len = strlen(jinja),
                                                .bos = "<s>",
                                                .bos_len = 3,
                                                .eos = "</s>",
                                                .eos_len = 4,
                                                .calls = calls};
    struct chat_template *template = NULL;
    struct err err = {0};
    if (!chat_template_open(&template, &source, &err))
        fail_msg("%s", err.text);
    return template;
}

static inline struct chat_template *open_text(const char *jinja)
{
    return open_with_calls(jinja, (struct chat_call_form){0});
}

static inline struct chat_template *open_file(const char *name)
{
    char path[128], text[16384];
    snprintf(path, sizeof path, FOLDER "%s.jinja", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    struct chat_template *template = open_text(text);
    if (chat_template_warning(template) != NULL)
        fail_msg("%s: %s", name, chat_template_warning(template));
    return template;
}

static inline void check(const struct chat_template *template, const struct chat_message *messages,
                         size_t n, const char *tools, const char *expected)
{
    const struct chat_render_options options = {.add_generation_prompt = true,
                                                .tools = tools,
                                                .tools_len = tools == NULL ? 0 : strlen(tools)};
    struct prompt out;
    struct err err = {0};
    prompt_init(&out);
    if (!chat_template_render(template, messages, n, &options, &out, &err))
        fail_msg("%s", err.text);
    assert_string_equal(buf_text(&out.text), expected);
    prompt_done(&out);
}

#endif
