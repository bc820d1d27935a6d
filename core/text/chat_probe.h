/* chat_probe.h - finds out what a template takes, by trying it. Thread: any. */
#ifndef CORE_TEXT_CHAT_PROBE_H
#define CORE_TEXT_CHAT_PROBE_H

#include <stdbool.h>

struct chat_jinja;
struct chat_specials;
struct err;

/* Fills in chat->shape, chat->needs and what else it says of the template. False when the template
 * does not even render a message of the user. */
bool chat_probe(struct chat_jinja *chat, const struct chat_specials *specials, struct err *err);

#endif
