/* chat_template.h - a list of messages as the prompt that a model was trained to continue.
 *
 * What a person wrote goes in as plain spans: it can never become a control token.
 * Owner: whoever opened it; everyone else borrows it const. Thread: any (immutable). */
#ifndef CORE_TEXT_CHAT_TEMPLATE_H
#define CORE_TEXT_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text/chat_message.h"

struct chat_template;
struct err;
struct prompt;

/* What a rendering depends on besides the messages. Zeroed is a valid value. */
struct chat_render_options {
    bool add_generation_prompt; /* end where the assistant begins to speak */
    const char *tools;          /* JSON array of tool definitions; NULL for none */
    size_t tools_len;
    const char *kwargs; /* JSON object of variables for the template; NULL for none */
    size_t kwargs_len;
    int64_t now; /* what a template takes for the present, in seconds since 1970 (UTC) */
};

/* The built-in style that the markers in a Jinja text tell, ChatML for an unknown text or none. */
bool chat_template_open(struct chat_template **out, const char *jinja, size_t len, struct err *err);
/* A built-in style by its name: "chatml", "llama2" ... */
bool chat_template_open_named(struct chat_template **out, const char *name, struct err *err);
void chat_template_close(struct chat_template **template);

const char *chat_template_name(const struct chat_template *template);
/* Why this is not the template that the text asked for, as one sentence; NULL when it is. */
const char *chat_template_warning(const struct chat_template *template);

/* Appends the rendering of the messages. With add_generation_prompt it ends where the assistant
 * begins to speak; a last assistant message then is continued (its end marker is left out).
 * BOS is not written: the tokenizer adds it. False when the messages, tools or variables cannot be
 * rendered: then *out holds a part that must not be used. */
bool chat_template_render(const struct chat_template *template, const struct chat_message *messages,
                          size_t n_messages, const struct chat_render_options *options,
                          struct prompt *out, struct err *err);

#endif
