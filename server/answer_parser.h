/* answer_parser.h - what the model says, taken apart: its thinking, its content, its calls of
 * tools.
 *
 * Keeps all of it, and passes each piece on as it comes. Pure but for the random ids of calls.
 * Owner: a generation (embedded). Thread: loop. */
#ifndef SERVER_ANSWER_PARSER_H
#define SERVER_ANSWER_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "server/harmony_parser.h"
#include "server/tool_parser.h"

enum { ANSWER_CALL_ID_SIZE = 32 };

struct answer_call {
    char id[ANSWER_CALL_ID_SIZE];
    struct buf name;
    struct buf arguments; /* JSON text */
};

struct answer {
    struct buf reasoning;
    struct buf content;
    struct answer_call *calls; /* [n_calls] */
    size_t n_calls;
    bool failed; /* memory ran out: some of it is lost */
};

struct answer_delta {
    enum answer_part part;
    size_t call;         /* CALL, ARGUMENTS: which one */
    const char *call_id; /* CALL */
    const char *text;    /* a call's is its name */
    size_t len;
};

typedef void answer_delta_fn(void *arg, const struct answer_delta *delta);

struct answer_parser_options {
    const char *think_open, *think_close; /* the marks around thinking; NULL: none is expected */
    bool is_thinking;                     /* the prompt's end has opened it already */
    const struct tool_format *format;     /* NULL: no tools */
    bool has_channels; /* all is in Harmony; its thoughts are content where none are expected */
    bool is_continued; /* the prompt's end is the content's beginning */
    /* True for the name of a tool; may be NULL. */
    bool (*is_tool)(void *arg, const char *name, size_t len);
    answer_delta_fn *emit;
    void *arg; /* of both */
};

struct answer_parser {
    struct answer_parser_options options;
    int state; /* enum state in the .c */
    bool has_thought;
    struct buf held; /* space, and what may be the beginning of a mark */
    struct tool_parser tools;
    struct harmony_parser harmony;
    struct answer answer;
};

void answer_parser_init(struct answer_parser *parser, const struct answer_parser_options *options);
void answer_parser_done(struct answer_parser *parser);

void answer_parser_push(struct answer_parser *parser, const char *text, size_t len);
void answer_parser_end(struct answer_parser *parser);

/* True while what comes is not yet known to be more than thinking. */
bool answer_parser_is_thinking(const struct answer_parser *parser);

#endif
