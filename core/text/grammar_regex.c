#include "core/text/grammar_regex.h"

#include <limits.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/hex.h"
#include "core/text/regex_class.h"
#include "core/text/utf8.h"

enum {
    MAX_LEN = 16384,
    MAX_DEPTH = 40,
    MAX_COUNT = 100000,
    ENDLESS = INT_MAX,
};

/* How many characters a part of the expression stands for. */
struct span {
    int min, max; /* ENDLESS for no bound */
};

struct regex {
    const char *at, *end;
    enum grammar_regex_kind kind;
    int min_len, max_len;
    int depth;
    struct buf *out;
    struct err *err;
};

static bool fail(struct regex *regex, const char *what)
{
    return err_set(regex->err, ERR_INVALID, "in a regular expression, %s", what);
}

static bool is_at(const struct regex *regex, char c)
{
    return regex->at < regex->end && *regex->at == c;
}

static bool take(struct regex *regex, char c)
{
    if (!is_at(regex, c))
        return false;
    regex->at++;
    return true;
}

static int add_spans(int a, int b)
{
    return a == ENDLESS || b == ENDLESS || a > ENDLESS - b ? ENDLESS : a + b;
}

static int multiply_spans(int a, int b)
{
    if (a == 0 || b == 0)
        return 0;
    return a == ENDLESS || b == ENDLESS || a > ENDLESS / b ? ENDLESS : a * b;
}

/* ---- characters ---- */

static const char TOO_MANY[] = "a class has too many characters";

static bool add_range(struct regex *regex, struct regex_class *class, uint32_t first, uint32_t last)
{
    return regex_class_add(class, first, last) || fail(regex, TOO_MANY);
}

static bool take_hex(struct regex *regex, int n_digits, uint32_t *out)
{
    bool is_braced = n_digits == 4 && take(regex, '{');
    uint32_t point = 0;
    int n = 0;
    for (; n < (is_braced ? 6 : n_digits) && regex->at < regex->end; n++, regex->at++) {
        int digit = hex_value(*regex->at);
        if (digit < 0)
            break;
        point = point << 4 | (uint32_t)digit;
    }
    bool is_good = is_braced ? n > 0 && take(regex, '}') : n == n_digits;
    if (!is_good || point > REGEX_CLASS_LAST_POINT || (point >= 0xD800 && point <= 0xDFFF))
        return fail(regex, "an escape names no character: \\xNN, \\uNNNN or \\u{N}");
    *out = point;
    return true;
}

/* After the backslash, one character. */
static bool take_escape(struct regex *regex, uint32_t *out)
{
    static const char names[] = "nrtfv0";
    static const char values[] = "\n\r\t\f\v\0";
    char c = regex->at < regex->end ? *regex->at : '\0';
    const char *found = c != '\0' ? strchr(names, c) : NULL;
    if (c == '\0')
        return fail(regex, "a backslash stands at the end");
    if (found != NULL) {
        regex->at++;
        *out = (uint32_t)values[found - names];
        return true;
    }
    if (c == 'x' || c == 'u') {
        regex->at++;
        return take_hex(regex, c == 'x' ? 2 : 4, out);
    }
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (is_letter)
        return err_set(regex->err, ERR_INVALID,
                       "in a regular expression, \\%c is not supported: a grammar cannot say it",
                       c);
    size_t len = utf8_decode(regex->at, (size_t)(regex->end - regex->at), out);
    regex->at += len;
    return len > 0 || fail(regex, "a character is not UTF-8");
}

static bool take_point(struct regex *regex, uint32_t *out)
{
    if (take(regex, '\\'))
        return take_escape(regex, out);
    size_t len = utf8_decode(regex->at, (size_t)(regex->end - regex->at), out);
    regex->at += len;
    return len > 0 || fail(regex, "a character is missing, or is not UTF-8");
}

static bool take_class_name(struct regex *regex, struct regex_class *class)
{
    regex->at++; /* the backslash */
    return regex_class_add_named(class, *regex->at++) || fail(regex, TOO_MANY);
}

static bool is_at_class_name(const struct regex *regex)
{
    return regex->end - regex->at > 1 && regex->at[0] == '\\' && regex_class_is_name(regex->at[1]);
}

static bool parse_class(struct regex *regex, struct regex_class *class)
{
    class->is_negated = take(regex, '^');
    while (!take(regex, ']')) {
        uint32_t first, last;
        if (regex->at == regex->end)
            return fail(regex, "']' is missing");
        if (is_at_class_name(regex)) {
            if (!take_class_name(regex, class))
                return false;
            continue;
        }
        if (is_at(regex, '[') && regex->end - regex->at > 1 && regex->at[1] == ':')
            return fail(regex, "POSIX classes are not supported");
        if (!take_point(regex, &first))
            return false;
        last = first;
        if (is_at(regex, '-') && regex->end - regex->at > 1 && regex->at[1] != ']') {
            regex->at++;
            if (is_at_class_name(regex))
                return fail(regex, "a range ends in a class");
            if (!take_point(regex, &last))
                return false;
        }
        if (first > last)
            return fail(regex, "a range of characters goes backwards");
        if (!add_range(regex, class, first, last))
            return false;
    }
    return true;
}

