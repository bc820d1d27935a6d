/* jinja_run.h - one rendering: its memory, what it may still spend, and why it failed.
 *
 * Templates come with model files and are not trusted: each step, byte and level is counted, and a
 * template that wants more than its input justifies ends with an error. Failure is final: what
 * returns false has set *err.
 * Owner: jinja_render. Thread: one. */
#ifndef CORE_TEXT_JINJA_RUN_H
#define CORE_TEXT_JINJA_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/text/jinja_value.h"

struct err;
struct jinja_name;
struct jinja_output;
struct jinja_scope;

struct jinja_limits {
    int64_t n_steps;
    size_t n_memory_bytes;
    size_t n_output_bytes;
    int64_t time_ns; /* of the thread, not of the clock on the wall */
};

enum { JINJA_MAX_DEPTH = 400 };

struct jinja_run {
    struct arena arena;
    int64_t n_steps_left;
    int64_t n_steps_to_look; /* at the clock */
    int64_t deadline_ns;     /* by clock_thread_ns */
    size_t n_output_bytes;   /* that may be written */
    int depth;
    struct err *err;
    bool has_raised;                     /* the template itself, by raise_exception */
    int64_t now;                         /* seconds since 1970, for strftime_now */
    struct jinja_scope *scope;           /* of the statement that runs */
    struct jinja_output *output;         /* where its text goes */
    struct jinja_value block_text;       /* what the filters of a block are applied to */
    struct jinja_list *rising, *falling; /* integers that ranges share: 0 .. n-1, n-1 .. 0 */
    struct jinja_name *const *names;     /* of the template */
};

void jinja_run_init(struct jinja_run *run, const struct jinja_limits *limits, int64_t now,
                    struct err *err);
void jinja_run_done(struct jinja_run *run);

/* Counts n steps; false when too many were made, or the time is over. */
bool jinja_spend(struct jinja_run *run, size_t n);
/* Counts the work on n bytes. */
bool jinja_spend_bytes(struct jinja_run *run, size_t n);
/* One level down, and up again; every jinja_enter that gave true needs its jinja_leave. */
bool jinja_enter(struct jinja_run *run);
void jinja_leave(struct jinja_run *run);

/* Zeroed; NULL, with the failure set, when the memory is spent. */
void *jinja_alloc(struct jinja_run *run, size_t size);
void *jinja_alloc_array(struct jinja_run *run, size_t n, size_t size);
char *jinja_alloc_text(struct jinja_run *run, size_t size);

/* Says what is wrong with the template or with what it was given; returns false. */
bool jinja_fail(struct jinja_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
