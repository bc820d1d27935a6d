#include "core/engine/engine.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/clock.h"
#include "core/base/cpu_quota.h"
#include "core/base/thread_pool.h"
#include "core/base/thread_priority.h"
#include "core/engine/batcher.h"
#include "core/engine/inbox.h"
#include "core/engine/turn.h"
#include "core/gguf/gguf.h"
#include "core/kernels/blas.h"
#include "core/model/model.h"
#include "core/text/detokenizer.h"

enum {
    DEFAULT_SINKS = 4, /* enough for every model of the paper's Table 2 */
    DEFAULT_BATCH_SESSIONS = 256,
    DEFAULT_REQUESTS = 1024,
    DEFAULT_PREFILL_CHUNK = 256,
    MAX_SLACK = 1023,
};

struct engine {
    struct gguf *file;
    struct tokenizer *tokenizer;
    struct model *model;
    struct thread_pool *pool;
    struct batcher *batcher;
    struct engine_info info;
    int max_requests;

    engine_events_fn *on_events;
    void *on_events_arg;

    struct inbox inbox;
    bool has_inbox;
    struct command stop; /* needs no allocation when the engine closes */
    pthread_t thread;
    bool has_thread;
    atomic_int n_unfinished; /* accepted, final event not yet sent */

    pthread_mutex_t counters_lock;
    struct engine_counters counters;
};

/* ---- the engine thread ---- */

/* False when the message says stop. */
static bool handle_command(struct engine *engine, struct command *command)
{
    switch (command->kind) {
    case COMMAND_SUBMIT:
        batcher_add(engine->batcher, command->turn);
        break;
    case COMMAND_CANCEL:
        batcher_cancel(engine->batcher, command->id);
        break;
    case COMMAND_PARK:
        batcher_park(engine->batcher, command->id, true);
        break;
    case COMMAND_UNPARK:
        batcher_park(engine->batcher, command->id, false);
        break;
    case COMMAND_FORGET:
        batcher_forget(engine->batcher, command->id);
        break;
    case COMMAND_NOTE:
        batcher_note(engine->batcher, command->id, &command->note);
        buf_done(&command->note);
        break;
    case COMMAND_STOP:
        batcher_cancel_all(engine->batcher);
        return false;
    }
    free(command);
    return true;
}

static bool handle_commands(struct engine *engine, struct command *list)
{
    bool goes_on = true;
    while (list != NULL) {
        struct command *next = list->next;
        goes_on = handle_command(engine, list) && goes_on;
        list = next;
    }
    return goes_on;
}

static void send_events(struct engine *engine)
{
    struct engine_event *events = batcher_take_events(engine->batcher);
    if (events == NULL)
        return;
    int n_finals = 0;
    int64_t now_ns = clock_now_ns();
    for (struct engine_event *event = events; event != NULL; event = event->next) {
        n_finals += event->kind == ENGINE_EVENT_FINISHED || event->kind == ENGINE_EVENT_FAILED;
        event->made_ns = now_ns;
    }
    atomic_fetch_sub(&engine->n_unfinished, n_finals);
    engine->on_events(engine->on_events_arg, events);
}

static void publish_counters(struct engine *engine)
{
    pthread_mutex_lock(&engine->counters_lock);
    batcher_read_counters(engine->batcher, &engine->counters);
    pthread_mutex_unlock(&engine->counters_lock);
}

static void on_texts(void *engine)
{
    send_events(engine);
}

static void *engine_main(void *arg)
{
    struct engine *engine = arg;
    bool goes_on = true;
    thread_priority_compute();
    while (goes_on || !batcher_is_idle(engine->batcher)) {
        int max_wait_ms = goes_on ? batcher_patience_ms(engine->batcher) : 0;
        goes_on = handle_commands(engine, inbox_take(&engine->inbox, max_wait_ms)) && goes_on;
        publish_counters(engine); /* before the step too: it may be a long one */
        batcher_step(engine->batcher);
        publish_counters(engine);
        send_events(engine);
    }
    return NULL;
}

/* ---- opening and closing ---- */

static bool check_options(const struct engine_options *options, struct err *err)
{
    if (options->n_threads < 0 || options->n_threads > 256)
        return err_set(err, ERR_INVALID, "threads is %d; it must be 1 to 256", options->n_threads);
    if (options->max_batch_sessions < 0 || options->max_batch_sessions > 1024)
        return err_set(err, ERR_INVALID, "at most 1024 sessions can speak at once, not %d",
                       options->max_batch_sessions);
    if (options->prefill_chunk < 0 || options->prefill_chunk > 4096)
        return err_set(err, ERR_INVALID, "the prefill chunk is %d; it must be 1 to 4096",
                       options->prefill_chunk);
    if (options->max_requests < 0 || options->max_requests > 65536)
        return err_set(err, ERR_INVALID, "max requests is %d; it must be 1 to 65536",
                       options->max_requests);
    return true;
}

