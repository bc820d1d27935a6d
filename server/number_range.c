#include "server/number_range.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"

enum { MAX_WHOLE = 16, MAX_FRACTION = 15, DECIMAL_SIZE = 64 };

/* A number >= 0 by its digits: those before the point without leading zeros ("0" for none), those
 * after it without trailing ones. */
struct decimal {
    char whole[DECIMAL_SIZE];
    char fraction[DECIMAL_SIZE];
};

/* One side of zero. */
struct interval {
    struct decimal min, max;
    bool has_max;
    bool is_min_excluded, is_max_excluded;
    bool is_integer;
};

static bool to_decimal(double value, struct decimal *out, struct err *err)
{
    char text[DECIMAL_SIZE];
    if (!(value < 1e15) || (value != 0 && value < 1e-12))
        return err_set(err, ERR_UNSUPPORTED,
                       "a bound of %g has too many digits: 15 before the point and 12 after it are "
                       "supported",
                       value);
    for (int precision = 15; precision <= 17; precision++) { /* the shortest that means it */
        int n_whole = value > 0 ? (int)floor(log10(value)) + 1 : 0;
        int n_fraction = precision - n_whole;
        snprintf(text, sizeof text, "%.*f", n_fraction < 0 ? 0 : n_fraction, value);
        if (strtod(text, NULL) == value)
            break;
    }
    char *point = strchr(text, '.');
    *out = (struct decimal){.fraction = ""};
    snprintf(out->whole, sizeof out->whole, "%.*s",
             (int)(point != NULL ? (size_t)(point - text) : strlen(text)), text);
    if (point != NULL)
        snprintf(out->fraction, sizeof out->fraction, "%s", point + 1);
    size_t len = strlen(out->fraction);
    while (len > 0 && out->fraction[len - 1] == '0')
        out->fraction[--len] = '\0';
    return true;
}

static void write_digits(struct buf *out, size_t min, size_t max)
{
    if (max > 0)
        buf_append_format(out, "[0-9]{%zu,%zu} ", min, max);
}

static void write_digit(struct buf *out, char first, char last)
{
    buf_append_format(out, first == last ? "[%c] " : "[%c-%c] ", first, last);
}

/* ---- whole numbers ---- */

static bool is_all(const char *digits, char c)
{
    return strspn(digits, (char[]){c, '\0'}) == strlen(digits);
}

/* From low to high, digit strings of one length. */
static void write_same_length(struct buf *out, const char *low, const char *high)
{
    size_t rest = strlen(low) - (low[0] != '\0');
    char nines[DECIMAL_SIZE], zeros[DECIMAL_SIZE];
    if (low[0] == '\0')
        return;
    if (is_all(low, '0') && is_all(high, '9')) {
        write_digits(out, strlen(low), strlen(low));
        return;
    }
    if (low[0] == high[0]) {
        write_digit(out, low[0], low[0]);
        write_same_length(out, low + 1, high + 1);
        return;
    }
    memset(nines, '9', rest);
    memset(zeros, '0', rest);
    nines[rest] = zeros[rest] = '\0';
    bool is_low_cut = !is_all(low + 1, '0'), is_high_cut = !is_all(high + 1, '9');
    char first = (char)(low[0] + is_low_cut), last = (char)(high[0] - is_high_cut);
    const char *bar = "";
    buf_append_text(out, "(");
    if (is_low_cut) {
        write_digit(out, low[0], low[0]);
        write_same_length(out, low + 1, nines);
        bar = "| ";
    }
    if (first <= last) {
        buf_append_text(out, bar);
        write_digit(out, first, last);
        write_digits(out, rest, rest);
        bar = "| ";
    }
    if (is_high_cut) {
        buf_append_text(out, bar);
        write_digit(out, high[0], high[0]);
        write_same_length(out, zeros, high + 1);
    }
    buf_append_text(out, ") ");
}

static int compare_whole(const char *a, const char *b)
{
    size_t len_a = strlen(a), len_b = strlen(b);
    return len_a != len_b ? (len_a > len_b) - (len_a < len_b) : strcmp(a, b);
}

/* From low to high (NULL: no bound) without leading zeros; low <= high. */
static void write_whole(struct buf *out, const char *low, const char *high)
{
    size_t max_len = high != NULL ? strlen(high) : MAX_WHOLE;
    const char *bar = "";
    buf_append_text(out, "(");
    for (size_t len = strlen(low); len <= max_len; len++) {
        char first[DECIMAL_SIZE], last[DECIMAL_SIZE];
        memset(first, '0', len);
        first[0] = len == 1 ? '0' : '1';
        memset(last, '9', len);
        first[len] = last[len] = '\0';
        bool is_first = len == strlen(low), is_last = high != NULL && len == max_len;
        buf_append_text(out, bar);
        write_same_length(out, is_first ? low : first, is_last ? high : last);
        bar = "| ";
    }
    buf_append_text(out, ") ");
}

