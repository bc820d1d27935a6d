/* The places that a session of a model with recurrent layers marks while it reads and speaks, so
 * that it can go back to them (kv_cache.h); of other models nothing of this happens. */
#include "core/session/session_inside.h"

enum {
    LEAST_SHARED = 16, /* tokens that are worth a mark */
    CUT_EVERY = 64,    /* tokens of an answer that are read again at most, after a stop string */
};

static bool has_marks(const struct session *session)
{
    return kv_cache_shape(session->cache)->n_state > 0 && session->mode != SESSION_MODE_RECOMPUTE;
}

static int64_t n_unfed(const struct session *session)
{
    return (int64_t)(session->prompt.n - session->n_prompt_fed);
}

/* Where the next mark of a prompt is, or its end: behind the sinks, which hold the system's
 * message, and before its last token. */
static int64_t next_mark(const struct session *session)
{
    int64_t position = kv_cache_position(session->cache), end = position + n_unfed(session);
    int64_t n_sinks = kv_cache_shape(session->cache)->n_sinks;
    if (n_sinks >= LEAST_SHARED && position < n_sinks && n_sinks < end - 1)
        return n_sinks;
    return position < end - 1 ? end - 1 : end;
}

int session_n_to_mark(const struct session *session)
{
    int64_t n = n_unfed(session);
    return (int)(has_marks(session) ? next_mark(session) - kv_cache_position(session->cache) : n);
}

/* Not of an answer that is made again: its question began elsewhere, and may be replaced. */
void session_mark_turn(struct session *session)
{
    int64_t position = kv_cache_position(session->cache);
    bool is_again = kv_cache_state(session->cache).marks[KV_MARK_REPLAY] == position;
    if (has_marks(session) && position > 0 && !is_again)
        kv_cache_mark(session->cache, KV_MARK_TURN);
}

void session_mark_prompt(struct session *session)
{
    int64_t position = kv_cache_position(session->cache), left = n_unfed(session);
    int64_t n_sinks = kv_cache_shape(session->cache)->n_sinks;
    if (!has_marks(session))
        return;
    if (position == n_sinks && n_sinks >= LEAST_SHARED)
        kv_cache_mark(session->cache, KV_MARK_SHARED);
    if (left == 1)
        kv_cache_mark(session->cache, KV_MARK_REPLAY);
}

void session_mark_cut(struct session *session)
{
    struct clean_cut *marked = &session->marked_cut;
    if (!has_marks(session) ||
        (session->cut.text_len > 0 && session->cut.position - marked->position < CUT_EVERY))
        return;
    kv_cache_mark(session->cache, KV_MARK_CUT);
    *marked = session->cut;
}

int64_t session_soon(const struct session *session, int64_t n_same)
{
    int64_t position = kv_cache_position(session->cache);
    if (!has_marks(session))
        return n_same;
    int64_t end = position + n_unfed(session) - 1, mark = next_mark(session);
    return end <= n_same && end > position ? end : mark <= n_same ? mark : 0;
}
