/* output_format.h - what an answer must look like: from a request's JSON to a grammar.
 *
 * Known: `response_format` (text, json_object, json_schema), and for those who know what they want
 * `grammar` (GBNF), `guided_grammar`, `guided_regex`, `guided_choice`, `guided_json`,
 * `json_schema` and vLLM's `structured_outputs`, an object of the same. A schema, a regular
 * expression or a grammar that cannot be followed is a 400 that says why. Compiling takes well
 * below a millisecond for common schemas, some 30 ms for the largest that are allowed. Thread: loop
 * (the cache); without one, any. */
#ifndef SERVER_OUTPUT_FORMAT_H
#define SERVER_OUTPUT_FORMAT_H

#include <jansson.h>
#include <stdbool.h>

struct answer_frame;
struct api_error;
struct grammar;
struct grammar_cache;

/* Of a completion request's body. *out is the caller's; NULL when anything may be said. `frame`
 * says what may stand around what is asked for; a GBNF grammar alone has nothing around it, and
 * then *out_has_frame is false. */
bool output_format_read(const json_t *body, const struct answer_frame *frame,
                        struct grammar_cache *cache, struct grammar **out, bool *out_has_frame,
                        struct api_error *error);

#endif
