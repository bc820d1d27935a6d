#include "core/session/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/err.h"
#include "core/model/kv_cache.h"
#include "core/session/session.h"

enum { BLOCK_BYTES = 256 * 1024, VERSION = 1 };

static const char magic[8] = "SINKDKV";

struct snapshot_header {
    char magic[8];
    uint32_t version;
    uint32_t n_sinks;
    uint64_t fingerprint;
    uint64_t name;
    int64_t position;
    int64_t ring_from;
    uint64_t n_note;  /* see struct session_saved */
    uint64_t n_start; /* the same */
    uint16_t n_recent;
    uint16_t marks; /* bit i: mark i is set; where, is among the numbers that follow the rows */
    uint32_t crc;   /* of all before */
};
_Static_assert(sizeof(struct snapshot_header) == 72, "the header has no holes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie");

/* The stream after the header, cut into blocks. */
struct blocks {
    unsigned char *bytes; /* new_block */
    size_t n;             /* bytes of this block that are filled (writing) or used (reading) */
    size_t len;           /* reading: bytes of this block */
    uint64_t left;        /* reading: bytes of the stream beyond this block */
    uint32_t index;       /* of the next block; it seeds the checksum, so blocks cannot swap */
    snapshot_write_fn *write;
    snapshot_read_fn *read;
    void *arg;
    struct err *err;
};

/* Length of everything for a stream of n bytes; false when that is no number. */
static bool total_bytes(uint64_t n, uint64_t *out)
{
    uint64_t n_blocks = n / BLOCK_BYTES + (n % BLOCK_BYTES != 0);
    return !__builtin_add_overflow(n, n_blocks * sizeof(uint32_t) + sizeof(struct snapshot_header),
                                   out);
}

/* Room for a block and its checksum, of a file of n_bytes. */
static unsigned char *new_block(uint64_t n_bytes)
{
    const size_t most = BLOCK_BYTES + sizeof(uint32_t);
    return malloc(n_bytes < most ? (size_t)n_bytes : most);
}

static bool stream_bytes(const struct session *session, uint64_t *out)
{
    struct session_saved saved = session_saved(session);
    return !__builtin_add_overflow(saved.n_row_bytes,
                                   saved.n_note + saved.n_start * sizeof(int32_t), out);
}

uint64_t snapshot_bytes(const struct session *session)
{
    uint64_t n_stream, n_total;
    return stream_bytes(session, &n_stream) && total_bytes(n_stream, &n_total) ? n_total
                                                                               : UINT64_MAX;
}

/* ---- writing ---- */

static bool flush_block(struct blocks *blocks)
{
    uint32_t crc = checksum_crc32c(blocks->index++, blocks->bytes, blocks->n);
    memcpy(blocks->bytes + blocks->n, &crc, sizeof crc);
    size_t len = blocks->n + sizeof crc;
    blocks->n = 0;
    return blocks->write(blocks->arg, blocks->bytes, len, blocks->err);
}

/* A kv_cache_bytes_fn. */
static bool put(void *arg, void *bytes, size_t len)
{
    struct blocks *blocks = arg;
    const unsigned char *from = bytes;
    while (len > 0) {
        size_t n = len < BLOCK_BYTES - blocks->n ? len : BLOCK_BYTES - blocks->n;
        memcpy(blocks->bytes + blocks->n, from, n);
        blocks->n += n;
        from += n;
        len -= n;
        if (blocks->n == BLOCK_BYTES && !flush_block(blocks))
            return false;
    }
    return true;
}

static uint32_t header_crc(const struct snapshot_header *header)
{
    return checksum_crc32c(0, header, offsetof(struct snapshot_header, crc));
}

static uint16_t marks_set(const struct kv_state *cache)
{
    unsigned bits = 0;
    for (int i = 0; i < KV_N_MARKS; i++)
        bits |= (unsigned)(cache->marks[i] > 0) << i;
    return (uint16_t)bits;
}

bool snapshot_write(struct session *session, const struct snapshot_id *id, snapshot_write_fn *write,
                    void *arg, struct err *err)
{
    struct session_saved saved = session_saved(session);
    struct snapshot_header header = {
        .version = VERSION,
        .n_sinks = (uint32_t)saved.cache.n_sinks,
        .fingerprint = id->fingerprint,
        .name = id->name,
        .position = saved.cache.position,
        .ring_from = saved.cache.ring_from,
        .n_recent = (uint16_t)saved.cache.n_recent,
        .n_note = saved.n_note,
        .n_start = saved.n_start,
        .marks = marks_set(&saved.cache),
    };
    if (header.n_recent != saved.cache.n_recent)
        return err_set(err, ERR_LIMIT, "a conversation that can take back %d tokens is not saved",
                       saved.cache.n_recent);
    memcpy(header.magic, magic, sizeof magic);
    header.crc = header_crc(&header);

    struct blocks blocks = {.write = write, .arg = arg, .err = err};
    blocks.bytes = new_block(snapshot_bytes(session));
    if (blocks.bytes == NULL)
        return err_no_memory(err, "saving a conversation");
    bool is_written = write(arg, &header, sizeof header, err) &&
                      session_walk(session, put, &blocks) &&
                      (blocks.n == 0 || flush_block(&blocks));
    free(blocks.bytes);
    return is_written;
}

/* ---- reading ---- */

static bool damaged(struct err *err, const char *what)
{
    return err_set(err, ERR_FORMAT, "a saved conversation is damaged: %s", what);
}

