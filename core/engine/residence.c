#include "core/engine/residence.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/engine/session_table.h"
#include "core/engine/snapshot_store.h"
#include "core/session/session.h"

enum { NOTE_MAX_MS = 500 };

TAILQ_HEAD(entry_list, session_entry); /* most recently used first */

struct residence {
    struct residence_options options;
    struct session_table *table;
    struct snapshot_store *store; /* NULL: none */
    struct entry_list idle;       /* in memory, in no turn, not held */
    struct entry_list filed;      /* in files */
    uint64_t memory_bytes;        /* counted for all that are in memory, leaving or coming */
    uint64_t leaving_bytes;       /* of these, on their way out */
    uint64_t file_bytes;
    int n_in_memory, n_in_files;
    int n_in_use; /* in a turn or coming: their memory will be free some time */
    struct engine_saved *saved, **last_saved;
    struct engine_counters counters; /* n_saved_sessions and the like */
};

/* ---- lists ---- */

static struct entry_list *list_of(struct residence *residence, const struct session_entry *entry)
{
    return entry->place == SESSION_IN_FILE ? &residence->filed : &residence->idle;
}

static void list_newest(struct residence *residence, struct session_entry *entry)
{
    TAILQ_INSERT_HEAD(list_of(residence, entry), entry, by_use);
    entry->is_listed = true;
}

static void unlist(struct residence *residence, struct session_entry *entry)
{
    if (entry->is_listed)
        TAILQ_REMOVE(list_of(residence, entry), entry, by_use);
    entry->is_listed = false;
}

static void charge(struct residence *residence, struct session_entry *entry, uint64_t n_bytes)
{
    residence->memory_bytes += n_bytes - entry->memory_bytes;
    entry->memory_bytes = n_bytes;
}

static void drop(struct residence *residence, struct session_entry *entry)
{
    unlist(residence, entry);
    charge(residence, entry, 0);
    residence->n_in_memory -= entry->place == SESSION_IN_MEMORY;
    residence->n_in_files -= entry->place == SESSION_IN_FILE;
    residence->file_bytes -= entry->file_bytes;
    session_table_remove(residence->table, entry);
}

/* ---- out of memory, into files ---- */

/* The entry may go before the file does. Without memory for the job the file stays until the next
 * start, when nobody will know it. */
static void remove_file(struct residence *residence, uint64_t id)
{
    struct snapshot_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return;
    *job = (struct snapshot_job){.kind = SNAPSHOT_REMOVE, .name = id};
    snapshot_store_put(residence->store, job);
}

static void drop_file(struct residence *residence, struct session_entry *entry)
{
    remove_file(residence, entry->id);
    drop(residence, entry);
}

static void keep_file_limit(struct residence *residence)
{
    uint64_t limit = residence->options.file_bytes;
    while (limit > 0 && residence->file_bytes > limit && !TAILQ_EMPTY(&residence->filed)) {
        residence->counters.n_lost_sessions++;
        drop_file(residence, TAILQ_LAST(&residence->filed, entry_list));
    }
}

static void send_out(struct residence *residence, struct session_entry *entry)
{
    if (residence->store == NULL || session_position(entry->session) == 0) {
        drop(residence, entry);
        return;
    }
    unlist(residence, entry);
    entry->place = SESSION_IS_LEAVING;
    residence->n_in_memory--;
    residence->leaving_bytes += entry->memory_bytes;
    entry->job = (struct snapshot_job){
        .kind = SNAPSHOT_SAVE, .name = entry->id, .session = entry->session, .arg = entry};
    entry->session = NULL;
    snapshot_store_put(residence->store, &entry->job);
}

static bool is_all_idle(const struct residence *residence)
{
    return residence->n_in_use == 0 && residence->leaving_bytes == 0;
}

/* One whose note is on its way is spared: without it, it could not be found after a restart. */
static struct session_entry *oldest_free(const struct residence *residence)
{
    int64_t late_ns = clock_now_ns() - NOTE_MAX_MS * (int64_t)1000000;
    struct session_entry *entry = TAILQ_LAST(&residence->idle, entry_list);
    while (entry != NULL && entry->awaits_note && entry->released_ns > late_ns)
        entry = TAILQ_PREV(entry, entry_list, by_use);
    return entry;
}

