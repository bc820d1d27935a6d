#include "core/engine/batcher.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/engine/admission.h"
#include "core/engine/batch.h"
#include "core/engine/fairness.h"
#include "core/engine/residence.h"
#include "core/engine/session_table.h"
#include "core/engine/turn.h"
#include "core/session/session.h"

enum { STALLED_MS = 500 };

struct batcher {
    struct batcher_options options;
    struct batch *batch;
    struct residence *residence;
    struct fairness fairness;
    struct admission waiting;
    struct turn **turns; /* [max_turns] running; the first n_turns are set */
    int n_turns;
    struct turn *parked; /* begun, but not in the steps: their clients do not read */
    int n_parked;
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

bool batcher_open(struct batcher **out, const struct model *model, struct thread_pool *pool,
                  const struct batcher_options *options, struct err *err)
{
    struct batcher *batcher = calloc(1, sizeof *batcher);
    if (batcher == NULL)
        return err_no_memory(err, "the turns");
    batcher->options = *options;
    fairness_init(&batcher->fairness);
    admission_init(&batcher->waiting);
    batcher->is_stalled = true;
    batcher->last_event = &batcher->events;
    init_counters(&batcher->counters);
    batcher->turns = calloc((size_t)options->max_turns, sizeof(struct turn *));
    bool has_turns = batcher->turns != NULL || err_no_memory(err, "the turns");
    struct batch_limits limits = {.max_turns = options->max_turns,
                                  .prompt_budget = options->prompt_budget,
                                  .max_drafts = options->max_drafts};
    struct residence_options residence = options->residence;
    residence.max_drafts = options->max_drafts;
    if (!has_turns || !residence_open(&batcher->residence, &residence, err) ||
        !batch_open(&batcher->batch, model, pool, &limits, err)) {
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
    batch_close(&batcher->batch);
    residence_close(&batcher->residence);
    fairness_done(&batcher->fairness);
    free(batcher->turns);
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

static bool begin_turn(struct batcher *batcher, struct turn *turn,
                       const struct admission_start *start, struct err *err)
{
    struct session_entry *entry = start->entry;
    if (!turn_begin(turn, start, err)) {
        bool is_claimed = entry->turn == NULL; /* else another turn is in it */
        if (is_claimed)
            residence_release(batcher->residence, entry, session_position(entry->session) > 0);
        return false;
    }
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

static void end_turn(struct batcher *batcher, struct turn *turn)
{
    struct engine_event *events = turn_end(turn);
    residence_release(batcher->residence, turn->entry, turn->request.session != 0);
    fairness_leave(&batcher->fairness, turn->share);
    batcher->counters.n_evicted_tokens += (uint64_t)turn->n_evicted;
    push_events(batcher, events);
    turn_free(&turn);
}

/* Ends what is over and closes the gaps, keeping the order of arrival. */
static void end_finished(struct batcher *batcher)
{
    int n_left = 0;
    for (int i = 0; i < batcher->n_turns; i++) {
        struct turn *turn = batcher->turns[i];
        if (turn_is_over(turn))
            end_turn(batcher, turn);
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
            end_turn(batcher, turn);
        else
            batcher->turns[batcher->n_turns++] = turn;
    }
}

/* ---- a step ---- */

static void note_reading(struct batcher *batcher)
{
    for (int i = 0; i < batcher->n_turns; i++) {
        struct turn *turn = batcher->turns[i];
        int n = batch_n_read(batcher->batch, i);
        if (n == 0)
            continue;
        turn->n_read += n;
        batcher->counters.n_prompt_tokens += (uint64_t)n;
        fairness_charge(&batcher->fairness, turn->share, (int64_t)n * FAIRNESS_READ);
        push_events(batcher, turn_take_progress(turn));
    }
}

static void note_choice(struct batcher *batcher, const struct batch_choice *choice, int64_t now)
{
    struct turn *turn = choice->turn;
    int n = choice->n_chosen;
    fairness_charge(&batcher->fairness, turn->share, (int64_t)n * FAIRNESS_SAID);
    batcher->counters.n_generated_tokens += (uint64_t)n;
    batcher->counters.n_accepted_tokens += (uint64_t)n - 1;
    turn->n_generated += n;
    if (turn->first_token_ns == 0)
        turn->first_token_ns = now;
    if (!turn_is_over(turn)) /* else the end may have more to say */
        push_events(batcher, turn_take_text(turn));
}

/* Whoever sends the texts does so while others are still being chosen: the first need not wait for
 * the last, and the last not for all others to be sent. */
static void choose_tokens(struct batcher *batcher)
{
    const struct batch_choice *choices;
    int n;
    batcher->counters.n_drafted_tokens += (uint64_t)batch_n_drafts(batcher->batch);
    while ((n = batch_choose_some(batcher->batch, &choices)) > 0) {
        int64_t now = clock_now_ns();
        for (int i = 0; i < n; i++)
            note_choice(batcher, &choices[i], now);
        if (batcher->options.on_texts != NULL)
            batcher->options.on_texts(batcher->options.arg);
    }
}

/* What there was no memory for when it was chosen. */
static void send_texts(struct batcher *batcher)
{
    for (int i = 0; i < batcher->n_turns; i++)
        push_events(batcher, turn_take_text(batcher->turns[i]));
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
    struct engine_counters *counters = &batcher->counters;
    int n_tokens = batch_feed(batcher->batch, batcher->turns, batcher->n_turns, counters->n_steps);
    note_reading(batcher);
    choose_tokens(batcher);
    end_finished(batcher);
    send_texts(batcher);
    int64_t step_ns = clock_now_ns() - begin;
    batch_learn(batcher->batch, step_ns);
    counters->n_steps++;
    histogram_add(&counters->step_tokens, n_tokens, 1);
    histogram_add(&counters->step_seconds, (double)step_ns / 1e9, 1);
}

void batcher_read_counters(const struct batcher *batcher, struct engine_counters *out)
{
    *out = batcher->counters;
    out->n_active = batcher->n_turns;
    out->n_waiting = batcher->waiting.n_waiting;
    out->n_parked = batcher->n_parked;
    residence_read_counters(batcher->residence, out);
}
