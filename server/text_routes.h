/* text_routes.h - endpoints about text and tokens: /tokenize, /detokenize, /apply-template,
 * /chat/completions/input_tokens.
 *
 * A body may hold megabytes: a long one is read on a worker thread, and its tokens and prompts are
 * made on one. Thread: loop. */
#ifndef SERVER_TEXT_ROUTES_H
#define SERVER_TEXT_ROUTES_H

#include <stdbool.h>

struct body_reader;
struct chat_template;
struct engine;
struct err;
struct event_loop;
struct generation_request;
struct http_exchange;
struct message_log;
struct route_call;
struct routes;

struct text_routes {
    struct event_loop *loop;
    struct body_reader *reader;
    const struct engine *engine;
    const struct chat_template *chat_template;
};

/* Replies with the number of tokens in the prompt of these messages; takes them over, and what of
 * the request goes into the prompt. */
void text_routes_count(const struct text_routes *text, struct http_exchange *exchange,
                       struct message_log *messages, struct generation_request *generation);

/* Replies with the number of tokens in the prompt of a body of POST /v1/messages. */
void text_routes_count_anthropic(const struct text_routes *text, const struct route_call *call);

/* `text` is borrowed. */
bool text_routes_add(struct routes *routes, struct text_routes *text, struct err *err);

#endif
