/* Each command on a tiny model, from its flags to its files; wrong flags. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "eval/command.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

#define TOKENS "tests/fixtures/golden/llama-gqa-tied/tokens.json"

enum { MAX_ARGS = 24 };

static char folder[] = "/tmp/sinkd-eval-XXXXXX";
static char json_path[100], csv_path[100], plot_path[100], questions_path[100];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(json_path, sizeof json_path, "%s/a.json", folder);
    snprintf(csv_path, sizeof csv_path, "%s/a.csv", folder);
    snprintf(plot_path, sizeof plot_path, "%s/a.svg", folder);
    snprintf(questions_path, sizeof questions_path, "%s/q.jsonl", folder);
    FILE *file = fopen(questions_path, "we");
    if (file == NULL)
        return -1;
    fputs("{\"question_id\": 7, \"turns\": [\"Who is \\u201cit\\u201d?\", \"Why?\"]}\n\n"
          "{\"turns\": [\"And?\"]}\n",
          file);
    return fclose(file);
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(json_path);
    unlink(csv_path);
    unlink(plot_path);
    unlink(questions_path);
    return rmdir(folder);
}

/* Splits at spaces; a command line is long enough for no quoting. */
static bool run(const char *name, const char *flags, struct err *err)
{
    char text[1000];
    char *argv[MAX_ARGS];
    int argc = 0;
    char *rest;
    snprintf(text, sizeof text, "%s", flags);
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        assert_true(argc < MAX_ARGS);
        argv[argc++] = word;
    }
    const struct command *command = command_find(name);
    assert_non_null(command);
    *err = (struct err){0};
    return command_run(command, argc, argv, err);
}

/* Runs with all outputs; the JSON is the caller's. */
static json_t *run_good(const char *name, const char *flags)
{
    char all[900];
    struct err err;
    struct stat plot;
    snprintf(all, sizeof all, "--model %s --threads 1 --json %s --csv %s --plot %s %s",
             TINY_MODEL_PATH, json_path, csv_path, plot_path, flags);
    if (!run(name, all, &err))
        fail_msg("%s: %s", name, err.text);
    json_t *json = json_load_file(json_path, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "command")), name);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(json, "settings"), "architecture")),
        "llama");
    if (stat(plot_path, &plot) == 0)
        assert_true(plot.st_size > 1000);
    else
        print_message("skipped: no figure without gnuplot\n");
    return json;
}

static const json_t *row_of(const json_t *json, const char *table, size_t row)
{
    const json_t *found = json_array_get(json_object_get(json, table), row);
    assert_non_null(found);
    return found;
}

static double number_of(const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);
    if (!json_is_number(value))
        fail_msg("no number \"%s\"", name);
    return json_number_value(value);
}

static size_t count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    size_t n = 0;
    assert_non_null(file);
    for (int c; (c = fgetc(file)) != EOF;)
        n += c == '\n';
    fclose(file);
    return n;
}

static void test_perplexity(void **state)
{
    (void)state;
    json_t *json = run_good("perplexity", "--text " TOKENS " --window 32 --sinks 0,4 --kv-type f32 "
                                          "--modes streaming,newlines,window,recompute,dense");
    const json_t *summary = json_object_get(json, "summary");
    /* window, streaming, newlines, dense; then these and recompute on every fourth token. Sinks 0
     * is the window, whichever way it is asked for. */
    assert_int_equal(json_array_size(summary), 9);
    size_t i;
    json_t *row;
    json_array_foreach(summary, i, row)
    {
        assert_int_equal(number_of(row, "tokens"), i < 4 ? 299 : 74);
        assert_int_equal(number_of(row, "every"), i < 4 ? 1 : 4);
        assert_true(number_of(row, "in_window") > 1);
        assert_true(number_of(row, "to_context") > 1);
        assert_null(json_object_get(row, "beyond"));
    }
    assert_int_equal(count_lines(csv_path), json_array_size(json_object_get(json, "samples")) + 1);
    json_decref(json);
}

