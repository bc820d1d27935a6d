/* batcher.h - all running turns, one step at a time.
 *
 * A step feeds one batch through the model (see scheduler.h), chooses the next token of everyone
 * whose prompt is in, and collects events. Knows no threads but the pool it computes on; the engine
 * drives it from its own thread.
 * Owner: the engine. Thread: engine. */
#ifndef CORE_ENGINE_BATCHER_H
#define CORE_ENGINE_BATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine/engine.h"
#include "core/model/kv_cache.h"

struct batcher;
struct model;
struct thread_pool;
struct tokenizer;
struct turn;

struct batcher_options {
    struct kv_shape session_shape; /* of every session */
    enum session_mode mode;
    int max_turns;     /* turns in one step; more wait */
    int prompt_budget; /* prompt tokens in one step, <= n_slack + 1 */
};

/* Borrows model, tokenizer and pool until closing. */
bool batcher_open(struct batcher **out, const struct model *model,
                  const struct tokenizer *tokenizer, struct thread_pool *pool,
                  const struct batcher_options *options, struct err *err);
/* No turn may be left. */
void batcher_close(struct batcher **batcher);

/* Takes `turn` over; its final event comes out of a later step. */
void batcher_add(struct batcher *batcher, struct turn *turn);
/* Marks a turn, waiting or running, to end at the next step. */
void batcher_cancel(struct batcher *batcher, uint64_t request_id);
void batcher_cancel_all(struct batcher *batcher);
void batcher_forget(struct batcher *batcher, uint64_t session_id);

/* True when no turn waits or runs: a step would do nothing. */
bool batcher_is_idle(const struct batcher *batcher);

void batcher_step(struct batcher *batcher);

/* The events since the last call, in order; NULL for none. The caller owns them. */
struct engine_event *batcher_take_events(struct batcher *batcher);

void batcher_read_counters(const struct batcher *batcher, struct engine_counters *out);

#endif
