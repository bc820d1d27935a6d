/* chat_adapt.h - messages made fit for a template that refuses or overlooks some kinds of them.
 *
 * System messages go into the user's next one, neighbours of one role become one, and what a
 * template has no form for is written as text: tools and their results in the form that Hermes
 * models made common (<tools>, <tool_response>), calls in the model's own or else in that form,
 * too. Owner: the run. Thread: the run's. */
#ifndef CORE_TEXT_CHAT_ADAPT_H
#define CORE_TEXT_CHAT_ADAPT_H

#include <stdbool.h>

#include "core/text/jinja_value.h"

/* How the model writes its calls: open, name, middle, arguments in JSON, end. All NULL: as Hermes'
 * models. */
struct chat_call_form {
    const char *open, *middle, *end;
    const char
        *next;      /* between the arguments of one and the name of the next; NULL: end and open */
    bool is_python; /* arguments are not JSON, but key="value", ... */
};

struct chat_adaptation {
    bool folds_systems;       /* all of them ... */
    bool folds_later_systems; /* ... or those behind the first message that is none */
    bool merges_neighbours;
    bool writes_tools;
    bool carries_tools; /* the system message has them, as JSON text under "tools" */
    bool writes_calls;
    bool writes_results;
    struct chat_call_form calls; /* of constants */
};

/* Changes the list of messages (chat_values.h), whose arguments may be objects or text. `tools`
 * may be none. *out_changes tells whether there was anything to change. */
bool chat_adapt(struct jinja_run *run, const struct chat_adaptation *how, struct jinja_value tools,
                struct jinja_value *messages, bool *out_changes);

#endif
