/* chat_jinja.h - one Jinja template that renders messages, and what was found out about it.
 *
 * Templates differ in what they take: some know no system role, some want roles to alternate, some
 * have no form for tools. Opening one tries it on small conversations; rendering then gives it
 * messages that it can take, and tries in what other form when it still refuses.
 * Owner: the chat template. Thread: any (immutable). */
#ifndef CORE_TEXT_CHAT_JINJA_H
#define CORE_TEXT_CHAT_JINJA_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/chat_adapt.h"
#include "core/text/chat_message.h"
#include "core/text/chat_values.h"

struct chat_render_options;
struct err;
struct jinja;
struct prompt;

/* Special tokens that a template may name, as text; empty for one that the model lacks. */
struct chat_specials {
    char *bos, *eos; /* NUL-terminated, never NULL; the chat template's */
};

struct chat_jinja {
    struct jinja *jinja; /* NULL: none */
    bool has_tools;      /* it is only used with tools */
    struct chat_shape shape;
    struct chat_adaptation needs;
    bool has_many_calls; /* of one message, it shows more than one call */
    bool keeps_thoughts; /* it shows those of earlier answers, too */
};

/* False when the text does not parse, or renders not even one message. */
bool chat_jinja_open(struct chat_jinja *out, const char *text, size_t len, bool has_tools,
                     const struct chat_specials *specials, struct err *err);
void chat_jinja_close(struct chat_jinja *chat);

/* As chat_template_render. */
bool chat_jinja_render(const struct chat_jinja *chat, const struct chat_specials *specials,
                       const struct chat_message *messages, size_t n_messages,
                       const struct chat_render_options *options, struct prompt *out,
                       struct err *err);

/* The same with nothing tried when it fails; for chat_probe.c. */
bool chat_jinja_render_as_is(const struct chat_jinja *chat, const struct chat_specials *specials,
                             const struct chat_message *messages, size_t n_messages,
                             const struct chat_render_options *options, struct prompt *out,
                             struct err *err);

#endif
