#include "eval/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/kernels/kernels.h"
#include "core/model/model.h"
#include "eval/options.h"
#include "eval/subject.h"

void report_init(struct report *report)
{
    *report = (struct report){.settings = json_object(), .notes = json_array()};
    table_init(&report->summary);
    table_init(&report->samples);
}

void report_done(struct report *report)
{
    table_done(&report->summary);
    table_done(&report->samples);
    json_decref(report->settings);
    json_decref(report->notes);
}

void report_set_integer(struct report *report, const char *name, int64_t value)
{
    report->failed |= json_object_set_new(report->settings, name, json_integer(value)) != 0;
}

void report_set_text(struct report *report, const char *name, const char *value)
{
    report->failed |= json_object_set_new(report->settings, name, json_string(value)) != 0;
}

void report_set_subject(struct report *report, const struct subject *subject, const char *path)
{
    const char *slash = strrchr(path, '/');
    report_set_text(report, "model", slash == NULL ? path : slash + 1);
    report_set_text(report, "architecture", subject->model->shape.architecture);
    report_set_integer(report, "parameters", (int64_t)subject->model->n_parameters);
    report_set_integer(report, "context", subject_n_context(subject));
    report_set_text(report, "kernels", kernels->name);
    report_set_integer(report, "threads", thread_pool_size(subject->pool));
}

void report_note(struct report *report, const char *format, ...)
{
    char note[400];
    va_list args;
    va_start(args, format);
    vsnprintf(note, sizeof note, format, args);
    va_end(args);
    report->failed |= json_array_append_new(report->notes, json_string(note)) != 0;
}

static void print(const struct report *report)
{
    const char *name;
    json_t *value;
    json_object_foreach(report->settings, name, value)
    {
        if (json_is_integer(value))
            printf("%s %lld  ", name, (long long)json_integer_value(value));
        else
            printf("%s %s  ", name, json_string_value(value));
    }
    printf("\n\n");
    table_print(&report->summary, stdout);
    if (json_array_size(report->notes) > 0)
        putchar('\n');
    size_t i;
    json_array_foreach(report->notes, i, value) printf("%s\n", json_string_value(value));
}

static bool close_written(FILE *file, const char *path, struct err *err)
{
    bool is_written = ferror(file) == 0;
    is_written = fclose(file) == 0 && is_written;
    return is_written || err_set(err, ERR_IO, "cannot write %s", path);
}

static bool write_json(const struct report *report, const char *command, const char *path,
                       struct err *err)
{
    json_t *all = json_pack("{s:s, s:O, s:O, s:O, s:O}", "command", command, "settings",
                            report->settings, "summary", report->summary.rows, "notes",
                            report->notes, "samples", report->samples.rows);
    if (all == NULL)
        return err_no_memory(err, "the report");
    FILE *file = fopen(path, "we");
    bool is_written = file != NULL;
    if (is_written) {
        is_written = json_dumpf(all, file, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) == 0;
        fputc('\n', file);
        is_written = close_written(file, path, err) && is_written;
    } else {
        err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    json_decref(all);
    return is_written;
}

static bool write_csv(const struct report *report, const char *path, struct err *err)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    table_write_csv(&report->samples, file);
    return close_written(file, path, err);
}

bool report_write(struct report *report, const char *command, const struct options *options,
                  struct err *err)
{
    if (report->failed || table_failed(&report->summary) || table_failed(&report->samples))
        return err_no_memory(err, "the report");
    print(report);
    return (options->json[0] == '\0' || write_json(report, command, options->json, err)) &&
           (options->csv[0] == '\0' || write_csv(report, options->csv, err)) &&
           (options->plot[0] == '\0' ||
            plot_draw(&report->plot, &report->samples, options->plot, err));
}
