#include "server/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "tests/support/check.h"

static struct options options;
static struct err err;

static bool read_args(const char *a, const char *b, const char *c)
{
    char *argv[] = {"sinkd", (char *)a, (char *)b, (char *)c, NULL};
    int argc = 1;
    while (argv[argc] != NULL)
        argc++;
    memset(&options, 0, sizeof options);
    err = (struct err){0};
    return options_read(&options, argc, argv, &err);
}

static void defaults_hold(void **state)
{
    (void)state;
    assert_true(read_args(NULL, NULL, NULL));
    assert_string_equal(options.host, "127.0.0.1");
    assert_int_equal(options.port, 8080);
    assert_int_equal(options.sinks, 4);
    assert_int_equal(options.kv_type, KV_F16);
    assert_int_equal(options.max_body_bytes, 16 * 1024 * 1024);
    assert_false(options.show_help);
}

static void flags_take_both_forms(void **state)
{
    (void)state;
    assert_true(read_args("--port=1234", "--model", "x.gguf"));
    assert_int_equal(options.port, 1234);
    assert_string_equal(options.model, "x.gguf");
    assert_true(read_args("--kv-memory=1.5G", NULL, NULL) == false);
    assert_true(read_args("--kv-memory=3g", "--no-auth", "-h"));
    assert_int_equal(options.kv_memory_bytes, 3LL * 1024 * 1024 * 1024);
    assert_true(options.no_auth);
    assert_true(options.show_help);
}

static void wrong_values_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *part;
    } cases[] = {
        {"--port=http", "--port"},
        {"--port=70000", "65535"},
        {"--port=-1", "--port"},
        {"--port=", "--port"},
        {"--port=99999999999999999999", "--port"},
        {"--temperature=nan", "--temperature"},
        {"--temperature=2.5", "from 0 to 2"},
        {"--max-body=1X", "512M"},
        {"--kv-memory=12GiB", "512M"},
        {"--response-ttl=12hours", "30d"},
        {"--kv-type=q1", "q1"},
        {"--mode=infinite", "streaming, window, recompute, dense"},
        {"--log-level=loud", "loud"},
        {"--durability=never", "always, everysec"},
        {"--response-ttl=3w", "30d"},
        {"--response-ttl=-1d", "--response-ttl"},
        {"--no-auth=maybe", "maybe"},
        {"--nothing", "--nothing"},
        {"--", "--"},
        {"model.gguf", "model.gguf"},
        {"--model", "--model needs"},
        {"--config=/nowhere/x", "/nowhere/x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(read_args(cases[i].flag, NULL, NULL));
        if (strstr(err.text, cases[i].part) == NULL)
            fail_msg("%s: %s", cases[i].flag, err.text);
    }
}

static void write_config(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void flag_beats_environment_beats_file(void **state)
{
    (void)state;
    char path[] = "/tmp/sinkd-test-XXXXXX";
    write_config(path, "# ours\nwindow = 1\nsinks = 1\nthreads=1\ntop-k = 1\n");
    setenv("SINKD_SINKS", "2", 1);
    setenv("SINKD_THREADS", "2", 1);
    setenv("SINKD_CONFIG", path, 1);
    assert_true(read_args("--threads", "3", NULL));
    assert_int_equal(options.window, 1);
    assert_int_equal(options.top_k, 1);
    assert_int_equal(options.sinks, 2);
    assert_int_equal(options.threads, 3);
    setenv("SINKD_SINKS", "many", 1);
    assert_false(read_args(NULL, NULL, NULL));
    assert_non_null(strstr(err.text, "SINKD_SINKS"));
    unsetenv("SINKD_SINKS");
    unsetenv("SINKD_THREADS");
    unsetenv("SINKD_CONFIG");
    unlink(path);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    static char long_line[5000], long_value[2000], long_nonsense[2000];
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"window = big\n", "window"},         {"windows = 1\n", "windows"},
        {"[server]\nwindow = 1\n", "server"}, {"config = /another/file\nwindow = big\n", "config"},
        {"port = 1\nnonsense\n", "line 2"},   {"alias = x\n  nonsense\n", "line 2"},
        {long_line, "line 1 is longer than"}, {long_value, "1023"},
        {long_nonsense, "line 1 is not"},
    };
    snprintf(long_line, sizeof long_line, "alias = %04900d", 0);
    snprintf(long_value, sizeof long_value, "alias = %01024d", 0);
    snprintf(long_nonsense, sizeof long_nonsense, "%01000d", 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[] = "/tmp/sinkd-test-XXXXXX";
        write_config(path, cases[i].text);
        assert_false(read_args("--config", path, NULL));
        if (strstr(err.text, cases[i].part) == NULL || strstr(err.text, path) == NULL)
            fail_msg("%s: %s", cases[i].text, err.text);
        unlink(path);
    }
}

/* inih would take such a line for more of the value before it. */
static void lines_may_be_indented(void **state)
{
    (void)state;
    char path[] = "/tmp/sinkd-test-XXXXXX";
    write_config(path, "alias = x\n  window = 77\n\n\t; a comment\n\tport = 5\n");
    assert_true(read_args("--config", path, NULL));
    assert_string_equal(options.alias, "x");
    assert_int_equal(options.window, 77);
    assert_int_equal(options.port, 5);
    unlink(path);
}

