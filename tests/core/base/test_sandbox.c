#include "core/base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/err.h"
#include "tests/support/check.h"

/* So little memory that its end comes long before that of the time, on any machine. */
enum { MAX_BYTES = 32 << 20, MAX_SECONDS = 1 };

static enum sandbox_confinement confinement;
static struct err err;

static bool run(sandbox_fn *fn, void *arg)
{
    err = (struct err){0};
    bool is_good = sandbox_run(fn, arg, MAX_BYTES, MAX_SECONDS, &confinement, &err);
    assert_true(confinement != SANDBOX_ABSENT);
    return is_good;
}

static bool add_one(void *arg, struct err *err_out)
{
    int *number = arg;
    (void)err_out;
    *number += 1;
    return true;
}

static void what_it_does_stays_there(void **state)
{
    (void)state;
    int number = 1;
    assert_true(run(add_one, &number));
    assert_int_equal(number, 1);
}

static bool refuse(void *arg, struct err *err_out)
{
    (void)arg;
    return err_set(err_out, ERR_UNSUPPORTED, "not \033[31mlike\n this");
}

static void its_error_comes_back_in_plain_letters(void **state)
{
    (void)state;
    assert_false(run(refuse, NULL));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "not ?[31mlike? this");
}

static bool die(void *arg, struct err *err_out)
{
    (void)err_out;
    signal(*(int *)arg, SIG_DFL);
    raise(*(int *)arg); /* EPERM where it is confined, */
    _exit(3);           /* which is a bad end, too */
}

static bool overrun(void *arg, struct err *err_out)
{
    (void)err_out;
    *(volatile char *)arg = 1;
    return true;
}

static void a_bad_end_is_a_sentence(void **state)
{
    (void)state;
    int number = SIGABRT;
    assert_false(run(die, &number));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.text, "ended badly"));
    assert_false(run(overrun, (void *)16));
    assert_non_null(strstr(err.text, "Segmentation fault"));
}

static bool take_memory(void *arg, struct err *err_out)
{
    (void)arg;
    for (int i = 0; i < 2 * (MAX_BYTES >> 20); i++) {
        char *more = malloc(1 << 20);
        if (more == NULL)
            return err_no_memory(err_out, "that much");
        memset(more, i, 1 << 20);
    }
    return true;
}

static bool take_time(void *arg, struct err *err_out)
{
    volatile int *number = arg;
    (void)err_out;
    while (*number == 0)
        continue;
    return true;
}

static void memory_and_time_have_an_end(void **state)
{
    (void)state;
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__ /* they abort, or hold it all */
    assert_false(run(take_memory, NULL));
    assert_int_equal(err.code, ERR_MEMORY);
#else
    (void)take_memory;
#endif
    int never = 0;
    assert_false(run(take_time, &never));
    assert_non_null(strstr(err.text, "more time or memory"));
}

static bool reach_out(void *arg, struct err *err_out)
{
    (void)arg;
    bool is_refused = open("/etc/passwd", O_RDONLY) < 0 && errno == EPERM &&
                      socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM && fork() < 0 &&
                      errno == EPERM && kill(getppid(), 0) < 0 && errno == EPERM;
    return is_refused || err_set(err_out, ERR_INTERNAL, "it could");
}

static void it_can_reach_nothing(void **state)
{
    (void)state;
    bool is_good = run(reach_out, NULL);
    if (confinement != SANDBOX_CONFINED) {
        print_message("skipped: no seccomp here\n");
        skip();
    }
    assert_true(is_good);
}

static bool look_for(void *arg, struct err *err_out)
{
    int fd = *(int *)arg;
    return write(fd, "x", 1) < 0 || err_set(err_out, ERR_INTERNAL, "it is open");
}

static void files_of_the_caller_are_closed(void **state)
{
    (void)state;
    int fds[2];
    char c;
    assert_int_equal(pipe(fds), 0);
    int other = dup2(fds[1], 77);
    assert_true(run(look_for, &other));
    close(other);
    close(fds[1]);
    assert_int_equal(read(fds[0], &c, 1), 0);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_does_stays_there),
        cmocka_unit_test(its_error_comes_back_in_plain_letters),
        cmocka_unit_test(a_bad_end_is_a_sentence),
        cmocka_unit_test(memory_and_time_have_an_end),
        cmocka_unit_test(it_can_reach_nothing),
        cmocka_unit_test(files_of_the_caller_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
