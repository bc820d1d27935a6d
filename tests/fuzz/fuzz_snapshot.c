/* fuzz_snapshot.c - libFuzzer target: any bytes as a saved session. First as they are, then with
 * identity and checksums put right, as an enemy would: what is accepted must save as itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/checksum.h"
#include "core/base/err.h"
#include "core/session/session.h"
#include "core/session/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

enum { HEADER_BYTES = 72, HEADER_CRC = 68, BLOCK_BYTES = 256 * 1024 };

static const struct kv_shape shape = {.n_layers = 1,
                                      .n_kv_heads = 1,
                                      .head_dim_k = 1,
                                      .head_dim_v = 1,
                                      .type = KV_Q8,
                                      .n_sinks = 2,
                                      .n_window = 6,
                                      .n_slack = 3};
static const struct snapshot_id id = {.fingerprint = 1, .name = 2};

static void put_right(uint8_t *bytes, size_t n_bytes)
{
    static const char start[12] = "SINKDKV\0\1";
    if (n_bytes < HEADER_BYTES)
        return;
    memcpy(bytes, start, sizeof start);
    memcpy(bytes + 16, &id.fingerprint, 8);
    memcpy(bytes + 24, &id.name, 8);
    uint32_t crc = checksum_crc32c(0, bytes, HEADER_CRC);
    memcpy(bytes + HEADER_CRC, &crc, sizeof crc);
    size_t n_block = n_bytes - HEADER_BYTES;
    if (n_block > 4 && n_block <= BLOCK_BYTES) {
        crc = checksum_crc32c(0, bytes + HEADER_BYTES, n_block - 4);
        memcpy(bytes + n_bytes - 4, &crc, sizeof crc);
    }
}

static bool write_to_buf(void *arg, const void *bytes, size_t len, struct err *err)
{
    (void)err;
    buf_append(arg, bytes, len);
    return true;
}

struct reader {
    const uint8_t *at;
    size_t left;
};

static bool read_from_memory(void *arg, void *bytes, size_t len, struct err *err)
{
    struct reader *reader = arg;
    if (len > reader->left)
        return err_set(err, ERR_IO, "the end");
    memcpy(bytes, reader->at, len);
    reader->at += len;
    reader->left -= len;
    return true;
}

static void load(struct session *session, const uint8_t *bytes, size_t n_bytes)
{
    struct err err;
    struct reader reader = {bytes, n_bytes};
    struct buf again = {0}, note = {0};
    if (snapshot_read_note(&id, n_bytes, read_from_memory, &reader, &note, &err) &&
        note.len > n_bytes)
        abort();
    buf_done(&note);
    reader = (struct reader){bytes, n_bytes};
    if (!snapshot_read(session, &id, n_bytes, read_from_memory, &reader, &err)) {
        if (session_position(session) != 0)
            abort();
        return;
    }
    if (!snapshot_write(session, &id, write_to_buf, &again, &err) || again.len != n_bytes ||
        memcmp(again.data, bytes, n_bytes) != 0)
        abort();
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct session *session = NULL;
    struct err err;
    uint8_t *copy = malloc(n_bytes + 1);
    if (copy == NULL || !session_open(&session, &shape, SESSION_MODE_STREAMING, NULL, &err))
        abort();
    load(session, bytes, n_bytes);
    memcpy(copy, bytes, n_bytes);
    put_right(copy, n_bytes);
    load(session, copy, n_bytes);
    session_close(&session);
    free(copy);
    return 0;
}
