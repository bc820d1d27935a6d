/* Sessions that leave memory and come back, through the engine's door: every answer must be what it
 * would have been in memory without end. */
#include "core/engine/residence.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/engine_run.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_residence.XXXXXX");
    return mkdtemp(folder) == NULL;
}

/* Calls fn, or just counts, for each file in the folder. */
static int each_file(void (*fn)(const char *path))
{
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[400];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        n++;
        if (fn != NULL)
            fn(path);
    }
    closedir(dir);
    return n;
}

static void remove_one(const char *path)
{
    unlink(path);
}

static void damage_one(const char *path)
{
    int fd = open(path, O_RDWR);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, 2000), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, 2000), 1);
    close(fd);
}

static int remove_folder(void **state)
{
    (void)state;
    each_file(remove_one);
    return rmdir(folder);
}

/* Room for n whole sessions. */
static struct engine_options room_for(int n, bool has_folder)
{
    struct engine_options options = small_window();
    struct engine *engine = open_engine(options);
    options.kv_memory_bytes = (uint64_t)n * engine_info(engine)->session_bytes;
    engine_close(&engine);
    options.kv_folder = has_folder ? folder : NULL;
    return options;
}

static void note(struct engine *engine, uint64_t session, const char *text)
{
    struct buf bytes = {0};
    buf_append_text(&bytes, text);
    engine_note(engine, session, &bytes);
}

enum { N_TURNS = 3, MAX_CONVERSATIONS = 1000 };

/* As the server does it: as soon as a turn has ended. */
static struct engine *noted_engine;
static int n_talking;

static void note_finished(uint64_t request)
{
    note(noted_engine, (request - 1) % (uint64_t)n_talking + 1, "what was said");
}

/* Turn `turn` of every conversation, all submitted at once. */
static void talk(struct engine *engine, int n, int turn, int64_t *positions, char **out_texts)
{
    noted_engine = engine;
    n_talking = n;
    engine_run_on_finish = note_finished;
    for (uint64_t i = 1; i <= (uint64_t)n; i++) {
        uint64_t id = (uint64_t)(turn * n) + i;
        struct engine_request request =
            make_request(id, i, positions[i], 20 + (int)(i * 13 % 70), 6);
        request.owner = (int)i; /* shares nothing */
        submit(engine, request);
    }
    for (uint64_t i = 1; i <= (uint64_t)n; i++) {
        struct result *result = wait_final((uint64_t)(turn * n) + i);
        if (result->is_failed)
            fail_msg("conversation %d, turn %d: %s", (int)i, turn, result->err.text);
        assert_int_equal(result->usage.n_cached, positions[i]);
        positions[i] = result->usage.position;
        out_texts[turn * n + (int)i] = strdup(buf_text(&result->text));
    }
    engine_run_on_finish = NULL;
}

/* With what each conversation says when it has the engine to itself. */
static void assert_as_alone(int n, char **texts)
{
    struct engine *engine = open_engine(small_window());
    for (uint64_t i = 1; i <= (uint64_t)n; i++) {
        int64_t position = 0;
        for (int turn = 0; turn < N_TURNS; turn++) {
            uint64_t id = (uint64_t)(turn * n) + i;
            struct engine_request request =
                make_request(id, i, position, 20 + (int)(i * 13 % 70), 6);
            request.owner = (int)i; /* shares nothing */
            submit(engine, request);
            const struct result *result = wait_final(id);
            assert_string_equal(buf_text(&result->text), texts[id]);
            position = result->usage.position;
            free(texts[id]);
        }
        engine_forget(engine, i);
    }
    engine_close(&engine);
}

