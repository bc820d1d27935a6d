/* conversations.h - which engine session continues a request, and what of the prompt it lacks.
 *
 * The API is stateless: each request brings its whole history as text. A conversation remembers
 * what was said, word for word, and boundaries: places in it whose tokens the engine still holds.
 * A request whose history equals a conversation's up to a boundary feeds only what follows. If
 * anything does not fit, the whole text is fed anew: text is the truth, the KV cache only saves
 * work.
 *
 * Owner: the daemon. Thread: loop. Not here: tokens, HTTP, the engine's thread. */
#ifndef SERVER_CONVERSATIONS_H
#define SERVER_CONVERSATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/engine/engine.h"
#include "core/text/chat_template.h"
#include "core/text/prompt.h"
#include "server/conversation_note.h"
#include "server/message_log.h"

struct conversation;
struct conversations;
struct err;

struct conversations_options {
    const struct chat_template *chat_template; /* borrowed */
    int max_conversations;                     /* remembered as text */
    size_t max_log_bytes;                      /* text of all of them */
    bool pins_system; /* a client that changes the system prompt of a conversation is not heard */
    void (*forget)(void *arg, uint64_t session); /* frees an engine session */
    /* Attaches what is known of a conversation to its session, to be found again after a restart
     * (conversations_restore). Takes *note over. NULL: not wanted. */
    void (*note)(void *arg, uint64_t session, struct buf *note);
    /* The name of an owner that outlives the daemon; the owner of such a name, -1 for none. */
    void (*name_owner)(void *arg, int owner, char out[CONVERSATION_OWNER_SIZE]);
    int (*find_owner)(void *arg, const char *name);
    void *arg;
};

enum conversation_match {
    CONVERSATION_NEW,       /* nothing was known */
    CONVERSATION_APPEND,    /* continues where the session stands */
    CONVERSATION_REWIND,    /* another answer to the last message: goes back to a boundary */
    CONVERSATION_FORK,      /* an earlier message was edited: a new one, from a boundary on; the old
                               one stays, under the same name */
    CONVERSATION_REBUILD,   /* the session is known, but must read the text again */
    CONVERSATION_EPHEMERAL, /* part of no conversation that goes on */
};

struct conversation_ask {
    int owner;         /* whose API key: conversations of others do not exist */
    const char *id;    /* the client's name for the conversation; NULL: found by its text */
    uint64_t group;    /* a hash of what the client calls its conversations of this kind; 0 for
                          nothing. Of two that would serve, the one of the same group does */
    bool is_ephemeral; /* part of none */
    const struct chat_message *messages;
    size_t n_messages;
    struct chat_render_options render; /* tools and variables, borrowed during the call. The time is
                                          the conversation's own */
    const char *answer_start; /* what the caller will append to the prompt; NULL for nothing */
    /* What a template that has results of calls behind these alone writes behind the last one; the
     * model ends its turn there. NULL: none. And what stands between arguments and that. */
    const char *call_end, *call_close;
};

/* One turn from conversations_begin to one of its ends. */
struct conversation_plan {
    struct conversation *conversation; /* busy until the end; NULL when ephemeral */
    enum conversation_match match;
    int64_t keep;         /* tokens of the session that stay */
    struct prompt prompt; /* bytes begin .. are to be fed ... */
    size_t begin;
    bool is_start;        /* ... as the start of a text */
    struct prompt whole;  /* all of the text, where `prompt` is not; else empty */
    int32_t replay;       /* >= 0: this one token is to be fed instead */
    struct prompt system; /* its first messages, by the system, rendered alone; empty for none */

    uint64_t session;  /* 0: none yet, or one that is forgotten afterwards */
    uint64_t source;   /* a fork's: the session whose tokens it keeps; else 0 */
    bool is_first_use; /* of this session number */
    bool is_kept_text; /* of no conversation; its session stays for a while to be copied from */
    bool is_history;   /* some of the prompt is what a model answered before */
    int64_t n_unread;  /* tokens that are not in the session, nor to be fed: see prompt_cut */
    size_t n_base;     /* messages of the log that stay */
    struct message_log added; /* messages that follow them */
    uint64_t rendered_with;   /* a hash of the ask's tools and variables ... */
    uint64_t started_with;    /* ... and of answer_start */
    size_t n_rendered;        /* bytes of all of the text as the template wrote it ... */
    uint64_t rendered_hash;   /* ... and a hash of them */
    bool is_continuation;     /* the last message is the assistant's, and is spoken on */
    bool is_unfaithful;       /* the template changed that message: its bytes cannot be mapped */
};

enum conversations_status {
    CONVERSATIONS_READY,
    CONVERSATIONS_BUSY,    /* another request is speaking in it */
    CONVERSATIONS_LEAVING, /* the same, but its client is gone: it will be free within a step */
    CONVERSATIONS_FAILED,  /* *err says why */
};

/* How a turn went, for conversations_end. */
struct conversation_result {
    const struct engine_usage *usage;
    int64_t n_fed;              /* prompt tokens that were submitted */
    int32_t last_token;         /* the last of them */
    struct chat_message answer; /* what the client was sent; its role is not looked at */
    const char *raw;            /* the text that the model said, and ... */
    size_t n_raw;
    bool is_plain; /* ... the answer is that text, byte for byte */
    bool is_cancelled;
};

bool conversations_open(struct conversations **out, const struct conversations_options *options,
                        struct err *err);
void conversations_close(struct conversations **all);

/* On READY fills *out, which must be ended by exactly one of abandon, fail and end. */
enum conversations_status conversations_begin(struct conversations *all,
                                              const struct conversation_ask *ask,
                                              struct conversation_plan *out, struct err *err);
/* The same for a text that is no conversation: always ephemeral. `is_kept`: what is read of it may
 * be of use to a later one. */
enum conversations_status conversations_begin_raw(const char *text, size_t len, bool is_kept,
                                                  struct conversation_plan *out, struct err *err);

/* Gives the plan a session's number, if it has none. */
void conversations_take_session(struct conversations *all, struct conversation_plan *plan);

/* The engine does not hold the session any more: all of plan->prompt must be read. */
void conversations_lost(struct conversations *all, struct conversation_plan *plan);

/* A session of an earlier run with its note. False when that is of no use: forget the session. */
bool conversations_restore(struct conversations *all, uint64_t session, const struct buf *note);

/* The client of this turn is gone; the turn ends soon. */
void conversations_leave(struct conversation_plan *plan);

/* The engine never got the request. */
void conversations_abandon(struct conversations *all, struct conversation_plan *plan);
/* The engine failed: what the session holds is not known. */
void conversations_fail(struct conversations *all, struct conversation_plan *plan);
void conversations_end(struct conversations *all, struct conversation_plan *plan,
                       const struct conversation_result *result);

/* The conversation's id; NULL when ephemeral. */
const char *conversation_plan_id(const struct conversation_plan *plan);
const char *conversation_match_name(enum conversation_match match);

int conversations_count(const struct conversations *all);

#endif
