/* turn.h - one accepted request on its way to its final event: it waits, reads and speaks in its
 * session, and ends.
 *
 * What it needs to end is allocated when it is accepted, so that the final event comes even when
 * memory has run out. Owner: the inbox, then the batcher. Thread: whoever holds it. */
#ifndef CORE_ENGINE_TURN_H
#define CORE_ENGINE_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine/engine.h"

struct admission_start;
struct session_entry;

struct turn {
    struct turn *next; /* in the queue of those that wait, or among the parked */
    struct engine_request request;
    struct session_entry *entry; /* NULL until admitted */
    bool is_cancelled;
    bool is_to_park; /* as soon as it speaks, and as long as it is set */
    int share;       /* of its owner, in the batcher's fairness */
    uint64_t awaits; /* while it waits: the session that is reading what both begin with; or 0 */

    struct buf text; /* said and not yet sent */
    int n_text_tokens;
    struct token_report_list reports; /* of these, when wanted */
    struct engine_event *last_text;   /* spare, for what the end brings to light */
    struct engine_event *final;

    int64_t n_evicted_before; /* of the session, when the turn began */
    int64_t n_evicted;        /* of the session, by this turn; known at its end */
    int64_t n_cached;         /* tokens that need not be fed ... */
    int n_prompt, n_read;     /* ... those that must, and those that are */
    int n_generated;
    int64_t admitted_ns;
    int64_t first_token_ns; /* 0 before the first token */
};

/* Takes *request over on success. */
bool turn_new(struct turn **out, struct engine_request *request, struct err *err);
void turn_free(struct turn **turn);

/* Begins it in the session of `start`. False when that cannot be: the turn is as before. */
bool turn_begin(struct turn *turn, const struct admission_start *start, struct err *err);
/* Chooses its next token from logits [n_vocab] (overwritten). True when that was its next draft:
 * the one after it is to be chosen as well. Different turns may choose on different threads at
 * once. */
bool turn_choose(struct turn *turn, float *logits);
/* True when turn_end is all that it can still do. */
bool turn_is_over(const struct turn *turn);

/* The text said since the last call as an event; NULL when there is none, or no memory for an event
 * now (the text then waits for the next call). */
struct engine_event *turn_take_text(struct turn *turn);

/* How much of the prompt is read; NULL when nobody wants to know, or no memory. */
struct engine_event *turn_take_progress(struct turn *turn);

/* Ends one that has begun, in its session too: the last text (if any) and the final event, in
 * order. The turn is then only to be freed. */
struct engine_event *turn_end(struct turn *turn);
/* The same for one that cannot begin. */
struct engine_event *turn_fail(struct turn *turn, const struct err *err);

#endif
