/* anthropic_messages.h - "system" and "messages" of Anthropic's API as the messages of a chat
 * completion: results of tools, which are blocks of the user's there, are messages of their own.
 *
 * Pure; fuzzed through chat_request. Thread: any. */
#ifndef SERVER_ANTHROPIC_MESSAGES_H
#define SERVER_ANTHROPIC_MESSAGES_H

#include <jansson.h>
#include <stdbool.h>

struct api_error;

/* Appends to the array *out. */
bool anthropic_messages_convert(const json_t *body, json_t *out, struct api_error *error);

#endif
