/* session.h - one conversation: its KV cache, and the turn that it is speaking, if any.
 *
 * A turn: begin (keep so many tokens, queue the prompt), then per step feed what is pending and,
 * once the prompt is in, choose a token from the logits of the last one; end settles the cache so
 * that the next turn knows which text the cached tokens stand for.
 *
 * A step may feed drafts as well: what is guessed (lookup.h) to follow the chosen token. Then
 * tokens are chosen from one row of logits after the other, as if each had been a step of its own,
 * while they are what was guessed; at the first that is not the remaining drafts are taken back. So
 * drafts change nothing of what is said, only how soon. Owner: the engine. Thread: engine;
 * session_choose of different sessions may run on different workers at once. */
#ifndef CORE_SESSION_SESSION_H
#define CORE_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/model/kv_cache.h"
#include "core/session/session_mode.h"
#include "core/text/sampler.h"
#include "core/text/token_report.h"
#include "core/text/tokenizer.h"

struct err;
struct grammar;
struct session;

/* What a turn asks for. session_begin takes `prompt` over; the rest is copied. */
struct session_turn {
    const struct session *source; /* whose tokens to begin with, of the same shape; NULL: its own */
    int64_t keep;                 /* tokens to keep: the position, a place to rewind to, or 0 */
    int n_sinks; /* of a session that begins anew (keep 0), 0 .. window - 1; negative: as it is */
    struct token_list prompt;
    int max_tokens;
    bool ignore_end;
    struct grammar *grammar;   /* what may be said; NULL: anything */
    const char *grammar_start; /* what of it the prompt has said already; NULL: nothing */
    struct sampler_settings sampling;
    int min_tokens; /* no end-of-turn token before so many */
    char *const *stops;
    int n_stops;
    const struct stop_shelter *shelters; /* [n_shelters] where these count as nothing */
    int n_shelters;
    const int32_t *shown; /* [n_shown] control tokens that read as their names (detokenizer_show) */
    int n_shown;
    bool wants_reports; /* of each token, with the n_top most likely ones (token_report.h) */
    int n_top;
};

enum session_state {
    SESSION_IDLE,      /* no turn */
    SESSION_READING,   /* prompt tokens are pending */
    SESSION_SPEAKING,  /* the last chosen token is pending, or rows of logits are */
    SESSION_SAID_STOP, /* an end-of-turn token, a stop string, the grammar's end: session_end */
    SESSION_SAID_ALL,  /* max_tokens reached, or no token fits the grammar: session_end */
};

/* What the cache stands for after a turn; see struct engine_usage. */
struct session_outcome {
    int64_t n_cached;
    int n_prompt;
    int n_generated;
    int n_drafted;
    int n_accepted;
    int64_t position;
    int64_t rewind_limit;
    int64_t marks[KV_N_MARKS];
    int64_t n_evicted;
    int n_sinks;
    size_t n_text_kept;
    int stop; /* the stop string that its text ends at; -1: none */
};

/* In recompute mode a session keeps nothing between turns: its position is 0 and every turn brings
 * the whole text. In dense mode a turn that does not fit is ERR_INVALID and one that fills the
 * window ends there. */
bool session_open(struct session **out, const struct kv_shape *shape, enum session_mode mode,
                  const struct tokenizer *tokenizer, struct err *err);
void session_close(struct session **session);

/* From the next turn on, how many drafts to offer, SESSION_MAX_DRAFTS at most; none after opening,
 * and never any in recompute mode. */
void session_set_drafts(struct session *session, int max);

enum session_state session_state(const struct session *session);
struct kv_cache *session_cache(struct session *session);
int64_t session_position(const struct session *session);

/* ERR_INVALID when there is a turn already, the prompt is empty or `keep` cannot be reached; the
 * session and *turn are then as before. A source may be in a turn of its own; it is only read. */
bool session_begin(struct session *session, struct session_turn *turn, struct err *err);

/* How many of these tokens, from the first on, the session begins with. */
struct session_prefix {
    int64_t now;  /* a place to keep: what follows there can be fed */
    int64_t soon; /* the same when its pending prompt is in; >= now */
};
struct session_prefix session_common_prefix(const struct session *session, const int32_t *ids,
                                            size_t n);

/* Tokens that can be fed now: the rest of the prompt or, with recurrent layers, what of it comes
 * before a place to be marked; or the one chosen last ... */
int session_n_pending(const struct session *session);
/* ... and so many drafts that may follow it, ... */
int session_n_drafts(const struct session *session);
/* ... the i-th of them as likely as this to be right if all before it are. */
float session_draft_chance(const struct session *session, int i);
/* Drafts come after the chosen token. */
int32_t session_pending(const struct session *session, int i);
/* Whether the logits of this one are wanted: it ends the prompt, or was chosen or guessed. */
bool session_wants_logits(const struct session *session, int i);

/* The first `n` pending tokens and drafts have gone through forward_run. */
void session_fed(struct session *session, int n);
/* True when the next token is to be chosen: from the logits of the last token of the prompt, of the
 * chosen one, or of the draft after the one that was right. */
bool session_is_ready_to_choose(const struct session *session);
/* Chooses the next token from logits [n_vocab] (overwritten) and appends the text that is safe to
 * send to *out. Changes the state to SPEAKING, SAID_STOP or SAID_ALL. */
void session_choose(struct session *session, float *logits, struct buf *out);
/* Moves to *out the reports of tokens whose text has been given out; after session_end also that of
 * a token cut by a stop string, but none of what the cut took away. False when there is no memory.
 */
bool session_take_reports(struct session *session, struct token_report_list *out);

enum { SESSION_MAX_NOTE = 64 * 1024 * 1024 };
/* Bytes of the caller's that are saved with an idle session, until the next turn begins. Takes
 * *note over; more than SESSION_MAX_NOTE cannot be saved. */
void session_set_note(struct session *session, struct buf *note);

/* What an idle session is, for snapshot.c: this, and the bytes that session_walk goes through. */
struct session_saved {
    struct kv_state cache;
    uint64_t n_note;      /* bytes of the note */
    uint64_t n_start;     /* first tokens of the text that it remembers */
    uint64_t n_row_bytes; /* of the cache's rows; follows from `cache` */
};
struct session_saved session_saved(const struct session *session);
/* False, and nothing has changed, when a session like this one cannot be so or there is no memory
 * for the note. On true session_walk must fill it in before anything else. */
bool session_restore(struct session *session, const struct session_saved *saved);
/* Of the note, the first tokens and the rows of the cache, in this order. */
bool session_walk(struct session *session, kv_cache_bytes_fn *fn, void *arg);
/* An idle session forgets all that it read. */
void session_clear(struct session *session);

/* Ends the turn in any state: appends held-back text to *out, takes back tokens whose text was not
 * said, and reports. A turn that ends before its first token leaves the cache as it was before
 * it, or empty where that cannot be restored. */
void session_end(struct session *session, struct buf *out, struct session_outcome *outcome);

#endif