static void many_conversations_in_little_memory_miss_nothing(void **state)
{
    (void)state;
    static char *texts[MAX_CONVERSATIONS * N_TURNS + 1];
    static int64_t positions[MAX_CONVERSATIONS + 1];
    const char *asked = getenv("SINKD_TEST_CONVERSATIONS"); /* up to 1000: takes a minute */
    int n = asked == NULL ? 60 : atoi(asked);
    int n_room = n < 200 ? 4 : n / 50;
    struct engine_options options = room_for(n_room, true);
    options.max_requests = MAX_CONVERSATIONS;
    struct engine *engine = open_engine(options);
    for (int turn = 0; turn < N_TURNS; turn++) {
        talk(engine, n, turn, positions, texts);
        struct engine_counters counters = read_counters(engine);
        assert_true(counters.kv_memory_bytes <= options.kv_memory_bytes);
    }
    struct engine_counters counters = read_counters(engine);
    assert_true(counters.n_restored >= (uint64_t)n);
    assert_int_equal(counters.n_lost_sessions, 0);
    assert_int_equal(counters.n_save_errors, 0);
    assert_true(counters.n_disk_moves > counters.n_restored); /* what the watchdog looks at */
    while (read_counters(engine).n_disk_jobs != 0)            /* it gets there by itself */
        usleep(1000);
    engine_close(&engine);
    assert_int_equal(each_file(NULL), n); /* closing saves what was still in memory */
    assert_as_alone(n, texts);
}

static void conversations_go_on_after_a_restart(void **state)
{
    (void)state;
    enum { N = 12 };
    static char *texts[N * N_TURNS + 1];
    int64_t positions[N + 1] = {0};
    struct engine_options options = room_for(4, true);
    for (int turn = 0; turn < N_TURNS; turn++) {
        struct engine *engine = open_engine(options);
        struct engine_saved *saved = engine_take_saved(engine);
        int n_saved = 0;
        while (saved != NULL) {
            struct engine_saved *next = saved->next;
            assert_string_equal(buf_text(&saved->note), "what was said");
            assert_true(saved->session >= 1 && saved->session <= N);
            engine_saved_free(saved);
            saved = next;
            n_saved++;
        }
        assert_int_equal(n_saved, turn == 0 ? 0 : N);
        talk(engine, N, turn, positions, texts); /* demands that all is cached */
        engine_close(&engine);
    }
    /* What is saved under another meaning is of no use. */
    options.kv_meaning = "another template";
    struct engine *engine = open_engine(options);
    assert_null(engine_take_saved(engine));
    engine_close(&engine);
    assert_int_equal(each_file(NULL), 0);
    assert_as_alone(N, texts);
}

static void expect_loss(struct engine *engine, uint64_t id, uint64_t session, int64_t keep)
{
    submit(engine, make_request(id, session, keep, 5, 3));
    assert_true(wait_final(id)->is_failed);
    assert_int_equal(wait_final(id)->err.code, ERR_NOT_FOUND);
    submit(engine, make_request(id + 1, session, 0, 30, 3)); /* and then from its text */
    assert_false(wait_final(id + 1)->is_failed);
}

static void what_is_lost_is_told(void **state)
{
    (void)state;
    struct engine_options options = room_for(1, true);
    struct engine *engine = open_engine(options);
    submit(engine, make_request(1, 1, 0, 50, 3));
    int64_t first = wait_final(1)->usage.position;
    note(engine, 1, "x");
    submit(engine, make_request(2, 2, 0, 50, 100)); /* needs all of the memory */
    int64_t second = wait_final(2)->usage.position;
    note(engine, 2, "x");
    assert_int_equal(each_file(damage_one), 1);
    expect_loss(engine, 3, 1, first);
    note(engine, 1, "x");
    submit(engine, make_request(5, 3, 0, 50, 100));
    wait_final(5);
    note(engine, 3, "x");
    assert_true(each_file(remove_one) >= 1);
    expect_loss(engine, 6, 2, second);
    assert_int_equal(read_counters(engine).n_lost_sessions, 2);
    engine_close(&engine);
}

static void without_a_folder_the_oldest_is_dropped(void **state)
{
    (void)state;
    struct engine *engine = open_engine(room_for(2, false));
    int64_t positions[4];
    for (uint64_t i = 1; i <= 3; i++) {
        submit(engine, make_request(i, i, 0, 100, 3));
        positions[i] = wait_final(i)->usage.position;
    }
    submit(engine, make_request(4, 3, positions[3], 5, 3));
    assert_false(wait_final(4)->is_failed);
    expect_loss(engine, 5, 1, positions[1]);
    engine_close(&engine);
}

