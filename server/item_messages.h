/* item_messages.h - items of the API as the messages that a chat template knows.
 *
 * Function calls go to the assistant's message that they follow, or make one. Reasoning is left
 * out: models are not shown what they thought in earlier turns. Pure. Thread: any. */
#ifndef SERVER_ITEM_MESSAGES_H
#define SERVER_ITEM_MESSAGES_H

#include <stdbool.h>

struct err;
struct item_list;
struct message_log;

/* Adds the messages that the items stand for. */
bool item_messages_append(const struct item_list *items, struct message_log *out, struct err *err);

#endif
