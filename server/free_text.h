/* free_text.h - any text but one that has certain marks in it, as an expression of a grammar
 * (GBNF). Pure. Thread: any. */
#ifndef SERVER_FREE_TEXT_H
#define SERVER_FREE_TEXT_H

#include <stddef.h>

struct buf;

enum { FREE_TEXT_MAX_MARKS = 8 };

/* Appends it. There are 1 .. FREE_TEXT_MAX_MARKS marks in UTF-8. The character that one begins with
 * is at no other place of any, and none is the beginning of another; or there is one mark, of one
 * character some times. The text may end with a part of a mark. */
void free_text_write(struct buf *out, const char *const *marks, size_t n_marks);

#endif
