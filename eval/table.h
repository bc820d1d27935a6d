/* table.h - rows of named values: printed for people, kept as JSON for programs.
 *
 * Failure is sticky like that of struct buf: a caller fills in freely, table_failed says at the
 * end. Owner: a report. Thread: main. */
#ifndef EVAL_TABLE_H
#define EVAL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { TABLE_MAX_COLUMNS = 16 };

struct table {
    struct table_column {
        char name[32];  /* in JSON and CSV */
        char title[40]; /* where it is printed */
        int decimals;   /* of numbers that are not whole; -1: not printed */
    } columns[TABLE_MAX_COLUMNS];
    int n_columns;
    json_t *rows; /* array of objects */
    bool failed;
};

void table_init(struct table *table);
void table_done(struct table *table);
bool table_failed(const struct table *table);

void table_add_column(struct table *table, const char *name, const char *title, int decimals);
void table_add_row(struct table *table);
/* Into the last row. What is not put, and a number that is not finite, is missing. */
void table_put_text(struct table *table, const char *column, const char *text);
void table_put_integer(struct table *table, const char *column, int64_t value);
void table_put_number(struct table *table, const char *column, double value);

size_t table_n_rows(const struct table *table);
/* NULL for what is missing. */
const json_t *table_get(const struct table *table, size_t row, const char *column);

void table_print(const struct table *table, FILE *out);
void table_write_csv(const struct table *table, FILE *out);

#endif
