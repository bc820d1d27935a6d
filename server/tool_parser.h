/* tool_parser.h - generated text to content and calls of tools, piece by piece.
 *
 * Arguments are passed on as they come, once a call's name is known. Text is never lost: what
 * looked like a call and is none comes out as content; only the marks of a call and the space
 * around them are dropped. Pure; fuzzed. Owner: an answer_parser (embedded). Thread: the owner's.
 */
#ifndef SERVER_TOOL_PARSER_H
#define SERVER_TOOL_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "server/tool_python.h"

struct tool_format;

enum answer_part {
    ANSWER_CONTENT,
    ANSWER_REASONING,
    ANSWER_CALL,      /* a call begins: the text is the tool's name */
    ANSWER_ARGUMENTS, /* of the call that began last: JSON text */
};

/* Called in the order of the text, never with an empty one. */
typedef void answer_part_fn(void *arg, enum answer_part part, const char *text, size_t len);

struct tool_parser {
    const struct tool_format *format; /* NULL: all text is content */
    bool (*is_tool)(void *arg, const char *name, size_t len);
    answer_part_fn *emit;
    void *arg; /* of both */
    int state; /* enum state in the .c */
    struct buf
        held;    /* not yet understood: from the first byte that may belong to a mark or a call */
    size_t body; /* where in it the call begins, after its mark */
    struct buf said;       /* understood and not yet passed on */
    enum answer_part part; /* what `said` is */
    int depth;             /* of the JSON that is being passed on */
    bool is_in_string, is_escaped, is_wrapped;
    struct tool_python python; /* arguments that are being read */
    bool has_text;             /* something that is not space has come */
    int n_calls;
};

/* Starts with nothing said. `format`, `is_tool`, `emit` and `arg` are the caller's to set before.
 */
void tool_parser_init(struct tool_parser *parser);
void tool_parser_done(struct tool_parser *parser);

void tool_parser_push(struct tool_parser *parser, const char *text, size_t len);
/* The answer is over: what is held comes out as what it is. */
void tool_parser_end(struct tool_parser *parser);
/* True when memory ran out: some text was lost. */
bool tool_parser_failed(const struct tool_parser *parser);

#endif
