/* chat_template.h - a list of messages as the prompt that a model was trained to continue.
 *
 * Known templates are recognised from the text of the GGUF's own template. What a person wrote goes
 * in as plain spans: it can never become a control token. Thread: any (constants). */
#ifndef CORE_TEXT_CHAT_TEMPLATE_H
#define CORE_TEXT_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct prompt;

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT, CHAT_TOOL };

struct chat_message {
    enum chat_role role;
    const char *content; /* UTF-8, not NUL-terminated */
    size_t len;
};

enum chat_template {
    CHAT_TEMPLATE_CHATML,
    CHAT_TEMPLATE_LLAMA2,
    CHAT_TEMPLATE_ZEPHYR,
    CHAT_TEMPLATE_LLAMA3,
    CHAT_TEMPLATE_MISTRAL,
    CHAT_TEMPLATE_GEMMA,
    /* Later Mistral models, which differ in spaces alone, and v7, which has a system turn. */
    CHAT_TEMPLATE_MISTRAL_V1,
    CHAT_TEMPLATE_MISTRAL_V3,
    CHAT_TEMPLATE_MISTRAL_TEKKEN,
    CHAT_TEMPLATE_MISTRAL_V7,
};

/* Recognises the template by the markers in its Jinja text ("<|im_start|>", "[INST]", ...). A text
 * that is not recognised, or none at all (len 0), gives false and ChatML: the caller says so. */
bool chat_template_detect(const char *jinja, size_t len, enum chat_template *out);
/* "chatml", "llama2" ...; false for another name. */
bool chat_template_parse(const char *name, enum chat_template *out);
const char *chat_template_name(enum chat_template which);

/* Appends the rendering of the messages. With `add_generation_prompt` it ends where the assistant
 * begins to speak; a last assistant message then is continued (its end marker is left out).
 * Never fails on any order of roles: system messages in the middle and neighbours of one role are
 * rendered as well as the template allows. BOS is not written: the tokenizer adds it.
 *
 * Law: the rendering of messages 0 .. k-1 with generation prompt is a byte prefix of the rendering
 * of any longer list whose message k is the assistant's. A session continues by it. */
void chat_template_render(enum chat_template which, const struct chat_message *messages,
                          size_t n_messages, bool add_generation_prompt, struct prompt *out);

#endif
