#include "core/engine/batcher.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/thread_pool.h"
#include "core/engine/admission.h"
#include "core/engine/fairness.h"
#include "core/engine/pace.h"
#include "core/engine/residence.h"
#include "core/engine/scheduler.h"
#include "core/engine/session_table.h"
#include "core/engine/turn.h"
#include "core/model/forward.h"
#include "core/model/model.h"
#include "core/session/session.h"

enum {
    STALLED_MS = 500,
    /* Tokens that are chosen before their texts are handed over. More than a few, or threads wait
     * for each other too often. */
    CHOICES_PER_THREAD = 16,
};

struct batcher {
    const struct tokenizer *tokenizer;
    struct thread_pool *pool;
    struct forward *forward;
    struct residence *residence;
    struct batcher_options options;

    struct fairness fairness;
    struct pace pace;
    struct admission waiting;
    struct turn **turns; /* [max_turns] running; the first n_turns are set */
    int n_turns;
    struct turn *parked; /* begun, but not in the steps: their clients do not read */
    int n_parked;

    /* Of one step. */
    struct scheduler_turn *plan;  /* [max_turns] */
    struct forward_token *tokens; /* [max_turns + prompt_budget] */
    struct turn **choosers;       /* [max_turns] turns with a row of logits, in row order */
    int n_choosers;
    bool is_stalled; /* nobody could begin and nobody ran */

    struct engine_event *events; /* not yet taken */
    struct engine_event **last_event;
    struct engine_counters counters;
};