/* The next whole number. */
static void increment(char *digits)
{
    size_t i = strlen(digits);
    while (i > 0 && digits[i - 1] == '9')
        digits[--i] = '0';
    if (i > 0) {
        digits[i - 1]++;
    } else {
        memmove(digits + 1, digits, strlen(digits) + 1);
        digits[0] = '1';
    }
}

/* The one before; digits are not "0". */
static void decrement(char *digits)
{
    size_t i = strlen(digits);
    while (i > 0 && digits[i - 1] == '0')
        digits[--i] = '9';
    digits[i - 1]--;
    if (digits[0] == '0' && digits[1] != '\0')
        memmove(digits, digits + 1, strlen(digits));
}

/* ---- fractions: what comes after the point ---- */

/* Digits that are more than `low` (or as much). */
static void write_above(struct buf *out, const char *low, bool is_excluded)
{
    if (low[0] == '\0') {
        if (is_excluded)
            buf_append_format(out, "\"0\"{0,%d} [1-9] ", MAX_FRACTION - 1);
        write_digits(out, 0, MAX_FRACTION);
        return;
    }
    buf_append_text(out, "(");
    if (low[0] < '9') {
        write_digit(out, (char)(low[0] + 1), '9');
        write_digits(out, 0, MAX_FRACTION);
        buf_append_text(out, "| ");
    }
    write_digit(out, low[0], low[0]);
    write_above(out, low + 1, is_excluded);
    buf_append_text(out, ") ");
}

/* Digits that are less than `high` (or as much). After the point there is at least one; later none
 * need follow, because what `high` has left is more. */
static void write_below(struct buf *out, const char *high, bool is_excluded, bool is_first)
{
    if (high[0] == '\0') { /* asked for only where equal is good */
        buf_append_format(out, "\"0\"{0,%d} ", MAX_FRACTION);
        return;
    }
    bool is_last = high[1] == '\0';
    buf_append_text(out, "(");
    if (high[0] > '0') {
        write_digit(out, '0', (char)(high[0] - 1));
        write_digits(out, 0, MAX_FRACTION);
    }
    if (!is_last || !is_excluded) {
        buf_append_text(out, high[0] > '0' ? "| " : "");
        write_digit(out, high[0], high[0]);
        write_below(out, high + 1, is_excluded, false);
    }
    buf_append_text(out, is_first ? ") " : ")? ");
}

/* Digits between two that begin with the same whole number; low < high, or equal and neither is
 * excluded. */
static void write_between(struct buf *out, const char *low, const char *high,
                          const struct interval *interval, bool is_first)
{
    char first = low[0] != '\0' ? low[0] : '0';
    const char *low_rest = low[0] != '\0' ? low + 1 : low;
    if (high[0] == '\0') { /* then low has ended too */
        buf_append_format(out, "\"0\"{0,%d} ", MAX_FRACTION);
        return;
    }
    buf_append_text(out, "(");
    if (first == high[0]) {
        write_digit(out, first, first);
        write_between(out, low_rest, high + 1, interval, false);
    } else {
        write_digit(out, first, first);
        write_above(out, low_rest, interval->is_min_excluded);
        if (first + 1 < high[0]) {
            buf_append_text(out, "| ");
            write_digit(out, (char)(first + 1), (char)(high[0] - 1));
            write_digits(out, 0, MAX_FRACTION);
        }
        if (high[1] != '\0' || !interval->is_max_excluded) {
            buf_append_text(out, "| ");
            write_digit(out, high[0], high[0]);
            write_below(out, high + 1, interval->is_max_excluded, false);
        }
    }
    bool may_end = !is_first && low[0] == '\0' && !interval->is_min_excluded;
    buf_append_text(out, may_end ? ")? " : ") ");
}

/* ---- one side of zero ---- */

static void write_integers(struct buf *out, const struct interval *interval)
{
    struct decimal low = interval->min, high = interval->max;
    if (low.fraction[0] != '\0' || interval->is_min_excluded)
        increment(low.whole);
    bool is_cut = interval->has_max && high.fraction[0] == '\0' && interval->is_max_excluded;
    if (is_cut)
        decrement(high.whole);
    write_whole(out, low.whole, interval->has_max ? high.whole : NULL);
}

/* The whole number of the lower bound, with a fraction that is high enough. */
static void write_lowest(struct buf *out, const struct interval *interval)
{
    const struct decimal *low = &interval->min;
    bool is_optional = low->fraction[0] == '\0' && !interval->is_min_excluded;
    write_whole(out, low->whole, low->whole);
    buf_append_text(out, "(\".\" ");
    if (is_optional)
        write_digits(out, 1, MAX_FRACTION);
    else
        write_above(out, low->fraction, interval->is_min_excluded);
    buf_append_text(out, is_optional ? ")? " : ") ");
}

