/* response_replay.h - the events of a response that was stored, as if it were said once more.
 * Pure. Thread: any. */
#ifndef SERVER_RESPONSE_REPLAY_H
#define SERVER_RESPONSE_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct response_row;

/* Writes the frames whose sequence number is greater than `after` (-1: all). False when there is
 * no memory. */
bool response_replay_write(const struct response_row *row, int64_t after, struct buf *out);

#endif
