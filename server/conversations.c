#include "server/conversations.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/err.h"
#include "server/conversation.h"
#include "server/conversation_list.h"
#include "server/conversation_search.h"
#include "server/random_id.h"

enum { MAX_TEXTS = 4 };

struct conversations {
    struct conversations_options options;
    struct conversation_list list;
    uint64_t last_session;
    uint64_t texts[MAX_TEXTS]; /* sessions of the last texts that were no conversations; 0: none */
    unsigned n_texts;
};

/* ---- which there are ---- */

static void forget_session(struct conversations *all, struct conversation *one)
{
    if (one->session == 0)
        return;
    all->options.forget(all->options.arg, one->session);
    one->session = 0;
    one->n_unread = 0;
    one->last = (struct engine_usage){0};
    one->n_boundaries = 0;
}

static void forget_text(struct conversations *all, uint64_t session)
{
    if (session != 0)
        all->options.forget(all->options.arg, session);
}

static void drop(struct conversations *all, struct conversation *one)
{
    forget_session(all, one);
    conversation_list_remove(&all->list, one);
}

static void keep_limits(struct conversations *all)
{
    while (all->list.n > all->options.max_conversations ||
           all->list.n_log_bytes > all->options.max_log_bytes) {
        struct conversation *one = conversation_list_oldest_idle(&all->list);
        if (one == NULL)
            return;
        drop(all, one);
    }
}

static struct conversation *add(struct conversations *all, const struct conversation_search *search)
{
    const struct conversation_ask *ask = search->ask;
    struct conversation *one = calloc(1, sizeof *one);
    if (one == NULL)
        return NULL;
    one->owner = ask->owner;
    one->group = ask->group;
    one->is_named = ask->id != NULL;
    one->begun = (int64_t)time(NULL);
    if (ask->id != NULL)
        snprintf(one->id, sizeof one->id, "%s", ask->id);
    else
        random_id_make(one->id);
    conversation_list_add(&all->list, one);
    return one;
}

bool conversations_open(struct conversations **out, const struct conversations_options *options,
                        struct err *err)
{
    struct conversations *all = calloc(1, sizeof *all);
    if (all == NULL)
        return err_no_memory(err, "the conversations");
    all->options = *options;
    conversation_list_init(&all->list);
    *out = all;
    return true;
}

void conversations_close(struct conversations **all_ptr)
{
    struct conversations *all = *all_ptr;
    if (all == NULL)
        return;
    for (int i = 0; i < MAX_TEXTS; i++)
        forget_text(all, all->texts[i]);
    while (!TAILQ_EMPTY(&all->list.by_use)) /* the engine keeps their sessions for the next run */
        conversation_list_remove(&all->list, TAILQ_FIRST(&all->list.by_use));
    free(all);
    *all_ptr = NULL;
}

int conversations_count(const struct conversations *all)
{
    return all->list.n;
}

/* A front end asks for titles and tags under the name of the chat: such a request has nothing to do
 * with what was said, and no answers of its own. */
static bool is_side_request(const struct conversation *one, const struct conversation_ask *ask,
                            struct conversation_place place)
{
    if (one->log.n == 0)
        return false;
    for (size_t i = 0; i < ask->n_messages; i++) {
        if (ask->messages[i].role == CHAT_ASSISTANT ||
            (i < place.n_ask && ask->messages[i].role == CHAT_USER))
            return false;
    }
    return true;
}

static bool make_ephemeral(const struct conversations *all, const struct conversation_ask *ask,
                           struct conversation_plan *plan, struct err *err)
{
    struct chat_render_options options = ask->render;
    options.add_generation_prompt = true;
    options.now = (int64_t)time(NULL);
    plan->match = CONVERSATION_EPHEMERAL;
    return chat_template_render(all->options.chat_template, ask->messages, ask->n_messages,
                                &options, &plan->prompt, err);
}

/* ---- a turn ---- */

static void plan_init(struct conversation_plan *plan)
{
    *plan = (struct conversation_plan){.replay = -1, .is_start = true};
    prompt_init(&plan->prompt);
    prompt_init(&plan->whole);
    prompt_init(&plan->system);
    message_log_init(&plan->added);
}

