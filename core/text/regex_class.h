/* regex_class.h - a class of characters in a regular expression, and how it is said in GBNF.
 *
 * Inside core/text/grammar_regex.c only. Pure. Thread: any. */
#ifndef CORE_TEXT_REGEX_CLASS_H
#define CORE_TEXT_REGEX_CLASS_H

#include <stdbool.h>
#include <stdint.h>

struct buf;

enum { REGEX_CLASS_MAX_RANGES = 256, REGEX_CLASS_LAST_POINT = 0x10FFFF };

/* Characters first .. last. */
struct regex_range {
    uint32_t first, last;
};

/* All zero: no character. */
struct regex_class {
    struct regex_range ranges[REGEX_CLASS_MAX_RANGES];
    int n;
    bool is_negated; /* all characters but these */
};

/* False when there is no more room. */
bool regex_class_add(struct regex_class *class, uint32_t first, uint32_t last);

/* One of the letters d, w, s, which after a backslash mean digits, word characters and spaces, or
 * D, W, S, which mean all others. */
bool regex_class_is_name(char c);
bool regex_class_add_named(struct regex_class *class, char name);

/* Appends one character of the class, without the surrogates, which it loses. */
void regex_class_write(struct regex_class *class, struct buf *out);
/* The same as a JSON string spells it: plain characters of a JSON string are all but quote,
 * backslash and control characters; those that have a short escape are written with it, the other
 * control characters not at all. */
void regex_class_write_json(struct regex_class *class, struct buf *out);

#endif
