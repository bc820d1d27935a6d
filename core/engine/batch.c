#include "core/engine/batch.h"

#include <stdlib.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/engine/pace.h"
#include "core/engine/scheduler.h"
#include "core/engine/session_table.h"
#include "core/engine/turn.h"
#include "core/model/forward.h"
#include "core/session/session.h"

/* Tokens that are chosen at once. More than a few, or threads wait for each other too often. */
enum { CHOICES_PER_THREAD = 16 };

struct batch {
    struct thread_pool *pool;
    struct forward *forward;
    struct pace pace;
    int prompt_budget;

    /* Of one step. */
    struct scheduler_turn *plan;  /* [max_turns] */
    struct forward_token *tokens; /* [max_turns + prompt_budget] */
    struct turn **choosers;       /* [max_turns] turns with a row of logits, in row order */
    int n_choosers;
    int n_chosen; /* of these, have done so */
    int n_speakers;
    int n_read; /* tokens of prompts */
};

bool batch_open(struct batch **out, const struct model *model, struct thread_pool *pool,
                int max_turns, int prompt_budget, struct err *err)
{
    int max_tokens = max_turns + prompt_budget;
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return err_no_memory(err, "the batch");
    batch->pool = pool;
    batch->prompt_budget = prompt_budget;
    pace_init(&batch->pace);
    batch->plan = calloc((size_t)max_turns, sizeof *batch->plan);
    batch->tokens = calloc((size_t)max_tokens, sizeof *batch->tokens);
    batch->choosers = calloc((size_t)max_turns, sizeof(struct turn *));
    bool has_arrays = (batch->plan != NULL && batch->tokens != NULL && batch->choosers != NULL) ||
                      err_no_memory(err, "the batch");
    if (!has_arrays || !forward_open(&batch->forward, model, pool, max_tokens, max_turns, err)) {
        batch_close(&batch);
        return false;
    }
    *out = batch;
    return true;
}

void batch_close(struct batch **batch_ptr)
{
    struct batch *batch = *batch_ptr;
    if (batch == NULL)
        return;
    forward_close(&batch->forward);
    free(batch->plan);
    free(batch->tokens);
    free(batch->choosers);
    free(batch);
    *batch_ptr = NULL;
}

/* ---- feeding ---- */

static void plan_step(struct batch *batch, struct turn *const *turns, int n_turns, uint64_t step)
{
    batch->n_speakers = 0;
    for (int i = 0; i < n_turns; i++) {
        const struct session *session = turns[i]->entry->session;
        batch->plan[i] = (struct scheduler_turn){
            .n_pending = session_n_pending(session),
            .is_speaking = session_state(session) == SESSION_SPEAKING,
            .share = turns[i]->share,
        };
        batch->n_speakers += batch->plan[i].is_speaking;
    }
    int budget = pace_budget(&batch->pace, batch->n_speakers, batch->prompt_budget);
    scheduler_plan(batch->plan, n_turns, budget, step);
    batch->n_read = 0;
    for (int i = 0; i < n_turns; i++)
        batch->n_read += batch_n_read(batch, i);
}

/* Turns the plan into tokens; a turn whose last pending one is among them gets a row of logits. */
static int fill(struct batch *batch, struct turn *const *turns, int n_turns)
{
    int n_tokens = 0;
    batch->n_choosers = 0;
    batch->n_chosen = 0;
    for (int i = 0; i < n_turns; i++) {
        struct session *session = turns[i]->entry->session;
        const struct scheduler_turn *plan = &batch->plan[i];
        for (int j = 0; j < plan->n_granted; j++) {
            batch->tokens[n_tokens++] = (struct forward_token){
                .id = session_pending(session, j),
                .cache = session_cache(session),
                .wants_logits = j == plan->n_pending - 1,
            };
        }
        if (plan->n_granted == plan->n_pending)
            batch->choosers[batch->n_choosers++] = turns[i];
    }
    return n_tokens;
}

int batch_feed(struct batch *batch, struct turn *const *turns, int n_turns, uint64_t step)
{
    plan_step(batch, turns, n_turns, step);
    int n_tokens = fill(batch, turns, n_turns);
    forward_run(batch->forward, batch->tokens, n_tokens);
    for (int i = 0; i < n_turns; i++)
        session_fed(turns[i]->entry->session, batch->plan[i].n_granted);
    return n_tokens;
}

int batch_n_read(const struct batch *batch, int i)
{
    return batch->plan[i].is_speaking ? 0 : batch->plan[i].n_granted;
}

void batch_learn(struct batch *batch, int64_t step_ns)
{
    pace_learn(&batch->pace, batch->n_speakers, batch->n_read, step_ns);
}

/* ---- choosing ---- */

static void choose_one(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    (void)thread;
    struct batch *batch = arg;
    int row = batch->n_chosen + part;
    turn_choose(batch->choosers[row], forward_logits(batch->forward, row));
}

int batch_choose_some(struct batch *batch, struct turn *const **out)
{
    int n_at_once = thread_pool_size(batch->pool) * CHOICES_PER_THREAD;
    int n_left = batch->n_choosers - batch->n_chosen;
    int n = n_left < n_at_once ? n_left : n_at_once;
    if (n > 0)
        thread_pool_run(batch->pool, choose_one, batch, n);
    *out = batch->choosers + batch->n_chosen;
    batch->n_chosen += n;
    return n;
}
