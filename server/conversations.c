#include "server/conversations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "server/random_id.h"

enum {
    MAX_BOUNDARIES = 64,
    ID_SIZE = 257,
    /* A client that trims its history sends a few new messages after our last answer, not many. */
    MAX_NEW_AFTER_TRIM = 8,
};

/* A place that the engine can continue from, `position` tokens into the session. */
struct boundary {
    size_t n_messages; /* of the log, up to here */
    int64_t position;
    size_t n_text_kept; /* bytes of the last message, an answer, that those tokens cover */
    int32_t replay;     /* >= 0: the log up to here is a prompt, and lacks just this last token */
};

struct conversation {
    struct conversation *next, *previous; /* most recently used first */
    char id[ID_SIZE];
    int owner;
    bool is_named; /* by the client, who then always names it: never found by text */
    bool is_busy;
    bool is_leaving;
    uint64_t session;         /* the engine's; 0: none, and no boundaries */
    struct engine_usage last; /* after the session's last turn: where it stands, how far back it
                                 can go */
    struct message_log log;
    struct boundary boundaries[MAX_BOUNDARIES]; /* ascending */
    int n_boundaries;
};

struct conversations {
    struct conversations_options options;
    struct conversation *first, *last;
    int n_conversations;
    int n_sessions; /* held by conversations, or running and ephemeral */
    size_t n_log_bytes;
    uint64_t last_session;
};

/* ---- the list ---- */

static void unlink_one(struct conversations *all, struct conversation *one)
{
    if (one->next != NULL)
        one->next->previous = one->previous;
    else
        all->last = one->previous;
    if (one->previous != NULL)
        one->previous->next = one->next;
    else
        all->first = one->next;
    one->next = one->previous = NULL;
}

static void link_first(struct conversations *all, struct conversation *one)
{
    one->next = all->first;
    if (all->first != NULL)
        all->first->previous = one;
    else
        all->last = one;
    all->first = one;
}

static void forget_session(struct conversations *all, struct conversation *one)
{
    if (one->session == 0)
        return;
    all->options.forget(all->options.arg, one->session);
    all->n_sessions--;
    one->session = 0;
    one->last = (struct engine_usage){0};
    one->n_boundaries = 0;
}

static void drop(struct conversations *all, struct conversation *one)
{
    forget_session(all, one);
    unlink_one(all, one);
    all->n_conversations--;
    all->n_log_bytes -= one->log.n_bytes;
    message_log_done(&one->log);
    free(one);
}

/* The least recently used one that nobody speaks in; NULL when all are busy. */
static struct conversation *oldest_idle(const struct conversations *all, bool with_session)
{
    struct conversation *one = all->last;
    while (one != NULL && (one->is_busy || (with_session && one->session == 0)))
        one = one->previous;
    return one;
}

static void keep_limits(struct conversations *all)
{
    while (all->n_conversations > all->options.max_conversations ||
           all->n_log_bytes > all->options.max_log_bytes) {
        struct conversation *one = oldest_idle(all, false);
        if (one == NULL)
            return;
        drop(all, one);
    }
}

static struct conversation *add(struct conversations *all, const struct conversation_ask *ask)
{
    struct conversation *one = calloc(1, sizeof *one);
    if (one == NULL)
        return NULL;
    one->owner = ask->owner;
    one->is_named = ask->id != NULL;
    if (ask->id != NULL)
        snprintf(one->id, sizeof one->id, "%s", ask->id);
    else
        random_id_make(one->id);
    link_first(all, one);
    all->n_conversations++;
    return one;
}

bool conversations_open(struct conversations **out, const struct conversations_options *options,
                        struct err *err)
{
    struct conversations *all = calloc(1, sizeof *all);
    if (all == NULL)
        return err_no_memory(err, "the conversations");
    all->options = *options;
    *out = all;
    return true;
}

void conversations_close(struct conversations **all_ptr)
{
    struct conversations *all = *all_ptr;
    if (all == NULL)
        return;
    while (all->first != NULL)
        drop(all, all->first);
    free(all);
    *all_ptr = NULL;
}

int conversations_count(const struct conversations *all)
{
    return all->n_conversations;
}

/* ---- which conversation ---- */

/* Messages at the start of both that say the same. */
static size_t common_prefix(const struct conversation *one, const struct conversation_ask *ask,
                            const uint64_t *hashes)
{
    size_t n = 0;
    while (n < ask->n_messages && n < one->log.n &&
           message_log_same(&one->log, n, &ask->messages[n], hashes[n]))
        n++;
    return n;
}

