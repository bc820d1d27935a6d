/* chat_values.h - messages, tools and variables as a template's values.
 *
 * Roles are the program's own words; contents, and all that JSON texts hold, are data.
 * Owner: the run. Thread: the run's. */
#ifndef CORE_TEXT_CHAT_VALUES_H
#define CORE_TEXT_CHAT_VALUES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text/chat_message.h"
#include "core/text/jinja_value.h"

/* How a template wants the messages; found out by trying. Zeroed is the usual. */
struct chat_shape {
    bool has_parts;          /* content is a list of parts, not a string */
    bool has_text_arguments; /* of tool calls: JSON text, not an object */
    bool has_empty_content;  /* beside tool calls: "", not none */
    bool has_empty_tools;    /* where there are none: a list */
    bool has_short_ids;      /* of tool calls: nine letters or digits */
    bool has_thinking;       /* thoughts are "thinking"; beside them a call has no content */
};

/* The list of messages as dicts. With `tracks_last` the last message's content, or else its
 * reasoning, is marked JINJA_TRACKED. */
bool chat_values_messages(struct jinja_run *run, const struct chat_message *messages, size_t n,
                          bool tracks_last, struct jinja_value *out);
/* Changes them into the shape. */
bool chat_values_shape(struct jinja_run *run, struct jinja_value messages,
                       const struct chat_shape *shape);

#endif
