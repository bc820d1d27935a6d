#include "core/session/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/model/kv_cache.h"
#include "core/text/detokenizer.h"
#include "core/text/grammar_matcher.h"

/* A place in the cache where the tokens before it stand for exactly the first `text_len` bytes of
 * what was said: no character and no possible stop string is cut in two there. */
struct clean_cut {
    int64_t position;
    size_t text_len;
};

struct session {
    const struct tokenizer *tokenizer;
    struct kv_cache *cache;
    enum session_mode mode;
    int n_window;
    struct token_list start; /* the cache's first tokens, as many as it has rows, for
                                session_common_prefix */
    struct buf note;         /* the caller's */
    enum session_state state;

    /* The turn. */
    int64_t keep;
    struct token_list prompt; /* with recompute, what was said since as well */
    size_t n_prompt_fed;
    int n_prompt; /* tokens of it that are the caller's */
    int max_tokens;
    int min_tokens;
    bool ignore_end;
    struct sampler *sampler;
    struct detokenizer detokenizer;
    struct grammar_matcher *matcher; /* NULL: anything may be said */
    int32_t chosen;                  /* the pending token while speaking */
    int n_generated;
    size_t n_said;     /* bytes given out */
    bool is_clean_cut; /* nothing is held back after `chosen` */
    struct clean_cut cut;

    bool wants_reports;
    int n_top;
    float *raw_logits;                /* [n_vocab], when reports are wanted */
    struct token_report_list reports; /* not yet taken */
    size_t n_ready;                   /* of these, those whose text is out */
    bool has_lost_report;             /* for want of memory */
};

bool session_open(struct session **out, const struct kv_shape *shape, enum session_mode mode,
                  const struct tokenizer *tokenizer, struct err *err)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return err_no_memory(err, "a session");
    session->tokenizer = tokenizer;
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

static void close_speech(struct session *session)
{
    sampler_close(&session->sampler);
    detokenizer_done(&session->detokenizer);
    grammar_matcher_close(&session->matcher);
    free(session->raw_logits);
    session->raw_logits = NULL;
}

