/* option.h - one option of the daemon: its name, what it may be, where its value goes.
 *
 * Private to options.c, which has them all. Thread: main. */
#ifndef SERVER_OPTION_H
#define SERVER_OPTION_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct options;

enum option_kind {
    OPTION_HEADING, /* no option: the name of those that follow */
    OPTION_TEXT,
    OPTION_INTEGER,
    OPTION_DECIMAL,
    OPTION_BYTES,
    OPTION_SPAN,
    OPTION_SWITCH,
    OPTION_KV_TYPE,
    OPTION_MODE,
    OPTION_REASONING,
    OPTION_DURABILITY,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
};

struct option {
    const char *name; /* --name, SINKD_NAME, "name = value" */
    enum option_kind kind;
    size_t offset; /* in struct options */
    double min, max;
    const char *default_text; /* read like all other sources */
    const char *argument;
    const char *help;
};

/* Reads a value, from whatever source, into its field. */
bool option_read(const struct option *option, const char *value, struct options *out,
                 struct err *err);

/* Texts are compared as texts: what follows their end is left of older ones. */
bool option_differs(const struct option *option, const struct options *a, const struct options *b);
void option_copy(const struct option *option, struct options *to, const struct options *from);

#endif