static bool next_block(struct blocks *blocks)
{
    blocks->n = 0;
    blocks->len = blocks->left < BLOCK_BYTES ? (size_t)blocks->left : BLOCK_BYTES;
    blocks->left -= blocks->len;
    uint32_t crc;
    if (!blocks->read(blocks->arg, blocks->bytes, blocks->len + sizeof crc, blocks->err))
        return false;
    memcpy(&crc, blocks->bytes + blocks->len, sizeof crc);
    return crc == checksum_crc32c(blocks->index++, blocks->bytes, blocks->len) ||
           damaged(blocks->err, "a checksum does not fit");
}

/* A kv_cache_bytes_fn. */
static bool get(void *arg, void *bytes, size_t len)
{
    struct blocks *blocks = arg;
    unsigned char *to = bytes;
    while (len > 0) {
        if (blocks->n == blocks->len && !next_block(blocks))
            return false;
        size_t n = len < blocks->len - blocks->n ? len : blocks->len - blocks->n;
        memcpy(to, blocks->bytes + blocks->n, n);
        blocks->n += n;
        to += n;
        len -= n;
    }
    return true;
}

static bool check_header(const struct snapshot_header *header, const struct snapshot_id *id,
                         struct err *err)
{
    if (memcmp(header->magic, magic, sizeof magic) != 0)
        return damaged(err, "it is no such file");
    if (header->version != VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "a saved conversation has format %u, this version reads %d", header->version,
                       (int)VERSION);
    if (header->crc != header_crc(header) || header->marks >> KV_N_MARKS != 0)
        return damaged(err, "its header");
    if (header->fingerprint != id->fingerprint)
        return err_set(err, ERR_UNSUPPORTED,
                       "a saved conversation belongs to another model or configuration");
    if (header->name != id->name)
        return err_set(err, ERR_UNSUPPORTED, "a saved conversation belongs to another session");
    return true;
}

static bool take_state(struct session *session, const struct snapshot_header *header,
                       uint64_t n_bytes, uint64_t *out_n_stream, struct err *err)
{
    uint64_t n_total;
    struct session_saved saved = {
        .cache = {.n_sinks = header->n_sinks <= INT32_MAX ? (int)header->n_sinks : -1,
                  .position = header->position,
                  .ring_from = header->ring_from,
                  .n_recent = header->n_recent},
        .n_note = header->n_note,
        .n_start = header->n_start,
    };
    for (int i = 0; i < KV_N_MARKS; i++) /* anywhere, until it is read where */
        saved.cache.marks[i] = (header->marks >> i & 1) != 0 ? header->position : 0;
    if (!session_restore(session, &saved))
        return damaged(err, "its numbers do not fit");
    if (!stream_bytes(session, out_n_stream) || !total_bytes(*out_n_stream, &n_total) ||
        n_total != n_bytes)
        return damaged(err, "its length does not fit");
    return true;
}

static bool check_marks(const struct session *session, const struct snapshot_header *header,
                        struct err *err)
{
    const struct kv_state cache = session_saved(session).cache;
    bool fits = marks_set(&cache) == header->marks;
    for (int i = 0; i < KV_N_MARKS; i++)
        fits &= cache.marks[i] >= 0 && cache.marks[i] <= cache.position;
    return fits || damaged(err, "its marks");
}

bool snapshot_read(struct session *session, const struct snapshot_id *id, uint64_t n_bytes,
                   snapshot_read_fn *read, void *arg, struct err *err)
{
    struct snapshot_header header;
    struct blocks blocks = {.read = read, .arg = arg, .err = err};
    if (n_bytes < sizeof header)
        return damaged(err, "it ends in its header");
    blocks.bytes = new_block(n_bytes);
    if (blocks.bytes == NULL)
        return err_no_memory(err, "a saved conversation");
    bool is_read = read(arg, &header, sizeof header, err) && check_header(&header, id, err) &&
                   take_state(session, &header, n_bytes, &blocks.left, err) &&
                   session_walk(session, get, &blocks) && check_marks(session, &header, err);
    free(blocks.bytes);
    if (!is_read)
        session_clear(session);
    return is_read;
}

/* The stream's bytes in a file of n_bytes, the reverse of total_bytes. */
static uint64_t stream_of(uint64_t n_bytes)
{
    uint64_t rest = n_bytes - sizeof(struct snapshot_header);
    uint64_t each = BLOCK_BYTES + sizeof(uint32_t);
    uint64_t n_blocks = rest / each + (rest % each != 0);
    return rest < n_blocks * sizeof(uint32_t) ? 0 : rest - n_blocks * sizeof(uint32_t);
}

static bool read_note(const struct snapshot_header *header, struct blocks *blocks, struct buf *out)
{
    if (header->n_note > blocks->left || header->n_note > SESSION_MAX_NOTE)
        return damaged(blocks->err, "its note does not fit");
    size_t len = (size_t)header->n_note;
    char *note = calloc(1, len + 1);
    if (note == NULL)
        return err_no_memory(blocks->err, "a saved conversation");
    if (len > 0 && !get(blocks, note, len)) {
        free(note);
        return false;
    }
    *out = (struct buf){.data = note, .len = len, .max = len + 1};
    return true;
}

bool snapshot_read_note(const struct snapshot_id *id, uint64_t n_bytes, snapshot_read_fn *read,
                        void *arg, struct buf *out, struct err *err)
{
    struct snapshot_header header;
    struct blocks blocks = {.read = read, .arg = arg, .err = err};
    if (n_bytes < sizeof header)
        return damaged(err, "it ends in its header");
    blocks.left = stream_of(n_bytes);
    blocks.bytes = new_block(n_bytes);
    if (blocks.bytes == NULL)
        return err_no_memory(err, "a saved conversation");
    bool is_read = read(arg, &header, sizeof header, err) && check_header(&header, id, err) &&
                   read_note(&header, &blocks, out);
    free(blocks.bytes);
    return is_read;
}
