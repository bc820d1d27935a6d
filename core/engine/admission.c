#include "core/engine/admission.h"

#include <stddef.h>

#include "core/engine/session_table.h"
#include "core/engine/turn.h"
#include "core/session/session.h"

enum { MIN_SHARED = 16 }; /* tokens; fewer are read as soon as they are fetched */

void admission_init(struct admission *admission)
{
    *admission = (struct admission){.first = NULL};
    admission->last = &admission->first;
}

void admission_add(struct admission *admission, struct turn *turn)
{
    turn->next = NULL;
    *admission->last = turn;
    admission->last = &turn->next;
    admission->n_waiting++;
}

struct turn *admission_first(const struct admission *admission)
{
    return admission->first;
}

static void unlink_turn(struct admission *admission, struct turn **link)
{
    struct turn *turn = *link;
    *link = turn->next;
    if (turn->next == NULL)
        admission->last = link;
    turn->next = NULL;
    admission->n_waiting--;
}

/* ---- a source that the caller names ---- */

static bool is_awaited_in_line(const struct admission *admission, const struct turn *until,
                               uint64_t session)
{
    for (const struct turn *turn = admission->first; turn != until; turn = turn->next) {
        if (turn->request.session == session)
            return true;
    }
    return false;
}

static bool is_source_ready(const struct admission *admission, const struct session_table *sessions,
                            const struct turn *turn, struct admission_start *out)
{
    const struct engine_request *request = &turn->request;
    *out = (struct admission_start){.source = session_table_find(sessions, request->source),
                                    .keep = request->keep};
    if (is_awaited_in_line(admission, turn, request->source))
        return false;
    if (out->source == NULL)
        return true; /* gone: the turn then fails */
    struct session *source = out->source->session;
    return session_state(source) != SESSION_READING || session_position(source) >= request->keep;
}

/* ---- a source that is found by what it has read ---- */

static bool may_share(const struct session_entry *entry, const struct turn *turn)
{
    bool is_own = entry->id == turn->request.session;
    return entry->owner == turn->request.owner && !(is_own && entry->turn != NULL);
}

static struct session_prefix shared_prefix(const struct session_entry *entry,
                                           const struct turn *turn)
{
    /* One token must be left to be fed. */
    return session_common_prefix(entry->session, turn->request.tokens.ids,
                                 turn->request.tokens.n - 1);
}

static bool still_waits(const struct session_table *sessions, struct turn *turn)
{
    const struct session_entry *entry =
        turn->awaits == 0 ? NULL : session_table_find(sessions, turn->awaits);
    if (entry != NULL) {
        struct session_prefix prefix = shared_prefix(entry, turn);
        if (prefix.soon - prefix.now >= MIN_SHARED)
            return true;
    }
    turn->awaits = 0;
    return false;
}

static bool find_prefix(const struct session_table *sessions, struct turn *turn,
                        struct admission_start *out)
{
    int64_t most_soon = 0;
    uint64_t soon_of = 0;
    *out = (struct admission_start){0};
    if (still_waits(sessions, turn))
        return false;
    for (struct session_entry *entry = session_table_next(sessions, NULL); entry != NULL;
         entry = session_table_next(sessions, entry)) {
        if (!may_share(entry, turn))
            continue;
        struct session_prefix prefix = shared_prefix(entry, turn);
        if (prefix.now > out->n_copied)
            *out = (struct admission_start){entry, prefix.now, prefix.now};
        if (prefix.soon > most_soon) {
            most_soon = prefix.soon;
            soon_of = entry->id;
        }
    }
    if (most_soon - out->n_copied >= MIN_SHARED) {
        turn->awaits = soon_of;
        return false;
    }
    if (out->n_copied < MIN_SHARED)
        *out = (struct admission_start){0};
    return true;
}

static bool is_ready(const struct admission *admission, const struct session_table *sessions,
                     struct turn *turn, struct admission_start *out)
{
    *out = (struct admission_start){.keep = turn->request.keep};
    if (turn->is_cancelled)
        return true;
    if (turn->request.source != 0)
        return is_source_ready(admission, sessions, turn, out);
    return turn->request.keep > 0 || find_prefix(sessions, turn, out);
}

struct turn *admission_take(struct admission *admission, const struct session_table *sessions,
                            struct admission_start *out)
{
    for (struct turn **link = &admission->first; *link != NULL; link = &(*link)->next) {
        struct turn *turn = *link;
        if (!is_ready(admission, sessions, turn, out))
            continue;
        unlink_turn(admission, link);
        return turn;
    }
    return NULL;
}
