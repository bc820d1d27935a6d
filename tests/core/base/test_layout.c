#include "core/base/layout.h"

#include <stdint.h>

#include "tests/support/check.h"

enum { N = 3 };

/* Of all the arrays' first bytes and of the bytes after the last one. */
static size_t lay_out(struct layout *layout, char *arrays[N])
{
    arrays[0] = layout_take(layout, 3, 5);
    arrays[1] = layout_take(layout, 0, 8);
    arrays[2] = layout_take(layout, 65, 1);
    return layout->n_used;
}

static void counts_before_it_hands_out(void **state)
{
    (void)state;
    _Alignas(LAYOUT_ALIGNMENT) char block[3 * LAYOUT_ALIGNMENT];
    char *arrays[N];
    struct layout counted = {0}, placed = {.block = block};
    assert_int_equal(lay_out(&counted, arrays), sizeof block);
    for (int i = 0; i < N; i++)
        assert_null(arrays[i]);
    assert_int_equal(lay_out(&placed, arrays), sizeof block);
    assert_ptr_equal(arrays[0], block);
    assert_ptr_equal(arrays[1], block + LAYOUT_ALIGNMENT);
    assert_ptr_equal(arrays[2], block + LAYOUT_ALIGNMENT);
    assert_false(counted.overflowed || placed.overflowed);
}

static void remembers_that_it_overflowed(void **state)
{
    (void)state;
    static const size_t too_many[][2] = {{SIZE_MAX / 2, 3}, {SIZE_MAX, 1}, {SIZE_MAX - 127, 1}};
    for (size_t i = 0; i < sizeof too_many / sizeof too_many[0]; i++) {
        char block[LAYOUT_ALIGNMENT];
        struct layout layout = {.block = block};
        assert_ptr_equal(layout_take(&layout, 1, 1), block);
        assert_false(layout.overflowed);
        layout_take(&layout, too_many[i][0], too_many[i][1]);
        layout_take(&layout, LAYOUT_ALIGNMENT, 1);
        assert_true(layout.overflowed);
        assert_null(layout_take(&layout, 1, 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_before_it_hands_out),
        cmocka_unit_test(remembers_that_it_overflowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