static void init_counters(struct engine_counters *counters)
{
    static const double seconds[] = {0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08,
                                     0.1,   0.15,  0.2,  0.3,  0.5,  1,    2.5,  10};
    static const double tokens[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
    histogram_init(&counters->step_seconds, seconds, (int)(sizeof seconds / sizeof seconds[0]));
    histogram_init(&counters->step_tokens, tokens, (int)(sizeof tokens / sizeof tokens[0]));
}

static bool allocate(struct batcher *batcher, const struct model *model, struct err *err)
{
    size_t n_turns = (size_t)batcher->options.max_turns;
    int max_tokens = batcher->options.max_turns + batcher->options.prompt_budget;
    batcher->turns = calloc(n_turns, sizeof(struct turn *));
    batcher->plan = calloc(n_turns, sizeof(struct scheduler_turn));
    batcher->choosers = calloc(n_turns, sizeof(struct turn *));
    batcher->tokens = calloc((size_t)max_tokens, sizeof(struct forward_token));
    if (batcher->turns == NULL || batcher->plan == NULL || batcher->choosers == NULL ||
        batcher->tokens == NULL)
        return err_no_memory(err, "the batch");
    return residence_open(&batcher->residence, &batcher->options.residence, err) &&
           forward_open(&batcher->forward, model, batcher->pool, max_tokens,
                        batcher->options.max_turns, err);
}

bool batcher_open(struct batcher **out, const struct model *model,
                  const struct tokenizer *tokenizer, struct thread_pool *pool,
                  const struct batcher_options *options, struct err *err)
{
    struct batcher *batcher = calloc(1, sizeof *batcher);
    if (batcher == NULL)
        return err_no_memory(err, "the batch");
    batcher->tokenizer = tokenizer;
    batcher->pool = pool;
    batcher->options = *options;
    fairness_init(&batcher->fairness);
    pace_init(&batcher->pace);
    admission_init(&batcher->waiting);
    batcher->is_stalled = true;
    batcher->last_event = &batcher->events;
    init_counters(&batcher->counters);
    if (!allocate(batcher, model, err)) {
        batcher_close(&batcher);
        return false;
    }
    *out = batcher;
    return true;
}

void batcher_close(struct batcher **batcher_ptr)
{
    struct batcher *batcher = *batcher_ptr;
    if (batcher == NULL)
        return;
    forward_close(&batcher->forward);
    residence_close(&batcher->residence);
    fairness_done(&batcher->fairness);
    free(batcher->turns);
    free(batcher->plan);
    free(batcher->choosers);
    free(batcher->tokens);
    free(batcher);
    *batcher_ptr = NULL;
}

static void push_events(struct batcher *batcher, struct engine_event *events)
{
    *batcher->last_event = events;
    while (*batcher->last_event != NULL)
        batcher->last_event = &(*batcher->last_event)->next;
}

struct engine_event *batcher_take_events(struct batcher *batcher)
{
    struct engine_event *events = batcher->events;
    batcher->events = NULL;
    batcher->last_event = &batcher->events;
    return events;
}

void batcher_add(struct batcher *batcher, struct turn *turn)
{
    turn->share = fairness_join(&batcher->fairness, turn->request.owner);
    admission_add(&batcher->waiting, turn);
}

static struct turn *find_in_list(struct turn *turn, uint64_t request_id)
{
    while (turn != NULL && turn->request.id != request_id)
        turn = turn->next;
    return turn;
}

/* NULL when it is over, or never was. */
static struct turn *find_turn(const struct batcher *batcher, uint64_t request_id)
{
    for (int i = 0; i < batcher->n_turns; i++) {
        if (batcher->turns[i]->request.id == request_id)
            return batcher->turns[i];
    }
    struct turn *turn = find_in_list(batcher->parked, request_id);
    return turn != NULL ? turn : find_in_list(admission_first(&batcher->waiting), request_id);
}

void batcher_cancel(struct batcher *batcher, uint64_t request_id)
{
    struct turn *turn = find_turn(batcher, request_id);
    if (turn != NULL)
        turn->is_cancelled = true;
}

void batcher_park(struct batcher *batcher, uint64_t request_id, bool is_parked)
{
    struct turn *turn = find_turn(batcher, request_id);
    if (turn != NULL)
        turn->is_to_park = is_parked;
}

void batcher_cancel_all(struct batcher *batcher)
{
    for (struct turn *turn = admission_first(&batcher->waiting); turn != NULL; turn = turn->next)
        turn->is_cancelled = true;
    for (struct turn *turn = batcher->parked; turn != NULL; turn = turn->next)
        turn->is_cancelled = true;
    for (int i = 0; i < batcher->n_turns; i++)
        batcher->turns[i]->is_cancelled = true;
}

void batcher_forget(struct batcher *batcher, uint64_t session_id)
{
    residence_forget(batcher->residence, session_id);
}

void batcher_note(struct batcher *batcher, uint64_t session_id, struct buf *note)
{
    residence_note(batcher->residence, session_id, note);
}

struct engine_saved *batcher_take_saved(struct batcher *batcher)
{
    return residence_take_saved(batcher->residence);
}

int batcher_patience_ms(const struct batcher *batcher)
{
    if (!batcher->is_stalled)
        return 0;
    return batcher->waiting.n_waiting == 0 ? -1 : STALLED_MS;
}

bool batcher_is_idle(const struct batcher *batcher)
{
    return batcher->n_turns == 0 && batcher->n_parked == 0 && batcher->waiting.n_waiting == 0;
}

static bool begin_in(struct session_entry *entry, struct engine_request *request,
                     const struct admission_start *start, struct err *err)
{
    struct session_turn said = {
        .source = start->source == NULL ? NULL : start->source->session,
        .keep = start->keep,
        .n_sinks = start->n_sinks,
        .prompt = request->tokens,
        .max_tokens = request->max_tokens,
        .min_tokens = request->min_tokens,
        .ignore_end = request->ignore_end,
        .grammar = request->grammar,
        .grammar_start = request->grammar_start,
        .sampling = request->sampling,
        .stops = request->stops,
        .n_stops = request->n_stops,
        .shown = request->shown,
        .n_shown = request->n_shown,
        .wants_reports = request->wants_reports,
        .n_top = request->n_top,
    };
    said.sampling.biases = request->biases;
    said.sampling.n_biases = request->n_biases;
    token_list_drop(&said.prompt, (size_t)start->n_copied);
    bool has_begun = session_begin(entry->session, &said, err);
    request->tokens = said.prompt;
    return has_begun;
}

static bool begin_turn(struct batcher *batcher, struct turn *turn,
                       const struct admission_start *start, struct err *err)
{
    struct session_entry *entry = start->entry;
    turn->n_prompt = (int)turn->request.tokens.n - (int)start->n_copied;
    if (!begin_in(entry, &turn->request, start, err)) {
        bool is_claimed = entry->turn == NULL; /* else another turn is in it */
        if (is_claimed)
            residence_release(batcher->residence, entry, session_position(entry->session) > 0);
        return false;
    }
    entry->turn = turn;
    turn->entry = entry;
    turn->n_evicted_before = kv_cache_evicted(session_cache(entry->session));
    turn->n_cached = start->keep;
    turn->admitted_ns = clock_now_ns();
    batcher->turns[batcher->n_turns++] = turn;
    batcher->counters.n_cached_tokens += (uint64_t)start->keep;
    batcher->counters.n_copied_tokens += start->source != NULL ? (uint64_t)start->keep : 0;
    return true;
}

static void admit_waiting(struct batcher *batcher)
{
    struct admission_start start;
    struct turn *turn;
    residence_update(batcher->residence);
    while (batcher->n_turns < batcher->options.max_turns &&
           (turn = admission_take(&batcher->waiting, &batcher->fairness, batcher->residence,
                                  &start)) != NULL) {
        bool has_begun = start.entry != NULL && begin_turn(batcher, turn, &start, &start.err);
        if (start.source != NULL)
            residence_let_go(batcher->residence, start.source);
        if (has_begun)
            continue;
        fairness_leave(&batcher->fairness, turn->share);
        push_events(batcher, turn_fail(turn, &start.err));
        turn_free(&turn);
    }
}

static void take_reports(struct turn *turn)
{
    if (turn->request.wants_reports && !session_take_reports(turn->entry->session, &turn->reports))
        turn->text.failed = true;
}

static void end_turn(struct batcher *batcher, struct turn *turn, enum engine_finish finish)
{
    struct session_outcome outcome;
    session_end(turn->entry->session, &turn->text, &outcome);
    take_reports(turn);
    residence_release(batcher->residence, turn->entry, turn->request.session != 0);
    if (outcome.n_evicted > turn->n_evicted_before)
        batcher->counters.n_evicted_tokens +=
            (uint64_t)(outcome.n_evicted - turn->n_evicted_before);

    fairness_leave(&batcher->fairness, turn->share);
    int64_t now = clock_now_ns();
    int64_t first = turn->first_token_ns != 0 ? turn->first_token_ns : now;
    struct engine_usage usage = {
        .n_cached = outcome.n_cached,
        .n_prompt = outcome.n_prompt,
        .n_generated = outcome.n_generated,
        .position = outcome.position,
        .rewind_limit = outcome.rewind_limit,
        .n_evicted = outcome.n_evicted,
        .n_sinks = outcome.n_sinks,
        .n_text_kept = outcome.n_text_kept,
        .prefill_ns = first - turn->admitted_ns,
        .decode_ns = now - first,
    };
    if (turn->text.failed) {
        struct err err;
        err_no_memory(&err, "the answer");
        push_events(batcher, turn_fail(turn, &err));
    } else {
        push_events(batcher, turn_finish(turn, finish, &usage));
    }
    turn_free(&turn);
}

/* Ends what is over and closes the gaps, keeping the order of arrival. */
static void end_finished(struct batcher *batcher)
{
    int n_left = 0;
    for (int i = 0; i < batcher->n_turns; i++) {
        struct turn *turn = batcher->turns[i];
        enum session_state state = session_state(turn->entry->session);
        if (turn->is_cancelled || turn->text.failed)
            end_turn(batcher, turn, ENGINE_FINISH_CANCELLED);
        else if (state == SESSION_SAID_STOP)
            end_turn(batcher, turn, ENGINE_FINISH_STOP);
        else if (state == SESSION_SAID_ALL)
            end_turn(batcher, turn, ENGINE_FINISH_LENGTH);
        else
            batcher->turns[n_left++] = turn;
    }
    batcher->n_turns = n_left;
}

/* ---- turns whose clients do not read ---- */

/* One that reads its prompt goes on: others may wait to copy what it reads. */
static void park_turns(struct batcher *batcher)
{
    int n_left = 0;
    for (int i = 0; i < batcher->n_turns; i++) {
        struct turn *turn = batcher->turns[i];
        if (!turn->is_to_park || session_state(turn->entry->session) != SESSION_SPEAKING) {
            batcher->turns[n_left++] = turn;
            continue;
        }
        fairness_leave(&batcher->fairness, turn->share);
        turn->next = batcher->parked;
        batcher->parked = turn;
        batcher->n_parked++;
    }
    batcher->n_turns = n_left;
}

/* Those that may go on take free places before anybody who waits. */
static void unpark_turns(struct batcher *batcher)
{
    struct turn **link = &batcher->parked;
    while (*link != NULL) {
        struct turn *turn = *link;
        bool goes_on = turn->is_cancelled ||
                       (!turn->is_to_park && batcher->n_turns < batcher->options.max_turns);
        if (!goes_on) {
            link = &turn->next;
            continue;
        }
        *link = turn->next;
        turn->next = NULL;
        batcher->n_parked--;
        turn->share = fairness_join(&batcher->fairness, turn->request.owner);
        if (turn->is_cancelled)
            end_turn(batcher, turn, ENGINE_FINISH_CANCELLED);
        else
            batcher->turns[batcher->n_turns++] = turn;
    }
}

/* ---- a step ---- */

/* Tokens of one kind in the step. */
struct load {
    int n_speakers;
    int n_read;
};

static struct load measure_load(const struct batcher *batcher)
{
    struct load load = {0};
    for (int i = 0; i < batcher->n_turns; i++) {
        const struct scheduler_turn *plan = &batcher->plan[i];
        load.n_speakers += plan->is_speaking;
        load.n_read += plan->is_speaking ? 0 : plan->n_granted;
    }
    return load;
}

static void plan_step(struct batcher *batcher)
{
    for (int i = 0; i < batcher->n_turns; i++) {
        const struct session *session = batcher->turns[i]->entry->session;
        batcher->plan[i] = (struct scheduler_turn){
            .n_pending = session_n_pending(session),
            .is_speaking = session_state(session) == SESSION_SPEAKING,
            .share = batcher->turns[i]->share,
        };
    }
    int n_speakers = measure_load(batcher).n_speakers;
    int budget = pace_budget(&batcher->pace, n_speakers, batcher->options.prompt_budget);
    scheduler_plan(batcher->plan, batcher->n_turns, budget, batcher->counters.n_steps);
}

/* Turns the plan into a batch; a turn whose last pending token is in it gets a row of logits. */
static int fill_batch(struct batcher *batcher)
{
    int n_tokens = 0;
    batcher->n_choosers = 0;
    for (int i = 0; i < batcher->n_turns; i++) {
        struct session *session = batcher->turns[i]->entry->session;
        const struct scheduler_turn *plan = &batcher->plan[i];
        for (int j = 0; j < plan->n_granted; j++) {
            batcher->tokens[n_tokens++] = (struct forward_token){
                .id = session_pending(session, j),
                .cache = session_cache(session),
                .wants_logits = j == plan->n_pending - 1,
            };
        }
        if (plan->n_granted == plan->n_pending)
            batcher->choosers[batcher->n_choosers++] = batcher->turns[i];
    }
    return n_tokens;
}

static void mark_fed(struct batcher *batcher)
{
    for (int i = 0; i < batcher->n_turns; i++) {
        const struct scheduler_turn *plan = &batcher->plan[i];
        session_fed(batcher->turns[i]->entry->session, plan->n_granted);
        if (plan->is_speaking)
            continue;
        batcher->counters.n_prompt_tokens += (uint64_t)plan->n_granted;
        batcher->turns[i]->n_read += plan->n_granted;
        push_events(batcher, turn_take_progress(batcher->turns[i]));
        fairness_charge(&batcher->fairness, batcher->turns[i]->share,
                        (int64_t)plan->n_granted * FAIRNESS_READ);
    }
}

struct choosing {
    struct batcher *batcher;
    int begin; /* the first of this round's choosers */
};

static void choose_one(void *arg, int part, int n_parts, int thread)
{
    (void)n_parts;
    (void)thread;
    const struct choosing *choosing = arg;
    int row = choosing->begin + part;
    struct turn *turn = choosing->batcher->choosers[row];
    session_choose(turn->entry->session, forward_logits(choosing->batcher->forward, row),
                   &turn->text);
    turn->n_text_tokens++;
    take_reports(turn);
}

static bool is_over(const struct turn *turn)
{
    enum session_state state = session_state(turn->entry->session);
    return turn->is_cancelled || turn->text.failed || state == SESSION_SAID_STOP ||
           state == SESSION_SAID_ALL;
}

static void send_text(struct batcher *batcher, struct turn *turn)
{
    struct engine_event *event = turn_take_text(turn);
    if (event != NULL)
        push_events(batcher, event);
}

static void note_choice(struct batcher *batcher, struct turn *turn, int64_t now)
{
    fairness_charge(&batcher->fairness, turn->share, FAIRNESS_SAID);
    batcher->counters.n_generated_tokens++;
    turn->n_generated++;
    if (turn->first_token_ns == 0)
        turn->first_token_ns = now;
    if (!is_over(turn)) /* else the end may have more to say */
        send_text(batcher, turn);
}

/* Whoever sends the texts does so while others are still being chosen: the first need not wait for
 * the last, and the last not for all others to be sent. */
static void choose_tokens(struct batcher *batcher)
{
    int n_at_once = thread_pool_size(batcher->pool) * CHOICES_PER_THREAD;
    for (int begin = 0; begin < batcher->n_choosers; begin += n_at_once) {
        int n_left = batcher->n_choosers - begin;
        int n = n_left < n_at_once ? n_left : n_at_once;
        struct choosing choosing = {batcher, begin};
        thread_pool_run(batcher->pool, choose_one, &choosing, n);
        int64_t now = clock_now_ns();
        for (int i = begin; i < begin + n; i++)
            note_choice(batcher, batcher->choosers[i], now);
        if (batcher->options.on_texts != NULL)
            batcher->options.on_texts(batcher->options.arg);
    }
}

/* What there was no memory for when it was chosen. */
static void send_texts(struct batcher *batcher)
{
    for (int i = 0; i < batcher->n_turns; i++)
        send_text(batcher, batcher->turns[i]);
}

void batcher_step(struct batcher *batcher)
{
    end_finished(batcher);
    park_turns(batcher);
    unpark_turns(batcher);
    admit_waiting(batcher);
    batcher->is_stalled = batcher->n_turns == 0;
    if (batcher->is_stalled)
        return;

    int64_t begin = clock_now_ns();
    plan_step(batcher);
    struct load load = measure_load(batcher);
    int n_tokens = fill_batch(batcher);
    forward_run(batcher->forward, batcher->tokens, n_tokens);
    mark_fed(batcher);
    choose_tokens(batcher);
    end_finished(batcher);
    send_texts(batcher);
    batcher->counters.n_steps++;
    histogram_add(&batcher->counters.step_tokens, n_tokens, 1);
    int64_t step_ns = clock_now_ns() - begin;
    pace_learn(&batcher->pace, load.n_speakers, load.n_read, step_ns);
    histogram_add(&batcher->counters.step_seconds, (double)step_ns / 1e9, 1);
}

void batcher_read_counters(const struct batcher *batcher, struct engine_counters *out)
{
    *out = batcher->counters;
    out->n_active = batcher->n_turns;
    out->n_waiting = batcher->waiting.n_waiting;
    out->n_parked = batcher->n_parked;
    residence_read_counters(batcher->residence, out);
}