static void write_highest(struct buf *out, const struct interval *interval)
{
    const struct decimal *high = &interval->max;
    write_whole(out, high->whole, high->whole);
    buf_append_text(out, "(\".\" ");
    if (high->fraction[0] == '\0')
        buf_append_format(out, "\"0\"{1,%d} ", MAX_FRACTION);
    else
        write_below(out, high->fraction, interval->is_max_excluded, true);
    buf_append_text(out, ")? ");
}

static void write_decimals(struct buf *out, const struct interval *interval)
{
    struct decimal low = interval->min, high = interval->max;
    bool is_one_whole = interval->has_max && strcmp(low.whole, high.whole) == 0;
    if (is_one_whole) {
        bool is_optional = low.fraction[0] == '\0' && !interval->is_min_excluded;
        write_whole(out, low.whole, low.whole);
        buf_append_text(out, "(\".\" ");
        if (high.fraction[0] == '\0')
            buf_append_format(out, "\"0\"{1,%d} ", MAX_FRACTION);
        else
            write_between(out, low.fraction, high.fraction, interval, true);
        buf_append_text(out, is_optional ? ")? " : ") ");
        return;
    }
    write_lowest(out, interval);
    increment(low.whole);
    bool has_highest =
        interval->has_max && (high.fraction[0] != '\0' || !interval->is_max_excluded);
    if (has_highest) {
        buf_append_text(out, "| ");
        write_highest(out, interval);
    }
    bool has_inner = !interval->has_max || compare_whole(low.whole, high.whole) < 0;
    if (has_inner) {
        if (interval->has_max)
            decrement(high.whole);
        buf_append_text(out, "| ");
        write_whole(out, low.whole, interval->has_max ? high.whole : NULL);
        buf_append_text(out, "(\".\" ");
        write_digits(out, 1, MAX_FRACTION);
        buf_append_text(out, ")? ");
    }
}

/* Whether any number lies between. */
static bool has_numbers(const struct interval *interval)
{
    struct decimal low = interval->min, high = interval->max;
    if (!interval->has_max)
        return true;
    if (interval->is_integer) {
        if (low.fraction[0] != '\0' || interval->is_min_excluded)
            increment(low.whole);
        if (high.fraction[0] == '\0' && interval->is_max_excluded) {
            if (strcmp(high.whole, "0") == 0)
                return false;
            decrement(high.whole);
        }
        return compare_whole(low.whole, high.whole) <= 0;
    }
    int order = compare_whole(low.whole, high.whole);
    if (order == 0)
        order = strcmp(low.fraction, high.fraction);
    return order < 0 || (order == 0 && !interval->is_min_excluded && !interval->is_max_excluded);
}

/* Appends what lies between to the choice; *n_written counts. */
static bool write_side(struct buf *out, const char *sign, struct interval *interval, double min,
                       double max, int *n_written, struct err *err)
{
    if (!to_decimal(min, &interval->min, err) ||
        (interval->has_max && !to_decimal(max, &interval->max, err)))
        return false;
    if (!has_numbers(interval))
        return true;
    buf_append_text(out, (*n_written)++ == 0 ? "" : " | ");
    buf_append_format(out, "%s(", sign);
    if (interval->is_integer)
        write_integers(out, interval);
    else
        write_decimals(out, interval);
    buf_append_text(out, ")");
    return true;
}

bool number_range_write(const struct number_range *range, struct buf *out, struct err *err)
{
    int n_written = 0;
    bool has_negative = !range->has_min || range->min < 0;
    bool has_positive = !range->has_max || range->max >= 0;
    buf_append_text(out, "(");
    if (has_negative) { /* their absolute values, from the other end */
        bool is_below_zero = range->has_max && range->max < 0;
        struct interval interval = {
            .has_max = range->has_min,
            .is_min_excluded = is_below_zero ? range->is_max_excluded : true,
            .is_max_excluded = range->is_min_excluded,
            .is_integer = range->is_integer,
        };
        if (!write_side(out, "\"-\" ", &interval, is_below_zero ? -range->max : 0, -range->min,
                        &n_written, err))
            return false;
    }
    if (has_positive) {
        bool is_above_zero = range->has_min && range->min >= 0;
        struct interval interval = {
            .has_max = range->has_max,
            .is_min_excluded = is_above_zero && range->is_min_excluded,
            .is_max_excluded = range->is_max_excluded,
            .is_integer = range->is_integer,
        };
        if (!write_side(out, "", &interval, is_above_zero ? range->min : 0, range->max, &n_written,
                        err))
            return false;
    }
    buf_append_text(out, ")");
    return n_written > 0 ||
           err_set(err, ERR_INVALID, "no number lies between the minimum and the maximum");
}
