/* report.h - what a command found: a table to read, samples to draw, settings to repeat it.
 *
 * Owner: main. Thread: main. */
#ifndef EVAL_REPORT_H
#define EVAL_REPORT_H

#include <stdbool.h>

#include "eval/plot.h"
#include "eval/table.h"

struct err;
struct options;
struct subject;

struct report {
    json_t *settings;     /* object: model, machine and what was asked for */
    struct table summary; /* printed */
    struct table samples; /* for --csv and --plot */
    json_t *notes;        /* sentences below the table */
    struct plot plot;
    bool failed;
};

void report_init(struct report *report);
void report_done(struct report *report);

/* The model, kernels, threads. */
void report_set_subject(struct report *report, const struct subject *subject, const char *path);
void report_set_integer(struct report *report, const char *name, int64_t value);
void report_set_text(struct report *report, const char *name, const char *value);
void report_note(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints, and writes the files that the options name. */
bool report_write(struct report *report, const char *command, const struct options *options,
                  struct err *err);

#endif
