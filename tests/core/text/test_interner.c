#include "tests/support/check.h"

#include "core/text/interner.h"

enum { N = 5000 };

static void lists_keep_their_numbers(void **state)
{
    (void)state;
    struct interner interner;
    interner_init(&interner);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < N; i++) {
            uint64_t words[3] = {i, i / 7, (uint64_t)i << 40};
            uint32_t number = UINT32_MAX;
            bool is_new = round != 0;
            assert_true(interner_add(&interner, words, i % 4, &number, &is_new));
            if (i % 4 == 0) /* the empty list, over and over */
                assert_int_equal(number, 0);
            else
                assert_int_equal(is_new, round == 0);
            uint32_t n;
            const uint64_t *known = interner_words(&interner, number, &n);
            assert_int_equal(n, i % 4);
            if (n > 0)
                assert_memory_equal(known, words, n * sizeof *words);
        }
    }
    assert_true(interner_bytes(&interner) > N);
    uint64_t word = 1;
    uint32_t number;
    bool is_new;
    interner_clear(&interner);
    assert_true(interner_add(&interner, &word, 1, &number, &is_new));
    assert_true(is_new);
    assert_int_equal(number, 0);
    interner_done(&interner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists_keep_their_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
