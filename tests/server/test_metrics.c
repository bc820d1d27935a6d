#include "server/metrics.h"

#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/engine/engine.h"
#include "tests/support/check.h"

static char text[65536];

static void write_all(const struct metrics *metrics)
{
    struct engine_info info = {.model_name = "a\"b\\c\n",
                               .architecture = "llama",
                               .session_bytes = 1000,
                               .n_window = 64,
                               .n_sinks = 4};
    struct engine_counters counters = {.n_sessions = 3,
                                       .kv_memory_bytes = 3000,
                                       .n_waiting = 2,
                                       .n_evicted_tokens = 5,
                                       .n_drafted_tokens = 9,
                                       .n_accepted_tokens = 4};
    struct metrics_now now = {.engine = &info, .counters = &counters, .n_waiting = 1};
    struct buf out;
    buf_init(&out);
    metrics_write(metrics, &now, &out);
    assert_true(out.len < sizeof text);
    memcpy(text, buf_text(&out), out.len + 1);
    buf_done(&out);
}

static void assert_has(const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("no %s in %s", line, text);
}

static void counts_stand_where_they_belong(void **state)
{
    (void)state;
    struct metrics *metrics;
    struct err err;
    assert_true(metrics_open(&metrics, &err));
    static const char chat[] = "/chat/completions";
    metrics_request(metrics, chat, 200, 20 * 1000 * 1000);
    metrics_request(metrics, chat, 200, 2000LL * 1000 * 1000);
    metrics_request(metrics, chat, 429, 0);
    metrics_match(metrics, "append");
    metrics_match(metrics, "append");
    metrics_match(metrics, "new");
    metrics_disconnect(metrics, METRICS_PROMPT);
    metrics_generation(metrics, GENERATION_REACHED_LENGTH);
    metrics_first_token(metrics, 30 * 1000 * 1000);
    metrics_more_tokens(metrics, 4, 100 * 1000 * 1000);
    metrics_more_tokens(metrics, 0, 100);
    metrics_queue_wait(metrics, -5);
    write_all(metrics);
    metrics_close(&metrics);

    assert_has("\nsinkd_requests_total{endpoint=\"/chat/completions\",status=\"200\"} 2\n");
    assert_has("\nsinkd_requests_total{endpoint=\"/chat/completions\",status=\"429\"} 1\n");
    assert_has("_bucket{endpoint=\"/chat/completions\",le=\"0.01\"} 1\n");
    assert_has("_bucket{endpoint=\"/chat/completions\",le=\"0.05\"} 2\n");
    assert_has("_bucket{endpoint=\"/chat/completions\",le=\"+Inf\"} 3\n");
    assert_has("_sum{endpoint=\"/chat/completions\"} 2.02\n");
    assert_has("\nsinkd_session_match_total{kind=\"append\"} 2\n");
    assert_has("\nsinkd_session_match_total{kind=\"new\"} 1\n");
    assert_has("\nsinkd_client_disconnects_total{phase=\"prompt\"} 1\n");
    assert_has("\nsinkd_generations_total{finish=\"length\"} 1\n");
    assert_has("\nsinkd_time_to_first_token_seconds_count 1\n");
    assert_has("\nsinkd_inter_token_latency_seconds_bucket{le=\"0.02\"} 0\n");
    assert_has("\nsinkd_inter_token_latency_seconds_bucket{le=\"0.03\"} 4\n");
    assert_has("\nsinkd_inter_token_latency_seconds_count 4\n");
    assert_has("\nsinkd_queue_wait_seconds_sum 0\n");
    assert_has("\nsinkd_kv_bytes 3000\n");
    assert_has("\nsinkd_queue_depth 3\n");
    assert_has("\nsinkd_evicted_tokens_total 5\n");
    assert_has("\nsinkd_drafted_tokens_total 9\n");
    assert_has("\nsinkd_accepted_tokens_total 4\n");
    assert_has("model=\"a\\\"b\\\\c\"");
}

/* Every sample belongs to the family whose TYPE was said last, and each family is said once. */
static void the_text_is_well_formed(void **state)
{
    (void)state;
    char family[128] = "", seen[8192] = "\n";
    write_all(NULL);
    for (char *rest, *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char type[16];
        if (strncmp(line, "# HELP ", 7) == 0)
            continue;
        if (sscanf(line, "# TYPE %127s %15s", family, type) == 2) {
            char whole[132];
            snprintf(whole, sizeof whole, "\n%s\n", family);
            assert_null(strstr(seen, whole));
            strncat(seen, whole + 1, sizeof seen - strlen(seen) - 1);
            continue;
        }
        double value;
        assert_int_equal(strncmp(line, family, strlen(family)), 0);
        assert_non_null(strrchr(line, ' '));
        assert_int_equal(sscanf(strrchr(line, ' '), " %lf", &value), 1);
    }
    assert_non_null(strstr(seen, "\nprocess_resident_memory_bytes\n"));
}

static void nobody_may_count(void **state)
{
    (void)state;
    metrics_request(NULL, "other", 404, 1);
    metrics_match(NULL, "new");
    metrics_disconnect(NULL, METRICS_WAITING);
    metrics_generation(NULL, GENERATION_FAILED);
    metrics_first_token(NULL, 1);
    metrics_more_tokens(NULL, 1, 1);
    metrics_queue_wait(NULL, 1);
    write_all(NULL);
    assert_has("sinkd_steps_total 0\n");
    assert_null(strstr(text, "sinkd_requests_total"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_stand_where_they_belong),
        cmocka_unit_test(the_text_is_well_formed),
        cmocka_unit_test(nobody_may_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
