/* A test that wants this engine includes this file after "#define FAKE_ENGINE". In the library of
 * test support it is empty: tests of core must find the real one. */
#include "tests/support/fake_engine.h"

#ifdef FAKE_ENGINE

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/gguf/gguf.h"

enum { MAX_REQUESTS = 512, MAX_SESSIONS = 4096, MAX_PIECES = 8, TICK_NS = 500 * 1000 };

struct request {
    uint64_t id; /* 0: a free place */
    uint64_t session;
    int64_t keep;
    int n_tokens;
    struct fake_script script;
    int n_said; /* pieces */
    size_t text_len;
    bool is_cancelled;
    bool is_parked; /* says nothing */
    bool was_parked;
    bool is_over;   /* only the final event is due */
    int64_t due_ns; /* of what comes next */
};

struct engine {
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    bool is_closing;
    struct request requests[MAX_REQUESTS];
    int64_t positions[MAX_SESSIONS];
    struct engine_info info;
    struct tokenizer *tokenizer;
    engine_events_fn *on_events;
    void *arg;
};

static pthread_mutex_t script_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_script current_script = {.pieces = {"Hello", " world"}};
static struct fake_record record;
static struct engine_options opened;

/* Of sessions, the last ones; the loop thread's alone, like the calls that fill and empty it. */
static struct engine_saved *notes;
static bool keeps_notes, damages_notes;

void fake_engine_play(const struct fake_script *script)
{
    pthread_mutex_lock(&script_lock);
    current_script = *script;
    record = (struct fake_record){.n_running = record.n_running, .n_parked = record.n_parked};
    pthread_mutex_unlock(&script_lock);
}

struct fake_record fake_engine_record(void)
{
    pthread_mutex_lock(&script_lock);
    struct fake_record copy = record;
    pthread_mutex_unlock(&script_lock);
    return copy;
}

const struct engine_options *fake_engine_options(void)
{
    return &opened;
}

void fake_engine_keep_notes(bool damages)
{
    keeps_notes = true;
    damages_notes = damages;
}

void fake_engine_drop_notes(void)
{
    struct engine_saved *next;
    for (; notes != NULL; notes = next) {
        next = notes->next;
        engine_saved_free(notes);
    }
    keeps_notes = false;
}

static int64_t after_ms(int ms)
{
    return clock_now_ns() + (int64_t)ms * 1000 * 1000;
}

static struct engine_event *make_event(const struct request *request, enum engine_event_kind kind)
{
    struct engine_event *event = calloc(1, sizeof *event);
    if (event == NULL)
        abort(); /* a test without memory is no test */
    event->request = request->id;
    event->kind = kind;
    event->made_ns = clock_now_ns();
    buf_init(&event->text);
    return event;
}

static int count_pieces(const struct fake_script *script)
{
    int n = 0;
    while (n < MAX_PIECES && script->pieces[n] != NULL)
        n++;
    return n;
}

/* NULL when it has said all. */
static const char *next_piece(const struct request *request)
{
    const struct fake_script *script = &request->script;
    int n = count_pieces(script);
    if (request->n_said < n)
        return script->pieces[request->n_said];
    return script->ending == FAKE_NEVER_ENDS && n > 0 ? script->pieces[n - 1] : NULL;
}

static struct engine_event *say(struct request *request)
{
    const char *piece = next_piece(request);
    struct engine_event *event = make_event(request, ENGINE_EVENT_TEXT);
    buf_append_text(&event->text, piece);
    event->n_tokens = 1;
    request->n_said++;
    request->text_len += strlen(piece);
    request->due_ns = after_ms(request->script.step_ms);
    return event;
}

static struct engine_event *finish(struct engine *engine, struct request *request)
{
    bool fails = request->script.ending == FAKE_FAILS && !request->is_cancelled;
    struct engine_event *event =
        make_event(request, fails ? ENGINE_EVENT_FAILED : ENGINE_EVENT_FINISHED);
    if (fails)
        err_set(&event->err, ERR_INTERNAL, "the script says so");
    int64_t position = request->n_said == 0 && request->is_cancelled
                           ? request->keep
                           : request->keep + request->n_tokens + request->n_said;
    size_t n_unkept =
        request->script.n_unkept < request->text_len ? request->script.n_unkept : request->text_len;
    event->finish = request->is_cancelled ? ENGINE_FINISH_CANCELLED : ENGINE_FINISH_STOP;
    if (request->script.stop != NULL)
        event->stop = strdup(request->script.stop);
    event->usage = (struct engine_usage){
        .n_cached = request->keep,
        .n_prompt = request->n_tokens,
        .n_generated = request->n_said,
        .position = position,
        .n_sinks = 4,
        .n_text_kept = request->text_len - n_unkept,
        .prefill_ns = 1000,
        .decode_ns = 1000,
    };
    engine->positions[request->session % MAX_SESSIONS] = position;
    request->id = 0;
    pthread_mutex_lock(&script_lock);
    record.n_running--;
    record.n_parked -= request->is_parked;
    pthread_mutex_unlock(&script_lock);
    return event;
}

