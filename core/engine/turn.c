#include "core/engine/turn.h"

#include <stdlib.h>

#include "core/base/clock.h"

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

struct engine_event *turn_finish(struct turn *turn, enum engine_finish finish,
                                 const struct engine_usage *usage)
{
    turn->final->kind = ENGINE_EVENT_FINISHED;
    turn->final->finish = finish;
    turn->final->usage = *usage;
    return take_final(turn);
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
