/* answer_grammar.h - what stands around the answer that a request asks for, as rules of a grammar
 * (GBNF): thoughts before it, calls of tools in its place. Pure. Thread: any. */
#ifndef SERVER_ANSWER_GRAMMAR_H
#define SERVER_ANSWER_GRAMMAR_H

#include <stdbool.h>

struct buf;
struct err;
struct tool_format;
struct tool_request;

/* Zeroed: the answer and nothing else. */
struct answer_frame {
    const char *think_open, *think_close; /* marks around thoughts, which may come first; or NULL */
    const struct tool_request *tools;     /* that may be called; NULL for none */
    const struct tool_format *calls;      /* how; with tools only */
    bool has_channels;                    /* all of it is in Harmony */
};

/* Appends "root" and all that it needs but the rule "answer", which is the caller's to write, and
 * the common rules of json_schema.h. */
bool answer_grammar_write(const struct answer_frame *frame, struct buf *out, struct err *err);

/* The whole grammar of an answer of which nothing is asked, but whose calls of tools must be held
 * (tool_grammar_is_needed). */
bool answer_grammar_write_calls(const struct answer_frame *frame, struct buf *out, struct err *err);

#endif
