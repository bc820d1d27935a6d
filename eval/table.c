#include "eval/table.h"

#include <math.h>
#include <string.h>

enum { MAX_CELL = 64 };

void table_init(struct table *table)
{
    *table = (struct table){.rows = json_array()};
    table->failed = table->rows == NULL;
}

void table_done(struct table *table)
{
    json_decref(table->rows);
    table->rows = NULL;
}

bool table_failed(const struct table *table)
{
    return table->failed;
}

void table_add_column(struct table *table, const char *name, const char *title, int decimals)
{
    if (table->n_columns == TABLE_MAX_COLUMNS) {
        table->failed = true;
        return;
    }
    struct table_column *column = &table->columns[table->n_columns++];
    snprintf(column->name, sizeof column->name, "%s", name);
    snprintf(column->title, sizeof column->title, "%s", title);
    column->decimals = decimals;
}

void table_add_row(struct table *table)
{
    table->failed |= json_array_append_new(table->rows, json_object()) != 0;
}

static void put(struct table *table, const char *column, json_t *value)
{
    size_t n = table_n_rows(table);
    json_t *row = n == 0 ? NULL : json_array_get(table->rows, n - 1);
    table->failed |= json_object_set_new(row, column, value) != 0;
}

void table_put_text(struct table *table, const char *column, const char *text)
{
    put(table, column, json_string(text));
}

void table_put_integer(struct table *table, const char *column, int64_t value)
{
    put(table, column, json_integer(value));
}

void table_put_number(struct table *table, const char *column, double value)
{
    if (isfinite(value))
        put(table, column, json_real(value));
}

size_t table_n_rows(const struct table *table)
{
    return json_array_size(table->rows);
}

const json_t *table_get(const struct table *table, size_t row, const char *column)
{
    return json_object_get(json_array_get(table->rows, row), column);
}

static void format_cell(const struct table *table, size_t row, int column, char out[MAX_CELL])
{
    const json_t *value = table_get(table, row, table->columns[column].name);
    if (json_is_string(value))
        snprintf(out, MAX_CELL, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(out, MAX_CELL, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, MAX_CELL, "%.*f", table->columns[column].decimals, json_real_value(value));
    else
        snprintf(out, MAX_CELL, "-");
}

static int column_width(const struct table *table, int column)
{
    size_t width = strlen(table->columns[column].title);
    char cell[MAX_CELL];
    for (size_t row = 0; row < table_n_rows(table); row++) {
        format_cell(table, row, column, cell);
        width = strlen(cell) > width ? strlen(cell) : width;
    }
    return (int)width;
}

/* The first column is a name, so it stands left; what follows are numbers. */
static void print_cell(const struct table *table, int column, const char *text, FILE *out)
{
    int width = column_width(table, column);
    fprintf(out, column == 0 ? "%-*s" : "  %*s", width, text);
}

void table_print(const struct table *table, FILE *out)
{
    for (int c = 0; c < table->n_columns; c++) {
        if (table->columns[c].decimals >= 0)
            print_cell(table, c, table->columns[c].title, out);
    }
    fputc('\n', out);
    for (size_t row = 0; row < table_n_rows(table); row++) {
        for (int c = 0; c < table->n_columns; c++) {
            char cell[MAX_CELL];
            format_cell(table, row, c, cell);
            if (table->columns[c].decimals >= 0)
                print_cell(table, c, cell, out);
        }
        fputc('\n', out);
    }
}

/* RFC 4180: in quotes, a quote is written twice. */
static void write_quoted(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text != '\0'; text++)
        fprintf(out, *text == '"' ? "\"\"" : "%c", *text);
    fputc('"', out);
}

static void write_value(const json_t *value, FILE *out)
{
    if (json_is_string(value))
        write_quoted(json_string_value(value), out);
    else if (json_is_integer(value))
        fprintf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        fprintf(out, "%.9g", json_real_value(value));
}

void table_write_csv(const struct table *table, FILE *out)
{
    for (int c = 0; c < table->n_columns; c++)
        fprintf(out, "%s%s", c == 0 ? "" : ",", table->columns[c].name);
    fputc('\n', out);
    for (size_t row = 0; row < table_n_rows(table); row++) {
        for (int c = 0; c < table->n_columns; c++) {
            fputs(c == 0 ? "" : ",", out);
            write_value(table_get(table, row, table->columns[c].name), out);
        }
        fputc('\n', out);
    }
}