static void plan_done(struct conversation_plan *plan)
{
    prompt_done(&plan->prompt);
    prompt_done(&plan->whole);
    prompt_done(&plan->system);
    message_log_done(&plan->added);
    plan->conversation = NULL;
}

static enum conversations_status no_memory(struct err *err)
{
    err_no_memory(err, "the conversation");
    return CONVERSATIONS_FAILED;
}

/* Another answer to the same question takes the old one's place; whoever changes what was said
 * before may come back to how it went. */
static bool is_edit(const struct conversation *one, const struct conversation_plan *plan)
{
    return plan->match == CONVERSATION_REWIND && plan->replay < 0 && plan->added.n > 0 &&
           plan->n_base < one->log.n;
}

static struct conversation *fork(struct conversations *all, const struct conversation *one,
                                 struct conversation_plan *plan)
{
    struct conversation *copy = conversation_copy_start(one, plan->n_base);
    if (copy == NULL)
        return NULL;
    if (one->is_named)
        snprintf(copy->id, sizeof copy->id, "%s", one->id);
    else
        random_id_make(copy->id);
    conversation_list_add(&all->list, copy);
    plan->match = CONVERSATION_FORK;
    plan->source = one->session;
    return copy;
}

static enum conversations_status begin(struct conversations *all,
                                       const struct conversation_search *search,
                                       struct conversation_plan *plan, struct err *err)
{
    const struct conversation_ask *ask = search->ask;
    struct conversation *one = ask->is_ephemeral ? NULL : conversation_search_find(search);
    struct conversation_place place = {0, 0};
    if (one != NULL)
        place = conversation_search_place(search, one);

    if (ask->is_ephemeral || (one != NULL && is_side_request(one, ask, place)))
        return make_ephemeral(all, ask, plan, err) ? CONVERSATIONS_READY : CONVERSATIONS_FAILED;
    if (one != NULL && one->is_busy)
        return one->is_leaving ? CONVERSATIONS_LEAVING : CONVERSATIONS_BUSY;
    if (one == NULL && (one = add(all, search)) == NULL)
        return no_memory(err);
    if (!conversation_plan_feed(one, all->options.chat_template, ask, place, plan, err)) {
        if (one->log.n == 0)
            drop(all, one);
        return CONVERSATIONS_FAILED;
    }
    if (is_edit(one, plan) && (one = fork(all, one, plan)) == NULL)
        return no_memory(err);
    one->is_busy = true;
    plan->conversation = one;
    plan->session = one->session;
    plan->n_unread = plan->is_start ? 0 : one->n_unread;
    conversation_list_touch(&all->list, one);
    return CONVERSATIONS_READY;
}

enum conversations_status conversations_begin(struct conversations *all,
                                              const struct conversation_ask *ask,
                                              struct conversation_plan *out, struct err *err)
{
    plan_init(out);
    uint64_t *hashes = calloc(ask->n_messages, sizeof *hashes);
    if (hashes == NULL)
        return no_memory(err);
    for (size_t i = 0; i < ask->n_messages; i++)
        hashes[i] = message_log_hash(&ask->messages[i]);
    struct conversation_search search = {
        .list = &all->list, .ask = ask, .hashes = hashes, .pins_system = all->options.pins_system};
    enum conversations_status status = begin(all, &search, out, err);
    for (size_t i = 0; i < ask->n_messages; i++)
        out->is_history = out->is_history || ask->messages[i].role == CHAT_ASSISTANT;
    free(hashes);
    if (status != CONVERSATIONS_READY)
        plan_done(out);
    return status;
}

enum conversations_status conversations_begin_raw(const char *text, size_t len, bool is_kept,
                                                  struct conversation_plan *out, struct err *err)
{
    plan_init(out);
    out->match = CONVERSATION_EPHEMERAL;
    out->is_kept_text = is_kept;
    prompt_append_plain(&out->prompt, text, len);
    if (!prompt_failed(&out->prompt))
        return CONVERSATIONS_READY;
    plan_done(out);
    err_no_memory(err, "the prompt");
    return CONVERSATIONS_FAILED;
}

