/* "multipleOf": between two bounds each multiple is a literal; else an automaton that knows the
 * remainder of the digits so far. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "server/json_schema_writer.h"
#include "server/number_range.h"

enum {
    MAX_LISTED = 2048,
    MAX_DECIMALS = 6,
    MAX_STEP = 240, /* without the zeros at its end */
    MAX_DIGITS = 15,
    MAX_STATES = 1000, /* remainders times digits */
};

/* The step is whole * 10^zeros / 10^n_decimals, and one of the last two is 0. */
struct step {
    int64_t whole;
    int zeros, n_decimals;
};

static bool read_step(double value, bool is_integer, struct step *out)
{
    double scaled = value;
    *out = (struct step){0};
    while (out->n_decimals < MAX_DECIMALS && fabs(scaled - round(scaled)) > 1e-9 * scaled)
        scaled = value * pow(10, ++out->n_decimals);
    if (!(scaled >= 1 && scaled < 1e12) || fabs(scaled - round(scaled)) > 1e-9 * scaled)
        return false;
    out->whole = llround(scaled);
    for (; is_integer && out->n_decimals > 0; out->n_decimals--) {
        /* an integer's multiples of 3/10 are those of 3, of 25/10 those of 5 */
        out->whole /= out->whole % 10 == 0  ? 10
                      : out->whole % 5 == 0 ? 5
                      : out->whole % 2 == 0 ? 2
                                            : 1;
    }
    for (; out->n_decimals == 0 && out->whole % 10 == 0; out->zeros++)
        out->whole /= 10;
    return true;
}

/* ---- a list ---- */

static bool write_list(const struct step *step, const struct number_range *range, struct buf *out)
{
    double size = (double)step->whole * pow(10, step->zeros - step->n_decimals);
    double first = ceil(range->min / size - 1e-9), last = floor(range->max / size + 1e-9);
    if (range->is_min_excluded && first * size <= range->min)
        first++;
    if (range->is_max_excluded && last * size >= range->max)
        last--;
    if (!(last - first < MAX_LISTED) || fabs(first * size) >= 1e15 || fabs(last * size) >= 1e15)
        return false;
    if (last < first) {
        buf_append_text(out, "[]");
        return true;
    }
    buf_append_char(out, '(');
    for (int i = 0; i <= (int)(last - first); i++) {
        double value = first + i == 0 ? 0 : (first + i) * size; /* never -0 */
        buf_append_format(out, "%s\"%.*f\"", i > 0 ? " | " : "", step->n_decimals, value);
    }
    buf_append_char(out, ')');
    return true;
}

/* ---- an automaton ---- */

/* States are remainders; where nothing can follow the rule's name is empty. */
struct automaton {
    struct schema_writer *writer;
    int whole;
    int n_decimals;
    bool is_good;
};

/* The rules of all states of one place: what may follow. `next` are those of the place after it, or
 * NULL; `ends` those that may stand there in place of a digit, or NULL: then the text may end in
 * the states that are multiples when `n_missing` zeros are added. */
static void add_place(struct automaton *self, const struct schema_rule_name *next,
                      const struct schema_rule_name *ends, int n_missing,
                      struct schema_rule_name *out)
{
    for (int state = 0; state < self->whole && self->is_good; state++) {
        struct buf text;
        int64_t rest = state;
        buf_init(&text);
        for (int i = 0; i < n_missing; i++)
            rest = rest * 10 % self->whole;
        if (ends != NULL)
            buf_append_text(&text, ends[state].text);
        else if (n_missing >= 0 && rest == 0)
            buf_append_text(&text, "\"\"");
        for (int digit = 0; digit < 10 && next != NULL; digit++) {
            const char *rule = next[(state * 10 + digit) % self->whole].text;
            if (rule[0] != '\0')
                buf_append_format(&text, "%s\"%d\" %s", text.len > 0 ? " | " : "", digit, rule);
        }
        out[state].text[0] = '\0';
        self->is_good = text.len == 0 || schema_add_rule(self->writer, &text, &out[state]);
        buf_done(&text);
    }
}

