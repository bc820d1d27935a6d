#include "core/base/checksum.h"

#include <string.h>

#include "tests/support/check.h"

/* Bit by bit, from the definition. */
static uint32_t literal_crc32c(const unsigned char *bytes, size_t len)
{
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
    }
    return ~crc;
}

static void crc32c_is_the_standard_one(void **state)
{
    (void)state;
    unsigned char zeros[32] = {0}, ones[32], rising[32];
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++)
        rising[i] = (unsigned char)i;
    assert_int_equal(checksum_crc32c(0, "123456789", 9), 0xE3069283);
    assert_int_equal(checksum_crc32c(0, zeros, 32), 0x8A9136AA); /* RFC 3720, B.4 */
    assert_int_equal(checksum_crc32c(0, ones, 32), 0x62A8AB43);
    assert_int_equal(checksum_crc32c(0, rising, 32), 0x46DD794E);
    assert_int_equal(checksum_crc32c(0, "", 0), 0);
}

static void any_length_place_and_cut_gives_the_same(void **state)
{
    (void)state;
    unsigned char bytes[100];
    for (int i = 0; i < 100; i++)
        bytes[i] = (unsigned char)(i * 77 + 5);
    for (size_t begin = 0; begin < 9; begin++) {
        for (size_t len = 0; begin + len <= sizeof bytes; len++) {
            uint32_t expected = literal_crc32c(bytes + begin, len);
            assert_int_equal(checksum_crc32c(0, bytes + begin, len), expected);
            uint32_t first = checksum_crc32c(0, bytes + begin, len / 3);
            assert_int_equal(checksum_crc32c(first, bytes + begin + len / 3, len - len / 3),
                             expected);
        }
    }
}

static void the_hash_is_fnv1a(void **state)
{
    (void)state;
    assert_true(checksum_hash(CHECKSUM_HASH, "", 0) == 0xcbf29ce484222325);
    assert_true(checksum_hash(CHECKSUM_HASH, "foobar", 6) == 0x85944171f73967e8);
    uint64_t half = checksum_hash(CHECKSUM_HASH, "foo", 3);
    assert_true(checksum_hash(half, "bar", 3) == 0x85944171f73967e8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_is_the_standard_one),
        cmocka_unit_test(any_length_place_and_cut_gives_the_same),
        cmocka_unit_test(the_hash_is_fnv1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
