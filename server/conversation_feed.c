/* What of a request the session lacks. The prompt is rendered whole, and what the session's tokens
 * stand for is found in it by its text. */
#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/err.h"
#include "server/conversation.h"
#include "server/conversation_search.h"
#include "server/conversations.h"
#include "server/message_extra.h"

bool conversation_can_return(const struct conversation *one, const struct boundary *boundary)
{
    return boundary->position == one->last.position ||
           engine_can_rewind(&one->last, boundary->position);
}

/* What is being planned. */
struct feed {
    const struct conversation *one;
    const struct chat_template *template;
    const struct chat_render_options *options;
    const char *call_end, *call_close; /* as in the ask */
    struct conversation_plan *plan;
};

/* The first messages of the conversation as it will stand: log[0 .. n_base), then the added. With
 * `stand_in` that message is in the place of message `replaced`. */
static bool render_with(const struct feed *feed, size_t n_messages, size_t replaced,
                        const struct chat_message *stand_in,
                        const struct chat_render_options *options, struct prompt *out,
                        struct err *err)
{
    const struct conversation_plan *plan = feed->plan;
    struct chat_message *messages = calloc(n_messages + 1, sizeof *messages);
    if (messages == NULL)
        return err_no_memory(err, "the conversation");
    for (size_t i = 0; i < n_messages; i++)
        messages[i] = i < plan->n_base ? message_log_view(&feed->one->log, i)
                                       : message_log_view(&plan->added, i - plan->n_base);
    if (stand_in != NULL)
        messages[replaced] = *stand_in;
    bool is_rendered =
        chat_template_render(feed->template, messages, n_messages, options, out, err);
    free(messages);
    return is_rendered;
}