static int or_default(int value, int fallback)
{
    return value > 0 ? value : fallback;
}

/* Window and sinks as asked for, held against what the model was trained on. */
static bool choose_window(struct engine_info *info, const struct engine_options *options,
                          struct err *err)
{
    info->n_window = or_default(options->n_window, info->n_context);
    if (info->n_window > info->n_context)
        return err_set(err, ERR_INVALID,
                       "the window is %d tokens, but this model was trained on %d: use --window %d "
                       "or less",
                       info->n_window, info->n_context, info->n_context);
    info->n_sinks = options->n_sinks >= 0 ? options->n_sinks : DEFAULT_SINKS;
    if (info->mode != SESSION_MODE_STREAMING)
        info->n_sinks = 0;
    else if (options->n_sinks < 0 && info->n_sinks >= info->n_window)
        info->n_sinks = info->n_window - 1;
    if (info->n_sinks >= info->n_window)
        return err_set(
            err, ERR_INVALID,
            "%d sinks leave no room in a window of %d tokens: use fewer sinks or a larger "
            "window",
            info->n_sinks, info->n_window);
    return true;
}

/* Rows beyond the window: one chunk of prompt must fit, and a quarter of the window makes the last
 * turns of a chat exactly repeatable (regenerate, edit) for little memory. */
static int choose_slack(int n_window, int prefill_chunk)
{
    int slack = n_window / 4 < MAX_SLACK ? n_window / 4 : MAX_SLACK;
    return slack > prefill_chunk - 1 ? slack : prefill_chunk - 1;
}

static struct kv_shape session_shape(const struct engine *engine)
{
    const struct model_shape *shape = &engine->model->shape;
    return (struct kv_shape){
        .n_layers = shape->n_layers,
        .n_kv_heads = shape->n_kv_heads,
        .head_dim_k = shape->head_dim_k,
        .head_dim_v = shape->head_dim_v,
        .type = engine->info.kv_type,
        .n_sinks = engine->info.n_sinks,
        .n_window = engine->info.n_window,
        .n_slack = engine->info.n_slack,
    };
}

/* The file's name rather than general.name: the latter is whatever its converter's folder was
 * called, and a user has the former in front of him. */
static void name_model(struct engine_info *info, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(info->model_name, sizeof info->model_name, "%s", slash != NULL ? slash + 1 : path);
    size_t len = strlen(info->model_name);
    if (len > 5 && strcmp(info->model_name + len - 5, ".gguf") == 0)
        info->model_name[len - 5] = '\0';
}

static bool describe(struct engine *engine, const struct engine_options *options, struct err *err)
{
    struct engine_info *info = &engine->info;
    const struct model *model = engine->model;
    name_model(info, options->model_path);
    memcpy(info->architecture, model->shape.architecture, sizeof info->architecture);
    struct gguf_text template;
    if (gguf_get_text(engine->file, "tokenizer.chat_template", &template)) {
        info->chat_template = template.data;
        info->chat_template_len = template.len;
    }
    if (gguf_get_text(engine->file, "tokenizer.chat_template.tool_use", &template)) {
        info->tool_chat_template = template.data;
        info->tool_chat_template_len = template.len;
    }
    info->n_vocab = model->shape.n_vocab;
    info->n_context = model->shape.n_context;
    info->kv_type = options->kv_type;
    info->mode = options->mode;
    info->n_parameters = model->n_parameters;
    info->file_bytes = gguf_file_bytes(engine->file);
    info->n_threads = thread_pool_size(engine->pool);
    if (!choose_window(info, options, err))
        return false;
    info->n_slack =
        choose_slack(info->n_window, or_default(options->prefill_chunk, DEFAULT_PREFILL_CHUNK));
    struct kv_shape shape = session_shape(engine);
    info->session_bytes = kv_shape_bytes(&shape);
    return true;
}

/* Of all that a saved session's numbers depend on, down to how this CPU rounds. */
static uint64_t fingerprint(const struct engine *engine, const struct engine_options *options)
{
    if (options->kv_folder == NULL)
        return 0;
    const struct engine_info *info = &engine->info;
    const int numbers[] = {info->n_window, info->n_slack, (int)info->mode, (int)info->kv_type};
    const char *texts[] = {kernels->name, options->kv_meaning == NULL ? "" : options->kv_meaning};
    uint64_t hash = gguf_fingerprint(engine->file);
    hash = checksum_hash(hash, numbers, sizeof numbers);
    for (int i = 0; i < 2; i++)
        hash = checksum_hash(hash, texts[i], strlen(texts[i]) + 1);
    return hash;
}

