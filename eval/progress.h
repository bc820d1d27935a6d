/* progress.h - one line on stderr that says how far a long measurement is; nothing when stderr is
 * no terminal. Thread: main. */
#ifndef EVAL_PROGRESS_H
#define EVAL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* borrowed */
    double total;
    int64_t began_ns;
    int64_t drawn_ns;
    bool is_shown;
};

void progress_begin(struct progress *progress, const char *what, double total);
void progress_set(struct progress *progress, double done);
/* Wipes the line. */
void progress_end(struct progress *progress);

#endif