/* The same by hashes alone: for choosing among many; what is chosen is compared in full. */
static size_t likely_prefix(const struct conversation *one, const struct conversation_ask *ask,
                            const uint64_t *hashes)
{
    size_t n = 0;
    while (n < ask->n_messages && n < one->log.n && one->log.items[n].hash == hashes[n])
        n++;
    return n;
}

static struct conversation *find_named(const struct conversations *all,
                                       const struct conversation_ask *ask)
{
    for (struct conversation *one = all->first; one != NULL; one = one->next) {
        if (one->owner == ask->owner && strcmp(one->id, ask->id) == 0)
            return one;
    }
    return NULL;
}

static bool can_return(const struct conversation *one, const struct boundary *boundary)
{
    return boundary->position == one->last.position ||
           engine_can_rewind(&one->last, boundary->position);
}

/* Messages that the best reachable boundary covers if it ends an answer; 0 for none. Without a name
 * only an answer of ours shows that a request belongs to a conversation: greetings and system
 * prompts are alike in many. */
static size_t covered_by_answers(const struct conversation *one, size_t n_common)
{
    for (int i = one->n_boundaries - 1; i >= 0; i--) {
        const struct boundary *boundary = &one->boundaries[i];
        if (boundary->replay < 0 && boundary->n_messages <= n_common && can_return(one, boundary))
            return boundary->n_messages;
    }
    return 0;
}

static struct conversation *find_by_text(const struct conversations *all,
                                         const struct conversation_ask *ask, const uint64_t *hashes)
{
    struct conversation *best = NULL;
    size_t best_covered = 0;
    bool best_is_tip = false;
    for (struct conversation *one = all->first; one != NULL; one = one->next) {
        if (one->owner != ask->owner || one->is_named || one->is_busy || one->session == 0)
            continue;
        size_t covered = covered_by_answers(one, likely_prefix(one, ask, hashes));
        bool is_tip = covered == one->log.n;
        if (covered > best_covered || (covered == best_covered && is_tip && !best_is_tip)) {
            best = covered > 0 ? one : best;
            best_covered = covered;
            best_is_tip = is_tip;
        }
    }
    return best;
}

/* A client may drop old messages to fit its own idea of a limit. When all that it sends, after the
 * system messages, is the end of our log and then something new, the conversation simply goes on.
 * Returns how many of its messages stand for the whole log; 0 when that is not so. */
static size_t trimmed_prefix(const struct conversation *one, const struct conversation_ask *ask,
                             const uint64_t *hashes)
{
    size_t n_system = 0;
    while (n_system < ask->n_messages && ask->messages[n_system].role == CHAT_SYSTEM)
        n_system++;
    size_t last = ask->n_messages - 1;
    for (size_t n = last; n >= n_system + 2 && last - n < MAX_NEW_AFTER_TRIM; n--) {
        size_t n_same = 0;
        while (n_same < n - n_system && n_same < one->log.n &&
               message_log_same(&one->log, one->log.n - 1 - n_same, &ask->messages[n - 1 - n_same],
                                hashes[n - 1 - n_same]))
            n_same++;
        if (n_same == n - n_system && ask->messages[n - 1].role == CHAT_ASSISTANT)
            return n;
    }
    return 0;
}

/* A front end asks for titles and tags under the name of the chat: such a request has nothing to do
 * with what was said, and no answers of its own. */
static bool is_side_request(const struct conversation *one, const struct conversation_ask *ask,
                            size_t n_common)
{
    if (one->log.n == 0)
        return false;
    for (size_t i = 0; i < ask->n_messages; i++) {
        if (ask->messages[i].role == CHAT_ASSISTANT ||
            (i < n_common && ask->messages[i].role == CHAT_USER))
            return false;
    }
    return true;
}

/* ---- what must be fed ---- */

/* The whole conversation as it will stand: log[0 .. n_base), then what was added. */
static bool render(const struct conversations *all, const struct conversation *one,
                   const struct conversation_plan *plan, size_t n_messages, struct prompt *out)
{
    struct chat_message *messages = calloc(n_messages + 1, sizeof *messages);
    if (messages == NULL)
        return false;
    for (size_t i = 0; i < n_messages; i++)
        messages[i] = i < plan->n_base ? message_log_view(&one->log, i)
                                       : message_log_view(&plan->added, i - plan->n_base);
    chat_template_render(all->options.chat_template, messages, n_messages, true, out);
    free(messages);
    return !prompt_failed(out);
}

static size_t n_spaces(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && (text[n] == ' ' || text[n] == '\n' || text[n] == '\t' || text[n] == '\r'))
        n++;
    return n;
}

