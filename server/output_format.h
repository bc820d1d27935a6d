/* output_format.h - what an answer must look like: from a request's JSON to a grammar.
 *
 * Known: `response_format` of chat completions (text, json_object, json_schema), the flat form of
 * the same in `text.format` of responses, and for those who know what they want `grammar` (GBNF),
 * `guided_grammar`, `guided_regex`, `guided_choice`, `guided_json` and `json_schema`. A schema, a
 * regular expression or a grammar that cannot be followed is a 400 that says why. Compiling takes
 * well below a millisecond for common schemas, some 30 ms for the largest that are allowed.
 * Thread: loop (the cache); without one, any. */
#ifndef SERVER_OUTPUT_FORMAT_H
#define SERVER_OUTPUT_FORMAT_H

#include <jansson.h>
#include <stdbool.h>

struct api_error;
struct grammar;
struct grammar_cache;

/* Of a completion request's body. *out is the caller's; NULL when anything may be said. */
bool output_format_read(const json_t *body, struct grammar_cache *cache, struct grammar **out,
                        struct api_error *error);

/* One format object: {"type":"text"}, {"type":"json_object"}, {"type":"json_schema", ...} with
 * name, schema and strict either beside the type or in an object "json_schema". `param` names it in
 * errors. */
bool output_format_read_one(const json_t *format, const char *param, struct grammar_cache *cache,
                            struct grammar **out, struct api_error *error);

#endif
