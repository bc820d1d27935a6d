#include "eval/plot.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/err.h"
#include "eval/table.h"

extern char **environ;

enum { MAX_GROUPS = 16, PANEL_HEIGHT = 320, WIDTH = 800 };

static const char *ending(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot == NULL ? "" : dot + 1;
}

bool plot_knows(const char *path)
{
    return strcmp(ending(path), "svg") == 0 || strcmp(ending(path), "png") == 0;
}

static bool is_new_group(const struct table *table, const char *column, size_t row)
{
    const char *name = json_string_value(table_get(table, row, column));
    for (size_t i = 0; i < row; i++) {
        if (strcmp(json_string_value(table_get(table, i, column)), name) == 0)
            return false;
    }
    return true;
}

/* The rows at which a group begins. */
static int find_groups(const struct plot *plot, const struct table *table, size_t *out)
{
    int n = 0;
    for (size_t row = 0; row < table_n_rows(table) && n < MAX_GROUPS; row++) {
        if (plot->group == NULL ? row == 0 : is_new_group(table, plot->group, row))
            out[n++] = row;
    }
    return n;
}

static bool is_in_group(const struct plot *plot, const struct table *table, size_t row,
                        size_t first)
{
    return plot->group == NULL ||
           json_equal(table_get(table, row, plot->group), table_get(table, first, plot->group));
}

static void write_data(const struct plot *plot, const struct table *table, const char *y, int name,
                       size_t first, FILE *out)
{
    fprintf(out, "$data%d << END\n", name);
    for (size_t row = first; row < table_n_rows(table); row++) {
        const json_t *x_value = table_get(table, row, plot->x);
        const json_t *y_value = table_get(table, row, y);
        if (is_in_group(plot, table, row, first) && x_value != NULL && y_value != NULL)
            fprintf(out, "%.9g %.9g\n", json_number_value(x_value), json_number_value(y_value));
    }
    fprintf(out, "END\n");
}

static void write_panel(const struct plot *plot, const struct table *table,
                        const struct plot_panel *panel, FILE *out)
{
    size_t groups[MAX_GROUPS];
    int n_groups = find_groups(plot, table, groups);
    for (int i = 0; i < n_groups; i++)
        write_data(plot, table, panel->y, i, groups[i], out);
    fprintf(out, "%s logscale y\n", panel->is_log ? "set" : "unset");
    fprintf(out, "set yrange [%s:*]\n", panel->from_zero ? "0" : "*");
    fprintf(out, "set ylabel '%s'\n", panel->label);
    for (int i = 0; i < n_groups; i++) {
        const char *name =
            plot->group == NULL ? "" : json_string_value(table_get(table, groups[i], plot->group));
        fprintf(out, "%s $data%d with linespoints pointtype 7 pointsize 0.3 linewidth 1.5 ",
                i == 0 ? "plot" : ",", i);
        fprintf(out, plot->group == NULL ? "notitle" : "title '%s'", name);
    }
    fputc('\n', out);
}

static void write_script(const struct plot *plot, const struct table *table, const char *kind,
                         FILE *out)
{
    fprintf(out, "set terminal %s size %d,%d %s\n", strcmp(kind, "svg") == 0 ? "svg" : "pngcairo",
            WIDTH, plot->n_panels * PANEL_HEIGHT + 80, "background rgb 'white'");
    fprintf(out, "set key outside right top noenhanced\nset grid\nset xlabel '%s'\n",
            plot->x_label);
    if (plot->x_is_log)
        fprintf(out, "set logscale x 2\n");
    fprintf(out, "set multiplot layout %d,1 title '%s' noenhanced\n", plot->n_panels, plot->title);
    for (int i = 0; i < plot->n_panels; i++)
        write_panel(plot, table, &plot->panels[i], out);
    fprintf(out, "unset multiplot\n");
}

/* gnuplot reads the script from one file and writes the picture to the other: no name goes through
 * a shell or through gnuplot's own quoting. */
static bool run_gnuplot(FILE *script, FILE *picture, struct err *err)
{
    posix_spawn_file_actions_t actions;
    char *const argv[] = {"gnuplot", NULL};
    pid_t child;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return err_no_memory(err, "gnuplot");
    int status = posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
    if (status == 0)
        status = posix_spawn_file_actions_adddup2(&actions, fileno(picture), STDOUT_FILENO);
    if (status == 0)
        status = posix_spawnp(&child, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (status == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "gnuplot is not installed");
    if (status != 0)
        return err_set(err, ERR_IO, "cannot start gnuplot: %s", strerror(status));
    int exit_status;
    while (waitpid(child, &exit_status, 0) < 0 && errno == EINTR)
        ;
    return exit_status == 0 || err_set(err, ERR_IO, "gnuplot could not draw the figure");
}

bool plot_draw(const struct plot *plot, const struct table *table, const char *path,
               struct err *err)
{
    FILE *script = tmpfile();
    FILE *picture = fopen(path, "we");
    bool is_drawn = false;
    if (script == NULL || picture == NULL) {
        err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    } else {
        write_script(plot, table, ending(path), script);
        is_drawn = fflush(script) == 0 && fseek(script, 0, SEEK_SET) == 0 &&
                   run_gnuplot(script, picture, err);
    }
    if (script != NULL)
        fclose(script);
    if (picture != NULL)
        fclose(picture);
    if (!is_drawn && picture != NULL)
        unlink(path);
    if (!is_drawn && err->code == ERR_NOT_FOUND) {
        fprintf(stderr, "no figure: %s\n", err->text);
        return true;
    }
    return is_drawn;
}
