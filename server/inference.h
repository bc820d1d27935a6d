/* inference.h - the model and all that speaks for it: the engine, its chat template, conversations
 * and generations. Here the daemon's options become theirs.
 *
 * Owner: the server, which borrows the parts. Thread: loop. Not here: requests and replies. */
#ifndef SERVER_INFERENCE_H
#define SERVER_INFERENCE_H

#include <stdbool.h>

#include "server/answer_style.h"
#include "server/generation_request.h"

struct auth;
struct chat_template;
struct conversations;
struct engine;
struct err;
struct event_loop;
struct generations;
struct grammar_cache;
struct mailbox;
struct metrics;
struct options;

/* All borrowed. */
struct inference_parts {
    const struct options *options; /* as they are now: those of a reload count from then on */
    struct event_loop *loop;
    struct auth *auth;
    struct metrics *metrics;
};

struct inference {
    const struct options *options;
    struct event_loop *loop;
    struct auth *auth;
    struct metrics *metrics;
    struct mailbox *mailbox;
    struct engine *engine;
    struct chat_template *chat_template;
    struct conversations *conversations;
    struct answer_style style;
    struct generations *generations;
    struct grammar_cache *grammars;
};

bool inference_open(struct inference **out, const struct inference_parts *parts, struct err *err);
/* When nobody works for the loop any more: such work may read what the engine owns. */
void inference_close(struct inference **inference);

/* What the API calls the model. */
const char *inference_model_id(const struct inference *inference);
/* Of requests that say nothing else, as the options are now. */
struct generation_defaults inference_read_defaults(const struct inference *inference);
/* How many there is memory for. */
int inference_max_sessions(const struct inference *inference);

#endif
