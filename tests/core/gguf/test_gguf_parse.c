/* test_gguf_parse.c - hostile model files. Run under ASan too: gguf_sample_walk touches every byte
 * that the getters hand out. */
#include "core/gguf/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/kernels/tensor_type.h"
#include "tests/support/check.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/gguf_sample.h"

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

static void write_array_head(struct buf *buf, uint32_t type, uint64_t n)
{
    write_entry_head(buf, "key", GGUF_ARRAY);
    gguf_put_u32(buf, type);
    gguf_put_u64(buf, n);
}

static void array_nested(struct buf *buf)
{
    write_array_head(buf, GGUF_ARRAY, 1);
    write_data(buf, 64);
}

static void array_of_unknown(struct buf *buf)
{
    write_array_head(buf, 99, 1);
    write_data(buf, 64);
}

static void array_2_63(struct buf *buf)
{
    write_array_head(buf, GGUF_U64, (uint64_t)1 << 63);
    write_data(buf, 64);
}

static void array_past_the_end(struct buf *buf)
{
    write_array_head(buf, GGUF_U64, 100);
    write_data(buf, 64);
}

static void array_of_long_text(struct buf *buf)
{
    write_array_head(buf, GGUF_STRING, 2);
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
    unsigned char *bytes = gguf_sample(&n);
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
    unsigned char *bytes = gguf_sample(&n);
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
            gguf_sample_walk(file);
            gguf_close(&file);
        } else {
            n_refused++;
        }
    }
    assert_true(n_refused > header); /* lengths, types and counts are most of it */
    free(exact);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_messages_hold_no_control_bytes),
        cmocka_unit_test(test_truncation_at_every_byte),
        cmocka_unit_test(test_every_bit_of_the_header_flipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