static struct engine_event *advance(struct engine *engine, struct request *request)
{
    bool must_end = request->is_cancelled || next_piece(request) == NULL;
    bool is_held = request->script.waits_for_park && !request->was_parked &&
                   request->n_said == count_pieces(&request->script) - 1;
    if ((request->is_parked || is_held) && !must_end)
        return NULL;
    if (must_end && !request->is_over) {
        request->is_over = true;
        request->due_ns = after_ms(request->script.linger_ms);
    }
    if (clock_now_ns() < request->due_ns && !engine->is_closing)
        return NULL;
    return request->is_over ? finish(engine, request) : say(request);
}

static struct engine_event *step(struct engine *engine, bool *out_is_idle)
{
    struct engine_event *first = NULL, **end = &first;
    *out_is_idle = true;
    for (int i = 0; i < MAX_REQUESTS; i++) {
        struct request *request = &engine->requests[i];
        if (request->id == 0)
            continue;
        *out_is_idle = false;
        if (engine->is_closing)
            request->is_cancelled = true;
        *end = advance(engine, request);
        if (*end != NULL)
            end = &(*end)->next;
    }
    return first;
}

static void *engine_main(void *arg)
{
    struct engine *engine = arg;
    for (;;) {
        bool is_idle;
        pthread_mutex_lock(&engine->lock);
        struct engine_event *events = step(engine, &is_idle);
        bool is_done = engine->is_closing && is_idle;
        pthread_mutex_unlock(&engine->lock);
        if (events != NULL)
            engine->on_events(engine->arg, events);
        if (is_done)
            return NULL;
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
    }
}

bool engine_open(struct engine **out, const struct engine_options *options,
                 engine_events_fn *on_events, void *arg, struct err *err)
{
    static char kv_folder[1024];
    struct engine *engine = calloc(1, sizeof *engine);
    struct gguf *file = NULL;
    opened = *options;
    if (options->kv_folder != NULL) {
        snprintf(kv_folder, sizeof kv_folder, "%s", options->kv_folder);
        opened.kv_folder = kv_folder;
    }
    if (engine == NULL)
        return err_no_memory(err, "the fake engine");
    bool is_good =
        gguf_open(&file, options->model_path, err) && tokenizer_open(&engine->tokenizer, file, err);
    gguf_close(&file);
    if (!is_good) {
        free(engine);
        return false;
    }
    engine->on_events = on_events;
    engine->arg = arg;
    engine->info = (struct engine_info){
        .model_name = "fake",
        .architecture = "llama",
        .n_vocab = tokenizer_n_vocab(engine->tokenizer),
        .n_context = 64,
        .n_window = 64,
        .n_sinks = 4,
        .kv_type = KV_F16,
        .session_bytes = 1024 * 1024,
        .n_threads = 1,
    };
    pthread_mutex_init(&engine->lock, NULL);
    pthread_create(&engine->thread, NULL, engine_main, engine);
    *out = engine;
    return true;
}

void engine_close(struct engine **engine_ptr)
{
    struct engine *engine = *engine_ptr;
    if (engine == NULL)
        return;
    pthread_mutex_lock(&engine->lock);
    engine->is_closing = true;
    pthread_mutex_unlock(&engine->lock);
    pthread_join(engine->thread, NULL);
    pthread_mutex_destroy(&engine->lock);
    tokenizer_close(&engine->tokenizer);
    free(engine);
    *engine_ptr = NULL;
}

const struct engine_info *engine_info(const struct engine *engine)
{
    return &engine->info;
}

const struct tokenizer *engine_tokenizer(const struct engine *engine)
{
    return engine->tokenizer;
}

static bool check_request(const struct engine *engine, const struct engine_request *request,
                          struct err *err)
{
    uint64_t session = request->source != 0 ? request->source : request->session;
    int64_t position = session == 0 ? 0 : engine->positions[session % MAX_SESSIONS];
    if (request->id == 0 || request->tokens.n == 0 || request->max_tokens < 1)
        return err_set(err, ERR_INTERNAL, "a request without id, tokens or max_tokens");
    if (request->keep < 0 || request->keep > position)
        return err_set(err, ERR_INTERNAL, "keep %lld of %lld", (long long)request->keep,
                       (long long)position);
    for (int i = 0; i < MAX_REQUESTS; i++) {
        if (request->session != 0 && engine->requests[i].id != 0 &&
            engine->requests[i].session == request->session)
            return err_set(err, ERR_INTERNAL, "two requests in one session");
    }
    return true;
}

