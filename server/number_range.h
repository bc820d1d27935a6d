/* number_range.h - the numbers between two bounds as GBNF, digit by digit.
 *
 * Exact: a text fits if and only if it is a JSON number without exponent, of at most 16 digits
 * before the point and 15 after it where no bound needs more, and lies within. Pure. Thread: any.
 */
#ifndef SERVER_NUMBER_RANGE_H
#define SERVER_NUMBER_RANGE_H

#include <stdbool.h>

struct buf;
struct err;

struct number_range {
    bool has_min, has_max;
    bool is_min_excluded, is_max_excluded;
    double min, max;
    bool is_integer;
};

/* Appends an expression in parentheses. Fails when no number fits, or a bound has more digits than
 * can be dealt with. */
bool number_range_write(const struct number_range *range, struct buf *out, struct err *err);

#endif