/* `rest` is the rendered prompt from where the answer began. Finds how much of it the session has
 * already: the answer's kept bytes, around which the template may have trimmed. False when the
 * rendering does not contain them. */
static bool skip_kept(const char *rest, size_t rest_len, const struct logged_message *answer,
                      size_t n_kept, size_t *out_skip)
{
    size_t text_begin = n_spaces(answer->content, n_kept);
    if (text_begin == n_kept) {
        *out_skip = 0;
        return true;
    }
    size_t rest_begin = n_spaces(rest, rest_len);
    const char *text = answer->content + text_begin;
    size_t len = n_kept - text_begin;
    bool is_whole =
        n_spaces(answer->content + n_kept, answer->len - n_kept) == answer->len - n_kept;
    for (;;) {
        if (len <= rest_len - rest_begin && memcmp(rest + rest_begin, text, len) == 0) {
            *out_skip = rest_begin + len;
            return true;
        }
        /* Only the answer's own trailing whitespace can have been trimmed. */
        size_t shorter = len;
        while (shorter > 0 && n_spaces(text + shorter - 1, 1) == 1)
            shorter--;
        if (!is_whole || shorter == len)
            return false;
        len = shorter;
    }
}

/* Byte offset in the rendered plan->prompt at which feeding must begin when the session stands at
 * `boundary`; false when the boundary cannot serve. */
static bool find_begin(const struct conversations *all, const struct conversation *one,
                       const struct conversation_plan *plan, const struct boundary *boundary,
                       size_t *out_begin)
{
    struct prompt before;
    prompt_init(&before);
    size_t skip = 0;
    const struct buf *whole = &plan->prompt.text;
    bool fits = render(all, one, plan, boundary->n_messages - 1, &before) &&
                before.text.len <= whole->len &&
                memcmp(buf_text(&before.text), buf_text(whole), before.text.len) == 0 &&
                skip_kept(buf_text(whole) + before.text.len, whole->len - before.text.len,
                          &one->log.items[boundary->n_messages - 1], boundary->n_text_kept, &skip);
    size_t begin = before.text.len + skip;
    prompt_done(&before);
    if (!fits || begin >= whole->len)
        return false;
    *out_begin = begin;
    return true;
}

static bool is_answer_asked_again(const struct conversation_plan *plan,
                                  const struct boundary *boundary, size_t n_messages)
{
    return boundary->replay >= 0 && boundary->n_messages == n_messages && plan->added.n == 0;
}

/* Goes through the boundaries, latest first, until one serves. */
static bool use_boundary(const struct conversations *all, const struct conversation *one,
                         struct conversation_plan *plan, size_t n_messages)
{
    for (int i = one->n_boundaries - 1; i >= 0; i--) {
        const struct boundary *boundary = &one->boundaries[i];
        if (boundary->n_messages > plan->n_base || !can_return(one, boundary))
            continue;
        bool is_again = is_answer_asked_again(plan, boundary, n_messages);
        if (is_again)
            plan->replay = boundary->replay;
        else if (boundary->replay >= 0 || !find_begin(all, one, plan, boundary, &plan->begin))
            continue;
        bool is_tip = !is_again && boundary->position == one->last.position;
        plan->match = is_tip ? CONVERSATION_APPEND : CONVERSATION_REWIND;
        plan->keep = boundary->position;
        plan->is_start = false;
        return true;
    }
    return false;
}

static bool add_messages(struct conversation_plan *plan, const struct conversation_ask *ask,
                         size_t first)
{
    for (size_t i = first; i < ask->n_messages; i++) {
        if (!message_log_push(&plan->added, &ask->messages[i]))
            return false;
    }
    return true;
}

/* The template may trim the message that is spoken on; then the bytes of message and continuation
 * no longer tell what the session holds. */
static void check_continuation(struct conversation_plan *plan, const struct chat_message *last)
{
    plan->is_continuation = last->role == CHAT_ASSISTANT;
    if (!plan->is_continuation || last->len == 0)
        return;
    const struct buf *text = &plan->prompt.text;
    plan->is_unfaithful = text->len < last->len ||
                          memcmp(text->data + text->len - last->len, last->content, last->len) != 0;
}

