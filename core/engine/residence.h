/* residence.h - which sessions are in memory, which in files, within a budget for each.
 *
 * Sessions that nobody speaks in leave memory, least recently used first, when others need it: into
 * a file if there is a folder for that, else for ever. In files too the least recently used makes
 * room. What has left comes back when it is claimed, or is found to be lost and then read again
 * from its text by whoever knows it. Owner: the batcher. Thread: engine. */
#ifndef CORE_ENGINE_RESIDENCE_H
#define CORE_ENGINE_RESIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine/engine.h"
#include "core/model/kv_cache.h"

struct residence;
struct session_entry;
struct session_table;

struct residence_options {
    struct kv_shape shape; /* of every session */
    enum session_mode mode;
    int max_drafts; /* see session_set_drafts */
    const struct tokenizer *tokenizer;
    uint64_t memory_bytes; /* of all sessions; 0: no limit. One session always fits */
    const char *folder;    /* for files; NULL: none */
    uint64_t file_bytes;   /* of all files; 0: no limit */
    uint64_t fingerprint;
    void (*on_change)(void *arg); /* on another thread: residence_update has something to do */
    void *arg;
};

bool residence_open(struct residence **out, const struct residence_options *options,
                    struct err *err);
/* No session may be in a turn. Saves what is in memory, for about half a minute at most. */
void residence_close(struct residence **residence);

/* All sessions, wherever they are. */
const struct session_table *residence_table(const struct residence *residence);

/* Sinks of a session that wants so many. */
int residence_sinks(const struct residence *residence, int n_wanted);

/* The sessions that were found in files at the start, with their notes, oldest first. The caller
 * frees each with engine_saved_free. */
struct engine_saved *residence_take_saved(struct residence *residence);

enum residence_answer {
    RESIDENCE_READY,
    RESIDENCE_COMES,   /* ask again after residence_update */
    RESIDENCE_IS_FULL, /* ask again when somebody has ended, and let nobody else ask before */
    RESIDENCE_IS_GONE, /* there is no such session */
    RESIDENCE_FAILED,  /* *err says why */
};

/* Gets a session into memory, a new one if there is none by that name, with room for n_tokens in
 * all; the caller then gives it a turn or releases it. One that is in a turn is READY as it is. */
enum residence_answer residence_claim(struct residence *residence, uint64_t id, int64_t n_tokens,
                                      struct session_entry **out, struct err *err);
/* Gets a session into memory to be read from; it stays there until it is let go. */
enum residence_answer residence_hold(struct residence *residence, uint64_t id,
                                     struct session_entry **out, struct err *err);
void residence_let_go(struct residence *residence, struct session_entry *entry);

/* The session's turn is over, or never began. `is_kept` false: it is of no use any more. */
void residence_release(struct residence *residence, struct session_entry *entry, bool is_kept);

/* A session is not wanted any more, wherever it is: its file goes too. */
void residence_forget(struct residence *residence, uint64_t id);

/* See engine_note. */
void residence_note(struct residence *residence, uint64_t id, struct buf *note);

/* Takes note of what has been saved and brought back. */
void residence_update(struct residence *residence);

/* Fills in what the counters say of places and files. */
void residence_read_counters(const struct residence *residence, struct engine_counters *out);

#endif
