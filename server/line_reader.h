/* line_reader.h - the lines of a small text file: each whole, or the file is refused.
 *
 * The rest of a line that was cut would be taken for another line: the end of a comment for a key.
 * Owner: whoever reads the file. Thread: main, or loop. */
#ifndef SERVER_LINE_READER_H
#define SERVER_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct err;

struct line_reader {
    FILE *file;
    char *line; /* the last one, without its end; `size` bytes of the caller's */
    size_t size;
    int n; /* its number, from 1 */
    bool has_failed;
};

/* False at the end and at what cannot be used: has_failed, and *err, tell which. */
bool line_reader_next(struct line_reader *reader, struct err *err);

#endif
