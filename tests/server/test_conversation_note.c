/* test_conversation_note.c - conversations that come back after a restart. */
#include "server/conversation_note.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/conversation.h"
#include "server/conversation_list.h"
#include "tests/support/check.h"
#include "tests/support/conversation_talk.h"

static void conversations_come_back_with_their_sessions(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'s', "S"}, {'U', "Hi"}), &plan);
    uint64_t named = plan.session;
    talk_end(all, &plan, (struct ending){.text = "Hello", .n_unkept = 2});
    talk_begin(all, NULL, SAID({'u', "Yo"}), &plan);
    uint64_t unnamed = plan.session;
    talk_end(all, &plan, (struct ending){.text = "Hey"});
    conversations_close(&all);

    all = talk_open();
    assert_true(conversations_restore(all, named, &talk_notes[named]));
    assert_true(conversations_restore(all, unnamed, &talk_notes[unnamed]));
    talk_begin(all, "x", SAID({'s', "S"}, {'U', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_int_equal(plan.session, named);
    assert_string_equal(talk_fed(&plan), "lo<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                         "<|im_start|>assistant\n");
    talk_end(all, &plan, (struct ending){.text = "Yes"});
    talk_begin(all, NULL, SAID({'u', "Yo"}, {'a', "Hey"}, {'u', "More"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_int_equal(plan.session, unnamed);
    talk_end(all, &plan, (struct ending){.text = "Yes"});

    /* A new one gets a number of its own, and another owner sees none of it. */
    assert_int_equal(talk_begin_as(all, 2, "x", SAID({'u', "Hi"}), &plan), CONVERSATIONS_READY);
    assert_int_equal(plan.match, CONVERSATION_NEW);
    conversations_take_session(all, &plan);
    assert_true(plan.session > named && plan.session > unnamed);
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

static void a_note_that_lies_is_refused(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'s', "S"}, {'U', "Hi"}), &plan);
    struct buf *note = &talk_notes[plan.session];
    uint64_t session = plan.session;
    talk_end(all, &plan, (struct ending){.text = "Hello"});
    conversations_close(&all);
    all = talk_open();
    struct buf lie = {0};
    for (size_t len = 0; len < note->len; len++) { /* every truncation */
        buf_clear(&lie);
        buf_append(&lie, note->data, len);
        assert_false(conversations_restore(all, session, &lie));
    }
    for (size_t i = 0; i < note->len; i++) { /* any byte: refused, or another conversation */
        buf_clear(&lie);
        buf_append(&lie, note->data, note->len);
        lie.data[i] = (char)(lie.data[i] ^ 0x80);
        conversations_restore(all, session, &lie);
        talk_begin(all, "x", SAID({'s', "S"}, {'U', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
        conversations_abandon(all, &plan);
    }
    buf_done(&lie);
    conversations_close(&all);
}

static void a_tail_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct conversation *one = calloc(1, sizeof *one), *read = calloc(1, sizeof *read);
    struct buf note = {0};
    char owner[CONVERSATION_OWNER_SIZE];
    assert_true(one != NULL && read != NULL);
    struct chat_message message = talk_message('a', "Hello");
    one->id[0] = 'x';
    one->last.position = 9;
    assert_true(message_log_push(&one->log, &message));
    conversation_add_boundary(one, (struct boundary){.n_messages = 1, .n_tail = BOUNDARY_MAX_TAIL});
    conversation_note_write(one, "", &note);
    assert_true(conversation_note_read(buf_text(&note), note.len, read, owner));
    assert_int_equal(read->boundaries[0].n_tail, BOUNDARY_MAX_TAIL);
    conversation_free(read);

    read = calloc(1, sizeof *read);
    assert_non_null(read);
    char *length = memmem(note.data, note.len, (uint64_t[]){BOUNDARY_MAX_TAIL}, sizeof(uint64_t));
    assert_non_null(length);
    ++*length;
    assert_false(conversation_note_read(buf_text(&note), note.len, read, owner));
    buf_done(&note);
    conversation_free(one);
    conversation_free(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversations_come_back_with_their_sessions),
        cmocka_unit_test(a_note_that_lies_is_refused),
        cmocka_unit_test(a_tail_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, talk_init, talk_done);
}
