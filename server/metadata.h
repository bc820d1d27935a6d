/* metadata.h - the notes that a client keeps with an object: at most 16 pairs of short strings.
 * Pure. Thread: any. */
#ifndef SERVER_METADATA_H
#define SERVER_METADATA_H

#include <jansson.h>
#include <stdbool.h>

struct api_error;
struct buf;

/* Appends the body's "metadata" as a compact JSON object; {} when there is none. */
bool metadata_read(const json_t *body, struct buf *out, struct api_error *error);

#endif