static void note(const struct engine *engine, const struct engine_request *request)
{
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < request->tokens.n; i++) {
        size_t len;
        const char *piece = tokenizer_piece(engine->tokenizer, request->tokens.ids[i], &len);
        if (len == 0)
            piece = tokenizer_name(engine->tokenizer, request->tokens.ids[i], &len);
        buf_append(&text, piece, len);
    }
    record.n_submitted++;
    record.n_running++;
    if (record.n_running > record.most_running)
        record.most_running = record.n_running;
    record.session = request->session;
    record.keep = request->keep;
    record.n_tokens = (int)request->tokens.n;
    record.max_tokens = request->max_tokens;
    record.sampling = request->sampling;
    size_t len = text.len < sizeof record.prompt ? text.len : sizeof record.prompt - 1;
    memcpy(record.prompt, buf_text(&text), len);
    record.prompt[len] = '\0';
    buf_done(&text);
}

bool engine_submit(struct engine *engine, struct engine_request *request, struct err *err)
{
    bool is_taken = false;
    pthread_mutex_lock(&engine->lock);
    pthread_mutex_lock(&script_lock);
    struct request *place = NULL;
    for (int i = 0; i < MAX_REQUESTS && place == NULL; i++)
        place = engine->requests[i].id == 0 ? &engine->requests[i] : NULL;
    if (place == NULL || current_script.ending == FAKE_REFUSES) {
        err_set(err, ERR_LIMIT, "the queue is full");
    } else if (check_request(engine, request, err)) {
        *place = (struct request){
            .id = request->id,
            .session = request->session,
            .keep = request->keep,
            .n_tokens = (int)request->tokens.n,
            .script = current_script,
            .due_ns = after_ms(current_script.prefill_ms),
        };
        note(engine, request);
        is_taken = true;
    }
    pthread_mutex_unlock(&script_lock);
    pthread_mutex_unlock(&engine->lock);
    if (is_taken)
        engine_request_done(request);
    return is_taken;
}

void engine_cancel(struct engine *engine, uint64_t request_id)
{
    pthread_mutex_lock(&engine->lock);
    for (int i = 0; i < MAX_REQUESTS; i++) {
        struct request *request = &engine->requests[i];
        if (request->id != request_id || request_id == 0 || request->is_cancelled)
            continue;
        request->is_cancelled = true;
        pthread_mutex_lock(&script_lock);
        record.n_cancelled++;
        pthread_mutex_unlock(&script_lock);
    }
    pthread_mutex_unlock(&engine->lock);
}

bool engine_park(struct engine *engine, uint64_t request_id, bool is_parked)
{
    pthread_mutex_lock(&engine->lock);
    for (int i = 0; i < MAX_REQUESTS; i++) {
        struct request *request = &engine->requests[i];
        if (request->id != request_id || request_id == 0 || request->is_parked == is_parked)
            continue;
        request->is_parked = is_parked;
        request->was_parked = true;
        pthread_mutex_lock(&script_lock);
        record.n_parked += is_parked ? 1 : -1;
        pthread_mutex_unlock(&script_lock);
    }
    pthread_mutex_unlock(&engine->lock);
    return true;
}

static void take_note(uint64_t session)
{
    struct engine_saved **at = &notes;
    while (*at != NULL && (*at)->session != session)
        at = &(*at)->next;
    struct engine_saved *found = *at;
    if (found != NULL) {
        *at = found->next;
        engine_saved_free(found);
    }
}

void engine_forget(struct engine *engine, uint64_t session)
{
    pthread_mutex_lock(&engine->lock);
    engine->positions[session % MAX_SESSIONS] = 0;
    pthread_mutex_unlock(&engine->lock);
    take_note(session);
    pthread_mutex_lock(&script_lock);
    record.n_forgotten++;
    pthread_mutex_unlock(&script_lock);
}

bool engine_can_rewind(const struct engine_usage *last, int64_t keep)
{
    return keep == 0 || (keep >= last->rewind_limit && keep <= last->position);
}

void engine_note(struct engine *engine, uint64_t session, struct buf *note)
{
    (void)engine;
    struct engine_saved *saved = keeps_notes ? calloc(1, sizeof *saved) : NULL;
    take_note(session);
    if (saved == NULL) {
        buf_done(note);
        return;
    }
    *saved = (struct engine_saved){.next = notes, .session = session, .note = *note};
    buf_init(note);
    if (damages_notes)
        saved->note.data[0] ^= 1;
    notes = saved;
}

struct engine_saved *engine_take_saved(struct engine *engine)
{
    (void)engine;
    struct engine_saved *taken = notes;
    notes = NULL;
    return taken;
}

void engine_saved_free(struct engine_saved *saved)
{
    if (saved != NULL)
        buf_done(&saved->note);
    free(saved);
}

void engine_event_free(struct engine_event *event)
{
    if (event != NULL) {
        token_report_list_done(&event->reports);
        buf_done(&event->text);
        free(event->stop);
    }
    free(event);
}

bool engine_check(const char *model_path, bool *out_is_confined, struct err *err)
{
    (void)model_path;
    (void)err;
    *out_is_confined = true;
    return true;
}

void engine_read_counters(const struct engine *engine, struct engine_counters *out)
{
    (void)engine;
    *out = (struct engine_counters){.n_generated_tokens = 7};
}

#endif
