/* engine.h - the one door to the model: open, submit, cancel, forget, close.
 *
 * Two nouns: the engine (a loaded model and its thread) and the session (one conversation's KV
 * cache, named by a number that the caller chooses). The engine thread owns all sessions; the
 * caller owns nothing inside. Messages are moves: what is submitted belongs to the engine, what
 * arrives as an event belongs to the receiver.
 *
 * Each accepted submit gets exactly one final event (finished or failed); a caller may free what
 * belongs to a request only then. engine_cancel is a wish, never a free.
 * Thread: any for the functions; on_events is called on the engine thread. */
#ifndef CORE_ENGINE_ENGINE_H
#define CORE_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/histogram.h"
#include "core/kernels/kernels.h"
#include "core/model/kv_cache.h"
#include "core/session/session_mode.h"
#include "core/text/detokenizer.h"
#include "core/text/grammar.h"
#include "core/text/sampler.h"
#include "core/text/token_report.h"
#include "core/text/tokenizer.h"

struct engine;

struct engine_options {
    const char *model_path;
    int n_threads; /* 1 .. 256; 0: as many as the machine or container grants */
    int n_window;  /* tokens attended at once, N = S + R; 0: the trained context */
    int n_sinks;   /* S, 0 .. window - 1; -1: the default, 4 */
    enum session_mode
        mode;             /* streaming unless somebody wants to compare; the others have no sinks */
    enum kv_type kv_type; /* how keys and values are stored */
    int max_batch_sessions;   /* sessions that may speak in one step, 1 .. 1024; 0: 256 */
    int max_requests;         /* accepted and not yet finished, 1 .. 65536; 0: 1024 */
    int prefill_chunk;        /* prompt tokens per step, 1 .. 4096, fewer while others speak; 0: the
                                 default, 256 */
    int n_drafts;             /* guessed tokens in a step, SESSION_MAX_DRAFTS at most; 0: none */
    uint64_t kv_memory_bytes; /* for all sessions together; least recently used ones that nobody
                                 speaks in make room. 0: no limit */
    const char *kv_folder;    /* where these are saved, to come back when they are needed, after a
                                 restart too; made if its parent is there. NULL: they are dropped */
    uint64_t kv_file_bytes; /* of all that is saved; again the least recently used make room. 0: no
                               limit */
    const char *kv_meaning; /* any text: what is saved under another one is of no use. NULL for
                               none */
};

/* Immutable after opening; borrowed until engine_close. */
struct engine_info {
    char model_name[128]; /* the file's name without .gguf */
    char architecture[32];
    const char *chat_template; /* the file's own Jinja text, not NUL-terminated; NULL for none */
    size_t chat_template_len;
    const char *tool_chat_template; /* the one that it has for tools, likewise */
    size_t tool_chat_template_len;
    int n_vocab;
    int n_context; /* trained context */
    int n_window;  /* N */
    int n_sinks;   /* S */
    int n_slack;   /* tokens that a session which only went forward can take back exactly, less
                      the drafts of its last steps */
    enum session_mode mode;
    enum kv_type kv_type;
    size_t session_bytes; /* memory of one session, constant for its life */
    uint64_t n_parameters;
    size_t file_bytes;
    int n_threads;
};