static void files_have_a_budget_too(void **state)
{
    (void)state;
    struct engine_options options = room_for(1, true);
    options.kv_file_bytes = 3 * options.kv_memory_bytes;
    struct engine *engine = open_engine(options);
    int64_t positions[9];
    for (uint64_t i = 1; i <= 8; i++) {
        submit(engine, make_request(i, i, 0, 150, 100));
        positions[i] = wait_final(i)->usage.position;
        note(engine, i, "x");
    }
    submit(engine, make_request(9, 7, positions[7], 5, 3));
    assert_false(wait_final(9)->is_failed);
    assert_true(read_counters(engine).kv_file_bytes <= options.kv_file_bytes);
    expect_loss(engine, 10, 1, positions[1]);
    engine_close(&engine);
    assert_in_range(each_file(NULL), 2, 3);
}

static void a_forgotten_conversation_leaves_no_file(void **state)
{
    (void)state;
    struct engine *engine = open_engine(room_for(1, true));
    for (uint64_t i = 1; i <= 3; i++) {
        submit(engine, make_request(i, i, 0, 150, 100));
        wait_final(i);
        note(engine, i, "x");
    }
    for (uint64_t i = 1; i <= 3; i++)
        engine_forget(engine, i);
    engine_close(&engine);
    assert_int_equal(each_file(NULL), 0);
}

/* A disk that takes no more: turns go on, what cannot be saved is lost, and it recovers. */
static void a_full_disk_costs_only_time(void **state)
{
    (void)state;
    struct rlimit before, full;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = before;
    full.rlim_cur = 4096;
    struct engine *engine = open_engine(room_for(1, true));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    int64_t positions[8];
    for (uint64_t i = 1; i <= 4; i++) {
        submit(engine, make_request(i, i, 0, 150, 100));
        struct result *result = wait_final(i);
        assert_false(result->is_failed);
        positions[i] = result->usage.position;
        note(engine, i, "x");
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(read_counters(engine).n_save_errors >= 3);
    expect_loss(engine, 5, 1, positions[1]);
    note(engine, 1, "x");
    submit(engine, make_request(7, 7, 0, 150, 100));
    wait_final(7);
    note(engine, 7, "x");
    submit(engine, make_request(8, 1, results.of[6].usage.position, 5, 3));
    assert_false(wait_final(8)->is_failed); /* saved again and back */
    engine_close(&engine);
}

/* A copy needs its source beside it: where that does not fit, both are there all the same. */
static void a_copy_is_made_in_any_memory(void **state)
{
    (void)state;
    struct engine_options options = small_window();
    options.kv_memory_bytes = 1;
    options.kv_folder = folder;
    struct engine *engine = open_engine(options);
    for (uint64_t i = 1; i <= 3; i++) {
        struct engine_request request = make_request(i, i, 0, 50, 10);
        for (int j = 1; j < 40; j++)
            request.tokens.ids[j] = 100; /* begins as the others do */
        submit(engine, request);
        assert_false(wait_final(i)->is_failed);
        note(engine, i, "x");
    }
    struct engine_request request = make_request(4, 4, results.of[1].usage.position, 5, 10);
    request.source = 1;
    submit(engine, request);
    assert_false(wait_final(4)->is_failed);
    engine_close(&engine);
}

static void cancelled_while_it_comes_back(void **state)
{
    (void)state;
    struct engine *engine = open_engine(room_for(1, true));
    for (uint64_t i = 1; i <= 2; i++) {
        submit(engine, make_request(i, i, 0, 150, 100));
        wait_final(i);
        note(engine, i, "x");
    }
    submit(engine, make_request(3, 1, results.of[1].usage.position, 5, 1000000));
    submit(engine, make_request(4, 2, results.of[2].usage.position, 5, 1000000));
    engine_cancel(engine, 4);
    engine_cancel(engine, 3);
    wait_final(3);
    wait_final(4);
    engine_close(&engine);
    for (int i = 1; i <= 4; i++)
        assert_int_equal(results.of[i].n_finals, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_conversations_in_little_memory_miss_nothing,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(conversations_go_on_after_a_restart, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_is_lost_is_told, make_folder, remove_folder),
        cmocka_unit_test(without_a_folder_the_oldest_is_dropped),
        cmocka_unit_test_setup_teardown(files_have_a_budget_too, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_forgotten_conversation_leaves_no_file, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_full_disk_costs_only_time, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_copy_is_made_in_any_memory, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(cancelled_while_it_comes_back, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, engine_run_init, engine_run_done);
}
