#include "core/base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/check.h"

/* What `write_it` writes to stderr. */
static const char *captured(void (*write_it)(void))
{
    static char text[16384];
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_NONBLOCK), 0);
    int saved = dup(STDERR_FILENO);
    dup2(pipe_fds[1], STDERR_FILENO);
    write_it();
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pipe_fds[1]);
    ssize_t n = read(pipe_fds[0], text, sizeof text - 1);
    close(pipe_fds[0]);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void write_hostile(void)
{
    struct log_field fields[] = {
        {.key = "n", .number = -3},
        {.key = "word", .text = "append"},
        {.key = "odd", .text = "a \"b\"\nc=\x01"},
    };
    log_event(LOG_LEVEL_INFO, "GET /a\nsinkd: error: forged", fields, 3);
}

static void text_lines_cannot_be_forged(void **state)
{
    (void)state;
    assert_string_equal(captured(write_hostile),
                        "sinkd: info: GET /a sinkd: error: forged n=-3 word=append "
                        "odd=\"a \\\"b\\\"\\u000ac=\\u0001\"\n");
}

static void json_lines_are_escaped(void **state)
{
    (void)state;
    log_set_format(LOG_FORMAT_JSON);
    const char *line = captured(write_hostile);
    log_set_format(LOG_FORMAT_TEXT);
    const char *rest = strstr(line, "Z\",\"level\"");
    assert_int_equal(strncmp(line, "{\"time\":\"20", 11), 0);
    assert_non_null(rest);
    assert_string_equal(rest, "Z\",\"level\":\"info\","
                              "\"message\":\"GET /a\\u000asinkd: error: forged\",\"n\":-3,"
                              "\"word\":\"append\",\"odd\":\"a \\\"b\\\"\\u000ac=\\u0001\"}\n");
}

static void write_bytes(void)
{
    log_event(LOG_LEVEL_INFO, "GET /\xff\xc3", NULL, 0);
}

static void json_lines_are_json_whatever_the_bytes(void **state)
{
    (void)state;
    log_set_format(LOG_FORMAT_JSON);
    const char *line = captured(write_bytes);
    log_set_format(LOG_FORMAT_TEXT);
    assert_non_null(strstr(line, "\"message\":\"GET /\\u00ff\\u00c3\"}\n"));
}

static void write_debug(void)
{
    log_debug("not now");
    log_warning("%s", "now");
}

static void levels_are_kept(void **state)
{
    (void)state;
    assert_string_equal(captured(write_debug), "sinkd: warning: now\n");
}

static void write_to_journal(void)
{
    struct stat st;
    char stream[64];
    fstat(STDERR_FILENO, &st);
    snprintf(stream, sizeof stream, "%lu:%lu", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_error("full");
    log_info("ready");
    unsetenv("JOURNAL_STREAM");
}

static void the_journal_gets_priorities(void **state)
{
    (void)state;
    assert_string_equal(captured(write_to_journal), "<3>full\n<6>ready\n");
}

static void write_long(void)
{
    static char long_text[20000];
    memset(long_text, 'x', sizeof long_text - 1);
    log_event(LOG_LEVEL_INFO, long_text, NULL, 0);
}

static void long_lines_are_cut_and_ended(void **state)
{
    (void)state;
    const char *line = captured(write_long);
    assert_true(strlen(line) <= 8192);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

static void limit_counts_what_it_leaves_out(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    int n_taken = 0, n_asked = 0;
    while (limit.n_dropped < 7) {
        n_taken += log_limit_take(&limit, 5);
        n_asked++;
    }
    /* A second may have ended in between, which gives five more. */
    assert_true(n_taken >= 5 && n_taken < n_asked);
    assert_false(log_limit_take(&limit, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines_cannot_be_forged),
        cmocka_unit_test(json_lines_are_escaped),
        cmocka_unit_test(json_lines_are_json_whatever_the_bytes),
        cmocka_unit_test(levels_are_kept),
        cmocka_unit_test(the_journal_gets_priorities),
        cmocka_unit_test(long_lines_are_cut_and_ended),
        cmocka_unit_test(limit_counts_what_it_leaves_out),
    };
    unsetenv("JOURNAL_STREAM");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
