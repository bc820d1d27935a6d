/* One step of a turn: what waits to be fed, what becomes of it, and the next token. */
#include <string.h>

#include "core/session/session_inside.h"

int session_n_pending(const struct session *session)
{
    switch (session->state) {
    case SESSION_READING:
        return session_n_to_mark(session);
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

bool session_wants_logits(const struct session *session, int i)
{
    return session->state != SESSION_READING ||
           session->n_prompt_fed + (size_t)i + 1 == session->prompt.n;
}

int64_t session_settled_position(const struct session *session)
{
    return kv_cache_position(session->cache) - session->n_unconfirmed;
}

/* The next n pending tokens are in the cache now. Recompute never keeps any. */
static void remember_start(struct session *session, int n)
{
    struct token_list *start = &session->start;
    int64_t before = session_settled_position(session) - n;
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
    session_mark_prompt(session);
    if (session->n_prompt_fed < session->prompt.n)
        return;
    session->state = SESSION_SPEAKING;
    session->cut = (struct clean_cut){.position = session_settled_position(session), .text_len = 0};
    session_mark_cut(session);
    session->chosen = -1;
}

static void keep_chosen(struct session *session)
{
    remember_start(session, 1);
    if (session->speech.is_clean_cut) {
        session->cut = (struct clean_cut){.position = session_settled_position(session),
                                          .text_len = session->speech.n_said};
        session_mark_cut(session);
    }
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
    return session->mode == SESSION_MODE_DENSE &&
           session_settled_position(session) >= session->n_window;
}

static void remember_chosen(struct session *session)
{
    struct token_list *history = &session->prompt;
    if (history->n == history->max)
        memmove(history->ids, history->ids + 1, --history->n * sizeof *history->ids);
    history->ids[history->n++] = session->chosen;
}

static void speak_by_reading(struct session *session)
{
    remember_chosen(session);
    session_read_again(session);
}

/* ---- drafts ---- */

/* As many as can be taken back without a loss: the turn's end may need its last clean cut again. A
 * turn's last token is not fed, and a full window ends a dense one. */
static int64_t room_for_drafts(const struct session *session)
{
    const struct speech *speech = &session->speech;
    int64_t position = kv_cache_position(session->cache);
    int64_t n_slack = kv_cache_shape(session->cache)->n_slack;
    int64_t n = session_min(session->max_drafts, speech->max_tokens - speech->n_generated - 1);
    n = session_min(n, n_slack - (position - session->cut.position));
    if (session->mode == SESSION_MODE_DENSE)
        n = session_min(n, session->n_window - position - 1);
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

void session_take_back_drafts(struct session *session)
{
    if (session->n_unconfirmed > 0)
        kv_cache_rewind(session->cache, session_settled_position(session));
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
    session_take_back_drafts(session);
    if (goes_on)
        make_drafts(session);
}
