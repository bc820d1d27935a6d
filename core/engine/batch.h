/* batch.h - the tokens of one step: which they are, what they cost, and what is chosen after them.
 *
 * Everyone who speaks feeds the one token that was chosen last, and when nobody reads such drafts
 * as drafting.h finds worth it; those who read their prompts share what pace.h leaves, as
 * scheduler.h tells; then whoever has nothing pending chooses. Owner: the batcher. Thread: engine;
 * tokens are chosen on the pool's. Not here: which turns take part, and what becomes of what they
 * say. */
#ifndef CORE_ENGINE_BATCH_H
#define CORE_ENGINE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct err;
struct model;
struct thread_pool;
struct turn;

/* Of one step. */
struct batch_limits {
    int max_turns;
    int prompt_budget; /* tokens of prompts, <= n_slack + 1 */
    int max_drafts;    /* guessed tokens, 0 .. DRAFTING_MAX */
};

/* Borrows model and pool until closing. */
bool batch_open(struct batch **out, const struct model *model, struct thread_pool *pool,
                const struct batch_limits *limits, struct err *err);
void batch_close(struct batch **batch);

/* Feeds a step of these turns, all of them begun and none of them over; returns its tokens. `step`
 * counts steps. */
int batch_feed(struct batch *batch, struct turn *const *turns, int n_turns, uint64_t step);

/* Of turns[i]'s prompt, the tokens in the batch. */
int batch_n_read(const struct batch *batch, int i);

/* Drafts in the batch. */
int batch_n_drafts(const struct batch *batch);

/* What a turn has chosen in a step. */
struct batch_choice {
    struct turn *turn;
    int first_row; /* of logits */
    int n_rows;    /* one more than it has drafts */
    int n_chosen;  /* tokens, 1 .. n_rows: all but the last were drafts */
};

/* Lets some of those whose tokens are all fed choose their next ones: *out has them, in the order
 * of `turns`. Returns how many they are, 0 when all have chosen. */
int batch_choose_some(struct batch *batch, const struct batch_choice **out);

/* How long the step took in all, for the ones to come. */
void batch_learn(struct batch *batch, int64_t step_ns);

#endif
