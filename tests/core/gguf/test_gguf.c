/* test_gguf.c - a model file that is as it should be, and things that are no files. */
#include "core/gguf/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "tests/support/check.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/gguf_sample.h"

static void test_well_formed(void **state)
{
    (void)state;
    size_t n;
    void *bytes = gguf_sample(&n);
    for (unsigned char version = 2; version <= 3; version++) {
        struct gguf *file = NULL;
        struct err err = {0};
        ((unsigned char *)bytes)[4] = version;
        assert_true(gguf_open_memory(&file, bytes, n, &err));

        int64_t count = 0;
        double ratio = 0;
        bool flag = false;
        struct gguf_text text;
        struct gguf_array list;
        assert_true(gguf_get_int(file, "count", 0, 7, &count));
        assert_int_equal(count, 7);
        assert_false(gguf_get_int(file, "count", 0, 6, &count));
        assert_false(gguf_get_int(file, "ratio", 0, 6, &count));
        assert_false(gguf_get_int(file, "missing", 0, 6, &count));
        assert_true(gguf_get_float(file, "ratio", &ratio) && ratio == 0.5);
        assert_false(gguf_get_float(file, "count", &ratio));
        assert_true(gguf_get_bool(file, "flag", &flag) && flag);
        assert_true(gguf_get_text(file, "general.architecture", &text));
        assert_int_equal(text.len, 4);
        assert_memory_equal(text.data, "test", 4);
        assert_true(gguf_get_array(file, "list", &list));
        assert_int_equal(list.n, 3);
        assert_int_equal(gguf_array_text(&list, 1).len, 0);
        assert_memory_equal(gguf_array_text(&list, 2).data, "long text", 9);

        const struct gguf_tensor *first = gguf_find_tensor(file, "first");
        assert_non_null(first);
        assert_int_equal(first->n_dims, 2);
        assert_int_equal(first->dims[0], 8);
        assert_int_equal(first->dims[1], 2);
        assert_int_equal(first->dims[3], 1);
        assert_int_equal(first->n_bytes, 64);
        assert_int_equal(gguf_find_tensor(file, "second")->n_bytes, 34);
        assert_null(gguf_find_tensor(file, "third"));
        gguf_close(&file);
        assert_null(file);
    }
    free(bytes);
}

static void test_integers_of_every_width(void **state)
{
    (void)state;
    static const unsigned char ones[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const struct {
        uint32_t type;
        size_t n_bytes;
        bool fits;
        int64_t value;
    } cases[] = {
        {GGUF_U8, 1, true, 255},  {GGUF_I8, 1, true, -1},  {GGUF_U16, 2, true, 65535},
        {GGUF_I16, 2, true, -1},  {GGUF_I32, 4, true, -1}, {GGUF_U32, 4, true, UINT32_MAX},
        {GGUF_U64, 8, false, 0},  {GGUF_I64, 8, true, -1}, {GGUF_F32, 4, false, 0},
        {GGUF_BOOL, 1, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf buf;
        struct gguf *file = NULL;
        int64_t value = 0;
        double real = 1;
        buf_init(&buf);
        gguf_put_header(&buf, 3, 0, 1);
        gguf_put_text(&buf, "x");
        gguf_put_u32(&buf, cases[i].type);
        buf_append(&buf, ones, cases[i].n_bytes);
        assert_true(gguf_open_memory(&file, buf.data, buf.len, NULL));
        assert_int_equal(gguf_get_int(file, "x", INT64_MIN, INT64_MAX, &value), cases[i].fits);
        assert_true(value == cases[i].value);
        assert_false(gguf_get_float(file, "x", &real)); /* all ones is not a number */
        assert_true(real == 1);
        gguf_close(&file);
        buf_done(&buf);
    }
}

static void expect_refused(const char *path, const char *expected)
{
    struct gguf *file = NULL;
    struct err err = {0};
    assert_false(gguf_open(&file, path, &err));
    assert_non_null(strstr(err.text, path));
    if (strstr(err.text, expected) == NULL)
        fail_msg("'%s' has no '%s'", err.text, expected);
}

static void test_things_that_are_no_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/sinkd-test-gguf-XXXXXX";
    char path[sizeof folder + 8];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x", folder);

    expect_refused(path, "no such file");
    expect_refused(folder, "folder");
    expect_refused("/dev/zero", "not a regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(path, "not a regular file");
    unlink(path);
    assert_int_equal(symlink(path, path), 0);
    expect_refused(path, "cannot open");
    unlink(path);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fclose(stream);
    expect_refused(path, "empty");
    unlink(path);
    rmdir(folder);
}

static void test_file_is_mapped(void **state)
{
    (void)state;
    char path[] = "/tmp/sinkd-test-gguf-XXXXXX";
    int fd = mkstemp(path);
    size_t n;
    void *bytes = gguf_sample(&n);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);

    struct gguf *file = NULL;
    struct err err = {0};
    assert_true(gguf_open(&file, path, &err));
    unlink(path); /* the mapping outlives the name */
    assert_true(gguf_sample_walk(file) > n);
    gguf_close(&file);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_integers_of_every_width),
        cmocka_unit_test(test_things_that_are_no_files),
        cmocka_unit_test(test_file_is_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
