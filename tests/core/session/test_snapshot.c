#include "core/session/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/err.h"
#include "core/model/forward.h"
#include "core/session/session.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

enum { SINKS = 4, WINDOW = 48, SLACK = 31, MAX_CHUNK = 16, HEADER_BYTES = 72 };

static const struct snapshot_id id = {.fingerprint = 0x1234567890, .name = 77};
static struct session *open_session_of(const struct kv_shape *shape)
{
    struct session *session = NULL;
    struct err err = {0};
    if (!session_open(&session, shape, SESSION_MODE_STREAMING, tiny.tokenizer, &err))
        fail_msg("%s", err.text);
    return session;
}

static struct session *open_session(void)
{
    struct kv_shape shape = tiny_model_kv_shape(SINKS, WINDOW, SLACK);
    return open_session_of(&shape);
}

/* Says n_said tokens after n_prompt made-up ones; the text is appended to *out. */
static void speak(struct session *session, int64_t keep, int n_prompt, int n_said, struct buf *out)
{
    struct session_turn turn = {.keep = keep,
                                .max_tokens = n_said,
                                .ignore_end = true,
                                .sampling = {.top_p = 1, .repetition_penalty = 1}};
    for (int i = 0; i < n_prompt; i++)
        assert_true(token_list_push(&turn.prompt, 3 + 'a' + (int32_t)(keep + i * 7) % 26, NULL));
    assert_true(session_begin(session, &turn, NULL));
    do {
        struct forward_token tokens[MAX_CHUNK];
        int n_pending = session_n_pending(session);
        int n = n_pending < MAX_CHUNK ? n_pending : MAX_CHUNK;
        for (int i = 0; i < n; i++)
            tokens[i] = (struct forward_token){.id = session_pending(session, i),
                                               .cache = session_cache(session),
                                               .wants_logits = i == n_pending - 1};
        forward_run(tiny.forward, tokens, n);
        session_fed(session, n);
        if (session_is_ready_to_choose(session))
            session_choose(session, forward_logits(tiny.forward, 0), out);
    } while (session_state(session) == SESSION_READING ||
             session_state(session) == SESSION_SPEAKING);
    struct session_outcome outcome;
    session_end(session, out, &outcome);
}

static bool write_to_buf(void *arg, const void *bytes, size_t len, struct err *err)
{
    buf_append(arg, bytes, len);
    return !((struct buf *)arg)->failed || err_no_memory(err, "a test");
}

struct reader {
    const unsigned char *at;
    size_t left;
};

static bool read_from_memory(void *arg, void *bytes, size_t len, struct err *err)
{
    struct reader *reader = arg;
    if (len > reader->left)
        return err_set(err, ERR_IO, "read beyond the end");
    memcpy(bytes, reader->at, len);
    reader->at += len;
    reader->left -= len;
    return true;
}

static struct buf save(struct session *session)
{
    struct buf bytes = {0};
    struct err err = {0};
    if (!snapshot_write(session, &id, write_to_buf, &bytes, &err))
        fail_msg("%s", err.text);
    assert_int_equal(bytes.len, snapshot_bytes(session));
    return bytes;
}

static bool load(struct session *session, const void *bytes, size_t len, struct err *err)
{
    struct reader reader = {bytes, len};
    return snapshot_read(session, &id, len, read_from_memory, &reader, err);
}

static void assert_saves_as(struct session *session, const struct buf *expected)
{
    struct buf bytes = save(session);
    assert_int_equal(bytes.len, expected->len);
    assert_memory_equal(bytes.data, expected->data, bytes.len);
    buf_done(&bytes);
}

static void give_note(struct session *session, const char *text, size_t n_times)
{
    struct buf note = {0};
    for (size_t i = 0; i < n_times; i++)
        buf_append_text(&note, text);
    session_set_note(session, &note);
    assert_null(note.data);
}

