/* err.h - one failure as a value: a code for the program, one sentence for the person.
 *
 * Set once, where the fault is seen; passed up untouched or with a prefix; spoken once, by whoever
 * stops it. Thread: any (no shared state). */
#ifndef CORE_BASE_ERR_H
#define CORE_BASE_ERR_H

#include <stdbool.h>

enum err_code {
    ERR_NONE = 0,
    ERR_INVALID,     /* the caller's input is wrong: a request, a flag, a config line */
    ERR_NOT_FOUND,   /* the thing named does not exist */
    ERR_UNSUPPORTED, /* well formed, but sinkd cannot do it */
    ERR_FORMAT,      /* a file's content is damaged or lies about itself */
    ERR_IO,          /* the system refused: open, read, bind ... */
    ERR_MEMORY,      /* an allocation failed */
    ERR_LIMIT,       /* a limit of the configuration is reached: try later or send less */
    ERR_FULL,        /* the disk has no room; nothing is lost, and it goes on when there is some */
    ERR_STOPPED,     /* the daemon is draining */
    ERR_INTERNAL,    /* a bug of ours */
};

struct err {
    enum err_code code;
    char text[600]; /* one sentence that the reader can act on; no newline */
};

/* Fills *err (which may be NULL) and returns false, so that detection is one line:
 *     return err_set(err, ERR_LIMIT, "prompt has %d tokens, the limit is %d", n, max); */
bool err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "PREFIX: " before the text, keeps the code, returns false. */
bool err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ERR_MEMORY with the usual sentence; `what` names the thing that there was no memory for. */
bool err_no_memory(struct err *err, const char *what);

#endif
