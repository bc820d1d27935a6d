#include "tests/support/engine_run.h"

#include <string.h>

#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

struct results results;
void (*engine_run_on_finish)(uint64_t request);

static void on_events(void *arg, struct engine_event *events)
{
    struct results *all = arg;
    pthread_mutex_lock(&all->lock);
    while (events != NULL) {
        struct engine_event *event = events;
        struct result *result = &all->of[event->request];
        events = event->next;
        if (event->kind == ENGINE_EVENT_TEXT) {
            buf_append(&result->text, event->text.data, event->text.len);
            result->n_tokens += event->n_tokens;
        } else if (event->kind != ENGINE_EVENT_PROGRESS) {
            result->n_finals++;
            result->is_failed = event->kind == ENGINE_EVENT_FAILED;
            result->finish = event->finish;
            result->usage = event->usage;
            result->err = event->err;
            if (engine_run_on_finish != NULL && !result->is_failed)
                engine_run_on_finish(event->request);
        }
        engine_event_free(event);
    }
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
}

struct result *wait_final(uint64_t request)
{
    pthread_mutex_lock(&results.lock);
    while (results.of[request].n_finals == 0)
        pthread_cond_wait(&results.changed, &results.lock);
    pthread_mutex_unlock(&results.lock);
    return &results.of[request];
}

void wait_text(uint64_t request)
{
    pthread_mutex_lock(&results.lock);
    while (results.of[request].text.len == 0 && results.of[request].n_finals == 0)
        pthread_cond_wait(&results.changed, &results.lock);
    pthread_mutex_unlock(&results.lock);
}

struct engine *open_engine(struct engine_options options)
{
    struct engine *engine = NULL;
    struct err err = {0};
    for (int i = 0; i < MAX_REQUESTS; i++)
        buf_done(&results.of[i].text);
    memset(results.of, 0, sizeof results.of);
    options.model_path = TINY_MODEL_PATH;
    if (!engine_open(&engine, &options, on_events, &results, &err))
        fail_msg("%s", err.text);
    return engine;
}

struct engine_options small_window(void)
{
    return (struct engine_options){
        .n_window = 64, .n_sinks = 4, .n_threads = 2, .kv_type = KV_F32, .prefill_chunk = 32};
}

struct engine_request make_request(uint64_t id, uint64_t session, int64_t keep, int n_prompt,
                                   int max_tokens)
{
    struct engine_request request;
    engine_request_init(&request);
    request.id = id;
    request.session = session;
    request.keep = keep;
    request.max_tokens = max_tokens;
    request.ignore_end = true;
    request.sampling = (struct sampler_settings){.top_p = 1, .repetition_penalty = 1};
    for (int i = 0; i < n_prompt; i++) {
        int32_t token = keep == 0 && i == 0 ? 1 : 3 + 'a' + (int32_t)((session + (uint64_t)i) % 26);
        assert_true(token_list_push(&request.tokens, token, NULL));
    }
    return request;
}

void submit(struct engine *engine, struct engine_request request)
{
    struct err err = {0};
    if (!engine_submit(engine, &request, &err))
        fail_msg("%s", err.text);
    assert_null(request.tokens.ids);
}

struct engine_counters read_counters(const struct engine *engine)
{
    struct engine_counters counters;
    engine_read_counters(engine, &counters);
    return counters;
}

int engine_run_init(void **state)
{
    (void)state;
    pthread_mutex_init(&results.lock, NULL);
    pthread_cond_init(&results.changed, NULL);
    return 0;
}

int engine_run_done(void **state)
{
    (void)state;
    for (int i = 0; i < MAX_REQUESTS; i++)
        buf_done(&results.of[i].text);
    return 0;
}
