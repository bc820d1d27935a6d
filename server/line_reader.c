#include "server/line_reader.h"

#include <errno.h>
#include <string.h>

#include "core/base/err.h"

static bool fail(struct line_reader *reader)
{
    reader->has_failed = true;
    return false;
}

bool line_reader_next(struct line_reader *reader, struct err *err)
{
    size_t len = 0;
    int c;
    reader->n++;
    while ((c = getc(reader->file)) != EOF && c != '\n') {
        if (c == '\0') {
            err_set(err, ERR_FORMAT, "line %d is no text: it has a zero byte", reader->n);
            return fail(reader);
        }
        if (len == reader->size - 1) {
            err_set(err, ERR_FORMAT, "line %d is longer than %zu bytes", reader->n, len);
            return fail(reader);
        }
        reader->line[len++] = (char)c;
    }
    reader->line[len] = '\0';
    if (ferror(reader->file)) {
        err_set(err, ERR_IO, "%s", strerror(errno));
        return fail(reader);
    }
    return c == '\n' || len > 0;
}
