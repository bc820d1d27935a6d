/* What lasts: an idle session, as snapshot.c saves it. */
#include <stdlib.h>

#include "core/model/kv_cache.h"
#include "core/session/session_inside.h"

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
    session_rewind(session, 0);
}
