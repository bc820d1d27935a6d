/* The watchdog hears of the daemon only while all of its threads get on. Engine and store are stood
 * in for by the two functions that sd_watch asks. */
#include "server/sd_watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/engine/engine.h"
#include "server/event_loop.h"
#include "server/stateful_api.h"
#include "server/store.h"
#include "tests/support/check.h"

static struct engine_info info = {.model_name = "model"};
static struct engine_counters engine_counters;
static struct store_counters store_counters;

const struct engine_info *engine_info(const struct engine *engine)
{
    (void)engine;
    return &info;
}

void engine_read_counters(const struct engine *engine, struct engine_counters *out)
{
    (void)engine;
    *out = engine_counters;
}

void stateful_api_read_counters(const struct stateful_api *api, struct store_counters *out)
{
    (void)api;
    *out = store_counters;
}

struct testing {
    char folder[32], path[64];
    int notify_fd;
    struct event_loop *loop;
    struct event_timer *timer;
    struct sd_watch *watch;
    int n_ticks_left;
    void (*each_tick)(void);
};

static void on_tick(void *arg)
{
    struct testing *testing = arg;
    if (testing->each_tick != NULL)
        testing->each_tick();
    if (--testing->n_ticks_left == 0)
        event_loop_stop(testing->loop);
}

static int set_up(void **state)
{
    static struct testing testing;
    testing = (struct testing){.folder = "/tmp/sinkd-test-watch-XXXXXX"};
    engine_counters = (struct engine_counters){0};
    store_counters = (struct store_counters){0};
    assert_non_null(mkdtemp(testing.folder));
    snprintf(testing.path, sizeof testing.path, "%s/notify", testing.folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, testing.path, strlen(testing.path));
    testing.notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(testing.notify_fd, (const struct sockaddr *)&address, sizeof address), 0);
    setenv("NOTIFY_SOCKET", testing.path, 1);
    setenv("WATCHDOG_USEC", "20000", 1); /* a sign each 10 ms */
    unsetenv("WATCHDOG_PID");
    assert_true(event_loop_open(&testing.loop, NULL));
    assert_true(sd_watch_open(&testing.watch, testing.loop, NULL, NULL, NULL));
    assert_true(event_timer_open(&testing.timer, testing.loop, on_tick, &testing, NULL));
    *state = &testing;
    return 0;
}

static int tear_down(void **state)
{
    struct testing *testing = *state;
    sd_watch_close(&testing->watch);
    event_timer_close(&testing->timer);
    event_loop_close(&testing->loop);
    close(testing->notify_fd);
    unlink(testing->path);
    rmdir(testing->folder);
    return 0;
}

/* Signs of life that were sent while the loop turned a while. */
static int signs(struct testing *testing)
{
    int n = 0;
    char message[512];
    testing->n_ticks_left = 5;
    event_timer_start(testing->timer, 10, 10);
    event_loop_run(testing->loop);
    for (ssize_t len; (len = recv(testing->notify_fd, message, sizeof message - 1, 0)) > 0;) {
        message[len] = '\0';
        n += strcmp(message, "WATCHDOG=1") == 0;
    }
    return n;
}

static void the_idle_are_well(void **state)
{
    assert_true(signs(*state) > 0);
}

static void engine_steps(void)
{
    engine_counters.n_steps++;
}

static void disk_moves(void)
{
    engine_counters.n_disk_moves++;
}

static void store_works(void)
{
    store_counters.n_done++;
}

/* Silent while *n_busy is not 0 and nothing moves, one sign at most before that is seen. */
static void check_part(struct testing *testing, int *n_busy, void (*move)(void))
{
    *n_busy = 1;
    signs(testing);
    assert_int_equal(signs(testing), 0);
    testing->each_tick = move;
    assert_true(signs(testing) > 0);
    testing->each_tick = NULL;
    signs(testing);
    assert_int_equal(signs(testing), 0);
    *n_busy = 0;
    assert_true(signs(testing) > 0);
}

static void an_engine_that_is_stuck_is_not_well(void **state)
{
    check_part(*state, &engine_counters.n_active, engine_steps);
    check_part(*state, &engine_counters.n_waiting, engine_steps);
}

static void a_saver_that_is_stuck_is_not_well(void **state)
{
    check_part(*state, &engine_counters.n_disk_jobs, disk_moves);
}

static void a_store_that_is_stuck_is_not_well(void **state)
{
    check_part(*state, &store_counters.n_pending, store_works);
}

/* One that moves does not speak for another one. */
static void all_must_move(void **state)
{
    struct testing *testing = *state;
    engine_counters.n_active = 1;
    store_counters.n_pending = 1;
    testing->each_tick = engine_steps;
    signs(testing);
    assert_int_equal(signs(testing), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_idle_are_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_engine_that_is_stuck_is_not_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_saver_that_is_stuck_is_not_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_that_is_stuck_is_not_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_must_move, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
