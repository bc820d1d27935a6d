#include "core/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"

/* A line has room for a message of which each byte is escaped. */
enum { MAX_LINE = 8192, MAX_MESSAGE = 1024 };

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int syslog_priorities[] = {3, 4, 6, 7};

static _Atomic int max_level = LOG_LEVEL_INFO;
static _Atomic int line_format = LOG_FORMAT_TEXT;

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

void log_set_format(enum log_format format)
{
    atomic_store(&line_format, (int)format);
}

bool log_format_parse(const char *name, enum log_format *out_format)
{
    bool is_json = strcmp(name, "json") == 0;
    if (!is_json && strcmp(name, "text") != 0)
        return false;
    *out_format = is_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
    return true;
}

/* ---- a line ---- */

struct line {
    char text[MAX_LINE];
    size_t len; /* one byte is kept free for the newline */
};

static void put(struct line *line, const char *text)
{
    size_t len = strlen(text), room = sizeof line->text - 1 - line->len;
    if (len > room)
        len = room;
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

/* A client's text must not be able to start a line of its own, or a field. */
static void put_plain(struct line *line, const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        put(line, (char[]){(unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c, '\0'});
}

/* Bytes beyond ASCII are escaped one by one: a path may hold what is not UTF-8, and a line must be
 * JSON all the same. */
static void put_quoted(struct line *line, const char *text)
{
    put(line, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        char piece[8] = {*c, '\0'};
        if (*c == '"' || *c == '\\')
            snprintf(piece, sizeof piece, "\\%c", *c);
        else if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
            snprintf(piece, sizeof piece, "\\u%04x", (unsigned char)*c);
        put(line, piece);
    }
    put(line, "\"");
}

static void put_number(struct line *line, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    put(line, text);
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

static void put_text_line(struct line *line, enum log_level level, const char *message,
                          const struct log_field *fields, size_t n_fields)
{
    char start[32];
    if (stderr_is_journal())
        snprintf(start, sizeof start, "<%d>", syslog_priorities[level]);
    else
        snprintf(start, sizeof start, "sinkd: %s: ", level_names[level]);
    put(line, start);
    put_plain(line, message);
    for (size_t i = 0; i < n_fields; i++) {
        put(line, " ");
        put(line, fields[i].key);
        put(line, "=");
        if (fields[i].text == NULL)
            put_number(line, fields[i].number);
        else if (strpbrk(fields[i].text, " \"=") != NULL)
            put_quoted(line, fields[i].text);
        else
            put_plain(line, fields[i].text);
    }
}

static void put_json_line(struct line *line, enum log_level level, const char *message,
                          const struct log_field *fields, size_t n_fields)
{
    struct timespec now;
    struct tm parts;
    char time_text[40] = "", fraction[8];
    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &parts) != NULL)
        strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(fraction, sizeof fraction, ".%03dZ", (int)(now.tv_nsec / 1000000));
    put(line, "{\"time\":\"");
    put(line, time_text);
    put(line, fraction);
    put(line, "\",\"level\":\"");
    put(line, level_names[level]);
    put(line, "\",\"message\":");
    put_quoted(line, message);
    for (size_t i = 0; i < n_fields; i++) {
        put(line, ",\"");
        put(line, fields[i].key);
        put(line, "\":");
        if (fields[i].text == NULL)
            put_number(line, fields[i].number);
        else
            put_quoted(line, fields[i].text);
    }
    put(line, "}");
}

void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t n_fields)
{
    if ((int)level > atomic_load(&max_level))
        return;
    struct line line = {.len = 0};
    if (atomic_load(&line_format) == LOG_FORMAT_JSON)
        put_json_line(&line, level, message, fields, n_fields);
    else
        put_text_line(&line, level, message, fields, n_fields);
    line.text[line.len] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line.text, line.len + 1);
    (void)ignored;
}

void log_write(enum log_level level, const char *format, ...)
{
    if ((int)level > atomic_load(&max_level))
        return;
    char message[MAX_MESSAGE];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (len >= 0)
        log_event(level, message, NULL, 0);
}

bool log_limit_take(struct log_limit *limit, int max_per_second)
{
    int64_t second = clock_now_ns() / 1000000000;
    if (second != limit->second) {
        if (limit->n_dropped > 0)
            log_warning("%d messages about clients were left out", limit->n_dropped);
        *limit = (struct log_limit){.second = second};
    }
    if (limit->n >= max_per_second) {
        limit->n_dropped++;
        return false;
    }
    limit->n++;
    return true;
}
