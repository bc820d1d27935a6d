#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

#include "core/text/text_map.h"

enum { N_KEYS = 5000 };

static void finds_what_was_added(void **state)
{
    (void)state;
    static char keys[N_KEYS][16];
    struct text_map map;
    assert_true(text_map_init(&map, N_KEYS, NULL));
    for (int i = 0; i < N_KEYS; i++) {
        snprintf(keys[i], sizeof keys[i], "key%*d", i % 10, i);
        text_map_add(&map, keys[i], strlen(keys[i]), i);
    }
    for (int i = 0; i < N_KEYS; i++)
        assert_int_equal(text_map_get(&map, keys[i], strlen(keys[i])), i);
    assert_int_equal(text_map_get(&map, "key", 3), -1);
    assert_int_equal(text_map_get(&map, "other", 5), -1);
    text_map_done(&map);
}

static void keys_are_bytes(void **state)
{
    (void)state;
    struct text_map map;
    assert_true(text_map_init(&map, 4, NULL));
    text_map_add(&map, "a\0b", 3, 1);
    text_map_add(&map, "a\0c", 3, 2);
    text_map_add(&map, "a", 1, 3);
    text_map_add(&map, "a", 1, 4); /* the first stays */
    assert_int_equal(text_map_get(&map, "a\0b", 3), 1);
    assert_int_equal(text_map_get(&map, "a\0c", 3), 2);
    assert_int_equal(text_map_get(&map, "a", 1), 3);
    assert_int_equal(text_map_get(&map, "a\0", 2), -1);
    text_map_done(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(keys_are_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
