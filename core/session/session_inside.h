/* session_inside.h - the inside of struct session, for the session*.c files alone. */
#ifndef CORE_SESSION_SESSION_INSIDE_H
#define CORE_SESSION_SESSION_INSIDE_H

#include "core/model/kv_cache.h"
#include "core/session/lookup.h"
#include "core/session/session.h"
#include "core/session/speech.h"

/* A place in the cache where the tokens before it stand for exactly the first `text_len` bytes of
 * what was said: no character and no possible stop string is cut in two there. */
struct clean_cut {
    int64_t position;
    size_t text_len;
};

struct session {
    struct kv_cache *cache;
    enum session_mode mode;
    int n_window;
    struct token_list start; /* the cache's first tokens, as many as it has rows, for
                                session_common_prefix */
    struct buf note;         /* the caller's */
    struct lookup lookup;
    int max_drafts;
    enum session_state state;

    /* The turn. */
    int64_t keep;
    struct token_list prompt; /* with recompute, what was said since as well */
    size_t n_prompt_fed;
    int n_prompt; /* tokens of it that are the caller's */
    struct speech speech;
    int32_t chosen;                     /* the pending token while speaking */
    int32_t drafts[SESSION_MAX_DRAFTS]; /* what may follow it, or, once it is fed, what follows */
    int n_drafts;
    int n_unconfirmed; /* drafts that are in the cache and not yet chosen */
    int n_drafted, n_accepted;
    struct clean_cut cut;
    struct clean_cut marked_cut; /* the one that KV_MARK_CUT is at */
};

/* Back to a place that the cache can go back to. */
void session_rewind(struct session *session, int64_t position);
/* Recompute: the most recent N tokens are to be fed again. */
void session_read_again(struct session *session);
/* Of the tokens that stay whatever is chosen next. */
int64_t session_settled_position(const struct session *session);
/* Drafts that are in the cache leave it. */
void session_take_back_drafts(struct session *session);

/* Of a prompt, how many tokens may be fed before a place that is to be marked. */
int session_n_to_mark(const struct session *session);
/* Marks the place where a turn begins, ... */
void session_mark_turn(struct session *session);
/* ... one in its prompt, if this is one to be marked, ... */
void session_mark_prompt(struct session *session);
/* ... and, now and then, a clean cut that was just made. */
void session_mark_cut(struct session *session);
/* Of a prompt that is read and whose first n_same tokens, in all, are another's too: how many of
 * them the other will be able to begin with. */
int64_t session_soon(const struct session *session, int64_t n_same);

static inline int64_t session_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
