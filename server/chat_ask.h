/* chat_ask.h - what a chat request asks of the model: one generation for each of its answers.
 *
 * Pure. Thread: any. */
#ifndef SERVER_CHAT_ASK_H
#define SERVER_CHAT_ASK_H

#include <stdbool.h>

struct chat_request;
struct generation_ask;

/* Sets the words and the settings of answer `index`; the last one gets the request's own words,
 * which may be megabytes, the others copies. False when there is no memory. */
bool chat_ask_take_words(struct chat_request *request, int index, struct generation_ask *ask);
/* What has not been taken over. */
void chat_ask_done(struct generation_ask *ask);

#endif
