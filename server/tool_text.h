/* tool_text.h - complete calls of tools in the words of models, as JSON. Pure. Thread: any. */
#ifndef SERVER_TOOL_TEXT_H
#define SERVER_TOOL_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Both give an array of {"name": string, "arguments": string}, arguments being the text of a JSON
 * object; NULL when the text is not calls and nothing but calls. The caller owns it. */

/* {"name": ..., "arguments" or "parameters": object or its text}, or an array of those. */
json_t *tool_text_read_json(const char *text, size_t len);
/* <function=name><parameter=key>value</parameter></function> */
json_t *tool_text_read_xml(const char *text, size_t len);

/* How many spaces, tabs and line ends the text begins with. */
size_t tool_text_spaces(const char *text, size_t len);

#endif
