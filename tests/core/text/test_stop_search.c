#include "tests/support/check.h"

#include <string.h>

#include "core/base/err.h"
#include "core/text/stop_search.h"

static const struct stop_shelter shelters[] = {
    {.open = "<t>", .close = "</t>", .is_first = true},
    {.open = "{", .is_first = true},
    {.open = "[call]", .close = "[end]"},
    {.open = "<noise>", .close = ""},
    {.open = "[rest]"},
};
enum { N_SHELTERS = sizeof shelters / sizeof shelters[0] };

static int met; /* the stop string that the last search found; -1: none */

/* What is left of the text. What might be cut off is never out before it is known. */
static const char *search_in(const struct stop_shelter *list, int n, const char *const *stops,
                             int n_stops, const char *text)
{
    static char result[256];
    struct stop_search search;
    struct err err;
    size_t len = strlen(text), i = 0, n_out = 0;
    assert_true(stop_search_init(&search, stops, n_stops, list, n, &err));
    while (i < len && search.n_cut == 0) {
        stop_search_push(&search, text[i++]);
        size_t n_safe = i - (search.n_cut > 0 ? search.n_cut : search.n_keep);
        assert_true(n_safe >= n_out);
        n_out = n_safe;
    }
    if (search.n_cut == 0)
        n_out = len - stop_search_end(&search);
    met = stop_search_met(&search);
    memcpy(result, text, n_out);
    result[n_out] = '\0';
    stop_search_done(&search);
    return result;
}

static const char *search(const char *stop, const char *text)
{
    return search_in(shelters, N_SHELTERS, &stop, 1, text);
}

static void text_ends_at_a_stop_string(void **state)
{
    (void)state;
    assert_string_equal(search("xy", "ab xxyc"), "ab x");
    assert_string_equal(search("xy", "ab x"), "ab x");
    assert_string_equal(search("xy", ""), "");
}

static void inside_a_shelter_nothing_stops(void **state)
{
    (void)state;
    assert_string_equal(search("xy", "a [call]xy[end] xyz"), "a [call]xy[end] ");
    assert_string_equal(search("xy", "[call]x[end]y xyz"), "[call]x[end]y ");
    assert_string_equal(search("xy", "x[call][end]y"), "x[call][end]y");
    assert_string_equal(search("xy", "[call]xy[en[end]xy"), "[call]xy[en[end]");
    assert_string_equal(search("xy", "[rest]xy[end]xy"), "[rest]xy[end]xy");
    assert_string_equal(search("xy", "<noise>axyb"), "<noise>a");
}

static void a_mark_is_no_stop_string_but_what_looks_like_one_is(void **state)
{
    (void)state;
    assert_string_equal(search("[", "a [call]xy[end] [z"), "a [call]xy[end] ");
    assert_int_equal(met, 0);
    assert_string_equal(search("[", "a [call]xy"), "a [call]xy");
    assert_int_equal(met, -1);
    assert_string_equal(search("a", "[call]xy[end] a"), "[call]xy[end] ");
    assert_string_equal(search(" [", "ab [call][end]c"), "ab [call][end]c");
    assert_string_equal(search("[", "ab [calm]"), "ab ");
    assert_string_equal(search("[", "ab [cal"), "ab ");
    assert_int_equal(met, 0);
    assert_string_equal(search("[", "ab [ca[call]"), "ab ");
    assert_string_equal(search("b", "ab[call]"), "a");
    assert_string_equal(search("s", "<noise>is"), "<noise>i");
}

static void some_shelters_stand_only_first(void **state)
{
    (void)state;
    assert_string_equal(search("xy", " \n{xy}"), " \n{xy}");
    assert_string_equal(search("xy", "a{xy}"), "a{");
    assert_string_equal(search("xy", "<t>xy</t> {xy}"), "<t>xy</t> {xy}");
    assert_string_equal(search("xy", "<t>xy</t>a{xy}"), "<t>xy</t>a{");
    assert_string_equal(search("xy", "<t>x</t><t>xy"), "<t>x</t><t>");
    assert_string_equal(search("xy", "a<t>xy"), "a<t>");
    assert_string_equal(search("<", "<x"), "");
}

static void a_text_may_begin_inside(void **state)
{
    (void)state;
    const char *const stops[] = {"xy"};
    const struct stop_shelter begun[] = {
        {.open = "", .close = "</t>", .is_first = true},
        {.open = "{", .is_first = true},
    };
    const struct stop_shelter all = {.open = ""};
    assert_string_equal(search_in(begun, 2, stops, 1, "xy</t> xy"), "xy</t> ");
    assert_string_equal(search_in(begun, 2, stops, 1, "xy</t> {xy"), "xy</t> {xy");
    assert_string_equal(search_in(&all, 1, stops, 1, "xyxy"), "xyxy");
}

static void whichever_is_complete_first_wins(void **state)
{
    (void)state;
    const char *const stops[] = {"bcd", "c", "bc"};
    assert_string_equal(search_in(NULL, 0, stops, 3, "abcd"), "a");
    assert_int_equal(met, 2);
    assert_string_equal(search_in(NULL, 0, stops, 2, "abcd"), "ab");
    assert_int_equal(met, 1);
    assert_string_equal(search_in(NULL, 0, stops, 1, "abcbcd"), "abc");
    assert_int_equal(met, 0);
    assert_string_equal(search_in(NULL, 0, stops, 1, "abcbc"), "abcbc");
    assert_int_equal(met, -1);
}

static void too_many_are_refused(void **state)
{
    (void)state;
    const char *stops[STOP_SEARCH_MAX_STOPS + 1];
    struct stop_search search;
    struct err err = {0};
    for (int i = 0; i <= STOP_SEARCH_MAX_STOPS; i++)
        stops[i] = "x";
    assert_false(stop_search_init(&search, stops, STOP_SEARCH_MAX_STOPS + 1, NULL, 0, &err));
    assert_int_equal(err.code, ERR_INVALID);
    stop_search_done(&search);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_ends_at_a_stop_string),
        cmocka_unit_test(inside_a_shelter_nothing_stops),
        cmocka_unit_test(a_mark_is_no_stop_string_but_what_looks_like_one_is),
        cmocka_unit_test(some_shelters_stand_only_first),
        cmocka_unit_test(a_text_may_begin_inside),
        cmocka_unit_test(whichever_is_complete_first_wins),
        cmocka_unit_test(too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
