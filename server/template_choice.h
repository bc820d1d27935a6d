/* template_choice.h - which chat template the daemon uses: a file's, a built-in one, or the
 * model's own. Thread: loop, at start. */
#ifndef SERVER_TEMPLATE_CHOICE_H
#define SERVER_TEMPLATE_CHOICE_H

#include <stdbool.h>

struct chat_template;
struct engine;
struct err;
struct options;

/* The caller closes it. Says in the log when the model's own cannot be used. */
bool template_choice_open(struct chat_template **out, const struct options *options,
                          const struct engine *engine, struct err *err);

#endif
