/* refusals.h - fields of a request that would change the answer and cannot be obeyed: a 400 each,
 * unless they say nothing.
 *
 * Other fields that nobody here knows are ignored, because clients send many that do not matter.
 * Pure. Thread: any. */
#ifndef SERVER_REFUSALS_H
#define SERVER_REFUSALS_H

#include <jansson.h>
#include <stdbool.h>

struct api_error;
struct generation_defaults;

/* Without a tokenizer (NULL) ids of tokens are not looked at, without marks of thoughts their form.
 */
bool refusals_check(const json_t *body, const struct generation_defaults *defaults,
                    struct api_error *error);

#endif
