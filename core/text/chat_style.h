/* chat_style.h - the built-in chat templates, for model files whose own template is missing or
 * cannot be used.
 *
 * Which one fits is told from markers in the text of the file's template. Only roles and contents
 * are rendered. Thread: any (constants). */
#ifndef CORE_TEXT_CHAT_STYLE_H
#define CORE_TEXT_CHAT_STYLE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/chat_message.h"

struct chat_render_options;
struct err;
struct prompt;

enum chat_style {
    CHAT_STYLE_CHATML,
    CHAT_STYLE_LLAMA2,
    CHAT_STYLE_ZEPHYR,
    CHAT_STYLE_LLAMA3,
    CHAT_STYLE_MISTRAL,
    CHAT_STYLE_GEMMA,
    /* Later Mistral models, which differ in spaces alone, and v7, which has a system turn. */
    CHAT_STYLE_MISTRAL_V1,
    CHAT_STYLE_MISTRAL_V3,
    CHAT_STYLE_MISTRAL_TEKKEN,
    CHAT_STYLE_MISTRAL_V7,
};

/* Recognises the style by the markers in a Jinja text ("<|im_start|>", "[INST]", ...). A text
 * that is not recognised, or none at all (len 0), gives false and ChatML: the caller says so. */
bool chat_style_detect(const char *jinja, size_t len, enum chat_style *out);
/* "chatml", "llama2" ...; false for another name. */
bool chat_style_parse(const char *name, enum chat_style *out);
const char *chat_style_name(enum chat_style which);

/* Appends the rendering of the messages, as chat_template_render does, and never fails on any
 * order of roles: system messages in the middle and neighbours of one role are rendered as well as
 * the style allows.
 *
 * Law: the rendering of messages 0 .. k-1 with generation prompt is a byte prefix of the rendering
 * of any longer list whose message k is the assistant's. */
void chat_style_render(enum chat_style which, const struct chat_message *messages,
                       size_t n_messages, bool add_generation_prompt, struct prompt *out);

/* The same with tools, tool calls and tool results, for which no style has a form: they are
 * written as text (chat_adapt.h). Fails when a JSON text among them is damaged. */
bool chat_style_render_tools(enum chat_style which, const struct chat_message *messages,
                             size_t n_messages, const struct chat_render_options *options,
                             struct prompt *out, struct err *err);

#endif
