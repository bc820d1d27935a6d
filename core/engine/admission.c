#include "core/engine/admission.h"

#include <limits.h>
#include <stddef.h>

#include "core/engine/fairness.h"
#include "core/engine/residence.h"
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

static enum residence_answer use_source(const struct admission *admission,
                                        struct residence *residence, const struct turn *turn,
                                        struct admission_start *out)
{
    const struct engine_request *request = &turn->request;
    if (is_awaited_in_line(admission, turn, request->source))
        return RESIDENCE_COMES;
    enum residence_answer answer =
        residence_hold(residence, request->source, &out->source, &out->err);
    if (answer != RESIDENCE_READY)
        return answer;
    struct session *source = out->source->session;
    bool is_reading =
        session_state(source) == SESSION_READING && session_position(source) < request->keep;
    return is_reading ? RESIDENCE_COMES : RESIDENCE_READY;
}

/* ---- a source that is found by what it has read ---- */

/* With other sinks the same tokens would go on differently. */
static bool may_share(const struct session_entry *entry, const struct turn *turn, int n_sinks)
{
    bool is_own = entry->id == turn->request.session;
    return entry->place == SESSION_IN_MEMORY && entry->owner == turn->request.owner &&
           !(is_own && entry->turn != NULL) &&
           kv_cache_shape(session_cache(entry->session))->n_sinks == n_sinks;
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
    if (entry != NULL && entry->place == SESSION_IN_MEMORY) {
        struct session_prefix prefix = shared_prefix(entry, turn);
        if (prefix.soon - prefix.now >= MIN_SHARED)
            return true;
    }
    turn->awaits = 0;
    return false;
}

/* The session that has most of the prompt, unless another will soon have more. */
static enum residence_answer find_prefix(struct residence *residence, struct turn *turn,
                                         struct admission_start *out)
{
    const struct session_table *table = residence_table(residence);
    struct session_entry *best = NULL;
    int64_t n_now = 0, n_soon = 0;
    uint64_t soon_of = 0;
    if (still_waits(table, turn))
        return RESIDENCE_COMES;
    for (struct session_entry *entry = session_table_next(table, NULL); entry != NULL;
         entry = session_table_next(table, entry)) {
        if (!may_share(entry, turn, out->n_sinks))
            continue;
        struct session_prefix prefix = shared_prefix(entry, turn);
        if (prefix.now > n_now) {
            n_now = prefix.now;
            best = entry;
        }
        if (prefix.soon > n_soon) {
            n_soon = prefix.soon;
            soon_of = entry->id;
        }
    }
    if (n_soon - n_now >= MIN_SHARED) {
        turn->awaits = soon_of;
        return RESIDENCE_COMES;
    }
    if (n_now < MIN_SHARED)
        return RESIDENCE_READY;
    out->keep = out->n_copied = n_now;
    if (best->id == turn->request.session)
        return RESIDENCE_READY;
    return residence_hold(residence, best->id, &out->source, &out->err);
}

/* ---- the turn's own session ---- */

/* A throw-away session has no name of the caller's: its request's number, with the top bit set,
 * cannot meet one (engine_submit refuses such numbers). */
static uint64_t session_id_of(const struct engine_request *request)
{
    return request->session != 0 ? request->session : request->id | (uint64_t)1 << 63;
}

static int64_t n_tokens_in_all(const struct engine_request *request)
{
    int64_t n = 0;
    bool is_too_many = __builtin_add_overflow(request->keep, request->max_tokens, &n) ||
                       __builtin_add_overflow(n, (int64_t)request->tokens.n, &n);
    return is_too_many ? INT64_MAX : n;
}

static enum residence_answer claim_session(struct residence *residence, const struct turn *turn,
                                           struct admission_start *out)
{
    const struct engine_request *request = &turn->request;
    uint64_t id = session_id_of(request);
    bool is_there = session_table_find(residence_table(residence), id) != NULL;
    if (request->source != 0 && is_there) {
        err_set(&out->err, ERR_INVALID, "only a new session can begin as a copy");
        return RESIDENCE_FAILED;
    }
    if (request->source == 0 && request->keep > 0 && !is_there)
        return RESIDENCE_IS_GONE;
    enum residence_answer answer =
        residence_claim(residence, id, n_tokens_in_all(request), &out->entry, &out->err);
    if (answer == RESIDENCE_READY)
        out->entry->owner = request->owner;
    return answer;
}

static enum residence_answer find_start(const struct admission *admission,
                                        struct residence *residence, struct turn *turn,
                                        struct admission_start *out)
{
    enum residence_answer answer = RESIDENCE_READY;
    out->keep = turn->request.keep;
    out->n_sinks = residence_sinks(residence, turn->request.n_sinks);
    if (turn->request.source != 0)
        answer = use_source(admission, residence, turn, out);
    else if (turn->request.keep == 0)
        answer = find_prefix(residence, turn, out);
    return answer == RESIDENCE_READY ? claim_session(residence, turn, out) : answer;
}

/* What comes of a turn now; when it neither waits nor finds no room, it is to be taken. */
static enum residence_answer try_turn(const struct admission *admission,
                                      struct residence *residence, struct turn *turn,
                                      struct admission_start *out)
{
    *out = (struct admission_start){.entry = NULL};
    if (turn->is_cancelled) {
        err_set(&out->err, ERR_STOPPED, "the request was cancelled before it began");
        return RESIDENCE_FAILED;
    }
    enum residence_answer answer = find_start(admission, residence, turn, out);
    if (answer == RESIDENCE_IS_GONE)
        err_set(&out->err, ERR_NOT_FOUND, "the session is not in memory any more");
    if (out->source != NULL && answer != RESIDENCE_READY)
        residence_let_go(residence, out->source);
    return answer;
}

/* ---- whose turn it is ---- */

struct place {
    int64_t used;
    int share;
};

static bool comes_before(struct place a, struct place b)
{
    return a.used != b.used ? a.used < b.used : a.share < b.share;
}

/* The first share after *place, of those that have a turn waiting. */
static bool next_place(const struct admission *admission, const struct fairness *fairness,
                       struct place *place)
{
    struct place best = {INT64_MAX, INT_MAX};
    for (const struct turn *turn = admission->first; turn != NULL; turn = turn->next) {
        struct place other = {fairness_used(fairness, turn->share), turn->share};
        if (comes_before(*place, other) && comes_before(other, best))
            best = other;
    }
    *place = best;
    return best.share != INT_MAX;
}

struct turn *admission_take(struct admission *admission, const struct fairness *fairness,
                            struct residence *residence, struct admission_start *out)
{
    struct place place = {-1, -2};
    while (next_place(admission, fairness, &place)) {
        for (struct turn **link = &admission->first; *link != NULL; link = &(*link)->next) {
            struct turn *turn = *link;
            if (turn->share != place.share)
                continue;
            enum residence_answer answer = try_turn(admission, residence, turn, out);
            if (answer == RESIDENCE_IS_FULL)
                return NULL;
            if (answer == RESIDENCE_COMES)
                continue;
            unlink_turn(admission, link);
            return turn;
        }
    }
    return NULL;
}