/* What may follow the digits before the point: nothing, or a point and decimals. `spare` is room
 * for two places. */
static void add_ends(struct automaton *self, struct schema_rule_name *spare,
                     struct schema_rule_name *out)
{
    struct schema_rule_name *places[2] = {spare, spare + self->whole};
    const struct schema_rule_name *next = NULL;
    for (int n = self->n_decimals; n > 0; n--) {
        add_place(self, next, NULL, self->n_decimals - n, places[n % 2]);
        next = places[n % 2];
    }
    struct schema_rule_name *point = places[0]; /* the first decimal's place is the other one */
    if (next != NULL)
        add_place(self, next, NULL, -1, point);
    add_place(self, NULL, NULL, self->n_decimals, out);
    for (int state = 0; state < self->whole && next != NULL && self->is_good; state++) {
        struct buf text;
        buf_init(&text);
        buf_append_format(&text, "%s%s", out[state].text, out[state].text[0] != '\0' ? " | " : "");
        buf_append_format(&text, "\".\" %s", point[state].text);
        if (point[state].text[0] != '\0')
            self->is_good = schema_add_rule(self->writer, &text, &out[state]);
        buf_done(&text);
    }
}

static bool write_automaton(struct schema_writer *writer, const struct step *step,
                            const struct number_range *range, struct buf *out)
{
    int whole = (int)step->whole;
    int n_digits = MAX_STATES / whole < MAX_DIGITS ? MAX_STATES / whole : MAX_DIGITS;
    struct automaton self = {writer, whole, step->n_decimals, true};
    struct schema_rule_name *rules = calloc((size_t)whole * 3, sizeof *rules);
    if (rules == NULL)
        return err_no_memory(writer->err, "a schema");
    struct schema_rule_name *ends = rules, *here = rules + whole, *next = rules + 2 * whole;
    add_ends(&self, here, ends);
    add_place(&self, NULL, ends, -1, next);
    for (int i = 1; i < n_digits && self.is_good; i++) {
        add_place(&self, next, ends, -1, here);
        struct schema_rule_name *used = next;
        next = here;
        here = used;
    }
    buf_append_text(out, "(");
    if (!(range->has_min && range->is_min_excluded))
        buf_append_format(out, "%s\"0\" %s | ",
                          step->n_decimals > 0 && !range->has_min ? "\"-\"? " : "", ends[0].text);
    buf_append_text(out, range->has_min ? "(" : "\"-\"? (");
    const char *bar = "";
    for (int digit = 1; digit < 10; digit++) {
        if (next[digit % whole].text[0] == '\0')
            continue;
        buf_append_format(out, "%s\"%d\" %s", bar, digit, next[digit % whole].text);
        bar = " | ";
    }
    buf_append_format(out, ") \"%.*s\")", step->zeros, "000000000000");
    free(rules);
    return self.is_good;
}

bool schema_write_multiple(struct schema_writer *writer, const json_t *value,
                           const struct number_range *range, bool *out_is_written, struct buf *out)
{
    struct step step;
    if (!json_is_number(value) || !(json_number_value(value) > 0))
        return schema_fail(writer, "'multipleOf' must be a number above 0");
    bool is_known = read_step(json_number_value(value), range->is_integer, &step);
    bool is_bounded = range->has_min && range->has_max;
    bool is_from_zero = range->has_min && range->min == 0 && !range->has_max;
    bool is_above_zero = is_from_zero && range->is_min_excluded;
    *out_is_written = true;
    if (is_known && is_bounded && write_list(&step, range, out))
        return true;
    if (is_known && step.whole <= MAX_STEP && !(is_above_zero && step.n_decimals > 0) &&
        (is_from_zero || (!range->has_min && !range->has_max)))
        return write_automaton(writer, &step, range, out);
    *out_is_written = false;
    return schema_refuse(writer, "multipleOf");
}