static void wake(void *arg)
{
    struct engine *engine = arg;
    inbox_wake(&engine->inbox);
}

static bool load(struct engine *engine, const struct engine_options *options, struct err *err)
{
    int n_threads = or_default(options->n_threads, cpu_quota_threads());
    if (!kernels_select(NULL, err) || !gguf_open(&engine->file, options->model_path, err) ||
        !model_open(&engine->model, engine->file, err) ||
        !tokenizer_open(&engine->tokenizer, engine->file, err))
        return false;
    if (tokenizer_n_vocab(engine->tokenizer) > engine->model->shape.n_vocab)
        return err_set(
            err, ERR_FORMAT,
            "the model file's vocabulary has %d tokens, its weights only %d: the file is "
            "damaged or badly converted",
            tokenizer_n_vocab(engine->tokenizer), engine->model->shape.n_vocab);
    if (!thread_pool_open(&engine->pool, n_threads, err) || !describe(engine, options, err))
        return false;
    blas_reserve(engine->pool);
    uint64_t saved_under = fingerprint(engine, options); /* of the file, so before it is let go */
    if (!model_weave(engine->model, engine->file, engine->pool, err))
        return false;

    struct batcher_options batch = {
        .residence =
            {
                .shape = session_shape(engine),
                .mode = options->mode,
                .tokenizer = engine->tokenizer,
                .memory_bytes = options->kv_memory_bytes,
                .folder = options->kv_folder,
                .file_bytes = options->kv_file_bytes,
                .fingerprint = saved_under,
                .on_change = wake,
                .arg = engine,
            },
        .max_turns = or_default(options->max_batch_sessions, DEFAULT_BATCH_SESSIONS),
        .prompt_budget = or_default(options->prefill_chunk, DEFAULT_PREFILL_CHUNK),
        .on_texts = on_texts,
        .arg = engine,
    };
    return batcher_open(&engine->batcher, engine->model, engine->pool, &batch, err);
}

