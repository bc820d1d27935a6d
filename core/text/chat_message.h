/* chat_message.h - one message of a conversation, as every layer passes it on. Borrowed views;
 * whoever fills them says who owns the text. Thread: any. */
#ifndef CORE_TEXT_CHAT_MESSAGE_H
#define CORE_TEXT_CHAT_MESSAGE_H

#include <stddef.h>

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT, CHAT_TOOL };

struct chat_message {
    enum chat_role role;
    const char *content; /* UTF-8, not NUL-terminated; NULL only with len 0 */
    size_t len;
    /* What else the message carries, as the compact text of one JSON object: "tool_calls",
     * "tool_call_id", "name". NULL and 0 for nothing. */
    const char *extra;
    size_t extra_len;
    /* An assistant's thoughts before the content, which templates know as "reasoning_content".
     * Clients send them back or do not: they are no part of what was said. NULL and 0 for none. */
    const char *reasoning;
    size_t reasoning_len;
};

#endif
