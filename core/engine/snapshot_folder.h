/* snapshot_folder.h - saved sessions, a file each in one folder.
 *
 * A new file is written beside its place, synced and renamed, so that a crash leaves the old, the
 * new or none.
 * Owner: the snapshot store. Thread: the store's; before and after it, the one that opens. */
#ifndef CORE_ENGINE_SNAPSHOT_FOLDER_H
#define CORE_ENGINE_SNAPSHOT_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct err;
struct session;
struct snapshot_folder;

/* Of files with another fingerprint nothing is read. Makes the folder if its parent is there;
 * `path` must outlive it. */
bool snapshot_folder_open(struct snapshot_folder **out, const char *path, uint64_t fingerprint,
                          struct err *err);
void snapshot_folder_close(struct snapshot_folder **folder);

/* Writes the session beside its place. *out_file is for snapshot_folder_keep, which must follow,
 * and which may wait for the disk. */
bool snapshot_folder_write(struct snapshot_folder *folder, uint64_t name, struct session *session,
                           int *out_file, struct err *err);
/* Puts what was written in its place; false when it is lost. Until the next sync a power cut may
 * take it, whole. */
bool snapshot_folder_keep(struct snapshot_folder *folder, uint64_t name, int file);

/* Fills in a fresh session, which is empty after a failure, and removes the file. */
bool snapshot_folder_read(struct snapshot_folder *folder, uint64_t name, struct session *session,
                          struct err *err);
/* What was removed does not come back with the power. */
void snapshot_folder_remove(struct snapshot_folder *folder, uint64_t name);
void snapshot_folder_sync(struct snapshot_folder *folder);

/* Calls fn for each file of this fingerprint, oldest first, with the note that its session carries;
 * fn may take the note over. Files that cannot be read are removed, and so are those of other
 * fingerprints. */
typedef void snapshot_found_fn(void *arg, uint64_t name, uint64_t n_bytes, struct buf *note);
bool snapshot_folder_list(struct snapshot_folder *folder, snapshot_found_fn *fn, void *arg,
                          struct err *err);

/* Grows with each piece of a file that was read or written. Any thread. */
uint64_t snapshot_folder_n_moves(const struct snapshot_folder *folder);

#endif
