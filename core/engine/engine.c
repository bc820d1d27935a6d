#include "core/engine/engine.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/thread_pool.h"
#include "core/base/thread_priority.h"
#include "core/engine/batcher.h"
#include "core/engine/engine_info.h"
#include "core/engine/engine_request.h"
#include "core/engine/inbox.h"
#include "core/engine/turn.h"
#include "core/gguf/gguf.h"
#include "core/kernels/blas.h"
#include "core/model/model.h"

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

static void wake(void *arg)
{
    struct engine *engine = arg;
    inbox_wake(&engine->inbox);
}

static bool load(struct engine *engine, const struct engine_options *options, struct err *err)
{
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
    if (!thread_pool_open(&engine->pool, options->n_threads, err) ||
        !engine_info_init(&engine->info, options, engine->file, engine->model, err))
        return false;
    blas_reserve(engine->pool);
    /* Of the file, so before it is let go. */
    uint64_t saved_under = engine_info_fingerprint(&engine->info, options, engine->file);
    if (!model_weave(engine->model, engine->file, engine->pool, err))
        return false;

    struct batcher_options batch = {
        .residence =
            {
                .shape = engine_info_shape(&engine->info, engine->model),
                .mode = options->mode,
                .tokenizer = engine->tokenizer,
                .memory_bytes = options->kv_memory_bytes,
                .folder = options->kv_folder,
                .file_bytes = options->kv_file_bytes,
                .fingerprint = saved_under,
                .on_change = wake,
                .arg = engine,
            },
        .max_turns = options->max_batch_sessions,
        .prompt_budget = options->prefill_chunk,
        .max_drafts = options->n_drafts,
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
    struct engine_options settled = *options;
    if (!engine_options_settle(&settled, err))
        return false;
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return err_no_memory(err, "the engine");
    engine->on_events = on_events;
    engine->on_events_arg = arg;
    engine->max_requests = settled.max_requests;
    engine->stop.kind = COMMAND_STOP;
    pthread_mutex_init(&engine->counters_lock, NULL);
    engine->has_inbox = inbox_init(&engine->inbox, err);
    if (!engine->has_inbox || !load(engine, &settled, err) || !start_thread(engine, err)) {
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

bool engine_submit(struct engine *engine, struct engine_request *request, struct err *err)
{
    if (!engine_request_check(request, &engine->info, err))
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
    bool is_mark = false;
    for (int i = 0; i < KV_N_MARKS; i++)
        is_mark |= last->marks[i] == keep;
    return keep == 0 || is_mark || (keep >= last->rewind_limit && keep <= last->position);
}

void engine_read_counters(const struct engine *engine_const, struct engine_counters *out)
{
    struct engine *engine = (struct engine *)engine_const; /* for the lock only */
    pthread_mutex_lock(&engine->counters_lock);
    *out = engine->counters;
    pthread_mutex_unlock(&engine->counters_lock);
}
