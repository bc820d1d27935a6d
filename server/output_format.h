/* output_format.h - what an answer must look like: from a request's JSON to a grammar.
 *
 * Known: `response_format` (text, json_object, json_schema), and for those who know what they want
 * `grammar` (GBNF), `guided_grammar`, `guided_regex`, `guided_choice`, `guided_json` and
 * `json_schema`. A schema, a regular expression or a grammar that cannot be followed is a 400 that
 * says why. Compiling takes well below a millisecond for common schemas, some 30 ms for the largest
 * that are allowed. Thread: loop (the cache); without one, any. */
#ifndef SERVER_OUTPUT_FORMAT_H
#define SERVER_OUTPUT_FORMAT_H

#include <jansson.h>
#include <stdbool.h>

struct api_error;
struct grammar;
struct grammar_cache;
struct tool_format;

/* Of a completion request's body. *out is the caller's; NULL when anything may be said. `calls` is
 * how tools are called, if there are any: instead of the answer that `response_format` asks for the
 * model may then say a call. NULL for none. */
bool output_format_read(const json_t *body, const struct tool_format *calls,
                        struct grammar_cache *cache, struct grammar **out, struct api_error *error);

#endif
