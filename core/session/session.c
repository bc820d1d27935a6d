#include "core/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/model/kv_cache.h"
#include "core/session/session_inside.h"

bool session_open(struct session **out, const struct kv_shape *shape, enum session_mode mode,
                  const struct tokenizer *tokenizer, struct err *err)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return err_no_memory(err, "a session");
    speech_init(&session->speech, tokenizer);
    lookup_init(&session->lookup, shape->n_window);
    session->mode = mode;
    session->n_window = shape->n_window;
    session->start.max = (size_t)shape->n_window + (size_t)shape->n_slack;
    session->start.ids = calloc(session->start.max, sizeof *session->start.ids);
    bool has_start = session->start.ids != NULL || err_no_memory(err, "a session");
    if (!has_start || !kv_cache_open(&session->cache, shape, err)) {
        session_close(&session);
        return false;
    }
    *out = session;
    return true;
}

static void drop_turn(struct session *session)
{
    if (session->state == SESSION_IDLE)
        return;
    token_list_done(&session->prompt);
    speech_end(&session->speech);
    session->state = SESSION_IDLE;
}

void session_close(struct session **session_ptr)
{
    struct session *session = *session_ptr;
    if (session == NULL)
        return;
    drop_turn(session);
    token_list_done(&session->start);
    buf_done(&session->note);
    lookup_done(&session->lookup);
    speech_done(&session->speech);
    kv_cache_close(&session->cache);
    free(session);
    *session_ptr = NULL;
}

void session_set_drafts(struct session *session, int max)
{
    bool can_take_back = kv_cache_shape(session->cache)->n_state == 0;
    session->max_drafts = session->mode == SESSION_MODE_RECOMPUTE || !can_take_back ? 0 : max;
}

enum session_state session_state(const struct session *session)
{
    return session->state;
}

struct kv_cache *session_cache(struct session *session)
{
    return session->cache;
}

int64_t session_position(const struct session *session)
{
    return kv_cache_position(session->cache);
}

static bool check_turn(const struct session *session, const struct session_turn *turn,
                       struct err *err)
{
    if (session->state != SESSION_IDLE)
        return err_set(err, ERR_LIMIT, "this conversation is still answering");
    if (turn->prompt.n == 0)
        return err_set(err, ERR_INVALID, "the prompt is empty");
    const struct session *source = turn->source != NULL ? turn->source : session;
    if (!kv_cache_can_rewind(source->cache, turn->keep))
        return err_set(err, ERR_INVALID, "the session cannot go back to token %lld",
                       (long long)turn->keep);
    if (session->mode == SESSION_MODE_DENSE &&
        turn->keep + (int64_t)turn->prompt.n > session->n_window)
        return err_set(err, ERR_INVALID,
                       "the conversation has %lld tokens, the maximum context length in dense mode "
                       "is %d: streaming mode has no limit",
                       (long long)(turn->keep + (int64_t)turn->prompt.n), session->n_window);
    return true;
}

/* Recompute reads the most recent N tokens again before each choice. The list never needs to be
 * longer than the prompt or the window, so that no step has to allocate. */
static bool reserve_history(struct session_turn *turn, int n_window, struct err *err)
{
    if (turn->prompt.max >= (size_t)n_window)
        return true;
    int32_t *ids = realloc(turn->prompt.ids, (size_t)n_window * sizeof *ids);
    if (ids == NULL)
        return err_no_memory(err, "the prompt");
    turn->prompt.ids = ids;
    turn->prompt.max = (size_t)n_window;
    return true;
}

void session_rewind(struct session *session, int64_t position)
{
    kv_cache_rewind(session->cache, position);
    if ((size_t)position < session->start.n)
        session->start.n = (size_t)position;
}

static void begin_with(struct session *session, const struct session *source, int64_t position)
{
    if (source != NULL && source != session) {
        kv_cache_copy(session->cache, source->cache, position);
        session->start.n = source->start.n;
        memcpy(session->start.ids, source->start.ids, source->start.n * sizeof *source->start.ids);
    }
    session_rewind(session, position);
}

/* Of a copy, or after a stay in a file, the first tokens are all that is known of the text. */
static void fill_lookup(struct session *session)
{
    if (session->max_drafts > 0 && session->lookup.n == 0)
        lookup_read(&session->lookup, session->start.ids, session->start.n);
}

static void set_sinks(struct session *session, int n_sinks)
{
    struct kv_state state = {.n_sinks = n_sinks, .position = 0, .ring_from = n_sinks};
    if (n_sinks >= 0 && kv_cache_position(session->cache) == 0)
        kv_cache_set_state(session->cache, &state);
}

void session_read_again(struct session *session)
{
    size_t n_window = (size_t)session->n_window;
    kv_cache_rewind(session->cache, 0);
    session->n_prompt_fed = session->prompt.n > n_window ? session->prompt.n - n_window : 0;
    session->state = SESSION_READING;
}

