/* batch.h - the tokens of one step: which they are, what they cost, and what is chosen after them.
 *
 * Everyone who speaks feeds the one token that was chosen last; those who read their prompts share
 * what pace.h leaves, as scheduler.h tells; then whoever has nothing pending chooses. Owner: the
 * batcher. Thread: engine; tokens are chosen on the pool's. Not here: which turns take part, and
 * what becomes of what they say. */
#ifndef CORE_ENGINE_BATCH_H
#define CORE_ENGINE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct err;
struct model;
struct thread_pool;
struct turn;

/* For up to max_turns turns and, of their prompts, prompt_budget tokens in a step. Borrows model
 * and pool until closing. */
bool batch_open(struct batch **out, const struct model *model, struct thread_pool *pool,
                int max_turns, int prompt_budget, struct err *err);
void batch_close(struct batch **batch);

/* Feeds a step of these turns, all of them begun and none of them over; returns its tokens. `step`
 * counts steps. */
int batch_feed(struct batch *batch, struct turn *const *turns, int n_turns, uint64_t step);

/* Of turns[i]'s prompt, the tokens in the batch. */
int batch_n_read(const struct batch *batch, int i);

/* Lets some of those whose tokens are all fed choose their next ones: *out has them, in the order
 * of `turns`. Returns how many they are, 0 when all have chosen. */
int batch_choose_some(struct batch *batch, struct turn *const **out);

/* How long the step took in all, for the ones to come. */
void batch_learn(struct batch *batch, int64_t step_ns);

#endif
