/* Well-formed and hostile model files. Run under ASan too: the walk below touches every byte that
 * the getters hand out. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf.h"
#include "core/kernels/tensor_type.h"
#include "tests/support/check.h"
#include "tests/support/gguf_builder.h"

/* Reads everything that a file offers, so that a sanitizer sees any pointer that strays. */
static uint64_t walk(const struct gguf *file)
{
    uint64_t sum = gguf_file_bytes(file);
    for (size_t i = 0; i < gguf_n_tensors(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        for (size_t j = 0; j < tensor->n_bytes; j++)
            sum += ((const unsigned char *)tensor->data)[j];
    }
    struct gguf_array array;
    if (gguf_get_array(file, "list", &array)) {
        for (size_t i = 0; i < array.n; i++) {
            struct gguf_text text = gguf_array_text(&array, i);
            for (size_t j = 0; j < text.len; j++)
                sum += (unsigned char)text.data[j];
            sum += (uint64_t)gguf_array_int(&array, i) + (gguf_array_float(&array, i) > 0);
        }
    }
    return sum;
}

static void add_sample(struct gguf_builder *builder)
{
    static const char *const texts[] = {"a", "", "long text"};
    static const float numbers[64] = {1, 2, 3};
    gguf_add_text(builder, "general.architecture", "test");
    gguf_add_u32(builder, "count", 7);
    gguf_add_f32(builder, "ratio", 0.5F);
    gguf_add_bool(builder, "flag", 1);
    gguf_add_texts(builder, "list", texts, 3);
    gguf_add_tensor(builder, "first", TENSOR_F32, (uint64_t[]){8, 2, 0}, numbers, 64);
    gguf_add_tensor(builder, "second", TENSOR_Q8_0, (uint64_t[]){32, 0}, numbers, 34);
}

static void *sample(size_t *out_n)
{
    struct gguf_builder builder;
    gguf_builder_init(&builder);
    add_sample(&builder);
    void *bytes = gguf_builder_finish(&builder, out_n);
    gguf_builder_done(&builder);
    return bytes;
}

static void test_well_formed(void **state)
{
    (void)state;
    size_t n;
    void *bytes = sample(&n);
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

/* One hostile file: what to write, and a word that the refusal must hold. */
struct hostile {
    const char *name;
    void (*write)(struct buf *buf);
    const char *expected;
};

static void write_entry_head(struct buf *buf, const char *key, uint32_t type)
{
    gguf_put_header(buf, 3, 0, 1);
    gguf_put_text(buf, key);
    gguf_put_u32(buf, type);
}

static void write_tensor(struct buf *buf, const char *name, uint32_t type, const uint64_t *dims,
                         uint64_t offset)
{
    uint32_t n_dims = 0;
    while (dims[n_dims] != 0)
        n_dims++;
    gguf_put_text(buf, name);
    gguf_put_u32(buf, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        gguf_put_u64(buf, dims[i]);
    gguf_put_u32(buf, type);
    gguf_put_u64(buf, offset);
}

static void write_data(struct buf *buf, size_t n)
{
    gguf_put_padding(buf, 32);
    for (size_t i = 0; i < n; i++)
        buf_append_char(buf, 1);
}

static void one_tensor(struct buf *buf, uint32_t type, const uint64_t *dims, uint64_t offset)
{
    gguf_put_header(buf, 3, 1, 0);
    write_tensor(buf, "t", type, dims, offset);
    write_data(buf, 4096);
}

static void bad_magic(struct buf *buf)
{
    buf_append_text(buf, "GGML\3\0\0\0 and more than enough bytes");
}

static void not_a_model(struct buf *buf)
{
    buf_append_text(buf, "<!DOCTYPE html>");
}

static void version_0(struct buf *buf)
{
    gguf_put_header(buf, 0, 0, 0);
}

static void version_1(struct buf *buf)
{
    gguf_put_header(buf, 1, 0, 0);
}

static void version_4(struct buf *buf)
{
    gguf_put_header(buf, 4, 0, 0);
}

static void big_endian(struct buf *buf)
{
    gguf_put_header(buf, 3U << 24, 0, 0);
}

static void entries_minus_1(struct buf *buf)
{
    gguf_put_header(buf, 3, 0, UINT64_MAX);
}

static void entries_1000_in_nothing(struct buf *buf)
{
    gguf_put_header(buf, 3, 0, 1000);
}

static void tensors_minus_1(struct buf *buf)
{
    gguf_put_header(buf, 3, UINT64_MAX, 0);
}

static void tensors_1000_in_nothing(struct buf *buf)
{
    gguf_put_header(buf, 3, 1000, 0);
}

static void key_size_minus_1(struct buf *buf)
{
    gguf_put_header(buf, 3, 0, 1);
    gguf_put_u64(buf, UINT64_MAX);
    write_data(buf, 64);
}

static void key_empty(struct buf *buf)
{
    write_entry_head(buf, "", GGUF_U32);
    write_data(buf, 64);
}

static void key_twice(struct buf *buf)
{
    gguf_put_header(buf, 3, 0, 2);
    for (uint32_t i = 0; i < 2; i++) {
        gguf_put_text(buf, "same");
        gguf_put_u32(buf, GGUF_U32);
        gguf_put_u32(buf, i);
    }
}

static void entry_type_13(struct buf *buf)
{
    write_entry_head(buf, "key", 13);
    write_data(buf, 64);
}

static void entry_cut(struct buf *buf)
{
    write_entry_head(buf, "a key that is long enough", GGUF_U64);
    gguf_put_u32(buf, 1);
}

static void text_too_long(struct buf *buf)
{
    write_entry_head(buf, "key", GGUF_STRING);
    gguf_put_u64(buf, 1U << 30);
    write_data(buf, 64);
}

static void array_nested(struct buf *buf)
{
    write_entry_head(buf, "key", GGUF_ARRAY);
    gguf_put_u32(buf, GGUF_ARRAY);
    gguf_put_u64(buf, 1);
    write_data(buf, 64);
}

static void array_of_unknown(struct buf *buf)
{
    write_entry_head(buf, "key", GGUF_ARRAY);
    gguf_put_u32(buf, 99);
    gguf_put_u64(buf, 1);
    write_data(buf, 64);
}

static void array_2_63(struct buf *buf)
{
    write_entry_head(buf, "key", GGUF_ARRAY);
    gguf_put_u32(buf, GGUF_U64);
    gguf_put_u64(buf, (uint64_t)1 << 63);
    write_data(buf, 64);
}

static void array_past_the_end(struct buf *buf)
{
    write_entry_head(buf, "key", GGUF_ARRAY);
    gguf_put_u32(buf, GGUF_U64);
    gguf_put_u64(buf, 100);
    write_data(buf, 64);
}

static void array_of_long_text(struct buf *buf)
{
    write_entry_head(buf, "key", GGUF_ARRAY);
    gguf_put_u32(buf, GGUF_STRING);
    gguf_put_u64(buf, 2);
    gguf_put_text(buf, "good");
    gguf_put_u64(buf, UINT64_MAX - 4);
    write_data(buf, 64);
}

static void alignment_of(struct buf *buf, uint32_t type, uint32_t value)
{
    write_entry_head(buf, "general.alignment", type);
    gguf_put_u32(buf, value);
}

static void alignment_0(struct buf *buf)
{
    alignment_of(buf, GGUF_U32, 0);
}

static void alignment_33(struct buf *buf)
{
    alignment_of(buf, GGUF_U32, 33);
}

static void alignment_2_30(struct buf *buf)
{
    alignment_of(buf, GGUF_U32, 1U << 30);
}

static void alignment_float(struct buf *buf)
{
    alignment_of(buf, GGUF_F32, 0x42000000);
}

static void tensor_name_empty(struct buf *buf)
{
    gguf_put_header(buf, 3, 1, 0);
    write_tensor(buf, "", TENSOR_F32, (uint64_t[]){4, 0}, 0);
    write_data(buf, 4096);
}

static void tensor_twice(struct buf *buf)
{
    gguf_put_header(buf, 3, 2, 0);
    write_tensor(buf, "t", TENSOR_F32, (uint64_t[]){8, 0}, 0);
    write_tensor(buf, "t", TENSOR_F32, (uint64_t[]){8, 0}, 32);
    write_data(buf, 4096);
}

static void dims_of(struct buf *buf, uint32_t n_dims)
{
    gguf_put_header(buf, 3, 1, 0);
    gguf_put_text(buf, "t");
    gguf_put_u32(buf, n_dims);
    for (int i = 0; i < 64; i++)
        gguf_put_u64(buf, 1);
}

static void dims_none(struct buf *buf)
{
    dims_of(buf, 0);
}

static void dims_5(struct buf *buf)
{
    dims_of(buf, 5);
}

static void dims_minus_1(struct buf *buf)
{
    dims_of(buf, UINT32_MAX);
}

static void dim_negative(struct buf *buf)
{
    one_tensor(buf, TENSOR_F32, (uint64_t[]){4, UINT64_MAX, 0}, 0);
}

static void dim_zero(struct buf *buf)
{
    gguf_put_header(buf, 3, 1, 0);
    gguf_put_text(buf, "t");
    gguf_put_u32(buf, 2);
    gguf_put_u64(buf, 4);
    gguf_put_u64(buf, 0);
    gguf_put_u32(buf, TENSOR_F32);
    gguf_put_u64(buf, 0);
    write_data(buf, 4096);
}

static void dims_overflow(struct buf *buf)
{
    one_tensor(buf, TENSOR_F32, (uint64_t[]){1U << 31, 1U << 31, 4, 0}, 0);
}

static void bytes_overflow(struct buf *buf)
{
    one_tensor(buf, TENSOR_F32, (uint64_t[]){(uint64_t)1 << 62, 0}, 0);
}

static void exabytes(struct buf *buf)
{
    one_tensor(buf, TENSOR_F32, (uint64_t[]){(uint64_t)1 << 58, 0}, 0);
}

static void tensor_type_4(struct buf *buf) /* Q4_2, gone since 2023 */
{
    one_tensor(buf, 4, (uint64_t[]){32, 0}, 0);
}

static void tensor_type_minus_1(struct buf *buf)
{
    one_tensor(buf, UINT32_MAX, (uint64_t[]){32, 0}, 0);
}

static void part_of_a_block(struct buf *buf)
{
    one_tensor(buf, TENSOR_Q8_0, (uint64_t[]){33, 0}, 0);
}

static void offset_unaligned(struct buf *buf)
{
    one_tensor(buf, TENSOR_F32, (uint64_t[]){4, 0}, 4);
}

static void offset_past_the_end(struct buf *buf)
{
    one_tensor(buf, TENSOR_F32, (uint64_t[]){4, 0}, 8192);
}

static void offset_minus_32(struct buf *buf)
{
    one_tensor(buf, TENSOR_F32, (uint64_t[]){4, 0}, UINT64_MAX - 31);
}

static void tensors_overlap(struct buf *buf)
{
    gguf_put_header(buf, 3, 2, 0);
    write_tensor(buf, "t", TENSOR_F32, (uint64_t[]){16, 0}, 0);
    write_tensor(buf, "u", TENSOR_F32, (uint64_t[]){16, 0}, 32);
    write_data(buf, 4096);
}

/* Their sum wraps to a small number. */
static void two_of_2_63(struct buf *buf)
{
    uint64_t half = ((uint64_t)1 << 61) - 16;
    gguf_put_header(buf, 3, 2, 0);
    write_tensor(buf, "t", TENSOR_F32, (uint64_t[]){half, 0}, 0);
    write_tensor(buf, "u", TENSOR_F32, (uint64_t[]){half, 0}, half * 4);
    write_data(buf, 4096);
}

static void data_truncated(struct buf *buf)
{
    gguf_put_header(buf, 3, 1, 0);
    write_tensor(buf, "t", TENSOR_F32, (uint64_t[]){1025, 0}, 0);
    write_data(buf, 4096);
}

static void test_hostile_files(void **state)
{
    (void)state;
    static const struct hostile cases[] = {
        {"bad magic", bad_magic, "not a GGUF"},
        {"not a model", not_a_model, "not a GGUF"},
        {"version 0", version_0, "version 0"},
        {"version 1", version_1, "newer conversion"},
        {"version 4", version_4, "version 4"},
        {"big endian", big_endian, "big-endian"},
        {"entries -1", entries_minus_1, "metadata entries"},
        {"entries 1000", entries_1000_in_nothing, "metadata entries"},
        {"tensors -1", tensors_minus_1, "tensors"},
        {"tensors 1000", tensors_1000_in_nothing, "tensors"},
        {"key size -1", key_size_minus_1, "name"},
        {"empty key", key_empty, "empty name"},
        {"duplicate key", key_twice, "appears twice"},
        {"entry type 13", entry_type_13, "unknown type"},
        {"entry cut", entry_cut, "ends in the middle"},
        {"text too long", text_too_long, "runs past the end"},
        {"nested array", array_nested, "not allowed"},
        {"array of unknown", array_of_unknown, "not allowed"},
        {"array 2^63", array_2_63, "limit"},
        {"array past the end", array_past_the_end, "ends in the middle"},
        {"array of long text", array_of_long_text, "ends in the middle"},
        {"alignment 0", alignment_0, "power of two"},
        {"alignment 33", alignment_33, "power of two"},
        {"alignment 2^30", alignment_2_30, "power of two"},
        {"alignment float", alignment_float, "power of two"},
        {"empty tensor name", tensor_name_empty, "empty name"},
        {"duplicate tensor", tensor_twice, "appears twice"},
        {"no dimensions", dims_none, "dimensions"},
        {"5 dimensions", dims_5, "dimensions"},
        {"-1 dimensions", dims_minus_1, "dimensions"},
        {"negative dimension", dim_negative, "too large"},
        {"zero dimension", dim_zero, "zero"},
        {"product overflow", dims_overflow, "too large"},
        {"bytes overflow", bytes_overflow, "too large"},
        {"exabytes", exabytes, "truncated"},
        {"tensor type 4", tensor_type_4, "number format"},
        {"tensor type -1", tensor_type_minus_1, "number format"},
        {"part of a block", part_of_a_block, "whole Q8_0 blocks"},
        {"unaligned offset", offset_unaligned, "wrong offset"},
        {"offset past the end", offset_past_the_end, "truncated"},
        {"offset -32", offset_minus_32, "truncated"},
        {"overlap", tensors_overlap, "wrong offset"},
        {"two of 2^63 - 64", two_of_2_63, "truncated"},
        {"data truncated", data_truncated, "download it again"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf buf;
        struct gguf *file = NULL;
        struct err err = {0};
        buf_init(&buf);
        cases[i].write(&buf);
        /* A copy of the exact size, so that ASan sees a read of one byte too many. */
        void *exact = malloc(buf.len);
        assert_non_null(exact);
        memcpy(exact, buf.data, buf.len);
        if (gguf_open_memory(&file, exact, buf.len, &err) ||
            strstr(err.text, cases[i].expected) == NULL)
            fail_msg("%s: got '%s', expected '%s'", cases[i].name, err.text, cases[i].expected);
        assert_null(file);
        free(exact);
        buf_done(&buf);
    }
}

static void test_messages_hold_no_control_bytes(void **state)
{
    (void)state;
    struct buf buf;
    struct gguf *file = NULL;
    struct err err = {0};
    buf_init(&buf);
    write_entry_head(&buf, "evil\n\033[31mkey", 77);
    write_data(&buf, 64);
    assert_false(gguf_open_memory(&file, buf.data, buf.len, &err));
    assert_non_null(strstr(err.text, "evil??[31mkey"));
    buf_done(&buf);
}

static void test_truncation_at_every_byte(void **state)
{
    (void)state;
    size_t n;
    unsigned char *bytes = sample(&n);
    for (size_t len = 0; len < n; len++) {
        struct gguf *file = NULL;
        struct err err = {0};
        unsigned char *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact + 1, bytes, len); /* ends at the end of the block; odd alignment as a bonus */
        assert_false(gguf_open_memory(&file, exact + 1, len, &err));
        assert_true(err.text[0] != '\0');
        free(exact);
    }
    free(bytes);
}

static void test_every_bit_of_the_header_flipped(void **state)
{
    (void)state;
    size_t n;
    unsigned char *bytes = sample(&n);
    struct gguf *file = NULL;
    assert_true(gguf_open_memory(&file, bytes, n, NULL));
    size_t header = (size_t)((const unsigned char *)gguf_tensor_at(file, 0)->data - bytes);
    gguf_close(&file);

    size_t n_refused = 0;
    unsigned char *exact = malloc(n);
    assert_non_null(exact);
    for (size_t bit = 0; bit < header * 8; bit++) {
        memcpy(exact, bytes, n);
        exact[bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (gguf_open_memory(&file, exact, n, NULL)) {
            walk(file);
            gguf_close(&file);
        } else {
            n_refused++;
        }
    }
    assert_true(n_refused > header); /* lengths, types and counts are most of it */
    free(exact);
    free(bytes);
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
    void *bytes = sample(&n);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);

    struct gguf *file = NULL;
    struct err err = {0};
    assert_true(gguf_open(&file, path, &err));
    unlink(path); /* the mapping outlives the name */
    assert_true(walk(file) > n);
    gguf_close(&file);
    free(bytes);
}

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
    add_sample(&builder);
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
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_integers_of_every_width),
        cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_messages_hold_no_control_bytes),
        cmocka_unit_test(test_truncation_at_every_byte),
        cmocka_unit_test(test_every_bit_of_the_header_flipped),
        cmocka_unit_test(test_things_that_are_no_files),
        cmocka_unit_test(test_file_is_mapped),
        cmocka_unit_test(test_a_file_that_was_let_go_may_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