static bool make_plan(const struct conversations *all, const struct conversation *one,
                      const struct conversation_ask *ask, size_t n_common, const uint64_t *hashes,
                      struct conversation_plan *plan)
{
    size_t n_taken = n_common; /* of the client's messages, those that the log stands for */
    plan->n_base = n_common;
    size_t n_trimmed = n_common < one->log.n ? trimmed_prefix(one, ask, hashes) : 0;
    if (n_trimmed > 0) {
        n_taken = n_trimmed;
        plan->n_base = one->log.n;
    }
    if (!add_messages(plan, ask, n_taken))
        return false;
    size_t n_messages = plan->n_base + plan->added.n;
    if (!render(all, one, plan, n_messages, &plan->prompt))
        return false;
    struct chat_message last = plan->added.n > 0 ? message_log_view(&plan->added, plan->added.n - 1)
                                                 : message_log_view(&one->log, plan->n_base - 1);
    check_continuation(plan, &last);
    plan->match = one->log.n == 0 ? CONVERSATION_NEW : CONVERSATION_REBUILD;
    use_boundary(all, one, plan, n_messages);
    return true;
}

static bool make_ephemeral(const struct conversations *all, const struct conversation_ask *ask,
                           struct conversation_plan *plan)
{
    plan->match = CONVERSATION_EPHEMERAL;
    chat_template_render(all->options.chat_template, ask->messages, ask->n_messages, true,
                         &plan->prompt);
    return !prompt_failed(&plan->prompt);
}

/* ---- a turn ---- */

static void plan_init(struct conversation_plan *plan)
{
    *plan = (struct conversation_plan){.replay = -1, .is_start = true};
    prompt_init(&plan->prompt);
    message_log_init(&plan->added);
}

static void plan_done(struct conversation_plan *plan)
{
    prompt_done(&plan->prompt);
    message_log_done(&plan->added);
    plan->conversation = NULL;
}

static enum conversations_status begin(struct conversations *all,
                                       const struct conversation_ask *ask, const uint64_t *hashes,
                                       struct conversation_plan *plan)
{
    struct conversation *one =
        ask->id != NULL ? find_named(all, ask) : find_by_text(all, ask, hashes);
    size_t n_common = one == NULL ? 0 : common_prefix(one, ask, hashes);

    if (one != NULL && is_side_request(one, ask, n_common))
        return make_ephemeral(all, ask, plan) ? CONVERSATIONS_READY : CONVERSATIONS_FAILED;
    if (one != NULL && one->is_busy)
        return one->is_leaving ? CONVERSATIONS_LEAVING : CONVERSATIONS_BUSY;
    if (one == NULL && (one = add(all, ask)) == NULL)
        return CONVERSATIONS_FAILED;
    if (!make_plan(all, one, ask, n_common, hashes, plan)) {
        if (one->log.n == 0)
            drop(all, one);
        return CONVERSATIONS_FAILED;
    }
    one->is_busy = true;
    plan->conversation = one;
    plan->session = one->session;
    plan->has_session = one->session != 0;
    unlink_one(all, one);
    link_first(all, one);
    return CONVERSATIONS_READY;
}

enum conversations_status conversations_begin(struct conversations *all,
                                              const struct conversation_ask *ask,
                                              struct conversation_plan *out, struct err *err)
{
    plan_init(out);
    enum conversations_status status = CONVERSATIONS_FAILED;
    uint64_t *hashes = calloc(ask->n_messages, sizeof *hashes);
    if (hashes != NULL) {
        for (size_t i = 0; i < ask->n_messages; i++)
            hashes[i] = message_log_hash(&ask->messages[i]);
        status = begin(all, ask, hashes, out);
    }
    free(hashes);
    if (status != CONVERSATIONS_READY)
        plan_done(out);
    if (status == CONVERSATIONS_FAILED)
        err_no_memory(err, "the conversation");
    return status;
}

enum conversations_status conversations_begin_raw(const char *text, size_t len,
                                                  struct conversation_plan *out, struct err *err)
{
    plan_init(out);
    out->match = CONVERSATION_EPHEMERAL;
    prompt_append_plain(&out->prompt, text, len);
    if (!prompt_failed(&out->prompt))
        return CONVERSATIONS_READY;
    plan_done(out);
    err_no_memory(err, "the prompt");
    return CONVERSATIONS_FAILED;
}

bool conversations_take_session(struct conversations *all, struct conversation_plan *plan)
{
    if (plan->has_session)
        return true;
    if (all->n_sessions >= all->options.max_sessions) {
        struct conversation *idle = oldest_idle(all, true);
        if (idle == NULL)
            return false;
        forget_session(all, idle);
    }
    all->n_sessions++;
    plan->has_session = true;
    if (plan->conversation != NULL) {
        plan->session = ++all->last_session;
        plan->is_first_use = true;
        plan->conversation->session = plan->session;
    }
    return true;
}

void conversations_leave(struct conversation_plan *plan)
{
    if (plan->conversation != NULL)
        plan->conversation->is_leaving = true;
}

