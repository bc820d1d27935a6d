/* grammar_parser.h - GBNF text to the parts of a grammar.
 *
 * Inside core/text/grammar_*.c only. Thread: any (pure). */
#ifndef CORE_TEXT_GRAMMAR_PARSER_H
#define CORE_TEXT_GRAMMAR_PARSER_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct grammar;

bool grammar_parse(struct grammar **out, const char *text, size_t len, struct err *err);

#endif
