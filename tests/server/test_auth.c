#include "server/auth.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "tests/support/check.h"

static bool open_with(const char *text, struct auth **out, struct err *err)
{
    char path[] = "/tmp/sinkd-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    bool is_open = auth_open(out, path, err);
    unlink(path);
    return is_open;
}

static void without_a_file_everybody_is_served(void **state)
{
    (void)state;
    struct auth *auth = NULL;
    assert_true(auth_open(&auth, NULL, NULL));
    assert_false(auth_is_required(auth));
    assert_int_equal(auth_find_owner(auth, NULL, NULL), 0);
    assert_int_equal(auth_find_owner(auth, "Bearer anything", "x"), 0);
    auth_close(&auth);
}

static void each_key_is_an_owner(void **state)
{
    (void)state;
    struct auth *auth = NULL;
    assert_true(open_with("# keys\r\n\n  first-key  \r\nsecond key\n#third-key\n", &auth, NULL));
    assert_true(auth_is_required(auth));
    assert_int_equal(auth_find_owner(auth, "Bearer first-key", NULL), 0);
    assert_int_equal(auth_find_owner(auth, "bearer  second key", NULL), 1);
    assert_int_equal(auth_find_owner(auth, NULL, "second key"), 1);
    assert_int_equal(auth_find_owner(auth, "Bearer first-ke", NULL), -1);
    assert_int_equal(auth_find_owner(auth, "Bearer first-key1", NULL), -1);
    assert_int_equal(auth_find_owner(auth, "Bearer #third-key", NULL), -1);
    assert_int_equal(auth_find_owner(auth, "Bearer ", NULL), -1);
    assert_int_equal(auth_find_owner(auth, "Basic first-key", NULL), -1);
    assert_int_equal(auth_find_owner(auth, NULL, NULL), -1);
    assert_int_equal(auth_find_owner(auth, NULL, ""), -1);
    char large[1000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_int_equal(auth_find_owner(auth, NULL, large), -1);
    auth_close(&auth);
}

static void files_without_good_keys_are_refused(void **state)
{
    (void)state;
    struct auth *auth = NULL;
    struct err err;
    log_set_level(LOG_LEVEL_ERROR);
    assert_false(open_with("# nothing\n", &auth, &err));
    assert_non_null(strstr(err.text, "no key"));
    assert_false(open_with("good-enough-key\nshort\n", &auth, &err));
    assert_non_null(strstr(err.text, "line 2"));
    char large[400];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_false(open_with(large, &auth, &err));
    assert_false(auth_open(&auth, "/nowhere/keys", &err));
    assert_non_null(strstr(err.text, "/nowhere/keys"));
    assert_null(auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_everybody_is_served),
        cmocka_unit_test(each_key_is_an_owner),
        cmocka_unit_test(files_without_good_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
