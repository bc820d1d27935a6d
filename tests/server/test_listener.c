/* test_listener.c - sockets that are there, that are taken, and what else is found in their place.
 */
#include "server/listener.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/err.h"
#include "tests/support/check.h"

static char folder[32], path[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_listener.XXXXXX");
    bool is_made = mkdtemp(folder) != NULL;
    snprintf(path, sizeof path, "%s/socket", folder);
    return is_made ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* which nothing must be left in */
}

static struct listener_options at(const char *unix_path)
{
    return (struct listener_options){
        .host = "127.0.0.1", .unix_path = unix_path, .unix_mode = 0640, .inherited_fd = -1};
}

static struct listener open_with(const struct listener_options *options)
{
    struct listener listener;
    struct err err = {0};
    if (!listener_open(&listener, options, &err))
        fail_msg("%s", err.text);
    return listener;
}

static void assert_refused(const struct listener_options *options, const char *reason)
{
    struct listener listener = {.fd = -2};
    struct err err = {0};
    assert_false(listener_open(&listener, options, &err));
    assert_int_equal(listener.fd, -2);
    if (strstr(err.text, reason) == NULL)
        fail_msg("expected %s in %s", reason, err.text);
}

static bool can_connect(const char *unix_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", unix_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_there = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_there;
}

static void a_port_that_is_taken_is_named(void **state)
{
    (void)state;
    struct listener_options options = at(NULL);
    struct listener first = open_with(&options);
    char expected[128];
    assert_true(first.port > 0 && first.is_loopback);
    options.port = first.port;
    snprintf(
        expected, sizeof expected,
        "cannot listen on 127.0.0.1 port %d: Address already in use; choose another with --port",
        first.port);
    assert_refused(&options, expected);
    listener_close(&first);
    listener_close(&first);
    options.host = "no such host";
    assert_refused(&options, "cannot listen on host \"no such host\"");
}

static void a_socket_file_is_there_while_it_is_open(void **state)
{
    (void)state;
    struct listener_options options = at(path);
    struct listener listener = open_with(&options);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_true(can_connect(path));
    assert_int_equal(strncmp(listener.name, "unix:/tmp/", 10), 0);

    /* Another daemon does not push it aside. */
    assert_refused(&options, "Address already in use");
    assert_true(can_connect(path));
    listener_close(&listener);
    assert_int_not_equal(stat(path, &info), 0);
}

/* What a killed daemon leaves is replaced; what is no socket is somebody's file. */
static void what_is_in_the_place_of_a_socket(void **state)
{
    (void)state;
    struct listener_options options = at(path);
    struct listener killed = open_with(&options);
    close(killed.fd);
    assert_false(can_connect(path));
    struct listener listener = open_with(&options);
    assert_true(can_connect(path));
    listener_close(&listener);

    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_refused(&options, "Address already in use");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    unlink(path);

    char long_path[200];
    snprintf(long_path, sizeof long_path, "%s/%0120d", folder, 0);
    options.unix_path = long_path;
    assert_refused(&options, "may have 107 characters");
    snprintf(long_path, sizeof long_path, "%s/none/socket", folder);
    assert_refused(&options, "No such file or directory");
}

/* ---- what systemd hands over ---- */

enum { FIRST_FD = 3 };

/* With `fd` in the place of the first one. */
static bool take_with(const char *n, int fd, int *out, struct err *err)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", n, 1);
    int before = fcntl(FIRST_FD, F_DUPFD_CLOEXEC, 10);
    if (fd >= 0)
        dup2(fd, FIRST_FD);
    bool is_taken = listener_take_inherited(out, err);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    if (before >= 0) {
        dup2(before, FIRST_FD);
        close(before);
    }
    return is_taken;
}

static void what_systemd_hands_over_is_looked_at(void **state)
{
    (void)state;
    struct listener_options options = at(path);
    struct err err = {0};
    int fd = 0;
    unsetenv("LISTEN_PID");
    assert_true(listener_take_inherited(&fd, &err));
    assert_int_equal(fd, -1);

    setenv("LISTEN_PID", "1", 1); /* another process's */
    setenv("LISTEN_FDS", "1", 1);
    assert_true(listener_take_inherited(&fd, &err));
    assert_int_equal(fd, -1);

    assert_true(take_with("0", -1, &fd, &err));
    assert_int_equal(fd, -1);
    assert_false(take_with("2", -1, &fd, &err));
    assert_string_equal(err.text, "systemd handed over 2 sockets; sinkd takes one");

    int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_false(take_with("1", other, &fd, &err));
    assert_string_equal(err.text, "what systemd handed over is not a listening socket");
    close(other);

    struct listener listener = open_with(&options);
    assert_true(take_with("1", listener.fd, &fd, &err));
    assert_int_equal(fd, FIRST_FD);
    listener_close(&listener);
}

static void who_can_reach_it(void **state)
{
    (void)state;
    static const struct {
        const char *host, *unix_path;
        bool is_local;
    } cases[] = {
        {"127.0.0.1", NULL, true}, {"::1", NULL, true},     {"0.0.0.0", NULL, false},
        {"", NULL, false},         {"0.0.0.0", "/x", true}, {"no such host", NULL, false},
        {"127.9.9.9", "", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct listener_options options = {
            .host = cases[i].host, .unix_path = cases[i].unix_path, .inherited_fd = -1};
        assert_int_equal(listener_is_local(&options), cases[i].is_local);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_port_that_is_taken_is_named),
        TEST(a_socket_file_is_there_while_it_is_open),
        TEST(what_is_in_the_place_of_a_socket),
        TEST(what_systemd_hands_over_is_looked_at),
        TEST(who_can_reach_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
