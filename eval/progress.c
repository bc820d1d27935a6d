#include "eval/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"

static const int64_t redraw_ns = 100000000;

void progress_begin(struct progress *progress, const char *what, double total)
{
    *progress = (struct progress){
        .what = what,
        .total = total > 0 ? total : 1,
        .began_ns = clock_now_ns(),
        .is_shown = isatty(STDERR_FILENO) != 0,
    };
}

void progress_set(struct progress *progress, double done)
{
    int64_t now_ns = clock_now_ns();
    if (!progress->is_shown || now_ns - progress->drawn_ns < redraw_ns)
        return;
    progress->drawn_ns = now_ns;
    double part = done < progress->total ? done / progress->total : 1;
    double spent_s = (double)(now_ns - progress->began_ns) / 1e9;
    static const char full[] = "##############################";
    int n_full = (int)(part * (double)(sizeof full - 1));
    fprintf(stderr, "\r%-24s [%-30.*s] %3.0f %%  %.0f s left \033[K", progress->what, n_full, full,
            part * 100, part > 0 ? spent_s / part - spent_s : 0);
}

void progress_end(struct progress *progress)
{
    if (progress->is_shown)
        fputs("\r\033[K", stderr);
    progress->is_shown = false;
}