static bool render(const struct feed *feed, size_t n_messages, struct prompt *out, struct err *err)
{
    return render_with(feed, n_messages, 0, NULL, feed->options, out, err);
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

/* The whole prompt begins with the one that the answer at the boundary followed. Known by a hash,
 * for to render it again takes ten times as long; who forges that misleads his own conversation. */
static bool begins_as_before(const struct feed *feed, const struct boundary *boundary)
{
    const struct buf *whole = &feed->plan->prompt.text;
    return boundary->n_before > 0 && boundary->n_before <= whole->len &&
           checksum_hash(CHECKSUM_HASH, whole->data, boundary->n_before) == boundary->before_hash;
}

/* The whole prompt begins with what the first messages are alone. */
static bool begins_as_rendered(const struct feed *feed, size_t n_messages,
                               const struct chat_render_options *options, size_t *out_len)
{
    const struct buf *whole = &feed->plan->prompt.text;
    struct prompt start;
    prompt_init(&start);
    bool is_same = render_with(feed, n_messages, 0, NULL, options, &start, NULL) &&
                   start.text.len <= whole->len &&
                   memcmp(buf_text(whole), buf_text(&start.text), start.text.len) == 0;
    *out_len = start.text.len;
    prompt_done(&start);
    return is_same;
}

#define STAND_IN "Qx7vK2sinkdJ9wZ4answerR5tB8"

/* What is to be found in the place of message `answer`: other words, or, where a result must follow
 * a call, the same calls with other arguments. *out_calls is to be freed. */
static struct chat_message make_stand_in(const struct feed *feed, size_t answer, char **out_calls)
{
    const struct logged_message *message = &feed->one->log.items[answer];
    *out_calls = feed->call_end == NULL || message->extra == NULL
                     ? NULL
                     : message_extra_with_arguments(message->extra, message->extra_len, STAND_IN);
    if (*out_calls == NULL)
        return (struct chat_message){
            .role = CHAT_ASSISTANT, .content = STAND_IN, .len = sizeof STAND_IN - 1};
    return (struct chat_message){.role = CHAT_ASSISTANT,
                                 .content = "",
                                 .extra = *out_calls,
                                 .extra_len = strlen(*out_calls)};
}

/* The end of the last one; NULL where there is none. */
static const char *find_stand_in(const struct buf *text)
{
    const char *end = buf_text(text) + text->len, *found = NULL, *at = buf_text(text);
    while ((at = memmem(at, (size_t)(end - at), STAND_IN, sizeof STAND_IN - 1)) != NULL)
        found = at += sizeof STAND_IN - 1;
    return found;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* What follows the stand-in; NULL where it is not found. Arguments that are a text may be quoted.
 */
static const char *find_after(const struct feed *feed, const struct buf *other, bool is_call)
{
    const char *after = find_stand_in(other);
    if (after == NULL || !is_call)
        return after;
    after += *after == '"';
    if (!begins_with(after, feed->call_close))
        return NULL;
    after += strlen(feed->call_close);
    return begins_with(after, feed->call_end) ? after : NULL;
}

/* The session holds a whole answer in the model's own words, which the rendering does not repeat:
 * it had thoughts, or calls that the template writes in its own way. What follows the answer is
 * found by rendering another one in its place. */
static bool find_begin_after(const struct feed *feed, const struct boundary *boundary,
                             size_t n_messages, size_t *out_begin)
{
    const struct buf *whole = &feed->plan->prompt.text;
    struct chat_render_options history = *feed->options;
    history.add_generation_prompt = false;
    size_t answer = boundary->n_messages - 1;
    size_t n_before = boundary->n_before;
    if (!begins_as_before(feed, boundary) && !begins_as_rendered(feed, answer, &history, &n_before))
        return false;
    struct prompt other;
    prompt_init(&other);
    char *calls;
    const struct chat_message stand_in = make_stand_in(feed, answer, &calls);
    const char *after = NULL;
    if (render_with(feed, n_messages, answer, &stand_in, feed->options, &other, NULL))
        after = find_after(feed, &other.text, calls != NULL);
    free(calls);
    size_t n_after = 0;
    if (after != NULL) {
        n_after = (size_t)(other.text.data + other.text.len - after);
        if (n_after > whole->len - n_before ||
            memcmp(whole->data + whole->len - n_after, after, n_after) != 0)
            n_after = 0;
    }
    prompt_done(&other);
    if (n_after > 0)
        *out_begin = whole->len - n_after;
    return n_after > 0;
}

/* Byte offset in the rendered plan->prompt at which feeding must begin when the session stands at
 * `boundary`; false when the boundary cannot serve. */
static bool find_begin(const struct feed *feed, const struct boundary *boundary, size_t *out_begin)
{
    size_t skip = 0;
    size_t n_before = boundary->n_before;
    const struct buf *whole = &feed->plan->prompt.text;
    bool is_same =
        n_before > 0 ? begins_as_before(feed, boundary)
                     : begins_as_rendered(feed, boundary->n_messages - 1, feed->options, &n_before);
    bool fits = is_same && skip_kept(buf_text(whole) + n_before, whole->len - n_before,
                                     &feed->one->log.items[boundary->n_messages - 1],
                                     boundary->n_text_kept, &skip);
    size_t begin = n_before + skip;
    if (!fits || begin >= whole->len)
        return false;
    *out_begin = begin;
    return true;
}

static bool is_answer_asked_again(const struct conversation_plan *plan,
                                  const struct boundary *boundary, size_t n_messages)
{
    return boundary->replay >= 0 && boundary->n_messages == n_messages && plan->added.n == 0 &&
           boundary->started_with == plan->started_with;
}

/* The session lacks the end of what the model said: it comes before what follows. */
static bool prepend_tail(const struct feed *feed, const struct boundary *boundary)
{
    struct conversation_plan *plan = feed->plan;
    struct prompt rest;
    prompt_init(&rest);
    prompt_append_plain(&rest, boundary->tail, boundary->n_tail);
    prompt_append_slice(&rest, &plan->prompt, plan->begin, plan->prompt.text.len);
    if (prompt_failed(&rest)) {
        prompt_done(&rest);
        return false;
    }
    plan->whole = plan->prompt;
    plan->prompt = rest;
    plan->begin = 0;
    return true;
}

static bool can_go_on(const struct feed *feed, const struct boundary *boundary, size_t n_messages)
{
    if (boundary->replay >= 0)
        return false;
    if (boundary->is_plain && find_begin(feed, boundary, &feed->plan->begin))
        return true;
    return (boundary->is_whole || boundary->n_tail > 0) && boundary->n_messages < n_messages &&
           find_begin_after(feed, boundary, n_messages, &feed->plan->begin) &&
           (boundary->is_whole || prepend_tail(feed, boundary));
}

/* Goes through the boundaries, latest first, until one serves. */
static bool use_boundary(const struct feed *feed, size_t n_messages)
{
    const struct conversation *one = feed->one;
    struct conversation_plan *plan = feed->plan;
    int n_boundaries = one->rendered_with == plan->rendered_with ? one->n_boundaries : 0;
    for (int i = n_boundaries - 1; i >= 0; i--) {
        const struct boundary *boundary = &one->boundaries[i];
        if (boundary->n_messages > plan->n_base || !conversation_can_return(one, boundary))
            continue;
        bool is_again = is_answer_asked_again(plan, boundary, n_messages);
        if (is_again)
            plan->replay = boundary->replay;
        else if (!can_go_on(feed, boundary, n_messages))
            continue;
        bool is_tip = !is_again && boundary->position == one->last.position;
        plan->match = is_tip ? CONVERSATION_APPEND : CONVERSATION_REWIND;
        plan->keep = boundary->position;
        plan->is_start = false;
        return true;
    }
    return false;
}

/* Goes on from `hash`; texts do not run into each other. */
static uint64_t hash_text(uint64_t hash, const char *text, size_t len)
{
    return checksum_hash(checksum_hash(hash, &len, sizeof len), text, len);
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

/* Some templates cannot render a system message alone; then nothing is pinned. */
static void render_system(const struct feed *feed, size_t n_messages)
{
    struct conversation_plan *plan = feed->plan;
    size_t n = 0;
    while (n < n_messages &&
           (n < plan->n_base ? feed->one->log.items[n].role
                             : plan->added.items[n - plan->n_base].role) == CHAT_SYSTEM)
        n++;
    struct err ignored;
    if (n > 0 && !render(feed, n, &plan->system, &ignored)) {
        prompt_done(&plan->system);
        prompt_init(&plan->system);
    }
}

bool conversation_plan_feed(const struct conversation *one, const struct chat_template *template,
                            const struct conversation_ask *ask, struct conversation_place place,
                            struct conversation_plan *plan, struct err *err)
{
    plan->n_base = place.n_log;
    if (!add_messages(plan, ask, place.n_ask))
        return err_no_memory(err, "the conversation");
    size_t n_messages = plan->n_base + plan->added.n;
    struct chat_render_options options = ask->render;
    options.add_generation_prompt = true;
    options.now = one->begun;
    struct feed feed = {one, template, &options, ask->call_end, ask->call_close, plan};
    plan->rendered_with = hash_text(hash_text(CHECKSUM_HASH, options.tools, options.tools_len),
                                    options.kwargs, options.kwargs_len);
    const char *start = ask->answer_start == NULL ? "" : ask->answer_start;
    plan->started_with = hash_text(CHECKSUM_HASH, start, strlen(start));
    if (!render(&feed, n_messages, &plan->prompt, err))
        return false;
    plan->n_rendered = plan->prompt.text.len;
    plan->rendered_hash =
        checksum_hash(CHECKSUM_HASH, buf_text(&plan->prompt.text), plan->n_rendered);
    struct chat_message last = plan->added.n > 0 ? message_log_view(&plan->added, plan->added.n - 1)
                                                 : message_log_view(&one->log, plan->n_base - 1);
    check_continuation(plan, &last);
    plan->match = one->log.n == 0 ? CONVERSATION_NEW : CONVERSATION_REBUILD;
    use_boundary(&feed, n_messages);
    render_system(&feed, n_messages);
    return true;
}
