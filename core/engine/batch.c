#include "core/engine/batch.h"

#include <stdlib.h>

#include "core/base/err.h"
#include "core/base/min_max.h"
#include "core/base/thread_pool.h"
#include "core/engine/drafting.h"
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
    struct drafting drafting;
    int prompt_budget;

    /* Of one step. */
    struct scheduler_turn *plan;  /* [max_turns] */
    struct drafting_turn *offers; /* [max_drafts + 1] of those who speak, when they are so few */
    struct forward_token *tokens; /* [max_tokens] */
    struct batch_choice *choices; /* [max_turns] of turns with rows of logits, in their order */
    int n_choices;
    int n_chosen; /* of these, are done */
    int n_speakers;
    int n_drafts;
    int n_read; /* tokens of prompts */
};

bool batch_open(struct batch **out, const struct model *model, struct thread_pool *pool,
                const struct batch_limits *limits, struct err *err)
{
    /* A step with drafts has no other tokens than those of max_drafts + 1 rows. */
    int max_turns = limits->max_turns, n_drafting = limits->max_drafts + 1;
    int max_tokens = max_int(max_turns + limits->prompt_budget, n_drafting);
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return err_no_memory(err, "the batch");
    batch->pool = pool;
    batch->prompt_budget = limits->prompt_budget;
    pace_init(&batch->pace);
    drafting_init(&batch->drafting, limits->max_drafts);
    batch->plan = calloc((size_t)max_turns, sizeof *batch->plan);
    batch->offers = calloc((size_t)n_drafting, sizeof *batch->offers);
    batch->tokens = calloc((size_t)max_tokens, sizeof *batch->tokens);
    batch->choices = calloc((size_t)max_turns, sizeof *batch->choices);
    bool has_arrays = (batch->plan != NULL && batch->offers != NULL && batch->tokens != NULL &&
                       batch->choices != NULL) ||
                      err_no_memory(err, "the batch");
    if (!has_arrays || !forward_open(&batch->forward, model, pool, max_tokens,
                                     max_int(max_turns, n_drafting), err)) {
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
    free(batch->offers);
    free(batch->tokens);
    free(batch->choices);
    free(batch);
    *batch_ptr = NULL;
}

/* ---- feeding ---- */

static void offer_drafts(const struct session *session, struct drafting_turn *offer)
{
    offer->n = session_n_drafts(session);
    offer->n_taken = 0;
    for (int i = 0; i < offer->n; i++)
        offer->chances[i] = session_draft_chance(session, i);
}

/* For a step in which everybody speaks. */
static void plan_drafts(struct batch *batch, struct turn *const *turns, int n_turns)
{
    batch->n_drafts = 0;
    if (n_turns > batch->drafting.max || batch->n_speakers < n_turns)
        return;
    for (int i = 0; i < n_turns; i++)
        offer_drafts(turns[i]->entry->session, &batch->offers[i]);
    drafting_choose(&batch->drafting, batch->offers, n_turns);
    for (int i = 0; i < n_turns; i++) {
        batch->plan[i].n_pending += batch->offers[i].n_taken;
        batch->n_drafts += batch->offers[i].n_taken;
    }
}

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
    plan_drafts(batch, turns, n_turns);
    int budget = pace_budget(&batch->pace, batch->n_speakers, batch->prompt_budget);
    scheduler_plan(batch->plan, n_turns, budget, step);
    batch->n_read = 0;
    for (int i = 0; i < n_turns; i++)
        batch->n_read += batch_n_read(batch, i);
}

/* Turns the plan into tokens; a turn whose last pending one is among them gets a row of logits, and
 * one for each draft. */
static int fill(struct batch *batch, struct turn *const *turns, int n_turns)
{
    int n_tokens = 0, n_rows = 0;
    batch->n_choices = 0;
    batch->n_chosen = 0;
    for (int i = 0; i < n_turns; i++) {
        struct session *session = turns[i]->entry->session;
        const struct scheduler_turn *plan = &batch->plan[i];
        int first_row = n_rows;
        for (int j = 0; j < plan->n_granted; j++) {
            bool wants_logits = session_wants_logits(session, j);
            n_rows += wants_logits;
            batch->tokens[n_tokens++] = (struct forward_token){.id = session_pending(session, j),
                                                               .cache = session_cache(session),
                                                               .wants_logits = wants_logits};
        }
        if (n_rows > first_row)
            batch->choices[batch->n_choices++] = (struct batch_choice){
                .turn = turns[i], .first_row = first_row, .n_rows = n_rows - first_row};
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

int batch_n_drafts(const struct batch *batch)
{
    return batch->n_drafts;
}

void batch_learn(struct batch *batch, int64_t step_ns)
{
    if (batch->n_drafts == 0)
        pace_learn(&batch->pace, batch->n_speakers, batch->n_read, step_ns);
    if (batch->n_read == 0)
        drafting_learn(&batch->drafting, batch->n_speakers + batch->n_drafts, step_ns);
}

/* ---- choosing ---- */

static void choose_one(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    (void)thread;
    struct batch *batch = arg;
    struct batch_choice *choice = &batch->choices[batch->n_chosen + part];
    bool goes_on = true;
    while (goes_on && choice->n_chosen < choice->n_rows) {
        int row = choice->first_row + choice->n_chosen++;
        goes_on = turn_choose(choice->turn, forward_logits(batch->forward, row));
    }
}

int batch_choose_some(struct batch *batch, const struct batch_choice **out)
{
    int n_at_once = thread_pool_size(batch->pool) * CHOICES_PER_THREAD;
    int n_left = batch->n_choices - batch->n_chosen;
    int n = n_left < n_at_once ? n_left : n_at_once;
    if (n > 0)
        thread_pool_run(batch->pool, choose_one, batch, n);
    *out = batch->choices + batch->n_chosen;
    batch->n_chosen += n;
    return n;
}
