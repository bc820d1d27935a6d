/* test_inference.c - the daemon's options as the engine, the conversations and the generations see
 * them, what a restart brings back, and why there is nothing to speak with. */
#include "server/inference.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/text/chat_template.h"
#include "server/auth.h"
#include "server/conversations.h"
#include "server/event_loop.h"
#include "server/metrics.h"
#include "server/options.h"
#include "tests/support/check.h"

#define FAKE_ENGINE
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "tests/support/fake_engine.c"

#define WITH_MODEL "--model=tests/fixtures/golden/llama-gqa-tied/model.gguf"
enum { MAX_FLAGS = 16 };

/* ---- all that it borrows ---- */

static struct options options;
static struct inference_parts parts;

static void read_options(const char *const *flags)
{
    char *argv[MAX_FLAGS + 3] = {"sinkd"};
    int argc = 1;
    struct err err = {0};
    for (int i = 0; i < MAX_FLAGS && flags[i] != NULL; i++)
        argv[argc++] = (char *)flags[i];
    if (!options_read(&options, argc, argv, &err))
        fail_msg("%s", err.text);
}
#define FLAGS(...) ((const char *const[MAX_FLAGS + 1]){__VA_ARGS__})

static int open_parts(void **state)
{
    (void)state;
    parts = (struct inference_parts){.options = &options};
    return event_loop_open(&parts.loop, NULL) && metrics_open(&parts.metrics, NULL) &&
                   auth_open(&parts.auth, NULL, NULL)
               ? 0
               : -1;
}

static int close_parts(void **state)
{
    (void)state;
    event_loop_close(&parts.loop);
    auth_close(&parts.auth);
    metrics_close(&parts.metrics);
    fake_engine_drop_notes();
    return 0;
}

static struct inference *open_with(const char *const *flags)
{
    struct inference *inference = NULL;
    struct err err = {0};
    fake_engine_play(&(struct fake_script){.pieces = {"Hello"}});
    read_options(flags);
    if (!inference_open(&inference, &parts, &err))
        fail_msg("%s", err.text);
    return inference;
}

static char file_path[64];