void conversations_take_session(struct conversations *all, struct conversation_plan *plan)
{
    bool has_one = plan->conversation != NULL || plan->is_kept_text;
    if (!has_one || plan->session != 0)
        return;
    plan->session = ++all->last_session;
    plan->is_first_use = true;
    if (plan->conversation != NULL)
        plan->conversation->session = plan->session;
}

void conversations_lost(struct conversations *all, struct conversation_plan *plan)
{
    struct conversation *one = plan->conversation;
    if (plan->whole.text.len > 0) {
        prompt_done(&plan->prompt);
        plan->prompt = plan->whole;
        prompt_init(&plan->whole);
    }
    plan->begin = 0;
    plan->is_start = true;
    plan->keep = 0;
    plan->n_unread = 0;
    plan->replay = -1;
    plan->source = 0;
    if (one == NULL)
        return;
    plan->match = CONVERSATION_REBUILD;
    forget_session(all, one);
    one->n_boundaries = 0; /* a fork's, that had no session yet */
    plan->session = 0;
}

bool conversations_restore(struct conversations *all, uint64_t session, const struct buf *note)
{
    struct conversation *one = calloc(1, sizeof *one);
    char owner[CONVERSATION_OWNER_SIZE];
    bool is_read = one != NULL && conversation_note_read(buf_text(note), note->len, one, owner) &&
                   (one->owner = all->options.find_owner(all->options.arg, owner)) >= 0;
    if (!is_read) {
        conversation_free(one);
        return false;
    }
    one->session = session;
    conversation_list_add(&all->list, one);
    if (session > all->last_session)
        all->last_session = session;
    keep_limits(all);
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
        if (one->log.n == 0 || one->is_fork)
            drop(all, one);
    }
    plan_done(plan);
    keep_limits(all);
}

/* The next text that begins alike need not be read from its start: completions of a program that is
 * being typed. */
static void keep_text(struct conversations *all, uint64_t session)
{
    uint64_t *oldest = &all->texts[all->n_texts++ % MAX_TEXTS];
    forget_text(all, *oldest);
    *oldest = session;
    if (all->options.note == NULL)
        return;
    struct buf nothing; /* to go on with after a restart */
    buf_init(&nothing);
    all->options.note(all->options.arg, session, &nothing);
}

void conversations_abandon(struct conversations *all, struct conversation_plan *plan)
{
    if (plan->conversation != NULL && plan->is_first_use)
        forget_session(all, plan->conversation);
    else if (plan->is_kept_text)
        forget_text(all, plan->session);
    release(all, plan);
}

void conversations_fail(struct conversations *all, struct conversation_plan *plan)
{
    if (plan->conversation != NULL)
        forget_session(all, plan->conversation);
    else if (plan->is_kept_text)
        forget_text(all, plan->session);
    release(all, plan);
}

static void note(struct conversations *all, const struct conversation *one)
{
    struct buf bytes;
    char owner[CONVERSATION_OWNER_SIZE];
    if (all->options.note == NULL || one->session == 0)
        return;
    buf_init(&bytes);
    all->options.name_owner(all->options.arg, one->owner, owner);
    conversation_note_write(one, owner, &bytes);
    all->options.note(all->options.arg, one->session, &bytes);
}

void conversations_end(struct conversations *all, struct conversation_plan *plan,
                       const struct conversation_result *result)
{
    struct conversation *one = plan->conversation;
    if (one != NULL) {
        size_t n_bytes_before = one->log.n_bytes;
        if (!conversation_record_turn(one, plan, result))
            forget_session(all, one);
        all->list.n_log_bytes += one->log.n_bytes - n_bytes_before;
        note(all, one);
    } else if (plan->is_kept_text) {
        keep_text(all, plan->session);
    }
    release(all, plan);
}

const char *conversation_plan_id(const struct conversation_plan *plan)
{
    return plan->conversation == NULL ? NULL : plan->conversation->id;
}

const char *conversation_match_name(enum conversation_match match)
{
    static const char *const names[] = {
        [CONVERSATION_NEW] = "new",         [CONVERSATION_APPEND] = "append",
        [CONVERSATION_REWIND] = "rewind",   [CONVERSATION_FORK] = "fork",
        [CONVERSATION_REBUILD] = "rebuild", [CONVERSATION_EPHEMERAL] = "ephemeral",
    };
    return names[match];
}
