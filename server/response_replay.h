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

/* Of frames that were written one after the other, the first one being number 0: the place where
 * those after `after` begin. */
const char *response_replay_skip(const char *frames, int64_t after);

#endif
