/* plot.h - a figure of a table's columns, drawn by gnuplot where it is installed. Thread: main. */
#ifndef EVAL_PLOT_H
#define EVAL_PLOT_H

#include <stdbool.h>

struct err;
struct table;

enum { PLOT_MAX_PANELS = 3 };

struct plot {
    const char *title;
    const char *x; /* column */
    const char *x_label;
    bool x_is_log;
    const char *group; /* one line for each text in this column; NULL: one line in all */
    struct plot_panel {
        const char *y; /* column */
        const char *label;
        bool is_log;
        bool from_zero;
    } panels[PLOT_MAX_PANELS]; /* one above the other */
    int n_panels;
};

/* Draws to `path`, which ends in ".svg" or ".png". Without gnuplot it says so on stderr: that is no
 * error. */
bool plot_draw(const struct plot *plot, const struct table *table, const char *path,
               struct err *err);
/* True when `path` names a kind of file that can be drawn. */
bool plot_knows(const char *path);

#endif