static void write_class(struct regex *regex, struct regex_class *class)
{
    if (regex->kind == GRAMMAR_REGEX_JSON_STRING)
        regex_class_write_json(class, regex->out);
    else
        regex_class_write(class, regex->out);
}

/* ---- the expression ---- */

static bool parse_choice(struct regex *regex, struct span *out);

static bool parse_group(struct regex *regex, struct span *out)
{
    if (++regex->depth > MAX_DEPTH)
        return fail(regex, "groups are nested too deep");
    if (take(regex, '?')) {
        if (take(regex, 'P') && !is_at(regex, '<'))
            return fail(regex, "this kind of group is not supported");
        if (take(regex, '<')) { /* a name */
            if (is_at(regex, '=') || is_at(regex, '!'))
                return fail(regex, "look-around is not supported: a grammar cannot say it");
            while (regex->at < regex->end && !is_at(regex, '>'))
                regex->at++;
            if (!take(regex, '>'))
                return fail(regex, "a group's name does not end");
        } else if (!take(regex, ':')) {
            return fail(regex,
                        "look-around and flags are not supported: a grammar cannot say them");
        }
    }
    buf_append_text(regex->out, "(");
    if (!parse_choice(regex, out))
        return false;
    buf_append_text(regex->out, ")");
    regex->depth--;
    return take(regex, ')') || fail(regex, "')' is missing");
}

static bool parse_atom(struct regex *regex, struct span *out)
{
    struct regex_class class = {.n = 0};
    *out = (struct span){1, 1};
    if (take(regex, '('))
        return parse_group(regex, out);
    if (is_at(regex, '*') || is_at(regex, '+') || is_at(regex, '?') || is_at(regex, '{'))
        return fail(regex, "there is nothing to repeat");
    if (is_at(regex, '^') || is_at(regex, '$'))
        return fail(regex, "^ and $ are supported at the ends only");
    if (take(regex, '[')) {
        if (!parse_class(regex, &class))
            return false;
    } else if (take(regex, '.')) {
        class.is_negated = true;
        if (!add_range(regex, &class, '\n', '\n') || !add_range(regex, &class, '\r', '\r'))
            return false;
    } else if (is_at_class_name(regex)) {
        if (!take_class_name(regex, &class))
            return false;
    } else {
        uint32_t point;
        if (!take_point(regex, &point) || !add_range(regex, &class, point, point))
            return false;
    }
    write_class(regex, &class);
    return true;
}

static bool take_number(struct regex *regex, int *out)
{
    int n = 0;
    const char *begin = regex->at;
    for (; regex->at < regex->end && *regex->at >= '0' && *regex->at <= '9'; regex->at++) {
        n = n * 10 + (*regex->at - '0');
        if (n > MAX_COUNT)
            return fail(regex, "a repetition counts too far");
    }
    *out = n;
    return regex->at > begin || fail(regex, "a repetition is {m}, {m,} or {m,n}");
}

/* False where no quantifier stands; then *out is once. */
static bool take_quantifier(struct regex *regex, struct span *out, bool *is_bad)
{
    *out = (struct span){1, 1};
    *is_bad = false;
    if (take(regex, '?')) {
        out->min = 0;
    } else if (take(regex, '*')) {
        *out = (struct span){0, ENDLESS};
    } else if (take(regex, '+')) {
        out->max = ENDLESS;
    } else if (take(regex, '{')) {
        *is_bad = !take_number(regex, &out->min);
        out->max = out->min;
        if (!*is_bad && take(regex, ',')) {
            out->max = ENDLESS;
            *is_bad = !is_at(regex, '}') && !take_number(regex, &out->max);
        }
        if (!*is_bad && (!take(regex, '}') || out->max < out->min))
            *is_bad = !fail(regex, "a repetition is {m}, {m,} or {m,n} with m <= n");
    } else {
        return false;
    }
    take(regex, '?'); /* lazy: the same texts */
    if (!*is_bad && is_at(regex, '+'))
        *is_bad = !fail(regex, "possessive repetition is not supported");
    return true;
}

static void write_quantifier(struct regex *regex, struct span times)
{
    if (times.max == ENDLESS)
        buf_append_format(regex->out, "{%d,} ", times.min);
    else if (times.min != 1 || times.max != 1)
        buf_append_format(regex->out, "{%d,%d} ", times.min, times.max);
    else
        buf_append_text(regex->out, " ");
}

