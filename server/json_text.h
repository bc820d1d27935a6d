/* json_text.h - text as a JSON string, straight into a buffer.
 *
 * Replies are written, not built as trees: a stream sends thousands of small objects whose shape
 * never changes. Thread: any. */
#ifndef SERVER_JSON_TEXT_H
#define SERVER_JSON_TEXT_H

#include <stddef.h>

struct buf;

/* Appends `text` with its quotes. Bytes that are not UTF-8 become U+FFFD, so the result is always
 * valid JSON. */
void json_text_append(struct buf *out, const char *text, size_t len);

/* The same for a NUL-terminated text; NULL gives null. */
void json_text_append_string(struct buf *out, const char *text);

#endif
