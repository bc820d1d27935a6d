/* log.h - one line to stderr per event, with a level.
 *
 * Never holds prompts, answers or keys. Under journald each line carries its "<N>" priority prefix;
 * elsewhere the level's name. Thread: any; one write(2) per line. */
#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are dropped. Default: info. */
void log_set_level(enum log_level level);

/* false when `name` is not one of error, warning, info, debug. */
bool log_level_parse(const char *name, enum log_level *out_level);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