/* True when n_bytes more fit, or when nothing is left that could make room for them. */
static bool make_room(struct residence *residence, uint64_t n_bytes)
{
    uint64_t limit = residence->options.memory_bytes;
    if (limit == 0)
        return true;
    struct session_entry *entry;
    while (residence->memory_bytes - residence->leaving_bytes + n_bytes > limit &&
           (entry = oldest_free(residence)) != NULL)
        send_out(residence, entry);
    return residence->memory_bytes + n_bytes <= limit ||
           (is_all_idle(residence) && TAILQ_EMPTY(&residence->idle));
}

/* ---- back into memory ---- */

static bool open_session(struct residence *residence, struct session **out, struct err *err)
{
    if (!session_open(out, &residence->options.shape, residence->options.mode,
                      residence->options.tokenizer, err))
        return false;
    session_set_drafts(*out, residence->options.max_drafts);
    return true;
}

static uint64_t bytes_of(const struct residence *residence, int64_t n_tokens)
{
    return kv_shape_touched_bytes(&residence->options.shape, n_tokens);
}

static enum residence_answer make_new(struct residence *residence, uint64_t id, uint64_t n_bytes,
                                      struct session_entry **out, struct err *err)
{
    if (!make_room(residence, n_bytes))
        return RESIDENCE_IS_FULL;
    struct session_entry *entry = session_table_add(residence->table, id, err);
    if (entry == NULL)
        return RESIDENCE_FAILED;
    if (!open_session(residence, &entry->session, err)) {
        session_table_remove(residence->table, entry);
        return RESIDENCE_FAILED;
    }
    residence->n_in_memory++;
    residence->n_in_use++;
    charge(residence, entry, n_bytes);
    *out = entry;
    return RESIDENCE_READY;
}

static enum residence_answer fetch(struct residence *residence, struct session_entry *entry,
                                   uint64_t n_bytes, struct err *err)
{
    struct session *session = NULL;
    if (!make_room(residence, n_bytes))
        return RESIDENCE_IS_FULL;
    if (!open_session(residence, &session, err))
        return RESIDENCE_FAILED;
    unlist(residence, entry);
    residence->n_in_files--;
    residence->file_bytes -= entry->file_bytes;
    entry->file_bytes = 0;
    entry->place = SESSION_IS_COMING;
    residence->n_in_use++;
    charge(residence, entry, n_bytes);
    entry->job = (struct snapshot_job){
        .kind = SNAPSHOT_LOAD, .name = entry->id, .session = session, .arg = entry};
    snapshot_store_put(residence->store, &entry->job);
    return RESIDENCE_COMES;
}

static void settle(struct residence *residence, struct session_entry *entry)
{
    charge(residence, entry, kv_cache_touched_bytes(session_cache(entry->session)));
    list_newest(residence, entry);
}

enum residence_answer residence_claim(struct residence *residence, uint64_t id, int64_t n_tokens,
                                      struct session_entry **out, struct err *err)
{
    uint64_t n_bytes = bytes_of(residence, n_tokens);
    struct session_entry *entry = session_table_find(residence->table, id);
    if (entry == NULL)
        return make_new(residence, id, n_bytes, out, err);
    if (entry->place == SESSION_IN_FILE)
        return fetch(residence, entry, n_bytes, err);
    if (entry->place != SESSION_IN_MEMORY)
        return RESIDENCE_COMES;
    *out = entry;
    if (entry->turn != NULL)
        return RESIDENCE_READY;

    bool was_listed = entry->is_listed;
    unlist(residence, entry); /* it must not make room for itself */
    uint64_t more = n_bytes > entry->memory_bytes ? n_bytes - entry->memory_bytes : 0;
    if (!make_room(residence, more)) {
        if (was_listed)
            list_newest(residence, entry);
        return RESIDENCE_IS_FULL;
    }
    charge(residence, entry, entry->memory_bytes + more);
    residence->n_in_use += was_listed;
    entry->awaits_note = false;
    return RESIDENCE_READY;
}

