#include "tests/support/check.h"

#include <string.h>

#include "core/text/merger.h"
#include "tests/core/text/random.h"

/* Rules for symbols that are letters: "ab" merges to 'a' with the key in the table. */
struct rules {
    uint32_t keys[128][128]; /* + 1; 0: no merge */
};

static bool find_pair(const void *rules, struct merge_pair *pair)
{
    uint32_t key = ((const struct rules *)rules)->keys[pair->left][pair->right];
    pair->key = key - 1;
    pair->merged = pair->left;
    return key > 0;
}

/* The definition: as long as any pair merges, merge the one with the least key, leftmost first. */
static size_t merge_slowly(const struct rules *rules, char *symbols, size_t n)
{
    for (;;) {
        size_t best = n;
        for (size_t i = 0; i + 1 < n; i++) {
            uint32_t key = rules->keys[(int)symbols[i]][(int)symbols[i + 1]];
            if (key > 0 &&
                (best == n || key < rules->keys[(int)symbols[best]][(int)symbols[best + 1]]))
                best = i;
        }
        if (best == n)
            return n;
        memmove(symbols + best + 1, symbols + best + 2, n - best - 2);
        n--;
    }
}

static void agrees_with_the_definition(void **state)
{
    (void)state;
    static struct rules rules;
    struct merger merger;
    merger_init(&merger);
    uint32_t random = 5;
    for (int round = 0; round < 3000; round++) {
        memset(&rules, 0, sizeof rules);
        for (int i = 0; i < 8; i++)
            rules.keys['a' + random_below(&random, 4)]['a' + random_below(&random, 4)] =
                1 + (uint32_t)random_below(&random, 4);
        char text[32];
        size_t n = (size_t)random_below(&random, 32);
        assert_true(merger_begin(&merger, n, NULL));
        for (size_t i = 0; i < n; i++) {
            text[i] = (char)('a' + random_below(&random, 4));
            merger_add(&merger, i, text[i]);
        }
        merger_run(&merger, text, n, find_pair, &rules);
        size_t expected = merge_slowly(&rules, text, n);

        int32_t symbol;
        size_t i = 0, begin, end, last = 0, count = 0;
        while (merger_next(&merger, &i, &symbol, &begin, &end)) {
            assert_true(count < expected);
            assert_int_equal(symbol, text[count++]);
            assert_int_equal(begin, last);
            last = end;
        }
        assert_int_equal(count, expected);
        assert_int_equal(last, n);
    }
    merger_done(&merger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_definition)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