static bool is_at_end_of_sequence(const struct regex *regex)
{
    bool is_last_dollar = regex->depth == 0 && is_at(regex, '$') &&
                          (regex->end - regex->at == 1 || regex->at[1] == '|');
    return regex->at == regex->end || is_at(regex, '|') || is_at(regex, ')') || is_last_dollar;
}

/* Whether one atom is all there is between ^ and $: then its count can be what the string's length
 * asks for. */
static struct span limit_times(const struct regex *regex, struct span times, struct span atom,
                               bool is_alone)
{
    bool is_limited = regex->kind == GRAMMAR_REGEX_JSON_STRING && is_alone && atom.min == 1 &&
                      atom.max == 1 && times.min != times.max;
    if (!is_limited)
        return times;
    if (times.min < regex->min_len)
        times.min = regex->min_len;
    if (regex->max_len >= 0 && times.max > regex->max_len)
        times.max = regex->max_len;
    return times;
}

static bool parse_sequence(struct regex *regex, bool may_limit, struct span *out)
{
    *out = (struct span){0, 0};
    bool is_first = true;
    while (!is_at_end_of_sequence(regex)) {
        struct span atom, times;
        bool is_bad;
        if (!parse_atom(regex, &atom))
            return false;
        take_quantifier(regex, &times, &is_bad);
        if (is_bad)
            return false;
        bool is_alone = may_limit && is_first && regex->depth == 0 && is_at(regex, '$') &&
                        is_at_end_of_sequence(regex);
        times = limit_times(regex, times, atom, is_alone);
        if (times.max < times.min)
            return fail(regex, "no text has both the pattern and the length that are asked for");
        write_quantifier(regex, times);
        out->min = add_spans(out->min, multiply_spans(atom.min, times.min));
        out->max = add_spans(out->max, multiply_spans(atom.max, times.max));
        is_first = false;
        if (regex->out->len > (size_t)MAX_LEN * 64)
            return fail(regex, "there are too many classes");
    }
    if (is_first)
        buf_append_text(regex->out, "\"\"");
    return true;
}

static void write_any(struct regex *regex)
{
    struct regex_class any = {.is_negated = true};
    write_class(regex, &any);
    buf_append_text(regex->out, "* ");
}

/* An alternative of the whole expression, with its anchors. */
static bool parse_anchored(struct regex *regex, struct span *out)
{
    bool is_part = regex->kind == GRAMMAR_REGEX_JSON_STRING;
    bool has_begin = take(regex, '^');
    if (is_part && !has_begin)
        write_any(regex);
    if (!parse_sequence(regex, has_begin, out))
        return false;
    bool has_end = take(regex, '$');
    if (is_part && !has_end) {
        buf_append_text(regex->out, " ");
        write_any(regex);
    }
    if (is_part && (!has_begin || !has_end))
        out->max = ENDLESS;
    return true;
}

static bool parse_choice(struct regex *regex, struct span *out)
{
    *out = (struct span){ENDLESS, 0};
    do {
        struct span one;
        bool is_good =
            regex->depth == 0 ? parse_anchored(regex, &one) : parse_sequence(regex, false, &one);
        if (!is_good)
            return false;
        out->min = one.min < out->min ? one.min : out->min;
        out->max = one.max > out->max ? one.max : out->max;
        if (is_at(regex, '|'))
            buf_append_text(regex->out, " | ");
    } while (take(regex, '|'));
    return true;
}

bool grammar_regex_write(const char *text, size_t len, enum grammar_regex_kind kind, int min_len,
                         int max_len, struct buf *out, struct err *err)
{
    struct regex regex = {.at = text,
                          .end = text + len,
                          .kind = kind,
                          .min_len = min_len,
                          .max_len = max_len,
                          .out = out,
                          .err = err};
    struct span span;
    if (len > MAX_LEN)
        return err_set(err, ERR_INVALID, "a regular expression may have at most %d bytes",
                       (int)MAX_LEN);
    buf_append_text(out, "(");
    if (!parse_choice(&regex, &span))
        return false;
    buf_append_text(out, ")");
    if (regex.at < regex.end)
        return fail(&regex, is_at(&regex, ')') ? "')' has no '('"
                                               : "^ and $ are supported at the ends only");
    bool has_length = span.min >= min_len && (max_len < 0 || span.max <= max_len);
    if (kind == GRAMMAR_REGEX_JSON_STRING && !has_length)
        return fail(&regex, "a pattern together with a length of its own is supported only for one "
                            "repeated character: ^[a-z]*$");
    return !out->failed || err_no_memory(err, "a regular expression");
}
