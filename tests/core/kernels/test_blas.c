/* OpenBLAS takes its memory before it multiplies, or not at all: it asks for ever when it is
 * refused. Skipped where it is not installed, and with kernels that do not use it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/thread_pool.h"
#include "core/kernels/blas.h"
#include "core/kernels/kernels.h"
#include "tests/support/check.h"

enum { N_THREADS = 3, N_PARTS = 12, N_ROWS = 64, N_TOKENS = 64, N_IN = 512, PATIENCE_S = 120 };

static float w[N_PARTS][N_ROWS * N_IN], x[N_TOKENS * N_IN], y[N_PARTS][N_TOKENS * N_ROWS];

static size_t mapped_bytes(void)
{
    size_t n_pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%zu", &n_pages) != 1)
        fail_msg("no /proc/self/statm");
    fclose(file);
    return n_pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* No more than there is now, and a little for the stacks of threads. */
static void end_address_space(void)
{
    rlim_t bytes = mapped_bytes() + (64 << 20);
    struct rlimit limit = {bytes, bytes};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

static void multiply(void *arg, int part, int n_parts, int thread)
{
    (void)arg;
    (void)n_parts;
    (void)thread;
    struct blas_product product = {w[part], x, y[part], N_ROWS, N_ROWS, N_TOKENS, N_IN};
    blas_multiply(&product);
}

/* Of a process of its own: address space that has ended stays so. The status is for the test. */
enum { WAS_RIGHT, WAS_OPEN, WAS_CLOSED, WAS_WRONG };
static int reserve_and_multiply(bool ends_before)
{
    struct thread_pool *pool = NULL;
    alarm(PATIENCE_S); /* ends a process that asks for ever */
    if (!thread_pool_open(&pool, N_THREADS, NULL))
        return WAS_WRONG;
    if (ends_before)
        end_address_space();
    blas_reserve(pool);
    if (!blas_is_open())
        return WAS_CLOSED;
    if (ends_before)
        return WAS_OPEN;
    end_address_space();
    for (int part = 0; part < N_PARTS; part++)
        for (int i = 0; i < N_ROWS * N_IN; i++)
            w[part][i] = (float)(part + 1);
    for (int i = 0; i < N_TOKENS * N_IN; i++)
        x[i] = 1;
    thread_pool_run(pool, multiply, NULL, N_PARTS);
    for (int part = 0; part < N_PARTS; part++)
        for (int i = 0; i < N_TOKENS * N_ROWS; i++)
            if (y[part][i] != (float)((part + 1) * N_IN))
                return WAS_WRONG;
    return WAS_RIGHT;
}

static int in_a_child(bool ends_before)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(reserve_and_multiply(ends_before));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void skip_without_it(void)
{
    if (!blas_is_open())
        skip();
}

static void memory_that_ends_later_is_not_asked_for(void **state)
{
    (void)state;
    skip_without_it();
    assert_int_equal(in_a_child(false), WAS_RIGHT);
}

static void without_room_it_is_not_used(void **state)
{
    (void)state;
    skip_without_it();
    assert_int_equal(in_a_child(true), WAS_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_ends_later_is_not_asked_for),
        cmocka_unit_test(without_room_it_is_not_used),
    };
    if (!kernels_select(NULL, NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