static const char *make_file(const char *text)
{
    snprintf(file_path, sizeof file_path, "/tmp/test_inference.XXXXXX");
    int fd = mkstemp(file_path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return file_path;
}

/* ---- what the options become ---- */

static void the_engine_is_opened_as_the_options_say(void **state)
{
    (void)state;
    struct inference *inference =
        open_with(FLAGS(WITH_MODEL, "--threads=3", "--window=48", "--sinks=7", "--kv-type=q8",
                        "--draft=5", "--kv-memory=12M", "--kv-disk=34M",
                        "--state-dir=/tmp/some place", "--chat-template=chatml"));
    const struct engine_options *seen = fake_engine_options();
    assert_string_equal(seen->model_path, WITH_MODEL + strlen("--model="));
    assert_int_equal(seen->n_threads, 3);
    assert_int_equal(seen->n_window, 48);
    assert_int_equal(seen->n_sinks, 7);
    assert_int_equal(seen->mode, SESSION_MODE_STREAMING);
    assert_int_equal(seen->kv_type, KV_Q8);
    assert_int_equal(seen->n_drafts, 5);
    assert_int_equal(seen->kv_memory_bytes, 12 << 20);
    assert_int_equal(seen->kv_file_bytes, 34 << 20);
    assert_string_equal(seen->kv_folder, "/tmp/some place/kv");
    assert_string_equal(seen->kv_meaning, "chatml"); /* what another template wrote is of no use */
    inference_close(&inference);
    assert_null(inference);
    inference_close(&inference);
}

static void without_a_state_folder_nothing_goes_to_the_disk(void **state)
{
    (void)state;
    struct inference *inference = open_with(FLAGS(WITH_MODEL, "--chat-template=chatml"));
    assert_null(fake_engine_options()->kv_folder);
    inference_close(&inference);
}

/* One session always fits, and nobody promises more than there are numbers for. */
static void sessions_are_as_many_as_memory_holds(void **state)
{
    (void)state;
    static const struct {
        const char *flag;
        int n;
    } cases[] = {
        {"--kv-memory=1", 1},       {"--kv-memory=1048575", 1},  {"--kv-memory=1M", 1},
        {"--kv-memory=2097151", 1}, {"--kv-memory=10M", 10},     {"--kv-memory=16383M", 16383},
        {"--kv-memory=16G", 16384}, {"--kv-memory=999G", 16384},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inference *inference =
            open_with(FLAGS(WITH_MODEL, "--chat-template=chatml", cases[i].flag));
        assert_int_equal(inference_max_sessions(inference), cases[i].n);
        inference_close(&inference);
    }
    struct inference *inference = open_with(FLAGS(WITH_MODEL, "--chat-template=chatml"));
    assert_true(fake_engine_options()->kv_memory_bytes > 0); /* 0 would be no limit at all */
    assert_true(inference_max_sessions(inference) >= 1);
    inference_close(&inference);
}

/* A reload changes the options where they lie. */
static void requests_begin_with_the_options_of_now(void **state)
{
    (void)state;
    struct inference *inference =
        open_with(FLAGS(WITH_MODEL, "--chat-template=chatml", "--temperature=0.5", "--top-k=9"));
    struct generation_defaults defaults = inference_read_defaults(inference);
    assert_string_equal(inference_model_id(inference), "fake");
    assert_string_equal(defaults.model_names[0], "fake");
    assert_float_equal(defaults.sampling.temperature, 0.5, 0);
    assert_int_equal(defaults.sampling.top_k, 9);
    assert_int_equal(defaults.n_vocab, engine_info(inference->engine)->n_vocab);
    assert_ptr_equal(defaults.tokenizer, engine_tokenizer(inference->engine));
    assert_ptr_equal(defaults.grammars, inference->grammars);
    assert_false(defaults.is_model_strict);

    options.temperature = 1.5F;
    options.max_tokens = 77;
    options.strict_model = true;
    snprintf(options.alias, sizeof options.alias, "ours");
    defaults = inference_read_defaults(inference);
    assert_float_equal(defaults.sampling.temperature, 1.5, 0);
    assert_int_equal(defaults.max_tokens, 77);
    assert_true(defaults.is_model_strict);
    assert_string_equal(inference_model_id(inference), "ours");
    assert_string_equal(defaults.model_names[0], "ours");
    assert_string_equal(defaults.model_names[1], "fake"); /* it goes by both */
    inference_close(&inference);
}

/* ---- why there is nothing to speak with ---- */

static void assert_not_opened(const char *const *flags, const char *reason)
{
    struct inference *inference = NULL;
    struct err err = {0};
    read_options(flags);
    assert_false(inference_open(&inference, &parts, &err));
    assert_null(inference);
    assert_int_not_equal(err.code, ERR_NONE);
    if (strstr(err.text, reason) == NULL)
        fail_msg("expected %s in %s", reason, err.text);
}

static void what_cannot_be_opened_is_said(void **state)
{
    (void)state;
    char flag[128];
    assert_not_opened(FLAGS("--model=/nowhere.gguf"), "/nowhere.gguf");
    assert_not_opened(FLAGS("--model=tests"), "tests");
    snprintf(flag, sizeof flag, "--model=%s", make_file("GGUF, or so it says"));
    assert_not_opened(FLAGS(flag), "");
    unlink(file_path);
    assert_not_opened(FLAGS(WITH_MODEL, "--chat-template=none"), "chat-template");
    assert_not_opened(FLAGS(WITH_MODEL, "--chat-template-file=/nowhere.jinja"),
                      "--chat-template-file: cannot open /nowhere.jinja");
    assert_not_opened(FLAGS(WITH_MODEL, "--chat-template-file=tests"),
                      "--chat-template-file: cannot read tests");
    snprintf(flag, sizeof flag, "--chat-template-file=%s", make_file("{% for m in %}"));
    assert_not_opened(FLAGS(WITH_MODEL, flag), "--chat-template-file: ");
    unlink(file_path);
    assert_not_opened(FLAGS(WITH_MODEL, "--chat-template=chatml", "--tool-format=telepathy"),
                      "tool-format");
}

/* ---- what a restart brings back ---- */

/* One turn of a conversation by that name; how it was found. */
static enum conversation_match talk(struct inference *inference, int owner, const char *id,
                                    const char *second)
{
    struct chat_message messages[] = {
        {.role = CHAT_USER, .content = "Hi", .len = 2},
        {.role = CHAT_ASSISTANT, .content = "Hello", .len = 5},
        {.role = CHAT_USER, .content = second, .len = second == NULL ? 0 : strlen(second)},
    };
    struct conversation_ask ask = {
        .owner = owner, .id = id, .messages = messages, .n_messages = second == NULL ? 1 : 3};
    struct conversation_plan plan;
    struct err err = {0};
    if (conversations_begin(inference->conversations, &ask, &plan, &err) != CONVERSATIONS_READY)
        fail_msg("%s", err.text);
    conversations_take_session(inference->conversations, &plan);
    enum conversation_match match = plan.match;
    struct engine_usage usage = {.position = plan.keep + 20 + 5, .n_text_kept = 5};
    struct conversation_result result = {.usage = &usage,
                                         .n_fed = 20,
                                         .answer = {.content = "Hello", .len = 5},
                                         .raw = "Hello",
                                         .n_raw = 5,
                                         .is_plain = true};
    conversations_end(inference->conversations, &plan, &result);
    return match;
}

static void conversations_outlive_the_daemon_with_a_state_folder(void **state)
{
    (void)state;
    for (int has_folder = 0; has_folder < 2; has_folder++) {
        const char *const *flags =
            has_folder == 1 ? FLAGS(WITH_MODEL, "--chat-template=chatml", "--state-dir=/tmp")
                            : FLAGS(WITH_MODEL, "--chat-template=chatml");
        fake_engine_keep_notes(false);
        struct inference *inference = open_with(flags);
        talk(inference, 0, "x", NULL);
        talk(inference, 0, "y", NULL);
        inference_close(&inference);
        inference = open_with(flags);
        assert_int_equal(conversations_count(inference->conversations), has_folder == 1 ? 2 : 0);
        assert_int_equal(talk(inference, 0, "x", "More"),
                         has_folder == 1 ? CONVERSATION_APPEND : CONVERSATION_NEW);
        assert_int_equal(fake_engine_record().n_forgotten, 0);
        inference_close(&inference);
        fake_engine_drop_notes();
    }
}

/* Its words come back with the client; the session is of no use any more. */
static void a_session_whose_note_is_damaged_is_forgotten(void **state)
{
    (void)state;
    static const char *const flags[MAX_FLAGS + 1] = {WITH_MODEL, "--chat-template=chatml",
                                                     "--state-dir=/tmp"};
    fake_engine_keep_notes(true);
    struct inference *inference = open_with(flags);
    talk(inference, 0, "x", NULL);
    talk(inference, 0, "y", NULL);
    inference_close(&inference);
    inference = open_with(flags);
    assert_int_equal(conversations_count(inference->conversations), 0);
    assert_int_equal(fake_engine_record().n_forgotten, 2);
    assert_int_equal(talk(inference, 0, "x", "More"), CONVERSATION_NEW);
    inference_close(&inference);
}

/* A key that is gone takes its conversations along; nobody else comes by them. */
static void conversations_belong_to_keys_and_not_to_their_order(void **state)
{
    (void)state;
    static const char *const flags[MAX_FLAGS + 1] = {WITH_MODEL, "--chat-template=chatml",
                                                     "--state-dir=/tmp"};
    struct err err = {0};
    fake_engine_keep_notes(false);
    auth_close(&parts.auth);
    if (!auth_open(&parts.auth,
                   make_file("Ann: key-of-ann-0123456789abcdef\n"
                             "Bob: key-of-bob-0123456789abcdef\n"),
                   &err))
        fail_msg("%s", err.text);
    unlink(file_path);
    struct inference *inference = open_with(flags);
    talk(inference, 0, "x", NULL);
    talk(inference, 1, "x", NULL);
    inference_close(&inference);
    auth_close(&parts.auth);
    if (!auth_open(&parts.auth,
                   make_file("Eve: key-of-eve-0123456789abcdef\n"
                             "Cid: key-of-cid-0123456789abcdef\n"
                             "Ann: another-of-ann-0123456789ab\n"),
                   &err))
        fail_msg("%s", err.text);
    unlink(file_path);
    inference = open_with(flags);
    assert_int_equal(conversations_count(inference->conversations), 1);
    assert_int_equal(fake_engine_record().n_forgotten, 1);
    assert_int_equal(talk(inference, 0, "x", "More"), CONVERSATION_NEW);
    assert_int_equal(talk(inference, 1, "x", "More"), CONVERSATION_NEW);
    assert_int_equal(talk(inference, 2, "x", "More"), CONVERSATION_APPEND);
    inference_close(&inference);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_parts, close_parts)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_engine_is_opened_as_the_options_say),
        TEST(without_a_state_folder_nothing_goes_to_the_disk),
        TEST(sessions_are_as_many_as_memory_holds),
        TEST(requests_begin_with_the_options_of_now),
        TEST(what_cannot_be_opened_is_said),
        TEST(conversations_outlive_the_daemon_with_a_state_folder),
        TEST(a_session_whose_note_is_damaged_is_forgotten),
        TEST(conversations_belong_to_keys_and_not_to_their_order),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
