/* test_gguf_detach.c - a model file that changes once it was let go. */
#include "core/gguf/gguf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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

/* Whether this process has the page, which /proc tells by bit 63. */
static bool is_mapped(const void *address)
{
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    off_t at = (off_t)((uintptr_t)address / (uintptr_t)sysconf(_SC_PAGESIZE) * sizeof entry);
    assert_true(fd >= 0 && pread(fd, &entry, sizeof entry, at) == sizeof entry);
    close(fd);
    return entry >> 63 != 0;
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

/* A file in memory and as a file: the same tensors, read beside the mapping. */
static void test_reading(void **state)
{
    (void)state;
    enum { N = 50000 };
    char path[] = "/tmp/sinkd-test-gguf-XXXXXX";
    int fd = mkstemp(path);
    struct gguf_builder builder;
    struct gguf *file = NULL, *same = NULL;
    struct thread_pool *pool = NULL;
    struct err err = {0};
    size_t n;
    uint16_t *numbers = malloc(N * sizeof *numbers), *read = calloc(N, sizeof *read);
    assert_true(numbers != NULL && read != NULL);
    for (int i = 0; i < N; i++)
        numbers[i] = (uint16_t)i;
    gguf_builder_init(&builder);
    gguf_add_tensor(&builder, "some", TENSOR_F16, (uint64_t[]){N, 0}, numbers, N * sizeof *numbers);
    void *bytes = gguf_builder_finish(&builder, &n);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    assert_true(gguf_open(&file, path, &err) && gguf_open_memory(&same, bytes, n, &err));
    assert_true(thread_pool_open(&pool, 1, &err));

    const struct gguf_tensor *some = gguf_find_tensor(file, "some");
    const struct gguf_tensor *in_memory = gguf_find_tensor(same, "some");
    assert_true(gguf_read(file, some->data, some->n_bytes, read));
    assert_memory_equal(read, numbers, N * sizeof *numbers);
    assert_true(gguf_read(same, (const char *)in_memory->data + 2, 2 * (N - 1), read));
    assert_memory_equal(read, numbers + 1, 2 * (N - 1));
    assert_int_equal(ftruncate(fd, (off_t)n - 1000), 0);
    assert_true(gguf_read(file, some->data, 1000, read));
    assert_false(gguf_read(file, some->data, some->n_bytes, read));
    assert_false(gguf_detach(file, pool, &err));
    assert_non_null(strstr(err.text, "changed"));
    assert_int_equal(pwrite(fd, bytes, n, 0), n);
    assert_true(gguf_detach(file, pool, &err));
    assert_false(gguf_read(file, some->data, 1000, read));

    thread_pool_close(&pool);
    gguf_close(&file);
    gguf_close(&same);
    gguf_builder_done(&builder);
    close(fd);
    unlink(path);
    free(bytes);
    free(numbers);
    free(read);
}

/* Tensors meet within pages: these leave, too, once both are released. */
static void test_a_page_of_two_tensors(void **state)
{
    (void)state;
    enum { N = 40000 };
    char path[] = "/tmp/sinkd-test-gguf-XXXXXX";
    int fd = mkstemp(path);
    struct gguf_builder builder;
    struct gguf *file = NULL;
    struct err err = {0};
    size_t n;
    char *zeros = calloc(1, N);
    assert_non_null(zeros);
    gguf_builder_init(&builder);
    gguf_add_tensor(&builder, "a", TENSOR_F32, (uint64_t[]){N / 4, 0}, zeros, N);
    gguf_add_tensor(&builder, "b", TENSOR_F32, (uint64_t[]){N / 4, 0}, zeros, N);
    void *bytes = gguf_builder_finish(&builder, &n);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    assert_true(gguf_open(&file, path, &err));
    const struct gguf_tensor *a = gguf_find_tensor(file, "a"), *b = gguf_find_tensor(file, "b");
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *shared = (char *)((uintptr_t)b->data / page * page);
    assert_true(shared < (const char *)b->data && shared > (const char *)a->data);
    unsigned char is_there = *(volatile char *)shared == 0;
    gguf_release(file, a->data, a->n_bytes);
    assert_true(is_there && is_mapped(shared));
    gguf_release(file, b->data, b->n_bytes);
    assert_false(is_mapped(shared));
    gguf_close(&file);
    gguf_builder_done(&builder);
    close(fd);
    unlink(path);
    free(bytes);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_that_was_let_go_may_change),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_a_page_of_two_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