static void test_latency(void **state)
{
    (void)state;
    json_t *json = run_good("latency", "--windows 32,64,1024 --repeats 12");
    assert_int_equal(json_array_size(json_object_get(json, "summary")), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *row = row_of(json, "summary", i);
        static const char *const times[] = {"streaming_ms", "dense_ms", "recompute_ms"};
        for (size_t k = 0; k < 3; k++)
            assert_true(number_of(row, times[k]) > 0);
        assert_true(number_of(row, "streaming_p95_ms") >= number_of(row, "streaming_ms"));
        assert_true(number_of(row, "kv_mib") > 0);
    }
    /* What is too large is said. */
    assert_non_null(strstr(json_string_value(row_of(json, "notes", 0)), "1024"));
    assert_int_equal(json_array_size(json_object_get(json, "samples")), 6);
    assert_int_equal(number_of(row_of(json, "samples", 0), "tokens"), 12);
    assert_int_equal(number_of(row_of(json, "samples", 2), "tokens"), 3);
    json_decref(json);

    json = run_good("latency", "--windows 1024 --force --repeats 1 --modes streaming");
    assert_null(json_object_get(row_of(json, "summary", 0), "speed_up"));
    json_decref(json);
}

/* What is decoded is taken back, and each sample stands at the end of the text: so all of them have
 * the same loss, to what rounding at other positions does. */
static void test_endless(void **state)
{
    (void)state;
    json_t *json = run_good("endless", "--text " TOKENS " --window 32 --tokens 8k --samples 10 "
                                       "--kv-type f32");
    const json_t *samples = json_object_get(json, "samples");
    assert_int_equal(json_array_size(samples), 10);
    size_t i;
    json_t *row;
    double first_loss = number_of(row_of(json, "samples", 0), "loss");
    json_array_foreach(samples, i, row)
    {
        /* BOS and whole texts of 299 tokens. */
        assert_int_equal(number_of(row, "position"), 1 + 799 * (i + 1) / 299 * 299);
        assert_true(fabs(number_of(row, "loss") - first_loss) < 1e-3);
        assert_true(number_of(row, "decode_ms") > 0);
        assert_true(number_of(row, "rss_mib") > 1);
    }
    json_decref(json);
    json = run_good("endless", "--text " TOKENS " --window 32 --tokens 1k --samples 10");
    assert_int_equal(number_of(row_of(json, "samples", 9), "position"), 991);
    json_decref(json);
}

static void test_recall(void **state)
{
    (void)state;
    json_t *json = run_good("recall", "--window 128 --tokens 3k --distances 1,4");
    const json_t *summary = json_object_get(json, "summary");
    size_t i;
    json_t *row;
    assert_true(json_array_size(summary) >= 2);
    json_array_foreach(summary, i, row)
    {
        /* Random weights know nothing. */
        assert_true(number_of(row, "asked") > 0);
        assert_float_equal(number_of(row, "streaming"), 0, 1e-9);
        assert_float_equal(number_of(row, "dense"), 0, 1e-9);
        assert_float_equal(number_of(row, "recompute"), 0, 1e-9);
        assert_true(number_of(row, "recompute_loss") > 0);
    }
    assert_string_equal(json_string_value(json_object_get(row_of(json, "summary", 0), "place")),
                        "inside");
    json_decref(json);
}

static void test_sinks(void **state)
{
    (void)state;
    json_t *json = run_good("sinks", "--text " TOKENS " --tokens 100");
    assert_int_equal(json_array_size(json_object_get(json, "summary")), 3);
    for (size_t i = 0; i < 3; i++) {
        double together = number_of(row_of(json, "summary", i), "together");
        assert_true(together > 0 && together < 100);
        assert_true(number_of(row_of(json, "summary", i), "row_3") <= together);
    }
    json_decref(json);
}

static void test_chat(void **state)
{
    (void)state;
    char flags[200];
    snprintf(flags, sizeof flags, "--questions %s --max-tokens 12 --window 64", questions_path);
    json_t *json = run_good("chat", flags);
    const json_t *answers = json_object_get(json, "samples");
    assert_int_equal(json_array_size(answers), 3);
    assert_int_equal(number_of(row_of(json, "samples", 0), "question"), 7);
    assert_int_equal(number_of(row_of(json, "samples", 1), "turn"), 2);
    assert_true(number_of(row_of(json, "samples", 2), "position") >
                number_of(row_of(json, "samples", 1), "position"));
    assert_true(json_is_string(json_object_get(row_of(json, "samples", 2), "text")));
    json_decref(json);

    snprintf(flags, sizeof flags, "--questions %s --max-tokens 2 --count 1", questions_path);
    json = run_good("chat", flags);
    assert_int_equal(json_array_size(json_object_get(json, "samples")), 2);
    json_decref(json);

    /* The same seed says the same, another one something else. */
    char said[3][400];
    for (int i = 0; i < 3; i++) {
        snprintf(flags, sizeof flags, "--questions %s --max-tokens 12 --temperature 1.5 --seed %d",
                 questions_path, i / 2);
        json = run_good("chat", flags);
        snprintf(said[i], sizeof said[i], "%s",
                 json_string_value(json_object_get(row_of(json, "samples", 0), "text")));
        json_decref(json);
    }
    assert_string_equal(said[0], said[1]);
    assert_string_not_equal(said[0], said[2]);
}

