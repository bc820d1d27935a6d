/* Arithmetic and comparisons. */
#include <math.h>

#include "core/text/jinja_eval.h"
#include "core/text/jinja_format.h"
#include "core/text/jinja_run.h"

static bool fail_types(struct jinja_run *run, const char *sign, struct jinja_value a,
                       struct jinja_value b)
{
    if (a.type == JINJA_UNDEFINED || b.type == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, a.type == JINJA_UNDEFINED ? a : b);
    return jinja_fail(run, "unsupported operand types for %s: '%s' and '%s'", sign,
                      jinja_type_name(a), jinja_type_name(b));
}

static bool too_large(struct jinja_run *run)
{
    return jinja_fail(run, "a number grows too large");
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

/* Python's %: the sign is that of b. */
static double real_mod(double a, double b)
{
    double rest = fmod(a, b);
    if (rest == 0)
        return copysign(0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

/* Python's //, which fits its %: a / b may have been rounded up to a whole number. */
static double real_floor_div(double a, double b)
{
    double rest = fmod(a, b);
    double quotient = (a - rest) / b;
    if (rest != 0 && (rest < 0) != (b < 0))
        quotient -= 1;
    return quotient == 0 ? copysign(0, a / b) : nearbyint(quotient);
}

static bool integer_power(struct jinja_run *run, int64_t base, int64_t exponent,
                          struct jinja_value *out)
{
    int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
            return too_large(run);
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
            return too_large(run);
    }
    *out = jinja_int(result);
    return true;
}

static bool integers(struct jinja_run *run, enum jinja_operator op, int64_t a, int64_t b,
                     struct jinja_value *out)
{
    int64_t result;
    bool overflows;
    switch (op) {
    case JINJA_ADD:
        overflows = __builtin_add_overflow(a, b, &result);
        break;
    case JINJA_SUB:
        overflows = __builtin_sub_overflow(a, b, &result);
        break;
    case JINJA_MUL:
        overflows = __builtin_mul_overflow(a, b, &result);
        break;
    case JINJA_POW:
        return integer_power(run, a, b, out);
    default:
        if (b == 0)
            return jinja_fail(run, "division by zero");
        overflows = a == INT64_MIN && b == -1;
        result = overflows ? 0 : op == JINJA_MOD ? a - floor_div(a, b) * b : floor_div(a, b);
        break;
    }
    *out = jinja_int(result);
    return !overflows || too_large(run);
}

static bool reals(struct jinja_run *run, enum jinja_operator op, double a, double b,
                  struct jinja_value *out)
{
    if (b == 0 && (op == JINJA_DIV || op == JINJA_FLOOR_DIV || op == JINJA_MOD))
        return jinja_fail(run, "division by zero");
    double result = op == JINJA_ADD         ? a + b
                    : op == JINJA_SUB       ? a - b
                    : op == JINJA_MUL       ? a * b
                    : op == JINJA_DIV       ? a / b
                    : op == JINJA_FLOOR_DIV ? real_floor_div(a, b)
                    : op == JINJA_MOD       ? real_mod(a, b)
                                            : pow(a, b);
    *out = jinja_float(result);
    return true;
}

static bool numbers(struct jinja_run *run, enum jinja_operator op, struct jinja_value a,
                    struct jinja_value b, struct jinja_value *out)
{
    bool is_real = a.type == JINJA_FLOAT || b.type == JINJA_FLOAT || op == JINJA_DIV ||
                   (op == JINJA_POW && jinja_integer(b) < 0);
    return is_real ? reals(run, op, jinja_real(a), jinja_real(b), out)
                   : integers(run, op, jinja_integer(a), jinja_integer(b), out);
}

static bool concat_lists(struct jinja_run *run, struct jinja_value a, struct jinja_value b,
                         struct jinja_value *out)
{
    struct jinja_value joined;
    if (!jinja_list_new(run, a.type, a.list->n + b.list->n, &joined))
        return false;
    for (size_t i = 0; i < a.list->n; i++) {
        if (!jinja_list_push(run, joined.list, a.list->items[i]))
            return false;
    }
    for (size_t i = 0; i < b.list->n; i++) {
        if (!jinja_list_push(run, joined.list, b.list->items[i]))
            return false;
    }
    *out = joined;
    return true;
}

static bool is_sequence(struct jinja_value value)
{
    return value.type == JINJA_STRING || value.type == JINJA_LIST || value.type == JINJA_TUPLE;
}

/* A string or list, n times. */
static bool repeat(struct jinja_run *run, struct jinja_value what, int64_t n,
                   struct jinja_value *out)
{
    struct jinja_writer writer;
    if (what.type == JINJA_STRING) {
        jinja_writer_init(&writer, run, what.string->len);
        for (int64_t i = 0; i < n && what.string->len > 0 && !writer.failed; i++)
            jinja_write_string(&writer, what.string);
        return jinja_writer_end(&writer, out);
    }
    struct jinja_value list;
    size_t len = what.list->n;
    if (!jinja_list_new(run, what.type, len, &list))
        return false;
    for (int64_t i = 0; i < n && len > 0; i++) {
        for (size_t k = 0; k < len; k++) {
            if (!jinja_list_push(run, list.list, what.list->items[k]))
                return false;
        }
    }
    *out = list;
    return true;
}

bool jinja_binary(struct jinja_run *run, enum jinja_operator op, struct jinja_value a,
                  struct jinja_value b, struct jinja_value *out)
{
    static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "**"};
    if (jinja_is_number(a) && jinja_is_number(b))
        return numbers(run, op, a, b, out);
    if (op == JINJA_ADD && a.type == JINJA_STRING && b.type == JINJA_STRING)
        return jinja_string_concat(run, a.string, b.string, out);
    if (op == JINJA_ADD && a.type == b.type && is_sequence(a))
        return concat_lists(run, a, b, out);
    if (op == JINJA_MOD && a.type == JINJA_STRING)
        return jinja_format_percent(run, a.string, b, out);
    if (op == JINJA_MUL && is_sequence(a) && jinja_is_number(b) && b.type != JINJA_FLOAT)
        return repeat(run, a, jinja_integer(b), out);
    if (op == JINJA_MUL && is_sequence(b) && jinja_is_number(a) && a.type != JINJA_FLOAT)
        return repeat(run, b, jinja_integer(a), out);
    return fail_types(run, signs[op], a, b);
}

bool jinja_comparison(struct jinja_run *run, enum jinja_operator op, struct jinja_value a,
                      struct jinja_value b, bool *out)
{
    int order;
    if (!jinja_spend(run, 1))
        return false;
    switch (op) {
    case JINJA_EQ:
        return jinja_equal(run, a, b, out);
    case JINJA_NE:
        if (!jinja_equal(run, a, b, out))
            return false;
        *out = !*out;
        return true;
    case JINJA_IN:
        return jinja_contains(run, b, a, out);
    case JINJA_NOT_IN:
        if (!jinja_contains(run, b, a, out))
            return false;
        *out = !*out;
        return true;
    default:
        if (a.type == JINJA_UNDEFINED || b.type == JINJA_UNDEFINED)
            return fail_types(run, "<", a, b);
        if (!jinja_compare(run, a, b, &order))
            return false;
        *out = op == JINJA_LT   ? order < 0
               : op == JINJA_LE ? order <= 0
               : op == JINJA_GT ? order > 0
                                : order >= 0;
        return true;
    }
}

bool jinja_negate(struct jinja_run *run, struct jinja_value value, bool is_negative,
                  struct jinja_value *out)
{
    if (value.type == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, value);
    if (!jinja_is_number(value))
        return jinja_fail(run, "bad operand type for unary %s: '%s'", is_negative ? "-" : "+",
                          jinja_type_name(value));
    if (value.type == JINJA_FLOAT)
        *out = jinja_float(is_negative ? -value.real : value.real);
    else if (is_negative && jinja_integer(value) == INT64_MIN)
        return too_large(run);
    else
        *out = jinja_int(is_negative ? -jinja_integer(value) : jinja_integer(value));
    return true;
}
