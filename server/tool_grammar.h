/* tool_grammar.h - what a model may say that must call a tool: the rest of the call whose beginning
 * it is given (struct tool_format, `force_open`). Pure. Thread: any. */
#ifndef SERVER_TOOL_GRAMMAR_H
#define SERVER_TOOL_GRAMMAR_H

#include <stdbool.h>

struct buf;
struct err;
struct tool_format;
struct tool_request;

/* Appends the grammar (GBNF) of one call of one of the tools, of which there is at least one; its
 * arguments fit the tool's schema. With a single tool its name has been given, too. Nothing for a
 * format that is not JSON. ERR_INVALID when a schema cannot be met. */
bool tool_grammar_write(const struct tool_request *tools, const struct tool_format *format,
                        struct buf *out, struct err *err);

#endif
