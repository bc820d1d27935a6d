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
        char rest[sizeof err->text];
        memcpy(rest, err->text, sizeof rest);

        va_list args;
        va_start(args, format);
        int len = vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        if (len >= 0 && (size_t)len < sizeof err->text)
            snprintf(err->text + len, sizeof err->text - (size_t)len, ": %s", rest);
    }
    return false;
}

bool err_no_memory(struct err *err, const char *what)
{
    return err_set(err, ERR_MEMORY, "not enough memory for %s", what);
}
