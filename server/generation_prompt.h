/* generation_prompt.h - how an answer begins: from a request's words to the engine.
 *
 * Three steps, in this order: find the conversation that goes on, make tokens of what it lacks (on
 * a worker thread), hand them to the engine. When the engine has lost the session, recover and take
 * the last two steps once more, with the whole text. Not here: what the model answers.
 *
 * Owner: a generation (embedded). Thread: loop (but for one function, which makes tokens on a
 * worker thread and touches nothing else). */
#ifndef SERVER_GENERATION_PROMPT_H
#define SERVER_GENERATION_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/engine/engine.h"
#include "core/text/tokenizer.h"
#include "server/conversations.h"
#include "server/generation_request.h"
#include "server/message_log.h"

struct generation_ask;
struct generations_options;

struct generation_prompt {
    const struct generations_options *options; /* borrowed */
    int owner;
    char *conversation_id; /* as the client names it; NULL for none */
    uint64_t group;        /* see struct conversation_ask */
    bool is_ephemeral;
    bool is_raw;
    struct message_log messages; /* until they are found in a conversation */
    struct buf text;             /* raw */
    struct generation_request request;

    struct conversation_plan plan;
    bool has_plan;
    struct buf answer_start; /* what the model is given to go on from; empty for nothing */
    bool is_thinking;        /* the prompt ends within a thought */

    struct token_list tokens; /* to be fed; the engine's once it has them */
    struct err tokens_err;    /* why there are none */
    void (*on_tokens)(void *arg);
    void *on_tokens_arg;
    int n_sinks;   /* to pin the system prompt */
    int64_t n_fed; /* tokens */
    int32_t last_token;
    struct engine_request outgoing; /* may come back, to be asked once more */
    bool has_outgoing;
    bool has_recovered;
};

/* Takes the ask's messages, prompt, tokens and request over. False without memory: the ask is then
 * as it was. */
bool generation_prompt_init(struct generation_prompt *prompt,
                            const struct generations_options *options, struct generation_ask *ask);
/* Also gives a plan up that was neither ended nor failed: then the engine never got it. */
void generation_prompt_done(struct generation_prompt *prompt);

/* On READY the plan is made, and must be ended. */
enum conversations_status generation_prompt_find(struct generation_prompt *prompt, struct err *err);

/* Calls fn(arg), once, when the tokens are made or cannot be: before this returns, or later. False
 * when it will not. */
bool generation_prompt_tokenize(struct generation_prompt *prompt, void (*fn)(void *arg), void *arg,
                                struct err *err);

/* Hands the tokens to the engine, as request `id`. False also when there are none. */
bool generation_prompt_submit(struct generation_prompt *prompt, uint64_t id, struct err *err);

/* After a failure: true when the session has left memory and cannot come back, which was not known
 * before. Its text is still known: tokenize and submit again. */
bool generation_prompt_recover(struct generation_prompt *prompt, struct engine_event *event);

#endif
