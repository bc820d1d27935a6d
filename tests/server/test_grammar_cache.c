#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/grammar.h"
#include "server/grammar_cache.h"

static struct grammar *get(struct grammar_cache *cache, int i)
{
    char text[64];
    struct grammar *grammar = NULL;
    snprintf(text, sizeof text, "root ::= \"%d\"", i);
    assert_true(grammar_cache_get(cache, text, strlen(text), &grammar, NULL));
    return grammar;
}

static void the_least_recently_used_make_room(void **state)
{
    (void)state;
    struct grammar_cache *cache = NULL;
    assert_true(grammar_cache_new(&cache, 1 << 20, NULL));
    struct grammar *kept = get(cache, 0);
    for (int i = 1; i < 1000; i++) {
        struct grammar *other = get(cache, i), *same = get(cache, 0);
        assert_ptr_equal(same, kept); /* used all the time */
        grammar_free(&other);
        grammar_free(&same);
    }
    grammar_free(&kept);
    grammar_cache_free(&cache);
    assert_null(cache);
}

static void what_is_too_large_is_not_kept(void **state)
{
    (void)state;
    struct grammar_cache *cache = NULL;
    assert_true(grammar_cache_new(&cache, 16, NULL));
    struct grammar *first = get(cache, 1), *second = get(cache, 1);
    assert_ptr_not_equal(first, second);
    grammar_free(&first);
    grammar_free(&second);
    grammar_cache_free(&cache);
    first = get(NULL, 1); /* without a cache */
    grammar_free(&first);
}

static void a_bad_text_is_an_error_each_time(void **state)
{
    (void)state;
    struct grammar_cache *cache = NULL;
    struct grammar *grammar = NULL;
    struct err err;
    assert_true(grammar_cache_new(&cache, 1 << 20, NULL));
    for (int i = 0; i < 3; i++) {
        assert_false(grammar_cache_get(cache, "root", 4, &grammar, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_null(grammar);
    }
    grammar_cache_free(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_recently_used_make_room),
        cmocka_unit_test(what_is_too_large_is_not_kept),
        cmocka_unit_test(a_bad_text_is_an_error_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