/* inih's own limit is 200 bytes. */
static void lines_may_be_long(void **state)
{
    (void)state;
    static char text[9000], value[OPTIONS_MAX_TEXT];
    memset(value, '/', sizeof value - 1);
    value[300] = ';'; /* no comment: no blank before it */
    value[400] = ' ';
    snprintf(text, sizeof text, "port = 5\n\t model =  %s \t; and a comment\r\n# %01000d\nalias:%s",
             value, 0, value);
    char path[] = "/tmp/sinkd-test-XXXXXX";
    write_config(path, text);
    if (!read_args("--config", path, NULL))
        fail_msg("%s", err.text);
    assert_string_equal(options.model, value);
    assert_string_equal(options.alias, value);
    assert_int_equal(options.port, 5);
    unlink(path);
}

static void a_file_that_cannot_be_read_is_no_empty_one(void **state)
{
    (void)state;
    assert_false(read_args("--config", "/", NULL));
    assert_string_equal(err.text, "configuration file /: Is a directory");
}

/* The shipped file says what holds without it, and --help lists each of its keys. */
static void shipped_configuration_states_the_defaults(void **state)
{
    (void)state;
    static struct options defaults;
    assert_true(read_args(NULL, NULL, NULL));
    defaults = options;
    assert_true(read_args("--config", "config/sinkd.ini", NULL));
    memset(options.config, 0, sizeof options.config);
    options.argc = defaults.argc;
    options.argv = defaults.argv;
    assert_memory_equal(&options, &defaults, sizeof options);
}

static void reloading_changes_what_it_may(void **state)
{
    (void)state;
    char path[] = "/tmp/sinkd-test-XXXXXX";
    write_config(path, "window = 100\ntemperature = 0.5\nallowed-host = a.example, b\n");
    char *argv[] = {"sinkd", "--config", path, "--max-body", "2M", NULL};
    assert_true(options_read(&options, 5, argv, &err));
    static struct options before;

    FILE *file = fopen(path, "w");
    fputs("window = 200\ntemperature = 0.25\nallowed-host = b\nmax-body = 3M\n"
          "log-level = error\n",
          file);
    fclose(file);
    log_set_level(LOG_LEVEL_ERROR);
    assert_true(options_reload(&options, &err));
    assert_int_equal(options.window, 100);
    assert_true(options.temperature == 0.25F);
    assert_string_equal(options.allowed_host, "b");
    assert_int_equal(options.max_body_bytes, 2 * 1024 * 1024); /* a flag beats the file */
    assert_int_equal(options.log_level, LOG_LEVEL_ERROR);

    file = fopen(path, "w");
    fputs("temperature = 0.75\nwindows = 3\n", file);
    fclose(file);
    before = options;
    assert_false(options_reload(&options, &err));
    assert_non_null(strstr(err.text, "windows"));
    assert_memory_equal(&options, &before, sizeof options);
    unlink(path);
}

/* What reloading writes to the log. */
static void reload_logged(char *out, size_t size)
{
    FILE *log = tmpfile();
    int before = dup(STDERR_FILENO);
    assert_true(log != NULL && before >= 0 && dup2(fileno(log), STDERR_FILENO) >= 0);
    bool is_good = options_reload(&options, &err);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(log);
    out[fread(out, 1, size - 1, log)] = '\0';
    fclose(log);
    assert_true(is_good);
}

static void reloading_warns_of_what_has_changed_and_nothing_else(void **state)
{
    (void)state;
    const struct {
        const char *before, *after, *warned;
    } cases[] = {
        {"host = a", "host = b", "host"},
        {"reasoning = none", "", "reasoning"},
        {"no-page = yes", "no-page = no", "no-page"},
        {"kv-disk = 1G", "kv-disk = 2G", "kv-disk"},
        {"mode = window", "mode = dense", "mode"},
        {"response-ttl = 1d", "", "response-ttl"},
        {"system-share = 0.5", "", "system-share"},
        {"port = 1", "port = 2", "port"},
    };
    log_set_level(LOG_LEVEL_WARNING);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[] = "/tmp/sinkd-test-XXXXXX", wanted[100], log[1000];
        write_config(path, cases[i].before);
        char *argv[] = {"sinkd", "--config", path, NULL};
        assert_true(options_read(&options, 3, argv, &err));
        FILE *file = fopen(path, "w");
        fputs(cases[i].after, file);
        fclose(file);
        reload_logged(log, sizeof log);
        unlink(path);
        snprintf(wanted, sizeof wanted, " %s changes with a restart only\n", cases[i].warned);
        char *said = strstr(log, wanted);
        assert_non_null(said);
        assert_string_equal(said + strlen(wanted), ""); /* and the line is the only one */
        assert_null(memchr(log, '\n', (size_t)(said - log)));
    }
    log_set_level(LOG_LEVEL_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold),
        cmocka_unit_test(flags_take_both_forms),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(flag_beats_environment_beats_file),
        cmocka_unit_test(wrong_files_are_named),
        cmocka_unit_test(lines_may_be_indented),
        cmocka_unit_test(lines_may_be_long),
        cmocka_unit_test(a_file_that_cannot_be_read_is_no_empty_one),
        cmocka_unit_test(shipped_configuration_states_the_defaults),
        cmocka_unit_test(reloading_changes_what_it_may),
        cmocka_unit_test(reloading_warns_of_what_has_changed_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
