/* tool_text.h - complete calls of tools in the words of models, as JSON. Pure. Thread: any. */
#ifndef SERVER_TOOL_TEXT_H
#define SERVER_TOOL_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "server/tool_format.h"

/* An array of {"name": string, "arguments": string}, arguments being the text of a JSON object;
 * NULL when the text is not calls and nothing but calls. The caller owns it.
 *
 * In JSON a call is {"name": ..., "arguments" or "parameters": object or its text}, or an array of
 * those; in the others what stands between a format's marks. */
json_t *tool_text_read(enum tool_syntax syntax, const char *text, size_t len);

/* How many spaces, tabs and line ends the text begins with. */
size_t tool_text_spaces(const char *text, size_t len);

#endif
