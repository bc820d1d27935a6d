/* tool_grammar.h - calls of tools as rules of a grammar (GBNF): of a model that must call one and
 * is given the call's beginning (struct tool_format, `force_open`), or of one that may. Pure.
 * Thread: any. */
#ifndef SERVER_TOOL_GRAMMAR_H
#define SERVER_TOOL_GRAMMAR_H

#include <stdbool.h>

struct buf;
struct err;
struct tool_format;
struct tool_request;

/* Appends the grammar of one call of one of the tools, of which there is at least one; its
 * arguments fit the tool's schema. With a single tool its name has been given, too. ERR_INVALID
 * when a schema cannot be met. */
bool tool_grammar_write(const struct tool_request *tools, const struct tool_format *format,
                        struct buf *out, struct err *err);

/* True when calls that are not forced must be held all the same: to one, or to the schema of a tool
 * that is `strict`. */
bool tool_grammar_is_needed(const struct tool_request *tools, const struct tool_format *format);

/* What words begin with where a call could come first; nothing in most formats. */
void tool_grammar_write_words_mark(const struct tool_format *format, struct buf *out);

/* Appends of each tool the rule "arguments-I". */
bool tool_grammar_write_arguments(const struct tool_request *tools,
                                  const struct tool_format *format, struct buf *out,
                                  struct err *err);

/* Appends three rules for an answer that may have calls: "said", text in which none begins,
 * "calls", which may follow it, and "first-calls", for the beginning of an answer. They use the
 * common rules of json_schema.h. */
bool tool_grammar_write_optional(const struct tool_request *tools, const struct tool_format *format,
                                 struct buf *out, struct err *err);

#endif