enum residence_answer residence_hold(struct residence *residence, uint64_t id,
                                     struct session_entry **out, struct err *err)
{
    struct session_entry *entry = session_table_find(residence->table, id);
    if (entry == NULL)
        return RESIDENCE_IS_GONE;
    if (entry->place == SESSION_IN_FILE)
        return fetch(residence, entry, bytes_of(residence, residence->options.shape.n_window), err);
    if (entry->place != SESSION_IN_MEMORY)
        return RESIDENCE_COMES;
    if (entry->is_listed) {
        unlist(residence, entry);
        entry->is_held = true;
    }
    *out = entry;
    return RESIDENCE_READY;
}

void residence_let_go(struct residence *residence, struct session_entry *entry)
{
    if (!entry->is_held)
        return;
    entry->is_held = false;
    if (entry->turn == NULL)
        list_newest(residence, entry);
}

void residence_release(struct residence *residence, struct session_entry *entry, bool is_kept)
{
    entry->turn = NULL;
    residence->n_in_use--;
    if (!is_kept || entry->is_forgotten) {
        drop(residence, entry);
        return;
    }
    entry->awaits_note = residence->store != NULL;
    entry->released_ns = clock_now_ns();
    settle(residence, entry);
}

void residence_forget(struct residence *residence, uint64_t id)
{
    struct session_entry *entry = session_table_find(residence->table, id);
    if (entry == NULL)
        return;
    if (entry->place == SESSION_IN_FILE)
        drop_file(residence, entry);
    else if (entry->place == SESSION_IN_MEMORY && entry->is_listed)
        drop(residence, entry);
    else
        entry->is_forgotten = true;
}

void residence_note(struct residence *residence, uint64_t id, struct buf *note)
{
    struct session_entry *entry = session_table_find(residence->table, id);
    bool is_awaited = entry != NULL && entry->place == SESSION_IN_MEMORY && entry->turn == NULL;
    if (!is_awaited)
        return;
    session_set_note(entry->session, note);
    entry->awaits_note = false;
}

/* ---- what the store has done ---- */

static void on_saved(struct residence *residence, struct session_entry *entry)
{
    residence->leaving_bytes -= entry->memory_bytes;
    charge(residence, entry, 0);
    if (entry->job.err.code != ERR_NONE) {
        residence->counters.n_lost_sessions++;
        residence->counters.n_save_errors++;
        drop(residence, entry);
        return;
    }
    entry->place = SESSION_IN_FILE;
    entry->file_bytes = entry->job.n_bytes;
    residence->file_bytes += entry->file_bytes;
    residence->n_in_files++;
    residence->counters.n_spilled++;
    if (entry->is_forgotten) {
        drop_file(residence, entry);
        return;
    }
    list_newest(residence, entry);
    keep_file_limit(residence);
}

static void on_loaded(struct residence *residence, struct session_entry *entry)
{
    residence->n_in_use--;
    entry->session = entry->job.session;
    entry->place = SESSION_IN_MEMORY;
    residence->n_in_memory++;
    bool is_lost = entry->job.err.code != ERR_NONE;
    residence->counters.n_lost_sessions += is_lost;
    residence->counters.n_restored += !is_lost;
    if (is_lost || entry->is_forgotten)
        drop(residence, entry);
    else
        settle(residence, entry);
}

void residence_update(struct residence *residence)
{
    struct snapshot_job *next;
    struct snapshot_job *job =
        residence->store == NULL ? NULL : snapshot_store_take(residence->store);
    for (; job != NULL; job = next) {
        next = job->next;
        if (job->kind == SNAPSHOT_SAVE)
            on_saved(residence, job->arg);
        else if (job->kind == SNAPSHOT_LOAD)
            on_loaded(residence, job->arg);
        else
            free(job);
    }
}