static void test_help(void **state)
{
    (void)state;
    struct err err;
    assert_true(run("perplexity", "--help", &err));
    assert_true(run("chat", "-h", &err));
    assert_null(command_find("perplex"));
}

static void test_wrong_flags(void **state)
{
    (void)state;
    static const struct {
        const char *command, *flags, *says;
    } wrong[] = {
        {"recall", "--stride 4", "no option"},
        {"chat", "--temperature 3", "must be from 0 to 2"},
        {"chat", "--temperature hot", "not a number"},
        {"recall", "--model " TINY_MODEL_PATH " --window 40", "too small for this test"},
        {"latency", "--windows", "needs a value"},
        {"latency", "--windows 12,x", "not a list of numbers"},
        {"latency", "--windows 12,", "not a list of numbers"},
        {"latency", "--windows 1", "must be from 2"},
        {"latency", "--windows 2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2", "more than 16"},
        {"perplexity", "--modes streaming,fast", "\"fast\" is not one of"},
        {"latency", "--model " TINY_MODEL_PATH " --modes window", "latency knows"},
        {"perplexity", "--tokens 4Mx", "not a number"},
        {"perplexity", "--plot a.pdf", ".svg or .png"},
        {"perplexity", "--kv-type f64", "one of f32"},
        {"endless", "--sinks 1,2", "one number"},
        {"endless", "--samples 1", "from 2"},
        {"sinks", "", "--model FILE is needed"},
        {"sinks", "--model " TINY_MODEL_PATH, "--text FILE is needed"},
        {"sinks", "--model " TINY_MODEL_PATH " --text " TOKENS " --tokens 3", "too few"},
        {"endless", "--model " TINY_MODEL_PATH " --text " TOKENS " --tokens 10", "too few"},
        {"endless", "--model " TINY_MODEL_PATH " --text " TOKENS " --window 4", "larger than its"},
        {"chat", "--model " TINY_MODEL_PATH, "--questions FILE is needed"},
        {"latency", "--model " TINY_MODEL_PATH " --windows 1024", "--force"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct err err;
        assert_false(run(wrong[i].command, wrong[i].flags, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (strstr(err.text, wrong[i].says) == NULL)
            fail_msg("%s %s: %s", wrong[i].command, wrong[i].flags, err.text);
    }
}

static void test_wrong_files(void **state)
{
    (void)state;
    static const struct {
        const char *command, *flags;
        enum err_code code;
    } wrong[] = {
        {"sinks", "--model /nowhere.gguf", ERR_NOT_FOUND},
        {"sinks", "--model " TOKENS, ERR_FORMAT},
        {"sinks", "--model " TINY_MODEL_PATH " --text /nowhere", ERR_IO},
        {"sinks", "--model " TINY_MODEL_PATH " --text /nowhere.json", ERR_FORMAT},
        {"chat", "--model " TINY_MODEL_PATH " --questions /nowhere", ERR_IO},
        {"chat", "--model " TINY_MODEL_PATH " --questions " TOKENS, ERR_FORMAT},
        {"sinks", "--model " TINY_MODEL_PATH " --text " TOKENS " --json /nowhere/a", ERR_IO},
        {"sinks", "--model " TINY_MODEL_PATH " --text " TOKENS " --csv /nowhere/a", ERR_IO},
        {"sinks", "--model " TINY_MODEL_PATH " --text " TOKENS " --plot /nowhere/a.svg", ERR_IO},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct err err;
        assert_false(run(wrong[i].command, wrong[i].flags, &err));
        if (err.code != wrong[i].code)
            fail_msg("%s %s: %d, %s", wrong[i].command, wrong[i].flags, (int)err.code, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_perplexity),  cmocka_unit_test(test_latency),
        cmocka_unit_test(test_endless),     cmocka_unit_test(test_recall),
        cmocka_unit_test(test_sinks),       cmocka_unit_test(test_chat),
        cmocka_unit_test(test_help),        cmocka_unit_test(test_wrong_flags),
        cmocka_unit_test(test_wrong_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
