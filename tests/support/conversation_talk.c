#include "tests/support/conversation_talk.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/check.h"

int talk_n_forgotten;
uint64_t talk_group;
struct buf talk_notes[TALK_MAX_NOTES];
static struct chat_template *chatml;

static void forget(void *arg, uint64_t session)
{
    (void)arg;
    (void)session;
    talk_n_forgotten++;
}

static void keep_note(void *arg, uint64_t session, struct buf *note)
{
    (void)arg;
    assert_true(session < TALK_MAX_NOTES && !note->failed);
    buf_done(&talk_notes[session]);
    talk_notes[session] = *note;
    buf_init(note);
}

static void name_owner(void *arg, int owner, char out[CONVERSATION_OWNER_SIZE])
{
    (void)arg;
    snprintf(out, CONVERSATION_OWNER_SIZE, "owner %d", owner);
}

static int find_owner(void *arg, const char *name)
{
    int owner;
    (void)arg;
    return sscanf(name, "owner %d", &owner) == 1 && owner < 9 ? owner : -1;
}

int talk_init(void **state)
{
    (void)state;
    return chat_template_open_named(&chatml, "chatml", NULL) ? 0 : -1;
}

int talk_done(void **state)
{
    (void)state;
    chat_template_close(&chatml);
    for (int i = 0; i < TALK_MAX_NOTES; i++)
        buf_done(&talk_notes[i]);
    return 0;
}

struct conversations_options talk_options(void)
{
    return (struct conversations_options){
        .chat_template = chatml,
        .max_conversations = 100,
        .max_log_bytes = 1 << 20,
        .forget = forget,
        .note = keep_note,
        .name_owner = name_owner,
        .find_owner = find_owner,
    };
}

struct conversations *talk_open_with(const struct conversations_options *options)
{
    struct conversations *all = NULL;
    talk_n_forgotten = 0;
    assert_true(conversations_open(&all, options, NULL));
    return all;
}

struct conversations *talk_open(void)
{
    struct conversations_options options = talk_options();
    return talk_open_with(&options);
}

struct chat_message talk_message(char role, const char *text)
{
    static const char EXTRA[] = "{\"name\":\"Ann\"}";
    return (struct chat_message){
        .role = role == 's'   ? CHAT_SYSTEM
                : role == 'a' ? CHAT_ASSISTANT
                              : CHAT_USER,
        .content = text,
        .len = strlen(text),
        .extra = role == 'U' ? EXTRA : NULL,
        .extra_len = role == 'U' ? strlen(EXTRA) : 0,
    };
}

size_t talk_messages(const struct said *said, struct chat_message *out, size_t max)
{
    size_t n = 0;
    for (; said[n].role != 0; n++) {
        assert_true(n < max);
        out[n] = talk_message(said[n].role, said[n].text);
    }
    return n;
}

enum conversations_status talk_begin_as(struct conversations *all, int owner, const char *id,
                                        const struct said *said, struct conversation_plan *plan)
{
    struct chat_message messages[32];
    size_t n = talk_messages(said, messages, 32);
    struct conversation_ask ask = {
        .owner = owner, .id = id, .group = talk_group, .messages = messages, .n_messages = n};
    return conversations_begin(all, &ask, plan, NULL);
}

void talk_begin(struct conversations *all, const char *id, const struct said *said,
                struct conversation_plan *plan)
{
    assert_int_equal(talk_begin_as(all, 1, id, said, plan), CONVERSATIONS_READY);
    conversations_take_session(all, plan);
}

const char *talk_fed(const struct conversation_plan *plan)
{
    return buf_text(&plan->prompt.text) + plan->begin;
}

int64_t talk_n_fed(const struct conversation_plan *plan)
{
    return plan->replay >= 0 ? 1 : (int64_t)(plan->prompt.text.len - plan->begin);
}

void talk_end(struct conversations *all, struct conversation_plan *plan, struct ending ending)
{
    size_t len = strlen(ending.text);
    int64_t prompt_end = plan->keep + talk_n_fed(plan);
    struct engine_usage usage = {
        .n_cached = plan->keep,
        .n_prompt = (int)talk_n_fed(plan),
        .position = ending.is_unread ? plan->keep : prompt_end + (int64_t)(len - ending.n_unkept),
        .rewind_limit = ending.rewind_limit,
        .n_text_kept = len - ending.n_unkept,
    };
    struct conversation_result result = {
        .usage = &usage,
        .n_fed = talk_n_fed(plan),
        .last_token = 77,
        .answer = {.content = ending.text, .len = len},
        .raw = ending.text,
        .n_raw = len,
        .is_plain = true,
        .is_cancelled = ending.is_cancelled,
    };
    conversations_end(all, plan, &result);
}

enum conversation_match talk_turn(struct conversations *all, const char *id,
                                  const struct said *said, const char *answer)
{
    struct conversation_plan plan;
    talk_begin(all, id, said, &plan);
    enum conversation_match match = plan.match;
    talk_end(all, &plan, (struct ending){.text = answer});
    return match;
}

enum conversation_match talk_match(struct conversations *all, const char *id,
                                   const struct said *said)
{
    struct conversation_plan plan;
    talk_begin(all, id, said, &plan);
    enum conversation_match match = plan.match;
    conversations_abandon(all, &plan);
    return match;
}