static void the_note_can_be_read_alone(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct buf ignored = {0};
    speak(session, 0, 20, 5, &ignored);
    for (size_t n_times = 0; n_times < 90000; n_times = n_times * 9 + 1) {
        struct buf note = {0};
        struct err err = {0};
        give_note(session, "nine long", n_times);
        struct buf bytes = save(session);
        struct reader reader = {(unsigned char *)bytes.data, bytes.len};
        if (!snapshot_read_note(&id, bytes.len, read_from_memory, &reader, &note, &err))
            fail_msg("%s", err.text);
        assert_int_equal(note.len, 9 * n_times);
        assert_int_equal(strncmp(buf_text(&note), "nine longnine", note.len < 13 ? note.len : 13),
                         0);
        assert_true(load(session, bytes.data, bytes.len, NULL));
        assert_saves_as(session, &bytes);
        buf_done(&note);

        if (n_times > 0) {
            bytes.data[HEADER_BYTES + 9 * n_times - 1]++;
            reader = (struct reader){(unsigned char *)bytes.data, bytes.len};
            assert_false(
                snapshot_read_note(&id, bytes.len, read_from_memory, &reader, &note, &err));
        }
        buf_done(&bytes);
    }
    /* It tells of the session as it was: the next turn makes it void. */
    speak(session, session_position(session), 3, 1, &ignored);
    assert_int_equal(session_saved(session).n_note, 0);
    buf_done(&ignored);
    session_close(&session);
}

/* Short ones, ones that have wrapped, ones that went back. */
static void a_restored_session_goes_on_as_if_it_never_stopped(void **state)
{
    (void)state;
    static const struct {
        int n_prompt, n_said;
    } lives[] = {{1, 1}, {3, 1}, {20, 5}, {44, 10}, {200, 30}, {500, 3}};
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
        struct session *one = open_session(), *other = open_session();
        struct buf ignored = {0}, a = {0}, b = {0};
        speak(one, 0, lives[i].n_prompt, lives[i].n_said, &ignored);
        give_note(one, "what was said", i);
        struct buf bytes = save(one);
        speak(other, 0, 70, 3, &ignored); /* what was there does not shine through */
        struct err err = {0};
        if (!load(other, bytes.data, bytes.len, &err))
            fail_msg("%s", err.text);
        assert_saves_as(other, &bytes);
        assert_int_equal(kv_cache_rewind_limit(session_cache(one)),
                         kv_cache_rewind_limit(session_cache(other)));

        int64_t keep = session_position(one);
        assert_int_equal(session_position(other), keep);
        speak(one, keep, 9, 60, &a);
        speak(other, keep, 9, 60, &b);
        assert_string_equal(buf_text(&a), buf_text(&b));
        struct buf after = save(one);
        assert_saves_as(other, &after);
        buf_done(&after);
        buf_done(&ignored);
        buf_done(&a);
        buf_done(&b);
        buf_done(&bytes);
        session_close(&one);
        session_close(&other);
    }
}

static bool fill(void *arg, void *bytes, size_t len)
{
    uint32_t *random = arg;
    for (size_t i = 0; i < len; i++) {
        *random = *random * 1664525 + 1013904223;
        ((unsigned char *)bytes)[i] = (unsigned char)(*random >> 24);
    }
    return true;
}

static void every_kv_type_and_size_comes_back(void **state)
{
    (void)state;
    static const int64_t positions[] = {0, 1, 5, 64, 700, 701, 123456789};
    for (int type = KV_F32; type <= KV_Q8; type++) {
        struct kv_shape shape = {.n_layers = 3,
                                 .n_kv_heads = 2,
                                 .head_dim_k = 24,
                                 .head_dim_v = 16,
                                 .type = (enum kv_type)type,
                                 .n_sinks = 5,
                                 .n_window = 600,
                                 .n_slack = 100};
        struct session *one = open_session_of(&shape), *other = open_session_of(&shape);
        for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
            int64_t position = positions[i];
            struct session_saved saved = {
                .cache = {.n_sinks = 5,
                          .position = position,
                          .ring_from = position > 700 ? position - 695 : 5},
                .n_start = (uint64_t)(position < 650 ? position : 650)};
            uint32_t random = (uint32_t)position + (uint32_t)type;
            assert_true(session_restore(one, &saved));
            assert_true(session_walk(one, fill, &random));
            struct buf bytes = save(one);
            assert_true(load(other, bytes.data, bytes.len, NULL));
            assert_saves_as(other, &bytes);
            buf_done(&bytes);
        }
        session_close(&one);
        session_close(&other);
    }
}