struct engine_request {
    uint64_t id;      /* the caller's name for it, unique among unfinished requests; not 0 */
    int owner;        /* whose it is: sessions of different owners never share anything */
    uint64_t session; /* the caller's name for the session; opened on first use; 0: one that
                         is forgotten when the request ends */
    uint64_t source;  /* another session that this one, a new one, begins as a copy of: `keep` then
                         counts its tokens. It is only read, may be speaking, and is waited for
                         while it reads its prompt or waits to. 0: none */
    int64_t keep;     /* tokens of the session to keep; later ones are taken back. Must be
                         its position or a place that engine_can_rewind allows; 0 clears: then the
                         engine begins with whatever another session of the same owner has read of
                         the same tokens */
    int n_sinks;      /* first tokens that this session never evicts, of one that begins anew (keep
                         0) in streaming mode; never less than the engine's. 0: as many as these */
    struct token_list tokens;         /* the prompt: fed after the kept tokens; at least one */
    int max_tokens;                   /* generated at most; >= 1 */
    int min_tokens;                   /* no end-of-turn token before so many; 0 .. max_tokens */
    bool ignore_end;                  /* go on past end-of-turn tokens */
    struct sampler_settings sampling; /* its biases are not used: they are ... */
    struct token_bias *biases;        /* ... these: malloc'ed array; NULL for none */
    int n_biases;
    struct grammar *grammar; /* what may be said; NULL: anything */
    const char
        *grammar_start; /* what of it the prompt has said already; a constant; NULL: nothing */
    char **stops;       /* malloc'ed array of malloc'ed strings, each with at least one byte */
    int n_stops;        /* 0 .. STOP_SEARCH_MAX_STOPS */
    /* Where they count as nothing (stop_search.h); the marks are constants. */
    struct stop_shelter shelters[STOP_SEARCH_MAX_SHELTERS]; /* [n_shelters] */
    int n_shelters;
    int32_t shown[DETOKENIZER_MAX_SHOWN]; /* [n_shown] control tokens that read as their names */
    int n_shown;
    bool wants_reports;  /* text events say how likely each token was, and ... */
    int n_top;           /* ... the so many most likely ones: 0 .. TOKEN_REPORT_MAX_TOP */
    bool wants_progress; /* an event for each step in which tokens of the prompt were fed */
};

enum engine_finish {
    ENGINE_FINISH_STOP,      /* an end-of-turn token, a stop string or the end of the grammar */
    ENGINE_FINISH_LENGTH,    /* max_tokens reached, or no token fits the grammar */
    ENGINE_FINISH_CANCELLED, /* engine_cancel, or the engine closes */
};

enum engine_event_kind {
    ENGINE_EVENT_TEXT,     /* some text is ready; whole UTF-8 sequences. Empty only when the last
                              tokens of a turn have reports but no text */
    ENGINE_EVENT_PROGRESS, /* more of the prompt is read; only if wanted */
    ENGINE_EVENT_FINISHED, /* final: the turn is over; `usage` and `finish` are set */
    ENGINE_EVENT_FAILED,   /* final: the turn could not begin (the session is as it was; also when
                              it was cancelled while it waited) or ran out of memory.
                              ERR_NOT_FOUND: the session, or its source, is not in memory any more
                              and cannot be brought back: its text must be read again. ERR_INVALID:
                              a source has gone on too far */
};

struct engine_usage {
    int64_t n_cached; /* tokens that were kept, or copied from another session */
    int n_prompt;     /* prompt tokens that had to be fed */
    int n_generated;  /* tokens chosen, the end-of-turn token included */
    int n_drafted;    /* tokens that were fed as guesses ... */
    int n_accepted;   /* ... of these, came to be chosen */
    int64_t position; /* tokens in the session now: `keep` for the next request. A turn cancelled
                         before its first token leaves the session as it was (position is its
                         `keep`), or empty (0) where that cannot be restored */
    int64_t rewind_limit; /* the session can go back to any position from here on, and to 0 ... */
    int64_t marks[KV_N_MARKS]; /* ... and to these; 0: none */
    int64_t n_evicted;         /* of these, how many no later token can see */
    int n_sinks;               /* first tokens that the session never evicts */
    size_t n_text_kept; /* bytes of this turn's text that these tokens stand for. Less than all of
                           it after a stop string, a length limit or a cancel: what is missing must
                           be fed again as text when the conversation goes on */
    int64_t prefill_ns; /* from admission to the first token */
    int64_t decode_ns;  /* from the first token to the end */
};

struct engine_event {
    struct engine_event *next;
    uint64_t request;
    enum engine_event_kind kind;
    int64_t made_ns; /* clock_now_ns() when the engine gave it away */
    struct buf text; /* ENGINE_EVENT_TEXT */
    int n_tokens;    /* ENGINE_EVENT_TEXT: tokens chosen since the last text event */
    int n_read;      /* ENGINE_EVENT_PROGRESS: of usage.n_prompt tokens */
    struct token_report_list reports; /* ENGINE_EVENT_TEXT: of the tokens whose text ends in it */
    enum engine_finish finish;        /* ENGINE_EVENT_FINISHED */
    char *stop; /* ENGINE_EVENT_FINISHED: the stop string that ended the text, owned; NULL: none */
    struct engine_usage usage; /* ENGINE_EVENT_FINISHED. Before: so far, and only n_cached, n_prompt
                                  (all that must be fed), n_generated and the times */
    struct err err;            /* ENGINE_EVENT_FAILED */
    struct engine_request returned; /* the same, when it could not begin: what was asked for; its
                                       tokens may lack those found in another session */
};

