/* Texts: cut to a number of tokens, read from ids, repeated for ever. */
#include "eval/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "eval/subject.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

static struct subject subject;
static char path[64];

static int open_subject(void **state)
{
    (void)state;
    return subject_open(&subject, TINY_MODEL_PATH, 1, NULL) ? 0 : -1;
}

static int close_subject(void **state)
{
    (void)state;
    subject_close(&subject);
    return 0;
}

static void write_file(const char *content, const char *ending)
{
    snprintf(path, sizeof path, "/tmp/sinkd-text-XXXXXX%s", ending);
    int fd = mkstemps(path, (int)strlen(ending));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

/* The text is removed again. */
static bool read_file(const char *content, const char *ending, int64_t max_tokens, struct text *out,
                      struct err *err)
{
    write_file(content, ending);
    bool is_read = text_init(out, &subject, path, max_tokens, err);
    unlink(path);
    return is_read;
}

static void test_cut(void **state)
{
    (void)state;
    struct text whole, cut;
    struct err err = {0};
    /* Three bytes per character, so a cut by bytes falls inside of one. */
    char content[3001] = "";
    for (int i = 0; i < 1000; i++)
        strcat(content, "\u20ac");
    assert_true(read_file(content, "", 0, &whole, &err));
    assert_true(whole.has_bos);
    for (int64_t n = 2; n < 60; n++) {
        assert_true(read_file(content, "", n, &cut, &err));
        assert_int_equal(cut.tokens.n, n);
        assert_memory_equal(cut.tokens.ids, whole.tokens.ids, (size_t)n * sizeof(int32_t));
        text_done(&cut);
    }
    text_done(&whole);
}

static void test_circle(void **state)
{
    (void)state;
    struct text text;
    struct err err = {0};
    int32_t ids[8];
    assert_true(read_file("[1, 10, 11, 12]", ".json", 0, &text, &err));
    assert_true(text.has_bos);
    text_copy(&text, 2, 8, ids);
    assert_memory_equal(ids, ((int32_t[]){11, 12, 10, 11, 12, 10, 11, 12}), sizeof ids);
    text_copy(&text, 4000000000000, 4, ids);
    assert_int_equal(ids[0], 10 + (4000000000000 - 1) % 3);
    text_done(&text);
    assert_true(read_file("[10, 11, 12]", ".json", 0, &text, &err));
    assert_false(text.has_bos);
    text_copy(&text, 0, 6, ids);
    assert_memory_equal(ids, ((int32_t[]){10, 11, 12, 10, 11, 12}), 6 * sizeof ids[0]);
    text_done(&text);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *content, *ending;
        enum err_code code;
    } wrong[] = {
        {"", "", ERR_INVALID},
        {"[1]", ".json", ERR_INVALID},
        {"{}", ".json", ERR_FORMAT},
        {"[1, 2", ".json", ERR_FORMAT},
        {"[1, -2]", ".json", ERR_FORMAT},
        {"[1, 512]", ".json", ERR_FORMAT},
        {"[1, 99999999999]", ".json", ERR_FORMAT},
        {"[1, \"2\"]", ".json", ERR_FORMAT},
        {"[1, 2.0]", ".json", ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct text text;
        struct err err = {0};
        assert_false(read_file(wrong[i].content, wrong[i].ending, 0, &text, &err));
        assert_int_equal(err.code, wrong[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_circle),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, open_subject, close_subject);
}
