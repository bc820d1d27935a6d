/* grammar_regex.h - a regular expression as GBNF.
 *
 * What ECMAScript and its like have in common and a grammar can say: literals, `.`, classes, the
 * escapes \d \w \s \D \W \S \n \r \t \f \v \0 \xNN \uNNNN \u{N}, groups (capturing or not), `|`,
 * ? * + {m} {m,} {m,n} (lazy ones mean the same), and ^ $ at the ends of an alternative.
 * Look-around, back-references and \b are refused. The expression is untrusted. Thread: any (pure).
 */
#ifndef CORE_TEXT_GRAMMAR_REGEX_H
#define CORE_TEXT_GRAMMAR_REGEX_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

enum grammar_regex_kind {
    GRAMMAR_REGEX_TEXT,        /* all of a text; ^ and $ say nothing */
    GRAMMAR_REGEX_JSON_STRING, /* some part of what a JSON string says, unless ^ and $ say all */
};

/* Appends an expression in parentheses. For a JSON string it stands between the quotes, with
 * escapes where JSON needs them, and the string has min_len to max_len characters (max_len < 0: any
 * number); refused where that cannot be said. */
bool grammar_regex_write(const char *regex, size_t len, enum grammar_regex_kind kind, int min_len,
                         int max_len, struct buf *out, struct err *err);

#endif
