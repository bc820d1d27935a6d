#include "core/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/model/kv_cache.h"
#include "core/session/lookup.h"
#include "core/session/speech.h"

/* A place in the cache where the tokens before it stand for exactly the first `text_len` bytes of
 * what was said: no character and no possible stop string is cut in two there. */
struct clean_cut {
    int64_t position;
    size_t text_len;
};

struct session {
    struct kv_cache *cache;
    enum session_mode mode;
    int n_window;
    struct token_list start; /* the cache's first tokens, as many as it has rows, for
                                session_common_prefix */
    struct buf note;         /* the caller's */
    struct lookup lookup;
    int max_drafts;
    enum session_state state;

    /* The turn. */
    int64_t keep;
    struct token_list prompt; /* with recompute, what was said since as well */
    size_t n_prompt_fed;
    int n_prompt; /* tokens of it that are the caller's */
    struct speech speech;
    int32_t chosen;                     /* the pending token while speaking */
    int32_t drafts[SESSION_MAX_DRAFTS]; /* what may follow it, or, once it is fed, what follows */
    int n_drafts;
    int n_unconfirmed; /* drafts that are in the cache and not yet chosen */
    int n_drafted, n_accepted;
    struct clean_cut cut;
};

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
    session->max_drafts = session->mode == SESSION_MODE_RECOMPUTE ? 0 : max;
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

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
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

static void rewind_to(struct session *session, int64_t position)
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
    rewind_to(session, position);
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

static void read_window_again(struct session *session)
{
    size_t n_window = (size_t)session->n_window;
    kv_cache_rewind(session->cache, 0);
    session->n_prompt_fed = session->prompt.n > n_window ? session->prompt.n - n_window : 0;
    session->state = SESSION_READING;
}

static void remember_chosen(struct session *session)
{
    struct token_list *history = &session->prompt;
    if (history->n == history->max)
        memmove(history->ids, history->ids + 1, --history->n * sizeof *history->ids);
    history->ids[history->n++] = session->chosen;
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
    set_sinks(session, turn->n_sinks);
    fill_lookup(session);
    session->keep = turn->keep;
    session->n_prompt = (int)turn->prompt.n;
    session->prompt = turn->prompt;
    token_list_init(&turn->prompt);
    session->n_prompt_fed = 0;
    session->n_drafts = session->n_drafted = session->n_accepted = 0;
    session->state = SESSION_READING;
    if (session->mode == SESSION_MODE_RECOMPUTE)
        read_window_again(session);
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
    prefix.now = (int64_t)n_same;
    if (!kv_cache_can_rewind(session->cache, prefix.now)) /* then to any place among the sinks */
        prefix.now = min_i64(prefix.now, kv_cache_shape(session->cache)->n_sinks);
    prefix.soon = prefix.now;
    bool goes_on = session->state == SESSION_READING && n_same == start->n &&
                   kv_cache_position(session->cache) == (int64_t)n_same;
    if (goes_on)
        prefix.soon += (int64_t)same_at_start(session->prompt.ids + session->n_prompt_fed,
                                              session->prompt.n - session->n_prompt_fed,
                                              ids + n_same, n - n_same);
    return prefix;
}

int session_n_pending(const struct session *session)
{
    switch (session->state) {
    case SESSION_READING:
        return (int)(session->prompt.n - session->n_prompt_fed);
    case SESSION_SPEAKING:
        return session_is_ready_to_choose(session) ? 0 : 1;
    default:
        return 0;
    }
}

int session_n_drafts(const struct session *session)
{
    return session->state == SESSION_SPEAKING && session->chosen >= 0 ? session->n_drafts : 0;
}

float session_draft_chance(const struct session *session, int i)
{
    return lookup_chance(&session->lookup, i);
}

int32_t session_pending(const struct session *session, int i)
{
    if (session->state == SESSION_READING)
        return session->prompt.ids[session->n_prompt_fed + (size_t)i];
    return i == 0 ? session->chosen : session->drafts[i - 1];
}

/* Of the tokens that stay whatever is chosen next. */
static int64_t settled_position(const struct session *session)
{
    return kv_cache_position(session->cache) - session->n_unconfirmed;
}

/* The next n pending tokens are in the cache now. Recompute never keeps any. */
static void remember_start(struct session *session, int n)
{
    struct token_list *start = &session->start;
    int64_t before = settled_position(session) - n;
    bool is_start = session->mode != SESSION_MODE_RECOMPUTE && before == (int64_t)start->n;
    for (int i = 0; i < n && is_start && start->n < start->max; i++)
        start->ids[start->n++] = session_pending(session, i);
}

static void keep_prompt(struct session *session, int n)
{
    remember_start(session, n);
    if (session->max_drafts > 0)
        lookup_read(&session->lookup, session->prompt.ids + session->n_prompt_fed, (size_t)n);
    session->n_prompt_fed += (size_t)n;
    if (session->n_prompt_fed < session->prompt.n)
        return;
    session->state = SESSION_SPEAKING;
    session->cut = (struct clean_cut){.position = settled_position(session), .text_len = 0};
    session->chosen = -1;
}

static void keep_chosen(struct session *session)
{
    remember_start(session, 1);
    if (session->speech.is_clean_cut)
        session->cut = (struct clean_cut){.position = settled_position(session),
                                          .text_len = session->speech.n_said};
    session->chosen = -1;
}

void session_fed(struct session *session, int n)
{
    if (session->state == SESSION_READING) {
        keep_prompt(session, n);
    } else if (n > 0) {
        session->n_unconfirmed = n - 1;
        session->n_drafted += n - 1;
        keep_chosen(session);
    }
}

bool session_is_ready_to_choose(const struct session *session)
{
    return session->state == SESSION_SPEAKING && session->chosen < 0;
}

