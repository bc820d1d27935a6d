#include "server/auth.h"

#include <stdio.h>
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
    assert_int_equal(auth_find_owner(auth, "Bearer ", "first-key"), 0); /* no credentials */
    char large[1000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_int_equal(auth_find_owner(auth, NULL, large), -1);
    auth_close(&auth);
}

static void there_may_be_ten_thousand_keys(void **state)
{
    (void)state;
    enum { N = 10000, LINE = 24 };
    static char text[(N + 1) * LINE];
    struct auth *auth = NULL;
    struct err err = {0};
    for (size_t i = 0, len = 0; i <= N; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "a-good-key-%05zu\n", i);
    assert_false(open_with(text, &auth, &err));
    assert_non_null(strstr(err.text, "line 10001: there may be at most 10000 keys"));
    strstr(text, "a-good-key-10000")[0] = '\0';
    if (!open_with(text, &auth, &err))
        fail_msg("%s", err.text);
    assert_int_equal(auth_n_keys(auth), N);
    assert_int_equal(auth_find_owner(auth, "Bearer a-good-key-09999", NULL), N - 1);
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
    char comment[600] = "good-enough-key\n"; /* the end of a comment is no key */
    memset(comment + strlen(comment), '#', sizeof comment - strlen(comment) - 1);
    assert_false(open_with(comment, &auth, &err));
    assert_non_null(strstr(err.text, "line 2 is longer than"));
    char name[100];
    snprintf(name, sizeof name, "%064d: good-enough-key\n", 0);
    assert_false(open_with(name, &auth, &err));
    assert_non_null(strstr(err.text, "line 1: a name must have 1 to 63 characters"));
    assert_false(open_with(": good-enough-key\n", &auth, &err));
    assert_non_null(strstr(err.text, "a name must have"));
    assert_false(auth_open(&auth, "/", &err));
    assert_non_null(strstr(err.text, "Is a directory"));
    assert_false(auth_open(&auth, "/nowhere/keys", &err));
    assert_non_null(strstr(err.text, "/nowhere/keys"));
    assert_null(auth);
}

static void write_keys(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void names_own_their_keys_through_a_reload(void **state)
{
    (void)state;
    char path[] = "/tmp/sinkd-test-XXXXXX";
    close(mkstemp(path));
    struct auth *auth = NULL;
    struct err err;
    struct auth_digest alice, plain, digest;
    write_keys(path, "alice: alice-key-1\nplain-key\nbob: bobs-own-key\n");
    assert_true(auth_open(&auth, path, &err));
    assert_string_equal(auth_owner_name(auth, 0), "alice");
    assert_null(auth_owner_name(auth, 1));
    assert_int_equal(auth_find_owner(auth, "Bearer bobs-own-key", NULL), 2);
    assert_int_equal(auth_find_owner(auth, "Bearer alice: alice-key-1", NULL), -1);
    auth_read_digest(auth, 0, &alice);
    auth_read_digest(auth, 1, &plain);

    write_keys(path, "plain-key\nalice: alice-key-2\nalice:   alice-key-1  \ncarol: carols-key\n");
    assert_true(auth_reload(auth, &err));
    assert_int_equal(auth_n_keys(auth), 4);
    assert_int_equal(auth_find_owner(auth, "Bearer alice-key-1", NULL), 0);
    assert_int_equal(auth_find_owner(auth, "Bearer alice-key-2", NULL), 0);
    assert_int_equal(auth_find_owner(auth, "Bearer plain-key", NULL), 1);
    assert_int_equal(auth_find_owner(auth, "Bearer bobs-own-key", NULL), -1);
    assert_int_equal(auth_find_owner(auth, "Bearer carols-key", NULL), 3);

    write_keys(path, "# nothing\n");
    assert_false(auth_reload(auth, &err));
    assert_int_equal(auth_find_owner(auth, "Bearer plain-key", NULL), 1);
    auth_close(&auth);

    /* What stands for an owner does not depend on the order, and differs from name to key. */
    write_keys(path, "alice-key-1\nplain-key\nalice: other-key\n");
    assert_true(auth_open(&auth, path, &err));
    auth_read_digest(auth, 2, &digest);
    assert_string_equal(digest.hex, alice.hex);
    auth_read_digest(auth, 1, &digest);
    assert_string_equal(digest.hex, plain.hex);
    assert_int_equal(strlen(plain.hex), 64);
    auth_read_digest(auth, 7, &digest);
    assert_string_equal(digest.hex, "anyone");
    auth_close(&auth);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_everybody_is_served),
        cmocka_unit_test(each_key_is_an_owner),
        cmocka_unit_test(there_may_be_ten_thousand_keys),
        cmocka_unit_test(files_without_good_keys_are_refused),
        cmocka_unit_test(names_own_their_keys_through_a_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
