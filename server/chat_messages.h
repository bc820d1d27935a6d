/* chat_messages.h - the "messages" of a chat completion as a message_log. Pure; fuzzed through
 * chat_request. Thread: any. */
#ifndef SERVER_CHAT_MESSAGES_H
#define SERVER_CHAT_MESSAGES_H

#include <jansson.h>
#include <stdbool.h>

struct api_error;
struct message_log;

/* Appends to *out, which is the caller's to free on failure too. */
bool chat_messages_read(const json_t *body, struct message_log *out, struct api_error *error);

#endif