static void release(struct conversations *all, struct conversation_plan *plan)
{
    struct conversation *one = plan->conversation;
    if (one != NULL) {
        one->is_busy = false;
        one->is_leaving = false;
        if (one->log.n == 0)
            drop(all, one);
    } else if (plan->has_session) {
        all->n_sessions--;
    }
    plan_done(plan);
    keep_limits(all);
}

void conversations_abandon(struct conversations *all, struct conversation_plan *plan)
{
    if (plan->conversation != NULL && plan->is_first_use)
        forget_session(all, plan->conversation);
    release(all, plan);
}

void conversations_fail(struct conversations *all, struct conversation_plan *plan)
{
    if (plan->conversation != NULL)
        forget_session(all, plan->conversation);
    release(all, plan);
}

static void add_boundary(struct conversation *one, struct boundary boundary)
{
    if (one->n_boundaries == MAX_BOUNDARIES) {
        memmove(one->boundaries, one->boundaries + 1,
                (MAX_BOUNDARIES - 1) * sizeof one->boundaries[0]);
        one->n_boundaries--;
    }
    one->boundaries[one->n_boundaries++] = boundary;
}

/* Boundaries that the turn went back beyond, or that cannot be reached any more. */
static void prune_boundaries(struct conversation *one, const struct conversation_plan *plan)
{
    int n = 0;
    for (int i = 0; i < one->n_boundaries; i++) {
        const struct boundary *boundary = &one->boundaries[i];
        if (boundary->n_messages <= plan->n_base && boundary->position <= plan->keep &&
            can_return(one, boundary))
            one->boundaries[n++] = *boundary;
    }
    one->n_boundaries = n;
}

/* Moves the turn's words into the log. False when there was no memory: then the log tells less than
 * the session holds. */
static bool record_words(struct conversations *all, struct conversation *one,
                         struct conversation_plan *plan, const struct conversation_result *result)
{
    size_t n_bytes_before = one->log.n_bytes;
    struct chat_message answer = {CHAT_ASSISTANT, result->text, result->len};
    message_log_truncate(&one->log, plan->n_base);
    bool is_recorded =
        message_log_move(&one->log, &plan->added) &&
        (plan->is_continuation ? message_log_extend_last(&one->log, result->text, result->len)
                               : message_log_push(&one->log, &answer));
    all->n_log_bytes += one->log.n_bytes - n_bytes_before;
    return is_recorded;
}

static void record_turn(struct conversations *all, struct conversation *one,
                        struct conversation_plan *plan, const struct conversation_result *result)
{
    int64_t prompt_end = plan->keep + result->n_fed;
    one->last = *result->usage;
    prune_boundaries(one, plan);
    if (one->last.position < prompt_end || (result->is_cancelled && result->len == 0))
        return; /* stopped before it spoke: the conversation stands as before */

    size_t n_prompt_messages = plan->n_base + plan->added.n;
    size_t n_spoken_before = !plan->is_continuation ? 0
                             : plan->added.n > 0    ? plan->added.items[plan->added.n - 1].len
                                                    : one->log.items[plan->n_base - 1].len;
    if (!record_words(all, one, plan, result)) {
        forget_session(all, one);
        return;
    }
    bool has_replay = one->n_boundaries > 0 && one->boundaries[one->n_boundaries - 1].replay >= 0 &&
                      one->boundaries[one->n_boundaries - 1].n_messages == n_prompt_messages;
    if (!plan->is_continuation && !has_replay)
        add_boundary(one, (struct boundary){.n_messages = n_prompt_messages,
                                            .position = prompt_end - 1,
                                            .replay = result->last_token});
    if (!plan->is_unfaithful)
        add_boundary(one,
                     (struct boundary){.n_messages = one->log.n,
                                       .position = one->last.position,
                                       .n_text_kept = n_spoken_before + result->usage->n_text_kept,
                                       .replay = -1});
}

void conversations_end(struct conversations *all, struct conversation_plan *plan,
                       const struct conversation_result *result)
{
    if (plan->conversation != NULL)
        record_turn(all, plan->conversation, plan, result);
    release(all, plan);
}

const char *conversation_plan_id(const struct conversation_plan *plan)
{
    return plan->conversation == NULL ? NULL : plan->conversation->id;
}

const char *conversation_match_name(enum conversation_match match)
{
    static const char *const names[] = {
        [CONVERSATION_NEW] = "new",
        [CONVERSATION_APPEND] = "append",
        [CONVERSATION_REWIND] = "rewind",
        [CONVERSATION_REBUILD] = "rebuild",
        [CONVERSATION_EPHEMERAL] = "ephemeral",
    };
    return names[match];
}