void residence_read_counters(const struct residence *residence, struct engine_counters *out)
{
    out->n_sessions = residence->n_in_memory;
    out->n_saved_sessions = residence->n_in_files;
    out->kv_memory_bytes = residence->memory_bytes;
    out->kv_file_bytes = residence->file_bytes;
    out->n_spilled = residence->counters.n_spilled;
    out->n_restored = residence->counters.n_restored;
    out->n_lost_sessions = residence->counters.n_lost_sessions;
    out->n_save_errors = residence->counters.n_save_errors;
    if (residence->store != NULL)
        out->n_save_errors += snapshot_store_n_lost(residence->store);
    struct snapshot_progress progress = {0};
    if (residence->store != NULL)
        progress = snapshot_store_progress(residence->store);
    out->n_disk_jobs = progress.n_jobs;
    out->n_disk_moves = progress.n_moves;
}

/* ---- opening and closing ---- */

static void on_found(void *arg, uint64_t name, uint64_t n_bytes, struct buf *note)
{
    struct residence *residence = arg;
    struct engine_saved *saved = calloc(1, sizeof *saved);
    struct session_entry *entry =
        saved == NULL ? NULL : session_table_add(residence->table, name, NULL);
    if (entry == NULL) {
        free(saved);
        return;
    }
    entry->place = SESSION_IN_FILE;
    entry->file_bytes = n_bytes;
    residence->file_bytes += n_bytes;
    residence->n_in_files++;
    list_newest(residence, entry);

    *saved = (struct engine_saved){.session = name, .note = *note};
    buf_init(note);
    *residence->last_saved = saved;
    residence->last_saved = &saved->next;
}

static bool open_store(struct residence *residence, struct err *err)
{
    struct snapshot_store_options options = {
        .folder = residence->options.folder,
        .fingerprint = residence->options.fingerprint,
        .on_done = residence->options.on_change,
        .arg = residence->options.arg,
    };
    if (!snapshot_store_open(&residence->store, &options, err) ||
        !snapshot_store_list(residence->store, on_found, residence, err))
        return false;
    keep_file_limit(residence);
    return true;
}

bool residence_open(struct residence **out, const struct residence_options *options,
                    struct err *err)
{
    struct residence *residence = calloc(1, sizeof *residence);
    if (residence == NULL)
        return err_no_memory(err, "the sessions");
    residence->options = *options;
    residence->last_saved = &residence->saved;
    TAILQ_INIT(&residence->idle);
    TAILQ_INIT(&residence->filed);
    if (!session_table_open(&residence->table, err) ||
        (options->folder != NULL && !open_store(residence, err))) {
        residence_close(&residence);
        return false;
    }
    *out = residence;
    return true;
}

void residence_close(struct residence **residence_ptr)
{
    struct residence *residence = *residence_ptr;
    if (residence == NULL)
        return;
    while (!TAILQ_EMPTY(&residence->idle))
        send_out(residence, TAILQ_FIRST(&residence->idle));
    if (residence->store != NULL) {
        snapshot_store_finish(residence->store);
        residence_update(residence); /* may remove files, whose jobs ... */
        residence_update(residence); /* ... are taken here */
    }
    snapshot_store_close(&residence->store);
    session_table_close(&residence->table);
    for (struct engine_saved *saved = residence->saved; saved != NULL;) {
        struct engine_saved *next = saved->next;
        engine_saved_free(saved);
        saved = next;
    }
    free(residence);
    *residence_ptr = NULL;
}

const struct session_table *residence_table(const struct residence *residence)
{
    return residence->table;
}

int residence_sinks(const struct residence *residence, int n_wanted)
{
    int n_sinks = residence->options.shape.n_sinks;
    bool is_streaming = residence->options.mode == SESSION_MODE_STREAMING;
    return is_streaming && n_wanted > n_sinks ? n_wanted : n_sinks;
}

struct engine_saved *residence_take_saved(struct residence *residence)
{
    struct engine_saved *saved = residence->saved;
    residence->saved = NULL;
    residence->last_saved = &residence->saved;
    return saved;
}
