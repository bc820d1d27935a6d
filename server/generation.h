/* generation.h - one run of the model for a request, from its words to its last token: the file to
 * read first here.
 *
 * Finds the conversation that goes on, makes tokens of what it lacks on a worker thread, waits for
 * a session if need be, hands all to the engine and tells a listener what comes of it. A generation
 * lives until the engine has sent its final event, even when nobody listens any more; its
 * conversation is busy for that time. Not here: HTTP, JSON, what an answer looks like on the wire.
 *
 * Owner: struct generations. Thread: loop (but for one function, which makes tokens of a prompt on
 * a worker thread and touches nothing else). */
#ifndef SERVER_GENERATION_H
#define SERVER_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/engine/engine.h"
#include "server/answer_parser.h"
#include "server/generation_request.h"
#include "server/message_log.h"

struct api_error;
struct generation;
struct generations;

/* What is known before the prompt is read. */
struct generation_start {
    const char *conversation_id; /* NULL for a session that is not kept */
    const char *match;           /* "new", "append", ... */
    int64_t n_cached;            /* tokens that the session has already */
    int64_t n_new;               /* tokens to be read */
    int64_t n_evicted;           /* of all these, those that the first answered token cannot see */
};

/* A piece of the answer: whole UTF-8 sequences. Empty only when it brings reports of tokens that
 * have no text. */
struct generation_delta {
    enum answer_part part; /* of a raw prompt all is content */
    const char *text;      /* ANSWER_CALL: the tool's name */
    size_t len;
    size_t call;         /* ANSWER_CALL, ANSWER_ARGUMENTS: which of the answer's calls */
    const char *call_id; /* ANSWER_CALL */
    const struct token_report *reports; /* [n_reports] tokens whose text ends in it, if wanted */
    size_t n_reports;
    const struct engine_usage *usage; /* so far: tokens and times alone */
};

/* How it ended. */
struct generation_end {
    enum engine_finish finish;
    const char *stop; /* the stop string that ended it; NULL: none */
    struct engine_usage usage;
    const char *conversation_id; /* NULL for a session that is not kept */
    const char *match;
    int n_window;
    int n_sinks;
    const char *text; /* the answer's content */
    size_t len;
    const struct answer *answer;        /* with its thoughts and calls */
    int n_thought;                      /* generated tokens that were thoughts */
    const struct token_report *reports; /* [n_reports] of all its tokens, if wanted */
    size_t n_reports;
};

/* Who wants to know. Borrowed pointers hold for the call. on_finish or on_fail is the last call,
 * and exactly one of them comes unless the listener leaves. All but these two may leave, and all
 * may start other generations. */
struct generation_listener {
    /* Once, as soon as nothing but the model is waited for. */
    void (*on_start)(void *arg, const struct generation_start *start);
    void (*on_delta)(void *arg, const struct generation_delta *delta);
    /* About once a second while it lives: a stream that is silent for long is given up by clients
     * and proxies. */
    void (*on_tick)(void *arg);
    void (*on_finish)(void *arg, const struct generation_end *end);
    /* Also before on_start: a refusal. The error is the client's to read. */
    void (*on_fail)(void *arg, const struct api_error *error);
    /* So many of usage->n_prompt tokens are read, if the request wants progress; may be NULL. */
    void (*on_progress)(void *arg, int n_read, const struct engine_usage *usage);
};

/* What is asked for. */
struct generation_ask {
    const struct generation_listener *listener; /* lives as long as the generation */
    void *arg;
    const char *request_id;      /* for the log; copied */
    int owner;                   /* the API key's number */
    const char *conversation_id; /* the client's name for it, NULL for none; copied */
    uint64_t group;              /* see struct conversation_ask */
    bool is_ephemeral;           /* not part of any conversation: forgotten afterwards */
    struct message_log messages; /* at least one; the whole history */
    bool is_raw;                 /* no messages, but ... */
    struct buf prompt;           /* ... this text, or ... */
    struct token_list tokens;    /* ... these, if any. Both are ephemeral */
    struct generation_request request;
};

/* Takes the ask's messages, prompt, tokens and request over; NULL and *error when there are too
 * many (the ask is then as it was). Nothing happens before generation_run. */
struct generation *generation_new(struct generations *all, struct generation_ask *ask,
                                  struct api_error *error);
/* Sets it going. The listener may be called, to its last call, before this returns. */
void generation_run(struct generation *generation);
/* Says no more until it is told otherwise: its client does not read. */
void generation_park(struct generation *generation, bool is_parked);
/* Nobody listens any more: ends as soon as that is possible. The pointer is dead for the caller,
 * and the listener is not called again. */
void generation_leave(struct generation *generation);

#endif