static void impossible_states_are_refused(void **state)
{
    (void)state;
    struct session *session = open_session();
    static const struct session_saved bad[] = {
        {.cache = {.n_sinks = -1}},
        {.cache = {.n_sinks = WINDOW, .ring_from = WINDOW}},
        {.cache = {.n_sinks = 4, .position = -1, .ring_from = 4}},
        {.cache = {.n_sinks = 4, .position = INT64_MAX, .ring_from = INT64_MAX - 44}},
        {.cache = {.n_sinks = 4, .position = 10, .ring_from = 3}},
        {.cache = {.n_sinks = 4, .position = 10, .ring_from = 11}},
        {.cache = {.n_sinks = 4, .position = 200, .ring_from = 4}},   /* more than the ring */
        {.cache = {.n_sinks = 4, .position = 200, .ring_from = 170}}, /* less than is seen */
        {.cache = {.n_sinks = 4, .position = 10, .ring_from = 4}, .n_start = 11},
        {.cache = {.n_sinks = 4, .position = 200, .ring_from = 130}, .n_start = WINDOW + SLACK + 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(session_restore(session, &bad[i]));
        assert_int_equal(session_position(session), 0);
    }
    session_close(&session);
}

static void a_flipped_bit_anywhere_is_found(void **state)
{
    (void)state;
    struct kv_shape shape = {.n_layers = 1,
                             .n_kv_heads = 2,
                             .head_dim_k = 4,
                             .head_dim_v = 4,
                             .type = KV_F16,
                             .n_sinks = SINKS,
                             .n_window = WINDOW,
                             .n_slack = SLACK};
    struct session *session = open_session_of(&shape), *other = open_session_of(&shape);
    uint32_t random = 1;
    struct session_saved saved = {.cache = {.n_sinks = SINKS, .position = 100, .ring_from = 40},
                                  .n_start = 70};
    assert_true(session_restore(session, &saved) && session_walk(session, fill, &random));
    give_note(session, "a note", 1);
    struct buf bytes = save(session);
    for (size_t i = 0; i < bytes.len * 8; i++) {
        struct err err = {0};
        bytes.data[i / 8] ^= (char)(1 << i % 8);
        assert_false(load(other, bytes.data, bytes.len, &err));
        assert_true(err.code == ERR_FORMAT || err.code == ERR_UNSUPPORTED);
        assert_int_equal(session_position(other), 0);
        bytes.data[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t len = 0; len < bytes.len; len++) {
        struct err err = {0};
        assert_false(load(other, bytes.data, len, &err));
        assert_int_equal(err.code, ERR_FORMAT);
    }
    buf_append_char(&bytes, 'x');
    assert_false(load(other, bytes.data, bytes.len, NULL));
    buf_done(&bytes);
    session_close(&session);
    session_close(&other);
}

static void blocks_that_swap_places_are_found(void **state)
{
    (void)state;
    enum { BLOCK = 256 * 1024 + 4 };
    struct kv_shape shape = {.n_layers = 2,
                             .n_kv_heads = 4,
                             .head_dim_k = 64,
                             .head_dim_v = 64,
                             .type = KV_F32,
                             .n_sinks = 4,
                             .n_window = 1000,
                             .n_slack = 0};
    struct session *session = open_session_of(&shape);
    uint32_t random = 3;
    struct session_saved saved = {.cache = {.n_sinks = 4, .position = 1000, .ring_from = 4}};
    assert_true(session_restore(session, &saved) && session_walk(session, fill, &random));
    struct buf bytes = save(session);
    assert_true(bytes.len > HEADER_BYTES + 2 * BLOCK);
    assert_true(load(session, bytes.data, bytes.len, NULL));
    char *swapped = malloc(bytes.len);
    assert_non_null(swapped);
    memcpy(swapped, bytes.data, bytes.len);
    memcpy(swapped + HEADER_BYTES, bytes.data + HEADER_BYTES + BLOCK, BLOCK);
    memcpy(swapped + HEADER_BYTES + BLOCK, bytes.data + HEADER_BYTES, BLOCK);
    assert_false(load(session, swapped, bytes.len, NULL));
    free(swapped);
    buf_done(&bytes);
    session_close(&session);
}

static void others_are_refused(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct buf ignored = {0};
    speak(session, 0, 20, 5, &ignored);
    struct buf bytes = save(session);
    struct err err = {0};
    struct reader reader = {(unsigned char *)bytes.data, bytes.len};
    struct snapshot_id other_model = {.fingerprint = id.fingerprint + 1, .name = id.name};
    assert_false(snapshot_read(session, &other_model, bytes.len, read_from_memory, &reader, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);

    reader = (struct reader){(unsigned char *)bytes.data, bytes.len};
    struct snapshot_id other_session = {.fingerprint = id.fingerprint, .name = id.name + 1};
    assert_false(
        snapshot_read(session, &other_session, bytes.len, read_from_memory, &reader, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);

    bytes.data[8]++; /* a version of tomorrow */
    assert_false(load(session, bytes.data, bytes.len, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "format 2"));

    /* Another shape under the same fingerprint, were that possible: its length does not fit. */
    bytes.data[8]--;
    struct kv_shape shape = tiny_model_kv_shape(SINKS, WINDOW, SLACK);
    shape.n_layers--;
    struct session *smaller = open_session_of(&shape);
    assert_false(load(smaller, bytes.data, bytes.len, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    session_close(&smaller);
    session_close(&session);
    buf_done(&ignored);
    buf_done(&bytes);
}

static bool fill_with_nan(void *arg, void *bytes, size_t len)
{
    (void)arg;
    memset(bytes, 0xff, len);
    return true;
}

/* A checksum is no proof of sense: numbers that are none must not lead a turn astray. */
static void rows_without_sense_do_no_harm(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct session_saved saved = {.cache = {.n_sinks = SINKS, .position = 30, .ring_from = 4},
                                  .n_start = 30};
    struct buf text = {0};
    assert_true(session_restore(session, &saved) && session_walk(session, fill_with_nan, NULL));
    speak(session, 30, 5, 20, &text);
    assert_true(session_position(session) >= 35);
    buf_done(&text);
    session_close(&session);
}

static bool write_until_full(void *arg, const void *bytes, size_t len, struct err *err)
{
    (void)bytes;
    size_t *left = arg;
    if (len > *left)
        return err_set(err, ERR_IO, "no space left");
    *left -= len;
    return true;
}

static void a_failed_write_is_told_and_harmless(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct buf ignored = {0};
    speak(session, 0, 100, 5, &ignored);
    struct buf bytes = save(session);
    for (size_t left = 0; left < bytes.len; left += 777) {
        size_t n = left;
        struct err err = {0};
        assert_false(snapshot_write(session, &id, write_until_full, &n, &err));
        assert_string_equal(err.text, "no space left");
    }
    assert_saves_as(session, &bytes);
    buf_done(&ignored);
    buf_done(&bytes);
    session_close(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restored_session_goes_on_as_if_it_never_stopped),
        cmocka_unit_test(the_note_can_be_read_alone),
        cmocka_unit_test(every_kv_type_and_size_comes_back),
        cmocka_unit_test(impossible_states_are_refused),
        cmocka_unit_test(a_flipped_bit_anywhere_is_found),
        cmocka_unit_test(blocks_that_swap_places_are_found),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(rows_without_sense_do_no_harm),
        cmocka_unit_test(a_failed_write_is_told_and_harmless),
    };
    return cmocka_run_group_tests(tests, tiny_model_open, tiny_model_close);
}
