/* chat_template.h - a list of messages as the prompt that a model was trained to continue.
 *
 * The model file's own Jinja template, or a built-in style where there is none that works. What a
 * person wrote goes in as plain spans: it can never become a control token.
 * Owner: whoever opened it; everyone else borrows it const. Thread: any (immutable). */
#ifndef CORE_TEXT_CHAT_TEMPLATE_H
#define CORE_TEXT_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text/chat_adapt.h"
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

/* Texts from the model file; any may be NULL with len 0. Copied. */
struct chat_template_source {
    const char *jinja; /* tokenizer.chat_template */
    size_t jinja_len;
    const char *tool_jinja; /* tokenizer.chat_template.tool_use: for when tools are given */
    size_t tool_jinja_len;
    const char *bos, *eos; /* names of the special tokens */
    size_t bos_len, eos_len;
    struct chat_call_form calls; /* how the model calls tools; zeroed: not known */
};

/* The template of a model file. When it is missing or cannot be used, the built-in style that its
 * markers tell, or ChatML: chat_template_warning says so. */
bool chat_template_open(struct chat_template **out, const struct chat_template_source *source,
                        struct err *err);
/* The same, but a template that cannot be used is an error. */
bool chat_template_open_strict(struct chat_template **out,
                               const struct chat_template_source *source, struct err *err);
/* A built-in style by its name: "chatml", "llama2" ... */
bool chat_template_open_named(struct chat_template **out, const char *name, struct err *err);
void chat_template_close(struct chat_template **template);

/* "jinja", or the name of the built-in style. */
const char *chat_template_name(const struct chat_template *template);
/* The Jinja text that is used, not NUL-terminated; NULL and 0 for a built-in style. */
const char *chat_template_text(const struct chat_template *template, size_t *out_len);
/* Why this is not the template that was asked for, as one sentence; NULL when it is. */
const char *chat_template_warning(const struct chat_template *template);

/* What a template has a form of its own for. What it lacks is rendered all the same, as text or in
 * another form. */
struct chat_caps {
    bool has_system;
    bool has_tools;
    bool has_calls;
    bool has_many_calls;       /* in one message */
    bool has_object_arguments; /* of calls; else JSON text */
    bool has_parts;            /* content is a list of parts, not a string */
    bool keeps_thoughts;       /* of earlier answers, not of the last one alone */
};
struct chat_caps chat_template_caps(const struct chat_template *template);

/* Appends the rendering of the messages. With add_generation_prompt it ends where the assistant
 * begins to speak; a last assistant message then is continued (what the template puts behind it is
 * left out). A template that refuses the messages is given them in a form that it may take: system
 * messages inside the user's, neighbours of one role as one, tools and their calls as text. When
 * that fails too, *err has the template's own words and code ERR_INVALID, and *out is as before.
 * BOS may be written or not: the tokenizer adds it where it is missing.
 *
 * With well-behaved templates the rendering of messages 0 .. k-1 with generation prompt is a byte
 * prefix of that of any longer list whose message k is the assistant's. Others drop what the
 * assistant thought earlier, or count from the end: a session compares before it relies on it. */
bool chat_template_render(const struct chat_template *template, const struct chat_message *messages,
                          size_t n_messages, const struct chat_render_options *options,
                          struct prompt *out, struct err *err);

/* When the prompt ends inside of a tag that the template opened for the assistant's thoughts
 * ("<think>"): the tag that will close it. NULL otherwise. */
const char *chat_template_open_thought(const struct prompt *prompt);

#endif
