/* conversation.h - one conversation, for the files named after it alone.
 *
 * Owner: conversations. Thread: loop. */
#ifndef SERVER_CONVERSATION_H
#define SERVER_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/base/buf.h"
#include "core/engine/engine.h"
#include "core/text/chat_template.h"
#include "server/message_log.h"

struct conversation_ask;
struct conversation_place;
struct conversation_plan;
struct conversation_result;
struct err;

enum { CONVERSATION_MAX_BOUNDARIES = 64, CONVERSATION_ID_SIZE = 257, BOUNDARY_MAX_TAIL = 32 };

/* A place that the engine can continue from, `position` tokens into the session. */
struct boundary {
    size_t n_messages; /* of the log, up to here */
    int64_t position;
    size_t n_text_kept; /* bytes of the last message, an answer, that those tokens cover */
    bool is_plain;      /* the answer is what the model said, byte for byte */
    bool is_whole;      /* the tokens cover all that the model said, or ... */
    uint8_t n_tail; /* ... all but these last bytes of it, unless there are none. A token's text:
                       longer ones are not kept */
    char tail[BOUNDARY_MAX_TAIL];
    int32_t replay; /* >= 0: the log up to here is a prompt, and lacks just this last token */
    uint64_t started_with; /* replay: of that prompt's end, as in the plan */
    size_t n_before;       /* bytes of the prompt that the answer follows, and ... */
    uint64_t before_hash;  /* ... their hash, as in the plan. 0: not known, as after a restart */
};

struct conversation {
    TAILQ_ENTRY(conversation) by_use; /* most recently used first */
    struct conversation *next_named;  /* in the same place of the table of names */
    char id[CONVERSATION_ID_SIZE];
    int owner;
    uint64_t group; /* of the ask that began it */
    bool is_named;  /* by the client, who then always names it: never found by text */
    bool is_busy;
    bool is_leaving;
    int64_t begun;    /* in seconds since 1970: what its template takes for the present, so
                         that midnight does not change what was already read */
    bool is_fork;     /* its first turn has not ended yet */
    uint64_t session; /* the engine's; 0: none, and no boundaries */
    int64_t n_unread; /* tokens of the text that the session was not given: see prompt_cut */
    struct engine_usage last; /* after the session's last turn: where it stands, how far back it
                                 can go */
    struct message_log log;
    struct boundary *boundaries; /* [CONVERSATION_MAX_BOUNDARIES] ascending; NULL: none yet */
    int n_boundaries;
    uint64_t rendered_with; /* boundaries hold for the same tools and variables only */
};

/* As the last one; without memory for it the conversation is read again one day: that costs time
 * only. */
void conversation_add_boundary(struct conversation *one, struct boundary boundary);

/* True when the engine still holds the tokens up to this boundary. */
bool conversation_can_return(const struct conversation *one, const struct boundary *boundary);

/* Fills in what of the ask must be fed: the plan's match, keep, prompt and begin, and the messages
 * that the log lacks. `place` is how far both go together. False with *err set when the messages
 * cannot be rendered. */
bool conversation_plan_feed(const struct conversation *one, const struct chat_template *template,
                            const struct conversation_ask *ask, struct conversation_place place,
                            struct conversation_plan *plan, struct err *err);

/* After the turn: moves its words from the plan into the log, and keeps the boundaries that the
 * session can go on from. False without memory: then the log tells less than the session holds. */
bool conversation_record_turn(struct conversation *one, struct conversation_plan *plan,
                              const struct conversation_result *result);

#endif