static void drop_turn(struct session *session)
{
    if (session->state == SESSION_IDLE)
        return;
    token_list_done(&session->prompt);
    close_speech(session);
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
    token_report_list_done(&session->reports);
    kv_cache_close(&session->cache);
    free(session);
    *session_ptr = NULL;
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

/* What turns logits into text. */
static bool open_speech(struct session *session, const struct session_turn *turn, struct err *err)
{
    const struct tokenizer *tokenizer = session->tokenizer;
    size_t n_vocab = (size_t)tokenizer_n_vocab(tokenizer);
    if (!sampler_open(&session->sampler, &turn->sampling, (int)n_vocab, err))
        return false;
    bool is_open = detokenizer_init(&session->detokenizer, tokenizer,
                                    (const char *const *)turn->stops, turn->n_stops, err);
    if (is_open && turn->grammar != NULL)
        is_open = grammar_matcher_open(&session->matcher, turn->grammar, tokenizer,
                                       !turn->ignore_end, err);
    if (is_open && turn->wants_reports) {
        session->raw_logits = malloc(n_vocab * sizeof *session->raw_logits);
        is_open = session->raw_logits != NULL || err_no_memory(err, "the log probabilities");
    }
    if (!is_open) {
        close_speech(session);
        return false;
    }
    detokenizer_show(&session->detokenizer, turn->shown, turn->n_shown);
    if (session->matcher != NULL)
        grammar_matcher_show(session->matcher, turn->shown, turn->n_shown);
    if (session->matcher != NULL && turn->grammar_start != NULL)
        grammar_matcher_begin(session->matcher, turn->grammar_start, strlen(turn->grammar_start));
    return true;
}

bool session_begin(struct session *session, struct session_turn *turn, struct err *err)
{
    if (!check_turn(session, turn, err))
        return false;
    if (session->mode == SESSION_MODE_RECOMPUTE && !reserve_history(turn, session->n_window, err))
        return false;
    if (!open_speech(session, turn, err))
        return false;

    buf_done(&session->note);
    begin_with(session, turn->source, turn->keep);
    set_sinks(session, turn->n_sinks);
    session->keep = turn->keep;
    session->n_prompt = (int)turn->prompt.n;
    session->prompt = turn->prompt;
    token_list_init(&turn->prompt);
    session->n_prompt_fed = 0;
    session->max_tokens = turn->max_tokens;
    session->min_tokens = turn->min_tokens;
    session->ignore_end = turn->ignore_end;
    session->wants_reports = turn->wants_reports;
    session->n_top = turn->n_top;
    session->reports.n = 0;
    session->n_ready = 0;
    session->has_lost_report = false;
    session->n_generated = 0;
    session->n_said = 0;
    session->is_clean_cut = false;
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

int32_t session_pending(const struct session *session, int i)
{
    if (session->state == SESSION_READING)
        return session->prompt.ids[session->n_prompt_fed + (size_t)i];
    return session->chosen;
}

/* The next n pending tokens are in the cache now. Recompute never keeps any. */
static void remember_start(struct session *session, int n)
{
    struct token_list *start = &session->start;
    int64_t before = kv_cache_position(session->cache) - n;
    bool is_start = session->mode != SESSION_MODE_RECOMPUTE && before == (int64_t)start->n;
    for (int i = 0; i < n && is_start && start->n < start->max; i++)
        start->ids[start->n++] = session_pending(session, i);
}

void session_fed(struct session *session, int n)
{
    int64_t position = kv_cache_position(session->cache);
    remember_start(session, n);
    if (session->state == SESSION_READING) {
        session->n_prompt_fed += (size_t)n;
        if (session->n_prompt_fed == session->prompt.n) {
            session->state = SESSION_SPEAKING;
            session->cut = (struct clean_cut){.position = position, .text_len = 0};
            session->chosen = -1;
        }
    } else if (n > 0) {
        if (session->is_clean_cut)
            session->cut = (struct clean_cut){.position = position, .text_len = session->n_said};
        session->chosen = -1;
    }
}

bool session_is_ready_to_choose(const struct session *session)
{
    return session->state == SESSION_SPEAKING && session->chosen < 0;
}

static bool is_full(const struct session *session)
{
    return session->mode == SESSION_MODE_DENSE &&
           kv_cache_position(session->cache) >= session->n_window;
}

static void speak_by_reading(struct session *session)
{
    remember_chosen(session);
    read_window_again(session);
}

static void ban_ends(const struct session *session, float *logits)
{
    int n_vocab = tokenizer_n_vocab(session->tokenizer);
    for (int32_t id = 0; id < n_vocab; id++) {
        if (tokenizer_is_end(session->tokenizer, id))
            logits[id] = -INFINITY;
    }
}

static int32_t choose(struct session *session, float *logits)
{
    if (session->wants_reports)
        memcpy(session->raw_logits, logits,
               (size_t)tokenizer_n_vocab(session->tokenizer) * sizeof *logits);
    if (session->n_generated < session->min_tokens)
        ban_ends(session, logits);
    int32_t id = session->matcher == NULL
                     ? sampler_choose(session->sampler, logits)
                     : sampler_choose_allowed(session->sampler, logits, session->matcher);
    session->n_generated += id >= 0;
    return id;
}

/* No token fits the grammar: because all is said, or because the turn cannot go on. */
static void fall_silent(struct session *session, struct buf *out)
{
    bool is_whole = grammar_matcher_may_end(session->matcher);
    session->state = is_whole ? SESSION_SAID_STOP : SESSION_SAID_ALL;
    out->failed = out->failed || grammar_matcher_is_out_of_memory(session->matcher);
}

/* Text is given out in the order of its tokens, so the ready ones come first. */
static void report(struct session *session, int32_t id, size_t text_begin)
{
    struct token_report one = {
        .text_begin = text_begin,
        .text_end = session->n_said + session->detokenizer.held.len,
    };
    if (one.text_end < text_begin) /* a stop string took it away */
        one.text_end = text_begin;
    token_report_measure(&one, session->raw_logits, tokenizer_n_vocab(session->tokenizer), id,
                         session->n_top);
    if (!token_report_list_append(&session->reports, &one, 1))
        session->has_lost_report = true;
    while (session->n_ready < session->reports.n &&
           session->reports.items[session->n_ready].text_end <= session->n_said)
        session->n_ready++;
}

/* At the end of a turn: what was said in part counts as said. */
static void settle_reports(struct session *session)
{
    while (session->n_ready < session->reports.n) {
        struct token_report *one = &session->reports.items[session->n_ready];
        bool is_said = one->text_begin < session->n_said;
        if (!is_said && (one->text_begin != one->text_end || one->text_begin > session->n_said))
            break;
        if (one->text_end > session->n_said)
            one->text_end = session->n_said;
        session->n_ready++;
    }
    session->reports.n = session->n_ready;
}

bool session_take_reports(struct session *session, struct token_report_list *out)
{
    struct token_report_list *mine = &session->reports;
    if (session->has_lost_report || !token_report_list_append(out, mine->items, session->n_ready))
        return false;
    mine->n -= session->n_ready;
    if (mine->n > 0)
        memmove(mine->items, mine->items + session->n_ready, mine->n * sizeof *mine->items);
    session->n_ready = 0;
    return true;
}

void session_choose(struct session *session, float *logits, struct buf *out)
{
    struct grammar_matcher *matcher = session->matcher;
    int32_t id = choose(session, logits);
    if (id < 0) {
        fall_silent(session, out);
        return;
    }
    if (!session->ignore_end && tokenizer_is_end(session->tokenizer, id)) {
        session->state = SESSION_SAID_STOP;
        return;
    }
    sampler_accept(session->sampler, id);
    if (matcher != NULL)
        grammar_matcher_accept(matcher, id);
    session->chosen = id;

    size_t before = out->len;
    size_t text_begin = session->n_said + session->detokenizer.held.len;
    bool is_stopped = detokenizer_push(&session->detokenizer, id, out);
    session->n_said += out->len - before;
    if (session->wants_reports)
        report(session, id, text_begin);
    session->is_clean_cut = session->detokenizer.held.len == 0 && !is_stopped;
    if (is_stopped || (matcher != NULL && grammar_matcher_must_end(matcher)))
        session->state = SESSION_SAID_STOP;
    else if (session->n_generated >= session->max_tokens || is_full(session))
        session->state = SESSION_SAID_ALL;
    else if (session->mode == SESSION_MODE_RECOMPUTE)
        speak_by_reading(session);
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
        return session->n_said;
    rewind_to(session, session->cut.position);
    return session->cut.text_len;
}

void session_end(struct session *session, struct buf *out, struct session_outcome *outcome)
{
    size_t before = out->len;
    detokenizer_flush(&session->detokenizer, out);
    session->n_said += out->len - before;
    settle_reports(session);

    bool is_cut_while_reading =
        session->state == SESSION_READING && session->mode != SESSION_MODE_RECOMPUTE;
    bool is_all_fed = session->chosen < 0 && session->state != SESSION_READING;
    int n_prompt = is_cut_while_reading ? (int)session->n_prompt_fed : session->n_prompt;
    size_t n_text_kept = settle_cache(session, is_all_fed);
    *outcome = (struct session_outcome){
        .n_cached = session->keep,
        .n_prompt = n_prompt,
        .n_generated = session->n_generated,
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
    rewind_to(session, 0);
}
