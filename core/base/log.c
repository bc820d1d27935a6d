#include "core/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int syslog_priorities[] = {3, 4, 6, 7};

static _Atomic int max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
}

bool log_level_parse(const char *name, enum log_level *out_level)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* journald sets JOURNAL_STREAM to the device and inode of the pipe it reads; only then is the
 * "<N>" prefix understood (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long device, inode;
    struct stat st;
    return stream != NULL && sscanf(stream, "%lu:%lu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_write(enum log_level level, const char *format, ...)
{
    if ((int)level > atomic_load(&max_level))
        return;

    char line[1024];
    int len = stderr_is_journal() ? snprintf(line, sizeof line, "<%d>", syslog_priorities[level])
                                  : snprintf(line, sizeof line, "sinkd: %s: ", level_names[level]);
    va_list args;
    va_start(args, format);
    int text_len = vsnprintf(line + len, sizeof line - (size_t)len - 1, format, args);
    va_end(args);
    if (text_len < 0)
        return;
    len += text_len;
    if ((size_t)len > sizeof line - 2)
        len = (int)sizeof line - 2;

    /* A client's text must not be able to start a line of its own. */
    for (int i = 0; i < len; i++) {
        if ((unsigned char)line[i] < ' ')
            line[i] = ' ';
    }
    line[len] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)len + 1);
    (void)ignored;
}
