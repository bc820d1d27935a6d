/* message_extra.h - what a chat message carries besides its content, as the one text by which
 * messages are compared and templates render (struct chat_message, `extra`).
 *
 * The same call always gives the same text, however a client spaced, ordered or escaped it: keys of
 * our own are sorted, and a call's arguments are a JSON object (in the order that they came in)
 * rather than the text of one. Pure. Thread: any. */
#ifndef SERVER_MESSAGE_EXTRA_H
#define SERVER_MESSAGE_EXTRA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct answer;
struct api_error;

/* Of messages[i] of a request, whose role is given: tool_calls of an assistant, tool_call_id of a
 * tool, name. *out is malloc'ed, or NULL when there is nothing. */
bool message_extra_read(const json_t *message, size_t i, bool is_assistant, bool is_tool,
                        char **out, struct api_error *error);

/* One call of an assistant's tool_calls. `arguments` is a JSON object's text, or a text that is
 * kept as it is. NULL when there is no memory. */
json_t *message_extra_call(const char *id, const char *name, size_t name_len, const char *arguments,
                           size_t arguments_len);

/* The same calls with this text for the arguments of each: malloc'ed; NULL when there are none, or
 * no memory. */
char *message_extra_with_arguments(const char *extra, size_t len, const char *arguments);

/* Of an answer: malloc'ed; NULL when it calls no tool, or there is no memory (*out_failed). */
char *message_extra_of_answer(const struct answer *answer, bool *out_failed);

#endif