static bool is_full(const struct session *session)
{
    return session->mode == SESSION_MODE_DENSE && settled_position(session) >= session->n_window;
}

static void speak_by_reading(struct session *session)
{
    remember_chosen(session);
    read_window_again(session);
}

/* ---- drafts ---- */

/* As many as can be taken back without a loss: the turn's end may need its last clean cut again. A
 * turn's last token is not fed, and a full window ends a dense one. */
static int64_t room_for_drafts(const struct session *session)
{
    const struct speech *speech = &session->speech;
    int64_t position = kv_cache_position(session->cache);
    int64_t n_slack = kv_cache_shape(session->cache)->n_slack;
    int64_t n = min_i64(session->max_drafts, speech->max_tokens - speech->n_generated - 1);
    n = min_i64(n, n_slack - (position - session->cut.position));
    if (session->mode == SESSION_MODE_DENSE)
        n = min_i64(n, session->n_window - position - 1);
    return n;
}

/* None beyond an end of the turn. */
static void make_drafts(struct session *session)
{
    const struct speech *speech = &session->speech;
    int64_t room = room_for_drafts(session);
    int n = room <= 0 ? 0 : lookup_guess(&session->lookup, session->drafts, (int)room);
    session->n_drafts = 0;
    while (session->n_drafts < n &&
           (speech->ignore_end ||
            !tokenizer_is_end(speech->tokenizer, session->drafts[session->n_drafts])))
        session->n_drafts++;
}

/* The token chosen is in the cache already. */
static void confirm_draft(struct session *session)
{
    session->n_unconfirmed--;
    session->n_accepted++;
    session->n_drafts--;
    memmove(session->drafts, session->drafts + 1,
            (size_t)session->n_drafts * sizeof *session->drafts);
    keep_chosen(session);
}

static void take_back_drafts(struct session *session)
{
    if (session->n_unconfirmed > 0)
        kv_cache_rewind(session->cache, settled_position(session));
    session->n_unconfirmed = 0;
}

void session_choose(struct session *session, float *logits, struct buf *out)
{
    enum speech_state state = speech_choose(&session->speech, logits, out, &session->chosen);
    if (session->max_drafts > 0 && session->chosen >= 0)
        lookup_say(&session->lookup, session->chosen);
    if (state == SPEECH_SAID_STOP)
        session->state = SESSION_SAID_STOP;
    else if (state == SPEECH_SAID_ALL || is_full(session))
        session->state = SESSION_SAID_ALL;
    else if (session->mode == SESSION_MODE_RECOMPUTE)
        speak_by_reading(session);

    bool goes_on = session->state == SESSION_SPEAKING;
    if (goes_on && session->n_unconfirmed > 0 && session->chosen == session->drafts[0]) {
        confirm_draft(session);
        return;
    }
    take_back_drafts(session);
    if (goes_on)
        make_drafts(session);
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
        rewind_to(session, 0);
        return 0;
    }
    if (session->state == SESSION_READING) {
        int64_t before = kv_cache_can_rewind(session->cache, session->keep) ? session->keep : 0;
        rewind_to(session, before);
        return 0;
    }
    if (is_all_fed || !kv_cache_can_rewind(session->cache, session->cut.position))
        return session->speech.n_said;
    rewind_to(session, session->cut.position);
    return session->cut.text_len;
}

void session_end(struct session *session, struct buf *out, struct session_outcome *outcome)
{
    take_back_drafts(session);
    speech_finish(&session->speech, out);
    bool is_cut_while_reading =
        session->state == SESSION_READING && session->mode != SESSION_MODE_RECOMPUTE;
    bool is_all_fed = session->chosen < 0 && session->state != SESSION_READING;
    int n_prompt = is_cut_while_reading ? (int)session->n_prompt_fed : session->n_prompt;
    size_t n_text_kept = settle_cache(session, is_all_fed);
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
    };
    drop_turn(session);
}

void session_set_note(struct session *session, struct buf *note)
{
    buf_done(&session->note);
    session->note = *note;
    buf_init(note);
}

struct session_saved session_saved(const struct session *session)
{
    return (struct session_saved){.cache = kv_cache_state(session->cache),
                                  .n_note = session->note.len,
                                  .n_start = session->start.n,
                                  .n_row_bytes = kv_cache_live_bytes(session->cache)};
}

bool session_restore(struct session *session, const struct session_saved *saved)
{
    if (saved->n_start > session->start.max || saved->cache.position < 0 ||
        saved->n_start > (uint64_t)saved->cache.position || saved->n_note > SESSION_MAX_NOTE)
        return false;
    char *note = saved->n_note == 0 ? NULL : calloc(1, saved->n_note + 1);
    bool is_restored =
        (note != NULL || saved->n_note == 0) && kv_cache_set_state(session->cache, &saved->cache);
    if (!is_restored) {
        free(note);
        return false;
    }
    buf_done(&session->note);
    session->note = (struct buf){.data = note, .len = saved->n_note, .max = saved->n_note + 1};
    session->start.n = (size_t)saved->n_start;
    return true;
}

static bool walk(void *bytes, size_t len, kv_cache_bytes_fn *fn, void *arg)
{
    return len == 0 || fn(arg, bytes, len);
}

bool session_walk(struct session *session, kv_cache_bytes_fn *fn, void *arg)
{
    return walk(session->note.data, session->note.len, fn, arg) &&
           walk(session->start.ids, session->start.n * sizeof *session->start.ids, fn, arg) &&
           kv_cache_walk(session->cache, fn, arg);
}

void session_clear(struct session *session)
{
    buf_done(&session->note);
    lookup_clear(&session->lookup);
    rewind_to(session, 0);
}
