/* The N-th allocation of a parse fails. Under ASan a parser that goes on regardless is seen. */
#include "server/json_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/failing_memory.h"

/* Strings around each size at which the parser's buffer grows, its closing quote included. */
static void a_parse_without_memory_gives_up(void **state)
{
    (void)state;
    char text[600];
    for (size_t len = 0; len < 520; len++) {
        char word[520] = "";
        memset(word, 'x', len);
        snprintf(text, sizeof text, "{\"a\":\"%s\"}", word);
        bool has_failed = true;
        for (long n = 1; has_failed; n++) {
            failing_memory_set(n, false);
            json_t *json = json_load_text(text, len + 8, 0, NULL);
            has_failed = failing_memory_count() >= n;
            failing_memory_set(0, false);
            assert_int_equal(json == NULL, has_failed);
            assert_int_equal(json_load_lacked_memory(), has_failed);
            if (json != NULL)
                assert_int_equal(json_string_length(json_object_get(json, "a")), len);
            json_decref(json);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_parse_without_memory_gives_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