/* All events of one step, in order; the receiver frees each with engine_event_free. Called on the
 * engine thread: hand over and return, never block. */
typedef void engine_events_fn(void *arg, struct engine_event *events);

/* Reads what is parsed of a model file, in a child process that can do nothing else: false, with
 * one sentence, for a file that engine_open would refuse, and for one that harms its reader. Where
 * the system allows no such process *out_is_confined is false. For the only thread of a process. */
bool engine_check(const char *model_path, bool *out_is_confined, struct err *err);

/* Loads the model and starts the engine thread. Chooses the kernels (kernels_select). */
bool engine_open(struct engine **out, const struct engine_options *options,
                 engine_events_fn *on_events, void *arg, struct err *err);
/* Ends all requests (each still gets its final event), then stops the thread and frees all. */
void engine_close(struct engine **engine);

const struct engine_info *engine_info(const struct engine *engine);
const struct tokenizer *engine_tokenizer(const struct engine *engine);

void engine_request_init(struct engine_request *request);
void engine_request_done(struct engine_request *request);

/* Moves *request into the engine: on true it is emptied and one final event will come; on false
 * (a value out of range, a queue that is full, no memory) it stays the caller's. */
bool engine_submit(struct engine *engine, struct engine_request *request, struct err *err);

/* Asks to end a request within one step. Unknown or finished ids are ignored. */
void engine_cancel(struct engine *engine, uint64_t request_id);

/* While `is_parked` a request that speaks says nothing more and takes no place in the batch; its
 * session stays as it is. One that still reads its prompt or waits is parked when it begins to
 * speak. False without memory for the message: ask again. Unknown or finished ids are ignored. */
bool engine_park(struct engine *engine, uint64_t request_id, bool is_parked);

/* Frees a session's memory, after its running request if there is one. Unknown ids are ignored. */
void engine_forget(struct engine *engine, uint64_t session);

/* True when the session whose last turn ended with `last` can go back to `keep` exactly. Pure. */
bool engine_can_rewind(const struct engine_usage *last, int64_t keep);

void engine_event_free(struct engine_event *event);

/* Attaches bytes to a session between two turns, which are saved with it: the next turn makes them
 * void. Takes *note over. With a kv_folder expected, or engine_forget, after each turn. */
void engine_note(struct engine *engine, uint64_t session, struct buf *note);

/* A session of an earlier run that is there to go on. */
struct engine_saved {
    struct engine_saved *next;
    uint64_t session;
    struct buf note; /* empty when none was attached after its last turn: good for nothing */
};
/* Those found when the engine was opened, least recently used first; to be called once, before
 * the first submit. The caller frees each, and forgets the sessions that it has no use for. */
struct engine_saved *engine_take_saved(struct engine *engine);
void engine_saved_free(struct engine_saved *saved);

/* Counters for /metrics; read at any time, from any thread. */
struct engine_counters {
    uint64_t n_steps;
    uint64_t n_prompt_tokens;
    uint64_t n_generated_tokens;
    uint64_t n_cached_tokens; /* kept or copied instead of computed ... */
    uint64_t n_copied_tokens; /* ... of these, copied from another session */
    uint64_t n_evicted_tokens;
    uint64_t n_drafted_tokens;  /* fed as guesses ... */
    uint64_t n_accepted_tokens; /* ... of these, came to be chosen */
    int n_active;               /* requests being prefilled or decoded */
    int n_waiting;              /* requests accepted and not yet active */
    int n_parked;               /* requests that have begun and are parked */
    int n_sessions;             /* in memory */
    int n_saved_sessions;       /* in files */
    uint64_t n_spilled;         /* sessions saved to files, so far */
    uint64_t n_restored;        /* brought back */
    uint64_t n_lost_sessions;   /* that could not be, or made room on the disk */
    uint64_t n_save_errors;     /* of the disk */
    int n_disk_jobs;            /* sessions on their way to files and back */
    uint64_t n_disk_moves;      /* grows while that goes on */
    uint64_t kv_memory_bytes;   /* in use, or promised to running turns */
    uint64_t kv_file_bytes;
    struct histogram step_seconds;
    struct histogram step_tokens; /* of all sessions together */
};
void engine_read_counters(const struct engine *engine, struct engine_counters *out);

#endif
