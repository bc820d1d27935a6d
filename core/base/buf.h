/* buf.h - growable bytes.
 *
 * Failure is sticky: after an allocation fails, appends do nothing and `failed` stays true, so a
 * caller writes freely and asks once at the end. Owner: whoever embeds it. Thread: the owner's. */
#ifndef CORE_BASE_BUF_H
#define CORE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* len bytes, then a NUL that does not count; NULL when nothing was ever appended */
    size_t len;
    size_t max; /* bytes allocated */
    bool failed;
};

void buf_init(struct buf *buf);
void buf_done(struct buf *buf);

void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_append_text(struct buf *buf, const char *text);
void buf_append_char(struct buf *buf, char c);
void buf_append_format(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Removes the first `len` bytes. */
void buf_drop_front(struct buf *buf, size_t len);
/* Keeps the first `len` bytes at most. */
void buf_truncate(struct buf *buf, size_t len);
void buf_clear(struct buf *buf);

/* The text, never NULL. Borrowed until the next change. */
const char *buf_text(const struct buf *buf);

#endif
