/* chat_request.h - the body of POST /v1/chat/completions, /v1/completions and /v1/messages as a
 * plain struct.
 *
 * Pure; fuzzed. Thread: any. */
#ifndef SERVER_CHAT_REQUEST_H
#define SERVER_CHAT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "server/completion_prompts.h"
#include "server/conversation_name.h"
#include "server/generation_request.h"
#include "server/message_log.h"

struct api_error;

enum { CHAT_REQUEST_MAX_CHOICES = 128 };

/* Whose form the body has, and the answer gets. */
enum chat_api { CHAT_API_CHAT, CHAT_API_COMPLETION, CHAT_API_ANTHROPIC };

struct chat_request {
    enum chat_api api;
    bool is_chat; /* messages; else raw prompts */
    struct generation_request generation;
    int n_choices;   /* answers to each prompt, >= 1; of all prompts CHAT_REQUEST_MAX_CHOICES */
    bool is_echoing; /* the answer begins with the prompt; of a chat, what it goes on with */
    bool adds_generation_prompt; /* chat: the assistant's turn begins; on unless they say no */
    /* Chat: they want the last message's content, or its thoughts, gone on with. */
    bool continues_content, continues_thoughts;
    struct message_log messages;       /* at least one */
    struct completion_prompts prompts; /* raw */
    struct conversation_name name;     /* the body's own */
};

/* On false nothing in *out is to be freed. */
bool chat_request_parse(enum chat_api api, const char *body, size_t len,
                        const struct generation_defaults *defaults, struct chat_request *out,
                        struct api_error *error);
/* Whether what they say of the prompt's end is what will be: an assistant's last message is gone on
 * with, behind others it begins one. Fills *error if not. */
bool chat_request_can_end(const struct chat_request *request, struct api_error *error);
void chat_request_done(struct chat_request *request);

#endif
