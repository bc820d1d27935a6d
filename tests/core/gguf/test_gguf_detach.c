/* test_gguf_detach.c - a model file that changes once it was let go. */
#include "core/gguf/gguf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/kernels/tensor_type.h"
#include "tests/support/check.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/gguf_sample.h"

/* Writes over the file's bytes, then takes them away. */
static void ruin(const char *path, size_t n)
{
    int fd = open(path, O_WRONLY);
    void *garbage = calloc(1, n);
    assert_true(fd >= 0 && garbage != NULL);
    assert_int_equal(write(fd, garbage, n), n);
    assert_int_equal(ftruncate(fd, 0), 0);
    free(garbage);
    close(fd);
}

/* What is released may be anything afterwards; all else is what it was. */
static void test_a_file_that_was_let_go_may_change(void **state)
{
    (void)state;
    enum { N = 100000 };
    char path[] = "/tmp/sinkd-test-gguf-XXXXXX";
    int fd = mkstemp(path);
    struct gguf_builder builder;
    struct gguf *file = NULL;
    struct thread_pool *pool = NULL;
    struct err err = {0};
    size_t n;
    float *numbers = malloc(N * sizeof *numbers);
    assert_non_null(numbers);
    for (int i = 0; i < N; i++)
        numbers[i] = (float)i;
    gguf_builder_init(&builder);
    gguf_sample_add(&builder);
    gguf_add_tensor(&builder, "kept", TENSOR_F32, (uint64_t[]){N, 0}, numbers, N * sizeof(float));
    gguf_add_tensor(&builder, "gone", TENSOR_F32, (uint64_t[]){N, 0}, numbers, N * sizeof(float));
    gguf_add_tensor(&builder, "last", TENSOR_F32, (uint64_t[]){N, 0}, numbers, N * sizeof(float));
    void *bytes = gguf_builder_finish(&builder, &n);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);

    assert_true(gguf_open(&file, path, &err) && thread_pool_open(&pool, 2, &err));
    const struct gguf_tensor *gone = gguf_find_tensor(file, "gone");
    gguf_release(file, gone->data, gone->n_bytes);
    assert_true(gguf_detach(file, pool, &err));
    ruin(path, n);
    static const char *const names[] = {"kept", "last"};
    for (int i = 0; i < 2; i++)
        assert_memory_equal(gguf_find_tensor(file, names[i])->data, numbers, N * sizeof(float));
    const char *begin = bytes, *end = (const char *)gone->data + gone->n_bytes;
    assert_memory_equal((const char *)gguf_find_tensor(file, "kept")->data + N * sizeof(float),
                        begin + (n - 2 * N * sizeof(float)), 32); /* on a page that is kept */
    assert_memory_equal(end - 16, numbers + N - 4, 16);
    struct gguf_array list;
    assert_true(gguf_get_array(file, "list", &list));
    assert_memory_equal(gguf_array_text(&list, 2).data, "long text", 9);
    thread_pool_close(&pool);
    gguf_close(&file);
    gguf_builder_done(&builder);
    unlink(path);
    free(bytes);
    free(numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_that_was_let_go_may_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
