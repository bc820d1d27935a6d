/* snapshot.h - a session as bytes that outlive the process, and back.
 *
 * A snapshot is a cache, not a record: it may be lost at any time and the text is then read again.
 * It is read as if it came from an enemy: bound to one model and configuration (fingerprint) and to
 * one session (name), sizes computed from the running configuration, the exact length demanded,
 * every byte under a checksum. Format, little endian: a header (struct snapshot_header in the .c)
 * under its own CRC-32C, then the session's note, first tokens and the rows of its cache
 * (kv_cache_walk) as one stream, cut into blocks that each carry a CRC-32C. Thread: whoever holds
 * the session; several at once for different ones. */
#ifndef CORE_SESSION_SNAPSHOT_H
#define CORE_SESSION_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct session;

struct snapshot_id {
    uint64_t fingerprint; /* of all that the numbers in a cache depend on */
    uint64_t name;        /* of the session */
};

/* Takes or fills in the next len bytes. */
typedef bool snapshot_write_fn(void *arg, const void *bytes, size_t len, struct err *err);
typedef bool snapshot_read_fn(void *arg, void *bytes, size_t len, struct err *err);

/* Length of what snapshot_write writes. */
uint64_t snapshot_bytes(const struct session *session);

/* The session must be idle. Fails only as `write` does, or for want of memory. */
bool snapshot_write(struct session *session, const struct snapshot_id *id, snapshot_write_fn *write,
                    void *arg, struct err *err);

/* Makes an idle session what the written one was: what follows is the same bit for bit. n_bytes are
 * there to be read. ERR_FORMAT when they are damaged, ERR_UNSUPPORTED when they belong to another
 * model, configuration, session or version; the session is then empty. */
bool snapshot_read(struct session *session, const struct snapshot_id *id, uint64_t n_bytes,
                   snapshot_read_fn *read, void *arg, struct err *err);

/* Of such bytes, the note alone, into a fresh buffer. The same errors. */
bool snapshot_read_note(const struct snapshot_id *id, uint64_t n_bytes, snapshot_read_fn *read,
                        void *arg, struct buf *out, struct err *err);

#endif