bool session_begin(struct session *session, struct session_turn *turn, struct err *err)
{
    if (!check_turn(session, turn, err))
        return false;
    if (session->mode == SESSION_MODE_RECOMPUTE && !reserve_history(turn, session->n_window, err))
        return false;
    if (!speech_begin(&session->speech, turn, err))
        return false;

    buf_done(&session->note);
    begin_with(session, turn->source, turn->keep);
    session_mark_turn(session);
    set_sinks(session, turn->n_sinks);
    fill_lookup(session);
    session->marked_cut = (struct clean_cut){0};
    session->keep = turn->keep;
    session->n_prompt = (int)turn->prompt.n;
    session->prompt = turn->prompt;
    token_list_init(&turn->prompt);
    session->n_prompt_fed = 0;
    session->n_drafts = session->n_drafted = session->n_accepted = 0;
    session->state = SESSION_READING;
    if (session->mode == SESSION_MODE_RECOMPUTE)
        session_read_again(session);
    return true;
}

static size_t same_at_start(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b)
{
    size_t n = n_a < n_b ? n_a : n_b;
    size_t n_same = 0;
    while (n_same < n && a[n_same] == b[n_same])
        n_same++;
    return n_same;
}

struct session_prefix session_common_prefix(const struct session *session, const int32_t *ids,
                                            size_t n)
{
    const struct token_list *start = &session->start;
    struct session_prefix prefix = {0};
    if (session->mode == SESSION_MODE_RECOMPUTE)
        return prefix;
    size_t n_same = same_at_start(start->ids, start->n, ids, n);
    prefix.now = kv_cache_rewind_floor(session->cache, (int64_t)n_same);
    prefix.soon = prefix.now;
    bool goes_on = session->state == SESSION_READING && n_same == start->n &&
                   kv_cache_position(session->cache) == (int64_t)n_same;
    if (!goes_on)
        return prefix;
    n_same += same_at_start(session->prompt.ids + session->n_prompt_fed,
                            session->prompt.n - session->n_prompt_fed, ids + n_same, n - n_same);
    int64_t soon = session_soon(session, (int64_t)n_same);
    prefix.soon = soon > prefix.now ? soon : prefix.now;
    return prefix;
}
bool session_take_reports(struct session *session, struct token_report_list *out)
{
    return speech_take_reports(&session->speech, out);
}

/* Said by an end-of-turn token, all text is in the cache, held-back bytes too. Otherwise the token
 * chosen last is not, and after a stop string some that are must go: back to the last clean cut. */
static size_t settle_cache(struct session *session, bool is_all_fed)
{
    if (session->mode == SESSION_MODE_RECOMPUTE) {
        session_rewind(session, 0);
        return 0;
    }
    if (session->state == SESSION_READING) {
        int64_t before = kv_cache_can_rewind(session->cache, session->keep) ? session->keep : 0;
        session_rewind(session, before);
        return 0;
    }
    if (is_all_fed)
        return session->speech.n_said;
    const struct clean_cut *cut = kv_cache_can_rewind(session->cache, session->cut.position)
                                      ? &session->cut
                                      : &session->marked_cut;
    if (!kv_cache_can_rewind(session->cache, cut->position))
        return session->speech.n_said;
    session_rewind(session, cut->position);
    return cut->text_len;
}

void session_end(struct session *session, struct buf *out, struct session_outcome *outcome)
{
    session_take_back_drafts(session);
    speech_finish(&session->speech, out);
    bool is_cut_while_reading =
        session->state == SESSION_READING && session->mode != SESSION_MODE_RECOMPUTE;
    bool is_all_fed = session->chosen < 0 && session->state != SESSION_READING;
    int n_prompt = is_cut_while_reading ? (int)session->n_prompt_fed : session->n_prompt;
    size_t n_text_kept = settle_cache(session, is_all_fed);
    struct kv_state cache = kv_cache_state(session->cache);
    *outcome = (struct session_outcome){
        .n_cached = session->keep,
        .n_prompt = n_prompt,
        .n_generated = session->speech.n_generated,
        .n_drafted = session->n_drafted,
        .n_accepted = session->n_accepted,
        .position = kv_cache_position(session->cache),
        .rewind_limit = kv_cache_rewind_limit(session->cache),
        .n_evicted = session->mode == SESSION_MODE_DENSE ? 0 : kv_cache_evicted(session->cache),
        .n_sinks = kv_cache_shape(session->cache)->n_sinks,
        .n_text_kept = n_text_kept,
        .stop = stop_search_met(&session->speech.detokenizer.search),
    };
    memcpy(outcome->marks, cache.marks, sizeof outcome->marks);
    drop_turn(session);
}
