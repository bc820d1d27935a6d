/* engine_run.h - the real engine with the tiny model, driven by a test: requests made up by number,
 * and what came of each. One engine at a time. */
#ifndef TESTS_SUPPORT_ENGINE_RUN_H
#define TESTS_SUPPORT_ENGINE_RUN_H

#include <pthread.h>

#include "core/engine/engine.h"

enum { MAX_REQUESTS = 4096 };

/* What arrived for each request, by its number; read it only after its end. */
struct results {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct result {
        struct buf text;
        int n_tokens;
        int n_finals;
        bool is_failed;
        enum engine_finish finish;
        struct engine_usage usage;
        struct err err;
    } of[MAX_REQUESTS];
};
extern struct results results;

/* Called on the engine's thread for each final event of a turn that was not a failure. NULL: not.
 */
extern void (*engine_run_on_finish)(uint64_t request);

/* cmocka's group set-up and tear-down. */
int engine_run_init(void **state);
int engine_run_done(void **state);

/* Clears all results. */
struct engine *open_engine(struct engine_options options);
struct engine_options small_window(void);
struct engine_counters read_counters(const struct engine *engine);

/* A greedy one whose n_prompt tokens depend on the session's number. */
struct engine_request make_request(uint64_t id, uint64_t session, int64_t keep, int n_prompt,
                                   int max_tokens);
void submit(struct engine *engine, struct engine_request request);
struct result *wait_final(uint64_t request);
void wait_text(uint64_t request);

#endif
