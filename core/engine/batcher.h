/* batcher.h - all turns between their beginning and their end, one step at a time.
 *
 * A step ends who is over, lets in who waits (admission.h), feeds one batch through the model and
 * has tokens chosen (batch.h), and collects events. Knows no threads but the pool it computes on;
 * the engine drives it from its own thread.
 * Owner: the engine. Thread: engine. */
#ifndef CORE_ENGINE_BATCHER_H
#define CORE_ENGINE_BATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine/engine.h"
#include "core/engine/residence.h"

struct batcher;
struct model;
struct thread_pool;
struct turn;

struct batcher_options {
    struct residence_options residence;
    int max_turns;     /* turns in one step; more wait */
    int prompt_budget; /* prompt tokens in one step, <= n_slack + 1 */
    int max_drafts;    /* guessed tokens in one step, 0 .. DRAFTING_MAX */
    /* Within a step: some texts can be taken while others are still to come. NULL: nobody asks. */
    void (*on_texts)(void *arg);
    void *arg;
};

/* Borrows model and pool until closing. */
bool batcher_open(struct batcher **out, const struct model *model, struct thread_pool *pool,
                  const struct batcher_options *options, struct err *err);
/* No turn may be left. */
void batcher_close(struct batcher **batcher);

/* Takes `turn` over; its final event comes out of a later step. */
void batcher_add(struct batcher *batcher, struct turn *turn);
/* Marks a turn, waiting or running, to end at the next step. */
void batcher_cancel(struct batcher *batcher, uint64_t request_id);
/* See engine_park. */
void batcher_park(struct batcher *batcher, uint64_t request_id, bool is_parked);
void batcher_cancel_all(struct batcher *batcher);
void batcher_forget(struct batcher *batcher, uint64_t session_id);
void batcher_note(struct batcher *batcher, uint64_t session_id, struct buf *note);
struct engine_saved *batcher_take_saved(struct batcher *batcher);

/* How long the next step can wait for news, from the caller or of a session that comes: 0 when
 * there is work, negative when there will be none without news. */
int batcher_patience_ms(const struct batcher *batcher);
/* True when no turn waits, runs or is parked. */
bool batcher_is_idle(const struct batcher *batcher);

void batcher_step(struct batcher *batcher);

/* The events since the last call, in order; NULL for none. The caller owns them. */
struct engine_event *batcher_take_events(struct batcher *batcher);

void batcher_read_counters(const struct batcher *batcher, struct engine_counters *out);

#endif
