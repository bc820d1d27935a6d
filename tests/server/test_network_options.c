#include "server/network_options.h"

#include <string.h>

#include "core/base/err.h"
#include "server/options.h"
#include "tests/support/check.h"

static bool read_origins(const char *text, struct network_lists *lists, struct err *err)
{
    static struct options options;
    snprintf(options.cors_origin, sizeof options.cors_origin, "%s", text);
    return network_options_read_lists(&options, lists, err);
}

/* As browsers send them. */
static void origins_are_brought_into_their_form(void **state)
{
    (void)state;
    static struct network_lists lists;
    struct err err = {0};
    assert_true(read_origins("https://a.example/, http://b.example:8080 https://c.example:443,"
                             "http://d.example:80/, http://e.example:443, null, *",
                             &lists, &err));
    static const char *const expected[] = {"https://a.example",
                                           "http://b.example:8080",
                                           "https://c.example",
                                           "http://d.example",
                                           "http://e.example:443",
                                           "null",
                                           "*"};
    assert_int_equal(lists.cors_origins.n, sizeof expected / sizeof expected[0]);
    for (int i = 0; i < lists.cors_origins.n; i++)
        assert_string_equal(lists.cors_origins.items[i], expected[i]);
}

static void what_no_browser_sends_is_refused(void **state)
{
    (void)state;
    static struct network_lists lists;
    static const char *const wrong[] = {"chat.example.org",
                                        "https://chat.example.org/app",
                                        "https://*.example.org",
                                        "https://",
                                        "://x",
                                        "**"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct err err = {0};
        assert_false(read_origins(wrong[i], &lists, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.text, "--cors-origin: \""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origins_are_brought_into_their_form),
        cmocka_unit_test(what_no_browser_sends_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
