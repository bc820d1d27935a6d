#include "core/engine/turn.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/engine/admission.h"
#include "core/engine/session_table.h"
#include "core/session/session.h"

static struct engine_event *event_new(uint64_t request)
{
    struct engine_event *event = calloc(1, sizeof *event);
    if (event != NULL)
        event->request = request;
    return event;
}

void engine_event_free(struct engine_event *event)
{
    if (event == NULL)
        return;
    buf_done(&event->text);
    token_report_list_done(&event->reports);
    engine_request_done(&event->returned);
    free(event->stop);
    free(event);
}

bool turn_new(struct turn **out, struct engine_request *request, struct err *err)
{
    struct turn *turn = calloc(1, sizeof *turn);
    if (turn == NULL)
        return err_no_memory(err, "a request");
    turn->last_text = event_new(request->id);
    turn->final = event_new(request->id);
    if (turn->last_text == NULL || turn->final == NULL) {
        turn_free(&turn);
        return err_no_memory(err, "a request");
    }
    turn->request = *request;
    engine_request_init(request);
    *out = turn;
    return true;
}

void turn_free(struct turn **turn_ptr)
{
    struct turn *turn = *turn_ptr;
    if (turn == NULL)
        return;
    engine_request_done(&turn->request);
    buf_done(&turn->text);
    token_report_list_done(&turn->reports);
    engine_event_free(turn->last_text);
    engine_event_free(turn->final);
    free(turn);
    *turn_ptr = NULL;
}

/* ---- in its session ---- */

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
        .shelters = request->shelters,
        .n_shelters = request->n_shelters,
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

bool turn_begin(struct turn *turn, const struct admission_start *start, struct err *err)
{
    struct session_entry *entry = start->entry;
    int n_prompt = (int)turn->request.tokens.n - (int)start->n_copied;
    if (!begin_in(entry, &turn->request, start, err))
        return false;
    entry->turn = turn;
    turn->entry = entry;
    turn->n_evicted_before = kv_cache_evicted(session_cache(entry->session));
    turn->n_cached = start->keep;
    turn->n_prompt = n_prompt;
    turn->admitted_ns = clock_now_ns();
    return true;
}

static void take_reports(struct turn *turn)
{
    if (turn->request.wants_reports && !session_take_reports(turn->entry->session, &turn->reports))
        turn->text.failed = true;
}

bool turn_choose(struct turn *turn, float *logits)
{
    session_choose(turn->entry->session, logits, &turn->text);
    turn->n_text_tokens++;
    take_reports(turn);
    return !turn_is_over(turn) && session_is_ready_to_choose(turn->entry->session);
}

bool turn_is_over(const struct turn *turn)
{
    enum session_state state = session_state(turn->entry->session);
    return turn->is_cancelled || turn->text.failed || state == SESSION_SAID_STOP ||
           state == SESSION_SAID_ALL;
}

/* ---- its events ---- */

/* What is known before the end. */
static struct engine_usage usage_so_far(const struct turn *turn)
{
    int64_t now = clock_now_ns();
    int64_t first = turn->first_token_ns != 0 ? turn->first_token_ns : now;
    return (struct engine_usage){.n_cached = turn->n_cached,
                                 .n_prompt = turn->n_prompt,
                                 .n_generated = turn->n_generated,
                                 .prefill_ns = first - turn->admitted_ns,
                                 .decode_ns = now - first};
}

static void move_text(struct turn *turn, struct engine_event *event)
{
    event->usage = usage_so_far(turn);
    event->kind = ENGINE_EVENT_TEXT;
    event->text = turn->text;
    event->n_tokens = turn->n_text_tokens;
    event->reports = turn->reports;
    buf_init(&turn->text);
    token_report_list_init(&turn->reports);
    turn->n_text_tokens = 0;
}

struct engine_event *turn_take_text(struct turn *turn)
{
    if (turn->text.len == 0)
        return NULL;
    struct engine_event *event = event_new(turn->request.id);
    if (event != NULL)
        move_text(turn, event);
    return event;
}

struct engine_event *turn_take_progress(struct turn *turn)
{
    struct engine_event *event = turn->request.wants_progress ? event_new(turn->request.id) : NULL;
    if (event == NULL)
        return NULL;
    event->kind = ENGINE_EVENT_PROGRESS;
    event->n_read = turn->n_read;
    event->usage = usage_so_far(turn);
    return event;
}

static struct engine_event *take_final(struct turn *turn)
{
    struct engine_event *final = turn->final;
    turn->final = NULL;
    if (turn->text.len == 0 && turn->reports.n == 0)
        return final;

    struct engine_event *text = turn->last_text;
    turn->last_text = NULL;
    move_text(turn, text);
    text->next = final;
    return text;
}

struct engine_event *turn_fail(struct turn *turn, const struct err *err)
{
    turn->final->kind = ENGINE_EVENT_FAILED;
    turn->final->err = *err;
    if (turn->entry == NULL) {
        turn->final->returned = turn->request;
        engine_request_init(&turn->request);
        turn->request.id = turn->final->request;
    }
    return take_final(turn);
}

static enum engine_finish finish_of(const struct turn *turn)
{
    if (turn->is_cancelled)
        return ENGINE_FINISH_CANCELLED;
    bool is_all = session_state(turn->entry->session) == SESSION_SAID_ALL;
    return is_all ? ENGINE_FINISH_LENGTH : ENGINE_FINISH_STOP;
}

struct engine_event *turn_end(struct turn *turn)
{
    struct session_outcome outcome;
    turn->final->kind = ENGINE_EVENT_FINISHED;
    turn->final->finish = finish_of(turn);
    session_end(turn->entry->session, &turn->text, &outcome);
    take_reports(turn);
    if (outcome.n_evicted > turn->n_evicted_before)
        turn->n_evicted = outcome.n_evicted - turn->n_evicted_before;
    if (turn->text.failed) {
        struct err err;
        err_no_memory(&err, "the answer");
        return turn_fail(turn, &err);
    }
    struct engine_usage usage = usage_so_far(turn);
    usage.n_cached = outcome.n_cached;
    usage.n_prompt = outcome.n_prompt;
    usage.n_generated = outcome.n_generated;
    usage.n_drafted = outcome.n_drafted;
    usage.n_accepted = outcome.n_accepted;
    usage.position = outcome.position;
    usage.rewind_limit = outcome.rewind_limit;
    memcpy(usage.marks, outcome.marks, sizeof usage.marks);
    usage.n_evicted = outcome.n_evicted;
    usage.n_sinks = outcome.n_sinks;
    usage.n_text_kept = outcome.n_text_kept;
    turn->final->usage = usage;
    if (turn->final->finish == ENGINE_FINISH_STOP && outcome.stop >= 0) {
        turn->final->stop = turn->request.stops[outcome.stop];
        turn->request.stops[outcome.stop] = NULL;
    }
    return take_final(turn);
}
