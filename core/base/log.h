/* log.h - one line to stderr per event, with a level.
 *
 * Never holds prompts, answers or keys. Lines are text (under journald with its "<N>" priority,
 * elsewhere with the level's name) or JSON objects. Thread: any; one write(2) per line. */
#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are dropped. Default: info. */
void log_set_level(enum log_level level);

/* false when `name` is not one of error, warning, info, debug. */
bool log_level_parse(const char *name, enum log_level *out_level);

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Default: text. */
void log_set_format(enum log_format format);
/* false when `name` is not one of text, json. */
bool log_format_parse(const char *name, enum log_format *out_format);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something that programs may want to read too: "message key=value ...". */
struct log_field {
    const char *key;
    const char *text; /* NULL: the number */
    int64_t number;
};
void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t n_fields);

/* For messages whose number a client decides. */
struct log_limit {
    int64_t second;
    int n;
    int n_dropped;
};
/* True when one more may be written: at most max_per_second are. The first after some were left out
 * is preceded by a line that says how many. */
bool log_limit_take(struct log_limit *limit, int max_per_second);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
