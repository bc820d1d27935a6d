#include "core/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *err, enum err_code code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        err->code = code;
    }
    return false;
}

bool err_prefix(struct err *err, const char *format, ...)
{
    if (err != NULL) {
        char joined[2 * sizeof err->text];
        va_list args;
        va_start(args, format);
        vsnprintf(joined, sizeof err->text, format, args);
        va_end(args);

        size_t len = strlen(joined);
        snprintf(joined + len, sizeof joined - len, ": %s", err->text);
        joined[sizeof err->text - 1] = '\0';
        memcpy(err->text, joined, sizeof err->text);
    }
    return false;
}

bool err_no_memory(struct err *err, const char *what)
{
    return err_set(err, ERR_MEMORY, "not enough memory for %s", what);
}
