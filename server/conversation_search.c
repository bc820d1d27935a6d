#include "server/conversation_search.h"

#include "server/conversation.h"
#include "server/conversation_list.h"
#include "server/conversations.h"

/* A client that trims its history sends a few new messages after our last answer, or asks for
 * another one; not many, nor from far back. Without a name, a few words in common prove nothing. */
enum { MAX_NEW_AFTER_TRIM = 8, MAX_BACK_AFTER_TRIM = 8, MIN_SAME_IN_GROUP = 2, MIN_SAME = 4 };

/* ---- how far they go together ---- */

/* For choosing among many, hashes will do; what was chosen is compared in full. */
static bool is_same(const struct conversation_search *search, const struct conversation *one,
                    size_t of_log, size_t of_ask, bool is_exact)
{
    return is_exact ? message_log_same(&one->log, of_log, &search->ask->messages[of_ask],
                                       search->hashes[of_ask])
                    : one->log.items[of_log].hash == search->hashes[of_ask];
}

static struct conversation_place extend(const struct conversation_search *search,
                                        const struct conversation *one,
                                        struct conversation_place place, bool is_exact)
{
    while (place.n_ask < search->ask->n_messages && place.n_log < one->log.n &&
           is_same(search, one, place.n_log, place.n_ask, is_exact)) {
        place.n_ask++;
        place.n_log++;
    }
    return place;
}

static size_t n_pinned(const struct conversation_search *search, const struct conversation *one)
{
    const struct conversation_ask *ask = search->ask;
    return search->pins_system && ask->n_messages > 1 && one->log.n > 0 &&
                   one->log.items[0].role == CHAT_SYSTEM && ask->messages[0].role == CHAT_SYSTEM
               ? 1
               : 0;
}

static struct conversation_place common_start(const struct conversation_search *search,
                                              const struct conversation *one, bool is_exact)
{
    size_t n = n_pinned(search, one);
    return extend(search, one, (struct conversation_place){n, n}, is_exact);
}

static size_t n_system_of_ask(const struct conversation_ask *ask)
{
    size_t n = 0;
    while (n < ask->n_messages && ask->messages[n].role == CHAT_SYSTEM)
        n++;
    return n;
}

/* Dropped with the old messages, a system prompt still holds; another one does not go on. */
static bool keeps_system(const struct conversation_search *search, const struct conversation *one,
                         size_t n_system, bool is_exact)
{
    return n_system == 0 || common_start(search, one, is_exact).n_ask >= n_system;
}

/* The ask's messages from n_system to before n_ask are those of the log before n_log. */
static bool ends_alike(const struct conversation_search *search, const struct conversation *one,
                       struct conversation_place place, size_t n_system, bool is_exact)
{
    size_t n = place.n_ask - n_system;
    if (n > place.n_log)
        return false;
    for (size_t i = 1; i <= n; i++) {
        if (!is_same(search, one, place.n_log - i, place.n_ask - i, is_exact))
            return false;
    }
    return true;
}

/* All that the client sends, after the system prompt, up to an answer is what the log says up to
 * that answer: old messages were dropped. {0, 0}: it is not so. */
static struct conversation_place trimmed(const struct conversation_search *search,
                                         const struct conversation *one, size_t min_same,
                                         bool is_exact)
{
    const struct conversation_ask *ask = search->ask;
    size_t n_system = n_system_of_ask(ask);
    size_t last = ask->n_messages - 1;
    if (ask->n_messages == 0 || !keeps_system(search, one, n_system, is_exact))
        return (struct conversation_place){0, 0};
    for (size_t n = last; n >= n_system + min_same && last - n < MAX_NEW_AFTER_TRIM; n--) {
        if (ask->messages[n - 1].role != CHAT_ASSISTANT)
            continue;
        for (size_t back = 0; back < MAX_BACK_AFTER_TRIM && back < one->log.n; back++) {
            struct conversation_place place = {one->log.n - back, n};
            if (ends_alike(search, one, place, n_system, is_exact))
                return extend(search, one, place, is_exact);
        }
    }
    return (struct conversation_place){0, 0};
}

struct conversation_place conversation_search_place(const struct conversation_search *search,
                                                    const struct conversation *one)
{
    struct conversation_place start = common_start(search, one, true);
    if (start.n_log == one->log.n)
        return start;
    struct conversation_place end = trimmed(search, one, MIN_SAME_IN_GROUP, true);
    return end.n_ask > start.n_ask ? end : start;
}

/* ---- which one ---- */

/* Of several branches the one that has most of the ask; of those, one that ends there. */
static struct conversation *find_named(const struct conversation_search *search)
{
    const struct conversation_ask *ask = search->ask;
    struct conversation *best = NULL;
    size_t best_common = 0;
    bool best_is_tip = false;
    for (struct conversation *one = conversation_list_named(search->list, ask->owner, ask->id);
         one != NULL; one = conversation_list_next_named(one)) {
        size_t n_common = common_start(search, one, false).n_log;
        bool is_tip = n_common == one->log.n;
        if (best == NULL || n_common > best_common ||
            (n_common == best_common && is_tip && !best_is_tip)) {
            best = one;
            best_common = n_common;
            best_is_tip = is_tip;
        }
    }
    return best;
}

/* Messages that the best reachable boundary covers if it ends an answer; 0 for none. */
static size_t covered_by_answers(const struct conversation *one, size_t n_common)
{
    for (int i = one->n_boundaries - 1; i >= 0; i--) {
        const struct boundary *boundary = &one->boundaries[i];
        if (boundary->replay < 0 && boundary->n_messages <= n_common &&
            conversation_can_return(one, boundary))
            return boundary->n_messages;
    }
    return 0;
}

/* How well a conversation without a name serves the ask. */
struct merit {
    size_t n_covered; /* messages of the ask that need not be read; 0: it does not serve */
    bool is_of_group;
    bool is_tip;
};

static bool is_better(struct merit a, struct merit b)
{
    if (a.n_covered != b.n_covered)
        return a.n_covered > b.n_covered;
    if (a.is_of_group != b.is_of_group)
        return a.is_of_group;
    return a.is_tip && !b.is_tip;
}

static struct merit judge(const struct conversation_search *search, const struct conversation *one)
{
    struct merit merit = {.is_of_group =
                              search->ask->group != 0 && one->group == search->ask->group};
    struct conversation_place place = common_start(search, one, false);
    size_t n_covered = covered_by_answers(one, place.n_log);
    if (n_covered == 0) {
        place = trimmed(search, one, merit.is_of_group ? MIN_SAME_IN_GROUP : MIN_SAME, false);
        n_covered = covered_by_answers(one, place.n_log);
    }
    size_t n_dropped = place.n_log - place.n_ask;
    merit.n_covered = n_covered > n_dropped ? n_covered - n_dropped : 0;
    merit.is_tip = n_covered == one->log.n;
    return merit;
}

static struct conversation *find_by_text(const struct conversation_search *search)
{
    struct conversation *best = NULL, *one;
    struct merit best_merit = {0};
    TAILQ_FOREACH(one, &search->list->by_use, by_use) {
        if (one->owner != search->ask->owner || one->is_named || one->is_busy || one->session == 0)
            continue;
        struct merit merit = judge(search, one);
        if (merit.n_covered > 0 && is_better(merit, best_merit)) {
            best = one;
            best_merit = merit;
        }
    }
    return best;
}

struct conversation *conversation_search_find(const struct conversation_search *search)
{
    return search->ask->id != NULL ? find_named(search) : find_by_text(search);
}