static bool start_thread(struct engine *engine, struct err *err)
{
    /* Signals belong to the loop thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&engine->thread, NULL, engine_main, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return err_set(err, ERR_IO, "cannot start the engine thread: %s", strerror(error));
    engine->has_thread = true;
    return true;
}

bool engine_open(struct engine **out, const struct engine_options *options,
                 engine_events_fn *on_events, void *arg, struct err *err)
{
    if (!check_options(options, err))
        return false;
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return err_no_memory(err, "the engine");
    engine->on_events = on_events;
    engine->on_events_arg = arg;
    engine->max_requests = or_default(options->max_requests, DEFAULT_REQUESTS);
    engine->stop.kind = COMMAND_STOP;
    pthread_mutex_init(&engine->counters_lock, NULL);
    engine->has_inbox = inbox_init(&engine->inbox, err);
    if (!engine->has_inbox || !load(engine, options, err) || !start_thread(engine, err)) {
        engine_close(&engine);
        return false;
    }
    *out = engine;
    return true;
}

void engine_close(struct engine **engine_ptr)
{
    struct engine *engine = *engine_ptr;
    if (engine == NULL)
        return;
    if (engine->has_thread) {
        inbox_put(&engine->inbox, &engine->stop, NULL);
        pthread_join(engine->thread, NULL);
    }
    batcher_close(&engine->batcher);
    if (engine->has_inbox)
        inbox_done(&engine->inbox);
    thread_pool_close(&engine->pool);
    tokenizer_close(&engine->tokenizer);
    model_close(&engine->model);
    gguf_close(&engine->file);
    pthread_mutex_destroy(&engine->counters_lock);
    free(engine);
    *engine_ptr = NULL;
}

/* ---- the door, any thread ---- */

const struct engine_info *engine_info(const struct engine *engine)
{
    return &engine->info;
}

const struct tokenizer *engine_tokenizer(const struct engine *engine)
{
    return engine->tokenizer;
}

void engine_request_init(struct engine_request *request)
{
    *request = (struct engine_request){0};
}

void engine_request_done(struct engine_request *request)
{
    token_list_done(&request->tokens);
    grammar_free(&request->grammar);
    for (int i = 0; i < request->n_stops; i++)
        free(request->stops[i]);
    free(request->stops);
    free(request->biases);
    engine_request_init(request);
}

static bool check_request(const struct engine *engine, const struct engine_request *request,
                          struct err *err)
{
    const uint64_t top_bit = (uint64_t)1 << 63; /* the batcher's, for throw-away sessions */
    if (request->id == 0 || (request->id & top_bit) != 0 || (request->session & top_bit) != 0)
        return err_set(err, ERR_INTERNAL, "request and session numbers must be below 2^63");
    if (request->tokens.n == 0)
        return err_set(err, ERR_INVALID, "the prompt is empty");
    for (size_t i = 0; i < request->tokens.n; i++) {
        if (request->tokens.ids[i] < 0 || request->tokens.ids[i] >= engine->info.n_vocab)
            return err_set(err, ERR_INVALID, "token %d is not in the vocabulary of %d",
                           request->tokens.ids[i], engine->info.n_vocab);
    }
    if (request->tokens.n > INT_MAX || request->max_tokens < 1 || request->keep < 0)
        return err_set(err, ERR_INVALID, "max_tokens must be at least 1");
    if (request->min_tokens < 0 || request->min_tokens > request->max_tokens)
        return err_set(err, ERR_INVALID, "min_tokens must be from 0 to max_tokens");
    if (request->n_top < 0 || request->n_top > TOKEN_REPORT_MAX_TOP || request->n_shown < 0 ||
        request->n_shown > DETOKENIZER_MAX_SHOWN || request->n_biases < 0)
        return err_set(err, ERR_INTERNAL, "a list of the request has an impossible length");
    if (request->n_sinks < 0 || request->n_sinks >= engine->info.n_window)
        return err_set(err, ERR_INVALID, "%d sinks leave no room in a window of %d tokens",
                       request->n_sinks, engine->info.n_window);
    if (request->n_stops < 0 || request->n_stops > DETOKENIZER_MAX_STOPS)
        return err_set(err, ERR_INVALID, "at most %d stop strings are possible",
                       (int)DETOKENIZER_MAX_STOPS);
    return true;
}

bool engine_submit(struct engine *engine, struct engine_request *request, struct err *err)
{
    if (!check_request(engine, request, err))
        return false;
    if (atomic_fetch_add(&engine->n_unfinished, 1) >= engine->max_requests) {
        atomic_fetch_sub(&engine->n_unfinished, 1);
        return err_set(err, ERR_LIMIT, "%d requests are already waiting; try again later",
                       engine->max_requests);
    }
    struct turn *turn = NULL;
    struct command *command = calloc(1, sizeof *command);
    bool is_accepted =
        command != NULL ? turn_new(&turn, request, err) : err_no_memory(err, "a request");
    if (is_accepted) {
        command->kind = COMMAND_SUBMIT;
        command->turn = turn;
        is_accepted = inbox_put(&engine->inbox, command, err);
    }
    if (!is_accepted) {
        atomic_fetch_sub(&engine->n_unfinished, 1);
        if (turn != NULL) {
            *request = turn->request;
            engine_request_init(&turn->request);
            turn_free(&turn);
        }
        free(command);
    }
    return is_accepted;
}

static bool put_command(struct engine *engine, enum command_kind kind, uint64_t id)
{
    struct command *command = calloc(1, sizeof *command);
    if (command == NULL)
        return false;
    command->kind = kind;
    command->id = id;
    if (!inbox_put(&engine->inbox, command, NULL))
        free(command); /* the engine stops: everything ends */
    return true;
}

void engine_cancel(struct engine *engine, uint64_t request_id)
{
    put_command(engine, COMMAND_CANCEL, request_id); /* else the turn ends by itself one day */
}

bool engine_park(struct engine *engine, uint64_t request_id, bool is_parked)
{
    return put_command(engine, is_parked ? COMMAND_PARK : COMMAND_UNPARK, request_id);
}

void engine_forget(struct engine *engine, uint64_t session)
{
    put_command(engine, COMMAND_FORGET, session); /* else it goes when others need its room */
}

void engine_note(struct engine *engine, uint64_t session, struct buf *note)
{
    struct command *command = note->failed ? NULL : calloc(1, sizeof *command);
    if (command != NULL) {
        *command = (struct command){.kind = COMMAND_NOTE, .id = session, .note = *note};
        buf_init(note);
        if (!inbox_put(&engine->inbox, command, NULL)) {
            buf_done(&command->note);
            free(command);
        }
    }
    buf_done(note);
}

struct engine_saved *engine_take_saved(struct engine *engine)
{
    return batcher_take_saved(engine->batcher);
}

void engine_saved_free(struct engine_saved *saved)
{
    buf_done(&saved->note);
    free(saved);
}

bool engine_can_rewind(const struct engine_usage *last, int64_t keep)
{
    return keep == 0 || (keep >= last->rewind_limit && keep <= last->position);
}

void engine_read_counters(const struct engine *engine_const, struct engine_counters *out)
{
    struct engine *engine = (struct engine *)engine_const; /* for the lock only */
    pthread_mutex_lock(&engine->counters_lock);
    *out = engine->counters;
    pthread_mutex_unlock(&engine->counters_lock);
}
